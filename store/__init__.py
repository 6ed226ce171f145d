"""PostgreSQL: tables, migrations, queries and the outbox. All SQL of the product is here.

- ``access``: Access as stored: people, sessions, grants and the journal
- ``base``: What every statement stands on: connections, locks, notifications, the journal, and the one metadata
- ``controllers``: Which device supplies which capability of a microgrid, and what its packets would do
- ``figures``: What the tables of all wings say at a glance: how much waits, how much is wrong, by kinds and never by
  depot
- ``history``: What was measured over time, as it is shown
- ``migrate``: Bringing a database to the newest schema
- ``monitoring``: What a site reports: packets, statuses, capacities that follow them, load, and the history's months
- ``provisioning``: What is derived from circuits, and the requests to derive it: microgrids, outbox, backfills, drift
- ``schema``: The whole schema: the metadata with the tables of every wing, for the migrations and the test that
  compares both
- ``schema_version``: Which migrations this version of the product needs, and whether the database has them
- ``simulation``: Scenario runs; and what is asked of all kinds of jobs at once
- ``site``: A site as it is configured, with what follows from its configuration in the same transaction
"""
