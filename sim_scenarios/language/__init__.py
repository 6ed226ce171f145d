"""The scenario language, its quantities, and what can be wrong with a scenario.

- ``expected``: The part of the scenario language that says what a step must have brought about
- ``language``: The scenario language: what a preset file may say. Its JSON Schema is made from here
- ``problems``: What can be wrong with a scenario, by stable codes
- ``quantities``: Quantities as people write them, and as the simulation counts them: whole watts, joules, milliseconds
- ``source``: Reads YAML without its traps, for people who write it by hand
"""
