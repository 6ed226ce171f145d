"""Depots, their import, and everything that is configured in one.

- ``capacities``: What holds for the capacity of a circuit, why, and what held before
- ``circuits``: Circuits of a depot: list, add, rename, move, delete. The microgrid follows every change
- ``deletions``: What a deletion takes along, and the consent to exactly that; the same for everything that takes
  something along
- ``depots``: Depots: create with circuits, list, read, change
- ``devices``: Devices: list, add, change, link to a circuit, delete
- ``fleet_import``: The import of the legacy fleet: a stream of lines, answered with what was stored and every line
  that was refused
- ``gateways``: Gateways: list, add, change, delete
- ``imports``: Imports: the bodies of both kinds, and imports as jobs
- ``power_sources``: Power sources: list with their latest readings, add, change, delete
- ``remediations``: Remediations: what stops updates by a site's configuration, and what to do about it
- ``resolutions``: What a device really sends, and what its sensor actions write to today
- ``saved_views``: Saved views of the list of depots: each person has their own
- ``sensor_actions``: Sensor actions: what each may be given, and their configuration on devices
- ``simulated``: What a scenario run sent, in the place of a depot's devices: each answer that has it says so
- ``stamps``: What was measured at one time and came at another: both, and when it counts as measured
"""
