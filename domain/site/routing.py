"""Which power source a device's update belongs to (COR-9.5, COR-9.6), and when that cannot be known (COR-9.7).

The rules stand as a table in ``docs/system-design/power-source-routing.md``; a test reads that table and holds
this module to every row of it. Two principles decide what the story leaves open:

- Several candidates under one rule do not end the search. The rule does not apply, and the next one may.
- No rule contradicts what a stronger one knows. If the device's linked circuit has several power sources, the
  update belongs to one of them, so the depot's one battery is taken only if it is one of them.

The gateway's model (``site_model_name``) plays no part (COR-9.4), nor does the kind of the power source, except that
the second rule asks for a battery.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from domain.base.strict_json import stored_length
from domain.site.remediations import RemediationCode


class PowerSourceKind(StrEnum):
    """What a power source is."""

    BATTERY = "BATTERY"
    SOLAR = "SOLAR"
    GENERATOR = "GENERATOR"


@dataclass(frozen=True)
class PowerSource:
    """One power source of the device's depot."""

    power_source_id: UUID
    kind: PowerSourceKind
    circuit_id: UUID | None
    """The circuit that it feeds, where that is known."""


class RoutingRule(StrEnum):
    """How the power source was found, in the order in which the rules are tried (COR-9.6)."""

    LINKED_CIRCUIT = "LINKED_CIRCUIT"
    """It is the one power source on the device's linked circuit: on that very circuit, not below it."""
    DEPOT_BATTERY = "DEPOT_BATTERY"
    """It is the one battery of the depot."""
    OUTPUT_TRANSLATION = "OUTPUT_TRANSLATION"
    """The gateway's ``output_translation`` names it: the compatibility fallback."""


@dataclass(frozen=True)
class Routed:
    """The power source to write to."""

    power_source_id: UUID
    rule: RoutingRule


@dataclass(frozen=True)
class RoutingRemediation:
    """No power source is certain, so nothing is written."""

    code: RemediationCode
    candidates: tuple[UUID, ...] = ()
    """The power sources between which it could not be decided, by id; empty where there are none."""


_UUID = re.compile("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


MAX_TRANSLATION_LENGTH = 16_384
"""Characters of an ``output_translation`` as JSON with its numbers written out: it is read with each packet."""


def fits(output_translation: object) -> bool:
    """Say whether an ``output_translation`` is no longer than it may be."""
    return stored_length(json.dumps(output_translation, ensure_ascii=False)) <= MAX_TRANSLATION_LENGTH


def named_power_source(output_translation: object) -> UUID | None:
    """Return the power source that an ``output_translation`` names; None if it has not the form for it.

    The form is ``{"power_source_id": "<UUID>"}``; other keys are left to whoever wrote them.
    """
    if not isinstance(output_translation, Mapping):
        return None
    named = output_translation.get("power_source_id")
    return UUID(named) if isinstance(named, str) and _UUID.fullmatch(named) else None


class Routing:
    """The power sources of a depot, sorted once for any number of updates."""

    def __init__(self, power_sources: Iterable[PowerSource]) -> None:
        """Take all power sources of the depot, in any order, and none of another depot."""
        sources = {source.power_source_id: source for source in power_sources}
        self._every = frozenset(sources)
        self._batteries: list[UUID] = []
        self._on_circuit: dict[UUID | None, list[UUID]] = {}
        for power_source_id in sorted(sources):
            source = sources[power_source_id]
            if source.kind is PowerSourceKind.BATTERY:
                self._batteries.append(power_source_id)
            self._on_circuit.setdefault(source.circuit_id, []).append(power_source_id)

    def route(self, linked_circuit: UUID | None, output_translation: object) -> Routed | RoutingRemediation:
        """Find the power source that an update of a device belongs to.

        Args:
            linked_circuit: The circuit that the device is linked to.
            output_translation: The gateway's, as it is stored; None where it has none.

        """
        on_circuit = [] if linked_circuit is None else self._on_circuit.get(linked_circuit, [])
        if len(on_circuit) == 1:
            return Routed(on_circuit[0], RoutingRule.LINKED_CIRCUIT)
        batteries = self._batteries
        if len(batteries) == 1 and (not on_circuit or batteries[0] in on_circuit):
            return Routed(batteries[0], RoutingRule.DEPOT_BATTERY)
        if not self._every:
            return RoutingRemediation(RemediationCode.NO_POWER_SOURCE)
        if output_translation is not None:
            named = named_power_source(output_translation)
            if named is None:
                return RoutingRemediation(RemediationCode.OUTPUT_TRANSLATION_MALFORMED)
            if named not in self._every:
                return RoutingRemediation(RemediationCode.OUTPUT_TRANSLATION_NOT_IN_DEPOT)
            return Routed(named, RoutingRule.OUTPUT_TRANSLATION)
        if on_circuit:
            return RoutingRemediation(RemediationCode.SEVERAL_POWER_SOURCES_ON_CIRCUIT, tuple(on_circuit))
        if batteries:
            return RoutingRemediation(RemediationCode.SEVERAL_BATTERIES, tuple(batteries))
        if linked_circuit is None:
            return RoutingRemediation(RemediationCode.NO_CIRCUIT_AND_NO_BATTERY)
        return RoutingRemediation(RemediationCode.NO_POWER_SOURCE_ON_CIRCUIT_AND_NO_BATTERY)
