"""The rules of scenario runs.

- ``scenario_runs``: What a scenario run is asked, how far it is, and how it ended
"""
