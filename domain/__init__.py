"""Rules without I/O: pure functions and frozen types that every other package shares.

- ``access``: Who may do what: roles, what each permits, where it is granted, and who acts
- ``base``: What every rule stands on: problems and their codes, texts, times, names, JSON that is taken as it is meant
- ``controllers``: The rules of microgrid controllers: what each can say, and which device supplies which capability
- ``history``: The rules of what was measured over time: which series there are, and how their time is divided
- ``monitoring``: The rules of what a site reports: packets, what they do to it, the capabilities' statuses and their
  age
- ``provisioning``: The rules of what is derived from circuits: the microgrid, the sync, and the backfill
- ``simulation``: The rules of scenario runs
- ``site``: The rules of a site as it is configured: circuits, devices, sensor actions, routing, what capacity follows
"""
