"""Scenario runs; and what is asked of all kinds of jobs at once.

- ``change_tokens``: Change tokens: short texts that differ as soon as something that is watched has changed
- ``depot_configurations``: A depot's configuration as a scenario run drives it: devices with their enabled actions,
  and where updates go
- ``overwrites``: What a scenario run takes the place of: devices that really report, and what follows from them
- ``run_steps``: The evidence of scenario runs: each step stamped before it is sent, its record written once
- ``scenario_runs``: Scenario runs: started, listed, read, ended. Their evidence is in ``run_steps``
- ``tables``: The tables of scenario runs and of their evidence
"""
