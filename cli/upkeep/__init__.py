"""Commands that look after what is derived from what came.

- ``rollups``: `./dev rollups`: how far readings are rolled up; holds rollups against their readings, and makes them
  right
- ``temporal``: Temporal, for commands that ask it themselves: the one that is configured, else that of the running
  `./dev up`
- ``versions``: `./dev versions`: the versions of the worker that Temporal knows, and which of them takes what comes
"""
