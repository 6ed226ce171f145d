"""What every statement stands on: connections, locks, notifications, the journal, and the one metadata.

- ``arrays``: What statements are given: many values as one parameter, and parts of texts to search for
- ``changes``: The journal of changes: who did what to which depot, and when
- ``database``: Connections and transactions. A transaction always knows who acts
- ``driver``: The driver's own connection, for the few statements that run thousands of times a second
- ``idempotency``: Answers to creating requests, kept under the key that the request came with: asked again, the same
  is answered
- ``jobs``: What the rows of all kinds of jobs have in common. Each statement is given the kind's table
- ``liveness``: The liveness of PostgreSQL: whether it answers at all, so that nobody waits for one that does not
- ``locks``: The lock of a depot: whoever changes its site, and whoever writes by its configuration, takes it first
- ``metadata``: What every table is made with: one metadata, and the columns that many tables have
- ``notifications``: What rests on a connection that is held: notifications of commits (``NOTIFY``), who listens, and
  who works alone
- ``off_loop``: Work for the processor that grows with what is stored or sent: in a thread, so that nobody else waits
  for it
- ``origin``: Where what is done comes from: the request in which it is done, and the address of who sent it
- ``simulated``: Which scenario run brought something about, as people know it: by its scenario
- ``sql_script``: SQL scripts, cut into the single statements that the driver wants
- ``tables``: The tables of whatever every wing does: the journal, and the answers that can be asked for again
- ``versions``: Whether something that is edited is still as the caller read it; and if not, who changed what of it
  since
"""
