"""What a person gives to make or change a sensor action: its configuration, and whether it is switched on.

The configuration itself is ``domain.site.sensor_actions``'; here it meets ``enabled``, and a change meets what it
changes. Everything that is wrong is said at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from domain.base.violations import Violation
from domain.site.sensor_actions import ActionCode, InvalidAction, SensorAction, parse_action


class ChangeCode(StrEnum):
    """What is wrong with a change of a sensor action, beside what is wrong with its configuration."""

    ACTION_FIXED = "ACTION_FIXED"
    """What an action is never changes; another one is made beside it or instead of it."""


@dataclass(frozen=True)
class SensorActionForm:
    """A valid sensor action."""

    action: SensorAction
    enabled: bool


def parse_new(document: Mapping[str, Any]) -> SensorActionForm | InvalidAction:
    """Read a sensor action to make; without ``enabled`` it is switched on."""
    enabled = document.get("enabled", True)
    parsed = parse_action(_without(document, "enabled"))
    return _form(parsed, enabled, [])


def given_version(document: Mapping[str, Any]) -> int | None:
    """Return the version that a change was made for; None if it names none, or none that is a version."""
    version = document.get("version")
    return version if type(version) is int else None


def parse_change(document: Mapping[str, Any], before: SensorActionForm) -> SensorActionForm | InvalidAction:
    """Read a change of ``before``; what is left out stays.

    ``action`` may be given, as a form gives it, but not another one. ``version`` is looked at by ``given_version``;
    here it only has to be a number.
    """
    violations: list[Violation] = []
    if document.get("action", before.action.kind) != before.action.kind:
        reason = f"Stays {before.action.kind}; make another sensor action instead."
        violations.append(Violation("/action", ChangeCode.ACTION_FIXED, reason))
    if document.get("version") is not None and given_version(document) is None:
        violations.append(Violation("/version", ActionCode.WRONG_TYPE, "Must be a whole number."))
    changed = _without(document, "action", "enabled", "version")
    parsed = parse_action({**before.action.document(), **changed})
    return _form(parsed, document.get("enabled", before.enabled), violations)


def _without(document: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in keys}


def _form(
    parsed: SensorAction | InvalidAction, enabled: object, violations: list[Violation]
) -> SensorActionForm | InvalidAction:
    if isinstance(parsed, InvalidAction):
        violations += parsed.violations
    if not isinstance(enabled, bool):
        violations.append(Violation("/enabled", ActionCode.WRONG_TYPE, "Must be true or false."))
    if violations or isinstance(parsed, InvalidAction) or not isinstance(enabled, bool):
        return InvalidAction(tuple(violations))
    return SensorActionForm(parsed, enabled)
