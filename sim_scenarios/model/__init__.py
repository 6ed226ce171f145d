"""The simulated site: its power, its buses, its controller, its chance.

- ``buses``: The buses of the simulated depot: who is plugged in, what they ask for, and what each gets
- ``chance``: Chance that is the same on every machine: drawn from texts, by the one method that Python promises to
  keep
- ``controller``: The simulated controller: how it is switched, what its battery does, and what it says at its inputs
- ``profiles``: Powers over time: straight lines between given points, with noise
- ``site``: The power of the simulated site, from one step to the next: whole watts and joules, an exact balance
"""
