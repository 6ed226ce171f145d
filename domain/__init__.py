"""Rules without I/O: pure functions and frozen types that every other package shares.

- ``base``: What every rule stands on: problems and their codes, texts, times, names, JSON that is taken as it is meant
- ``access``: The rules of access: roles, what each permits and where, who acts
- ``site``: The rules of a site as it is configured: circuits, devices, sensor actions, routing, what capacity follows
- ``provisioning``: The rules of what is derived from circuits: the microgrid, the sync, the backfill, and how jobs end
- ``monitoring``: The rules of what a site reports: packets, what they do to it, the capabilities' statuses and their
  age
- ``controllers``: The rules of microgrid controllers: what each can say, and which device supplies which capability
- ``simulation``: The rules of scenario runs
"""
