"""The simulated site: its power, its buses, its controller, its random numbers.

- ``buses``: The buses of the simulated depot: who is plugged in, what they ask for, and what each gets
- ``controller``: The simulated controller: how it is switched, what its battery does, and what it says at its inputs
- ``profiles``: Powers over time: straight lines between given points, with noise
- ``random_source``: Random numbers that are the same on every machine: seeded with texts, by the one method that
  Python keeps stable
- ``site``: The power of the simulated site, from one step to the next: whole watts and joules, an exact balance
"""
