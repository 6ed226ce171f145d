"""Temporal workflows: order, timers, signals, updates, queries. No I/O and no wall clock.

- ``backfill``: The backfill: every depot that has top-level circuits and no microgrid gets one
- ``capacity_watch``: The capacity watch: where a controller falls silent, the fail-safe takes over by itself
- ``drift_audit``: The drift audit: microgrids that do not follow their circuits are found before an operator finds
  them
- ``failures``: What a step that failed for good says of itself
- ``history_upkeep``: The history's upkeep: its months are made before they begin, and dropped when they are old enough
- ``jobs``: What the workflow of every job does: it is paused, resumed and cancelled, and it ends by saying how
- ``launch``: How the workflows are started and signalled: ids, queues, options and search attributes in one place
- ``microgrid_sync``: One depot's sync: its microgrid follows its top-level circuits, one pass after the other
- ``reading_fill``: The reading fill: packets that came before their device, or before there were typed readings, are
  read into them
- ``reading_rollup``: The reading rollup: what changed of the readings is rolled up by minute, by quarter of an hour
  and by day
- ``rollup_check``: The rollup check: rollups are held against the readings that they are made from, and made right
- ``run_audit``: The run audit: a job whose workflow is gone ends, although nobody reads it
- ``scenario_run``: A scenario run: the order of its steps, its waits, and how it is steered
- ``schedules``: What runs without anyone asking for it: what a schedule is, and how Temporal is brought to have it
- ``transfers``: What comes in and goes out as a file, by jobs
"""
