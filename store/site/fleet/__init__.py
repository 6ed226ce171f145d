"""Many depots at once: the list that is kept of them, and the import.

- ``fleet_alarms``: Alarms of depots: those of one, the depots that are worst, and how many there are in a fleet
- ``fleet_import``: The import of the legacy fleet: staged line by line, then stored depot by depot (decisions 0006 and
  0009)
- ``fleet_list``: The list of depots as it is filtered, searched and counted: kept by triggers, so that it costs the
  same at any size
- ``fleet_load``: What the depots of a fleet draw, together and each, beside what they may draw
- ``fleet_order``: The list of depots in another order than that of names: ``depot_ranks`` has what each depot is
  ordered by
- ``fleet_search``: What the list of depots is searched by: words in any order, without accents, and ids
- ``fleet_statements``: What an import does in the database, statement by statement. ``store.site.fleet.fleet_import``
  says in which order
- ``import_jobs``: Imports as jobs: their rows, the files that were uploaded for them, and their reports
- ``import_ledger``: What an import that is a job came to, noted in the transactions that store it
- ``load_settlement``: The orders of the list of depots by load: settled when somebody asks for one, and never by a
  packet
- ``saved_views``: Saved views of the list of depots: each is its person's alone
"""
