"""Reconciliation of runs and backfills with their workflows: a row whose workflow ended without it is ended, too.

- ``backfills``: The end of a backfill, whoever ends it: what the workflow reports is checked against the pages in the
  database
- ``reconcile``: Reconciles rows with their workflows, the same for scenario runs and for backfills
- ``scenario_runs``: The end of a scenario run: its evidence closed, whoever ends it
- ``workflow_descriptions``: The status of workflows, asked of Temporal for many at once, within a deadline
"""
