"""Runs and backfills are brought to the end that their workflows came to without having said so.

- ``backfills``: The end of a backfill: what it did held against what it says, whoever ends it
- ``look``: How workflows stand, as Temporal tells it: many at once, within a deadline
- ``scenario_runs``: The end of a scenario run: its evidence closed, whoever ends it
- ``settle``: Rows whose workflows have ended without them are ended, too: the same for scenario runs and for backfills
"""
