"""Where one can go. A link is shown to whoever is offered what it leads to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import Request

from api.base.access import principal_of
from api.base.dependencies import resources_of
from domain.access.roles import Permission
from domain.access.routes import PAGES, is_offered


@dataclass(frozen=True)
class Link:
    """A link to another page."""

    text: str
    address: str
    current: bool
    count_address: str | None = None
    """Where the number beside it comes from."""
    section: str | None = None
    """The section that it begins: it and those after it belong there."""


# What a link says, and the name of its route.
_MAIN = (
    ("Overview", "page_overview"),
    ("Depots", "page_depots"),
    ("Trends", "page_trends"),
    ("Remediations", "page_remediations"),
    ("Scenarios", "page_scenarios"),
    ("Imports", "page_imports"),
    ("Backfills", "page_backfills"),
    ("Access", "page_access"),
    ("Journal", "page_journal"),
)
_AREAS = {"/scenarios": "/scenario-runs"}
"""Where what a link leads to has its pages, where that is elsewhere."""
_ALSO = {"page_depots": "/devices/", "page_devices": "/devices/"}
"""Where further pages of a link's area are, by the name of its route."""
_COUNTS = {"page_remediations": "remediation_count"}
"""What is counted beside a link, and the name of the route that counts."""
_DEPOT = (
    ("Load", "page_load"),
    ("Circuits", "page_microgrid"),
    ("Devices", "page_devices"),
    ("Controllers", "page_controllers"),
)
_OF_RETIRED = frozenset({"depot_restoration"})
"""What is offered at a depot that is retired, besides looking at it."""
_SECTIONS = {"page_microgrid": "System Admin"}
"""The sections of a depot's tabs, by the name of the route of their first one."""


def address_of(request: Request, name: str, **values: Any) -> str:
    """Where a page is, by the name of its route."""
    return resources_of(request.app).addresses(name, **values)


def offers(request: Request, name: str, depot_id: UUID | None = None, *, retired: UUID | None = None) -> bool:
    """Whether who asks for a page is offered what leads to this route, at this depot where it is used at one.

    ``retired`` is the depot that the page is of, where that is retired: nothing of it is changed before it is back.
    """
    if (
        retired is not None
        and depot_id == retired
        and PAGES[name].permission not in (None, Permission.VIEW)
        and name not in _OF_RETIRED
    ):
        return False
    principal = principal_of(request.scope)
    return principal is not None and is_offered(PAGES[name], principal, depot_id)


def _links(request: Request, wanted: tuple[tuple[str, str], ...], **values: Any) -> list[Link]:
    links: list[Link] = []
    for text, name in wanted:
        if not offers(request, name, values.get("depot_id")):
            continue
        address = address_of(request, name, **values)
        # All below an address is of it.
        area = _AREAS.get(address, address)
        path = request.scope["path"]
        counted = address_of(request, _COUNTS[name]) if name in _COUNTS else None
        below = (f"{area}/", _ALSO[name]) if name in _ALSO else (f"{area}/",)
        links.append(
            Link(text, address, path in (address, area) or path.startswith(below), counted, _SECTIONS.get(name))
        )
    return links


def main_links(request: Request) -> list[Link]:
    """The links at the top of every page."""
    return _links(request, _MAIN)


def depot_tabs(request: Request, depot_id: UUID) -> list[Link]:
    """The tabs of one depot's area."""
    return _links(request, _DEPOT, depot_id=depot_id)


def device_address(request: Request, device_id: UUID) -> str:
    """Where a device's page is."""
    return address_of(request, "page_device", device_id=device_id)
