"""The whole schema: the metadata with the tables of every wing, for the migrations and the test that compares both.

Each wing has its tables in a module ``tables`` of its own; all of them are in the one metadata of ``store.base``. The
migrations are what makes them; a test holds both together.
"""

from __future__ import annotations

from store.access import tables as access
from store.base import tables as base
from store.base.metadata import metadata
from store.history import tables as history
from store.monitoring import tables as monitoring
from store.provisioning import tables as provisioning
from store.simulation import tables as simulation
from store.site import tables as site

__all__ = ["WINGS", "metadata"]

WINGS = (base, access, site, provisioning, monitoring, history, simulation)
"""The modules that put their tables into ``metadata`` when they are imported; a wing with tables stands here."""
