"""Simulation scenarios: a simulated site, presets, the packets that follow from them, and the evidence of a run.

Pure functions of their arguments, except that ``runs.library`` reads the files of this folder: no clock, no network, no
database. Whoever runs a scenario brings those.

- ``evidence``: What a run leaves: its evidence, and reports and differences made from it
- ``language``: The scenario language, its quantities, and what can be wrong with a scenario
- ``model``: The simulated site: its power, its buses, its controller, its random numbers
- ``runs``: From a scenario to the packets of its steps, and what must come of them
"""
