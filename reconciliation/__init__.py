"""Jobs are brought to the end that their workflows came to without having said so.

- ``backfills``: The end of a backfill: what it did held against what it says, whoever ends it
- ``exports``: The end of an export: its file is kept for a while where it is whole, and removed where it is not
- ``imports``: The end of an import: what it stored held against what it says, and its file removed, whoever ends it
- ``jobs``: Every kind of job
- ``reconcile``: Jobs whose workflows have ended without them are ended, too: the same for all kinds
- ``scenario_runs``: The end of a scenario run: its evidence closed, whoever ends it
- ``workflow_descriptions``: The status of workflows, asked of Temporal for many at once, within a deadline
"""
