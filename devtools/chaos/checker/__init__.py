"""The checker: it reads the database, Temporal's list of workflows and the log of requests, and shares no code with
the product, so that it cannot be wrong in the same way.

- ``check``: All rules of the checker together
- ``circuits``: Circuits: each acknowledged change once, each unknown one at most once, each refused one not at all
- ``exports``: Files of exports: each reading is in them once, and none that was acknowledged before is missing
- ``jobs``: Jobs and workflows: each ended, each did its work once, and a run that was disturbed left the same evidence
- ``request_log``: The log of requests as it is read back: what was asked for, how often it was sent, and how each try
  ended
- ``retirement``: Retired depots: each stays retired, with its microgrid, and takes no change any more
- ``telemetry``: Packets and statuses: every acknowledged one is there, counts once, and what is shown is what all of
  them come to
"""
