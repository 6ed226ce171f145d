"""What mends a remediation, how much follows from it, and when it is mended and only waits for a packet."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from domain.site.packet_context import ConfiguredAction, PacketContext
from domain.site.remediations import Mend, RemediationCode, Severity
from domain.site.resolution import is_mended
from domain.site.routing import PowerSource, PowerSourceKind
from domain.site.sensor_actions import SensorActionKind

GATEWAY, DEPOT, DEVICE, ACTION, CIRCUIT = (UUID(int=each) for each in range(1, 6))
BATTERY = PowerSource(UUID(int=9), PowerSourceKind.BATTERY, None)


def context(kind: SensorActionKind, **given: object) -> PacketContext:
    """Make a context with one sensor action, and what is given of either."""
    action = ConfiguredAction(ACTION, DEVICE, "one", kind, (), enabled=True, circuit_id=None)
    of_action = {name: value for name, value in given.items() if hasattr(action, name)}
    of_site = {name: value for name, value in given.items() if name not in of_action}
    site = PacketContext(GATEWAY, DEPOT, None, None, {"one": DEVICE}, {"one": (replace(action, **of_action),)}, ())
    return replace(site, **of_site)


@pytest.mark.parametrize("code", RemediationCode)
def test_each_says_what_follows_and_what_mends_it(code: RemediationCode) -> None:
    assert code.severity in Severity
    assert code.mends
    assert len(set(code.mends)) == len(code.mends)
    assert all(isinstance(each, Mend) for each in code.mends)


def test_severities_are_ranked_from_one_without_a_gap() -> None:
    assert [each.rank for each in Severity] == [1, 2, 3]


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        (SensorActionKind.UPDATE_MICROGRID_STATE, {}, {"microgrid_id": UUID(int=7)}),
        (SensorActionKind.UPDATE_POWER_SOURCE_LOAD, {}, {"power_sources": (BATTERY,)}),
        (
            SensorActionKind.UPDATE_POWER_SOURCE_LOAD,
            {"power_sources": (BATTERY, replace(BATTERY, power_source_id=UUID(int=10)))},
            {"power_sources": (BATTERY, replace(BATTERY, power_source_id=UUID(int=10), circuit_id=CIRCUIT)),
             "circuit_id": CIRCUIT},
        ),
        (SensorActionKind.UPDATE_CIRCUIT_CAPACITY, {}, {"circuit_id": CIRCUIT, "circuit_follows": True}),
        (
            SensorActionKind.UPDATE_CIRCUIT_CAPACITY,
            {"circuit_id": CIRCUIT},
            {"circuit_id": CIRCUIT, "circuit_follows": True},
        ),
    ],
)  # fmt: skip
def test_it_is_mended_when_the_next_packet_would_go_through(
    kind: SensorActionKind, before: dict[str, object], after: dict[str, object]
) -> None:
    assert not is_mended(context(kind, **before), ACTION)
    assert is_mended(context(kind, **after), ACTION)


def test_what_is_gone_is_not_mended() -> None:
    site = context(SensorActionKind.UPDATE_MICROGRID_STATE, microgrid_id=UUID(int=7))
    assert not is_mended(None, ACTION)
    assert not is_mended(site, UUID(int=99))
