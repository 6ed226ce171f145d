"""PostgreSQL: tables, migrations, queries and the outbox. All SQL of the product is here.

- ``base``: What every statement stands on: connections, locks, notifications, the journal, and the one metadata
- ``access``: People, sessions, grants and the journal
- ``site``: A site as it is configured, with what follows from its configuration in the same transaction
- ``provisioning``: What is derived from circuits, and the requests to derive it: microgrids, outbox, backfills, drift
- ``monitoring``: What a site reports: packets, statuses, capacities that follow them, load, and the history's months
- ``controllers``: Which device supplies which capability of a microgrid, and what its packets would do
- ``simulation``: Scenario runs; and what is asked of all kinds of jobs at once
- ``migrate``: Bringing a database to the newest schema
- ``schema``: The whole schema: the metadata with the tables of every wing, for the migrations and the test that
  compares both
- ``schema_version``: Which migrations this version of the product needs, and whether the database has them
"""
