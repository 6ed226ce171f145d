"""What a process of the worker is to Temporal: the queues that it serves, and the version that it is of.

- ``queues``: Temporal's task queues, one a kind of work: what takes long has slots of its own, and none of those of
  the syncs
"""
