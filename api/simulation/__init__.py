"""Scenarios and their runs.

- ``scenario_runs``: Scenario runs: start, watch, steer; their evidence, their reports, and where two of them differ
- ``scenario_starts``: The start of a scenario run: the scenario is read and bound to the depot's configuration; gaps
  are reported
- ``scenarios``: The presets of the depot simulation
"""
