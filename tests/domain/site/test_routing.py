"""Routing of power source updates (COR-9.5 to COR-9.7), held to the table of the documentation row by row."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import pytest

from domain.site.packet_context import ConfiguredAction, PacketContext
from domain.site.remediations import RemediationCode
from domain.site.resolution import Resolved, resolve
from domain.site.routing import (
    PowerSource,
    PowerSourceKind,
    Routed,
    Routing,
    RoutingRemediation,
    RoutingRule,
    named_power_source,
)
from domain.site.sensor_actions import SensorActionKind
from tests.domain.documents import table

DOCUMENT = "power-source-routing.md"
LINKED, ELSEWHERE = UUID(int=1), UUID(int=2)
NOWHERE, OTHER_DEPOT = UUID(int=8), UUID(int=9)
BATTERY, SOLAR, GENERATOR = PowerSourceKind.BATTERY, PowerSourceKind.SOLAR, PowerSourceKind.GENERATOR

MALFORMED: list[object] = [
    {},
    [],
    "",
    0,
    False,
    str(UUID(int=100)),
    {"power_source_id": None},
    {"power_source_id": 5},
    {"power_source_id": ""},
    {"power_source_id": "battery"},
    {"power_source_id": UUID(int=100).hex},
    {"power_source_id": f"{UUID(int=100)}\n"},
    {"power_source_id": [str(UUID(int=100))]},
    {"powerSourceId": str(UUID(int=100))},
    [{"power_source_id": str(UUID(int=100))}],
]


def naming(power_source_id: UUID) -> dict[str, str]:
    return {"power_source_id": str(power_source_id)}


@dataclass(frozen=True)
class RoutedDepot:
    """One site, and in which column values of the table it falls."""

    sources: tuple[PowerSource, ...]
    linked: UUID | None
    translation: object
    cells: tuple[str, str, str]


def circuit_cell(sources: Sequence[PowerSource], linked: UUID | None) -> str:
    if linked is None:
        return "not linked"
    return ("nothing", "one", "several")[min(2, sum(source.circuit_id == linked for source in sources))]


def battery_cell(sources: Sequence[PowerSource], linked: UUID | None) -> str:
    if not sources:
        return "no power source at all"
    batteries = [source for source in sources if source.kind is BATTERY]
    if len(batteries) == 1:
        there = linked is not None and batteries[0].circuit_id == linked
        return "one, on the linked circuit" if there else "one, elsewhere"
    return "several" if batteries else "none"


def every_site() -> list[RoutedDepot]:
    """All sites of up to four power sources: of two kinds, on the linked circuit, on another, or on none."""
    types = list(itertools.product((BATTERY, SOLAR), (LINKED, ELSEWHERE, None)))
    sites: list[RoutedDepot] = []
    for size in range(5):
        for combination in itertools.combinations_with_replacement(types, size):
            sources = tuple(
                PowerSource(UUID(int=100 + index), kind, circuit) for index, (kind, circuit) in enumerate(combination)
            )
            translations: list[tuple[object, str]] = [(None, "absent"), *((bad, "malformed") for bad in MALFORMED)]
            translations += [(naming(each), "names none of this depot") for each in (NOWHERE, OTHER_DEPOT)]
            translations += [(naming(source.power_source_id), "names one") for source in sources[:1] + sources[-1:]]
            for linked, (translation, cell) in itertools.product((LINKED, None), translations):
                cells = (circuit_cell(sources, linked), battery_cell(sources, linked), cell)
                sites.append(RoutedDepot(sources, linked, translation, cells))
    return sites


ROWS = table(DOCUMENT, "row")
SITES = every_site()


def falls_under(site: RoutedDepot, row: list[str]) -> bool:
    return all(
        cell == "any" or site_cell in cell.split(" / ") for site_cell, cell in zip(site.cells, row[1:4], strict=True)
    )


def target(site: RoutedDepot, rule: RoutingRule) -> UUID:
    """Where a rule leads, found in the plainest way."""
    if rule is RoutingRule.LINKED_CIRCUIT:
        (one,) = [source for source in site.sources if source.circuit_id == site.linked]
    elif rule is RoutingRule.DEPOT_BATTERY:
        (one,) = [source for source in site.sources if source.kind is BATTERY]
    else:
        assert isinstance(site.translation, dict)
        return UUID(site.translation["power_source_id"])
    return one.power_source_id


@pytest.mark.acceptance("COR-9.6", "COR-9.7")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"row-{row[0]}")
def test_every_site_of_a_row_gets_the_result_of_the_row(row: list[str]) -> None:
    of_the_row = [site for site in SITES if falls_under(site, row)]
    assert of_the_row, "no site falls under this row"
    for site in of_the_row:
        result = Routing(site.sources).route(site.linked, site.translation)
        if row[4].startswith("route by "):
            rule = RoutingRule(row[4].removeprefix("route by "))
            assert result == Routed(target(site, rule), rule), site
        else:
            assert isinstance(result, RoutingRemediation), site
            assert result.code is RemediationCode(row[4].removeprefix("remediation ")), site


@pytest.mark.acceptance("COR-9.7")
def test_every_site_falls_under_exactly_one_row() -> None:
    for site in SITES:
        assert len([row for row in ROWS if falls_under(site, row)]) == 1, site.cells


@pytest.mark.acceptance("COR-9.7")
def test_the_order_of_the_power_sources_plays_no_part() -> None:
    for site in SITES[:: len(MALFORMED)]:
        wanted = Routing(site.sources).route(site.linked, site.translation)
        for order in itertools.permutations(site.sources):
            assert Routing(order).route(site.linked, site.translation) == wanted


@pytest.mark.acceptance("COR-9.5")
def test_direct_routing_needs_no_output_translation() -> None:
    for site in SITES:
        direct = Routing(site.sources).route(site.linked, None)
        if isinstance(direct, Routed):
            assert Routing(site.sources).route(site.linked, site.translation) == direct


@pytest.mark.acceptance("COR-9.7")
def test_never_to_a_power_source_that_is_not_the_depots() -> None:
    for site in SITES:
        result = Routing(site.sources).route(site.linked, site.translation)
        if isinstance(result, Routed):
            assert result.power_source_id in {source.power_source_id for source in site.sources}
        else:
            assert set(result.candidates) <= {source.power_source_id for source in site.sources}


ONE, TWO, THREE = (UUID(int=100 + index) for index in range(3))


@pytest.mark.parametrize(
    ("sources", "linked", "translation", "result"),
    [
        ([(BATTERY, LINKED), (BATTERY, ELSEWHERE)], LINKED, None, Routed(ONE, RoutingRule.LINKED_CIRCUIT)),
        ([(SOLAR, LINKED), (BATTERY, ELSEWHERE)], LINKED, None, Routed(ONE, RoutingRule.LINKED_CIRCUIT)),
        ([(SOLAR, LINKED), (BATTERY, LINKED)], LINKED, None, Routed(TWO, RoutingRule.DEPOT_BATTERY)),
        (
            [(SOLAR, LINKED), (SOLAR, LINKED), (BATTERY, ELSEWHERE)],
            LINKED,
            None,
            RoutingRemediation(RemediationCode.SEVERAL_POWER_SOURCES_ON_CIRCUIT, (ONE, TWO)),
        ),
        ([(BATTERY, ELSEWHERE), (GENERATOR, None)], None, None, Routed(ONE, RoutingRule.DEPOT_BATTERY)),
        (
            [(BATTERY, ELSEWHERE), (GENERATOR, None), (BATTERY, None)],
            None,
            None,
            RoutingRemediation(RemediationCode.SEVERAL_BATTERIES, (ONE, THREE)),
        ),
        (
            [(BATTERY, ELSEWHERE), (BATTERY, None)],
            None,
            naming(TWO),
            Routed(TWO, RoutingRule.OUTPUT_TRANSLATION),
        ),
    ],
    ids=[row[0] for row in table(DOCUMENT, "site")],
)
def test_the_examples_of_the_documentation(
    sources: list[tuple[PowerSourceKind, UUID | None]],
    linked: UUID | None,
    translation: object,
    result: Routed | RoutingRemediation,
) -> None:
    made = [PowerSource(UUID(int=100 + index), *each) for index, each in enumerate(sources)]
    assert Routing(made).route(linked, translation) == result


def test_a_source_on_no_circuit_is_not_on_the_circuit_of_an_unlinked_device() -> None:
    result = Routing([PowerSource(ONE, SOLAR, None)]).route(None, None)
    assert result == RoutingRemediation(RemediationCode.NO_CIRCUIT_AND_NO_BATTERY)


@pytest.mark.parametrize("malformed", MALFORMED, ids=repr)
def test_a_malformed_output_translation_names_nothing(malformed: object) -> None:
    assert named_power_source(malformed) is None


def test_other_keys_of_an_output_translation_are_left_alone() -> None:
    assert named_power_source({"power_source_id": str(ONE).upper(), "legacy": {"scale": 0.1}}) == ONE


def test_every_routing_remediation_stands_in_the_documentation() -> None:
    told = {row[4].removeprefix("remediation ") for row in ROWS if row[4].startswith("remediation ")}
    others = {
        RemediationCode.DEVICE_WITHOUT_CIRCUIT,
        RemediationCode.CIRCUIT_FOLLOWS_ANOTHER_DEVICE,
        RemediationCode.MICROGRID_NOT_PROVISIONED,
    }
    assert told == set(RemediationCode) - others


@pytest.mark.parametrize("code", RemediationCode)
def test_every_remediation_says_what_is_wrong_and_what_to_do(code: RemediationCode) -> None:
    assert code.what.endswith(".")
    assert code.to_do.endswith(".")
    assert len({each.what for each in RemediationCode}) == len(RemediationCode)


class _Counted(tuple[PowerSource, ...]):
    """Power sources that count how often they are gone through."""

    times = 0

    def __iter__(self) -> Iterator[PowerSource]:
        type(self).times += 1
        return super().__iter__()


def test_a_sites_power_sources_are_gone_through_once_for_all_its_actions() -> None:
    circuits = [UUID(int=number) for number in range(1, 201)]
    sources = _Counted(PowerSource(UUID(int=1000 + each.int), BATTERY, each) for each in circuits)
    context = PacketContext(UUID(int=1), UUID(int=2), None, None, {}, {}, sources)
    for circuit_id in circuits:
        action = ConfiguredAction(
            UUID(int=3), UUID(int=4), "meter", SensorActionKind.UPDATE_POWER_SOURCE_STATE, (), True, circuit_id
        )
        found = resolve(context, action)
        assert isinstance(found, Resolved)
        assert found.target_id == UUID(int=1000 + circuit_id.int)
    assert _Counted.times == 1
