"""The roles of people and programs, and what each permits."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """One kind of act. Every route asks for exactly one (`domain/access/routes.py`)."""

    VIEW = "view"
    """See a depot: its structure, statuses, capacities, packets, remediations, runs."""
    OPERATE = "operate"
    """Ask for a Resync, resolve a remediation."""
    CONFIGURE = "configure"
    """Change circuits, gateways, devices, power sources, sensor actions, bindings, thresholds; create depots."""
    SIMULATE = "simulate"
    """Start and steer scenario runs."""
    ADMINISTER = "administer"
    """Import a fleet, run backfills, grant access, revoke sessions and secrets."""
    AUDIT = "audit"
    """Read the journal."""
    SEND = "send"
    """Send packets."""


class Role(StrEnum):
    """What somebody is at all depots, or at some."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    CONFIGURATOR = "configurator"
    QA = "qa"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"
    GATEWAY = "gateway"


PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.VIEW}),
    Role.OPERATOR: frozenset({Permission.VIEW, Permission.OPERATE}),
    Role.CONFIGURATOR: frozenset({Permission.VIEW, Permission.CONFIGURE}),
    Role.QA: frozenset({Permission.VIEW, Permission.SIMULATE}),
    # All that people do. Packets are the gateways' word, and nobody's who sits at a desk.
    Role.ADMINISTRATOR: frozenset(Permission) - {Permission.SEND},
    Role.AUDITOR: frozenset({Permission.VIEW, Permission.AUDIT}),
    Role.GATEWAY: frozenset({Permission.SEND}),
}
"""What each role permits. Roles add up: whoever is operator and configurator may do what either may."""
