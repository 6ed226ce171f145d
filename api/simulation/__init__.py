"""Scenarios and their runs.

- ``scenario_runs``: Scenario runs: start, watch, steer; their evidence, their reports, and where two of them differ
- ``scenario_starts``: How a scenario run begins: the scenario is read, the depot's configuration bound to it, and what
  is missing told
- ``scenarios``: The presets of the depot simulation
"""
