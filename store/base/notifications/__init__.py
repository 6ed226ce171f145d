"""What rests on a connection that is held: notifications of commits (``NOTIFY``), who listens, and who works alone.

- ``listen``: Hearing what PostgreSQL says on a channel, for as long as the process lives
- ``notify``: Telling whoever watches a depot that something of it changed, once the transaction has committed
- ``sole_worker``: What one process of several does: the one that holds a lock of PostgreSQL's. When it is gone,
  another takes over
"""
