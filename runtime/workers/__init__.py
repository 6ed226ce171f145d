"""What a process of the worker is to Temporal: the queues that it serves, and the version that it is of.

- ``known``: Which version of the worker takes what comes, and when another one may take over from it
- ``queues``: Temporal's task queues, one a kind of work: what takes long has slots of its own, and none of those of
  the syncs
- ``versions``: The versions of the worker (Temporal's Worker Deployments): which this code is, how it becomes the
  current one
"""
