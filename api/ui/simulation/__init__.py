"""Scenarios, a run as it goes, and two runs beside each other.

- ``scenario_compare``: Two scenario runs beside each other: where their evidence differs
- ``scenario_run``: One scenario run: watched step by step, what is sent beside what the product shows of it, and its
  evidence
- ``scenarios``: The scenarios: choose one, a depot, a seed and a speed; and the runs that there are
"""
