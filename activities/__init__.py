"""Retryable steps that touch the world. Each one says what happens when it runs twice.

- ``backfill``: The steps of a backfill
- ``capacity_watch``: The step of the capacity watch
- ``drift_audit``: The step of the drift audit
- ``heartbeat``: Telling Temporal that a long step is alive
- ``history_upkeep``: The step of the history's upkeep
- ``manage_api``: The product's own API, as a scenario run uses it: packet ingest and what came of the packets, over
  HTTP
- ``microgrid_sync``: The steps of a sync
- ``reading_fill``: The step that reads stored packets into typed readings
- ``rollups``: The steps that keep rollups right, and those that hold them against their readings
- ``run_audit``: The step of the run audit
- ``scenario_run``: The steps of a scenario run: packets out, answers in, a look at the product, evidence written
- ``steps``: What is around every step: whose log lines they are, and which of its errors are worth another try
- ``transfers``: The steps of what comes in and goes out as a file
"""
