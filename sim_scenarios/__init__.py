"""Simulation scenarios: a simulated site, presets, the packets that follow from them, and the evidence of a run.

Pure functions of their arguments, except that ``library`` reads the files of this folder: no clock, no network, no
database. Whoever runs a scenario brings those.
"""
