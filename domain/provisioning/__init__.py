"""The rules of what is derived from circuits: the microgrid, the sync, and the backfill.

- ``backfill``: What a backfill is asked, how far it is, and what it found
- ``outcomes``: What a depot's microgrid provisioning can come to, and what a sync answers
- ``reconcile``: How a microgrid's first-level grid connections follow its depot's top-level circuits
- ``set_up``: How far a depot is set up: from its circuits to the first packet
"""
