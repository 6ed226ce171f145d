"""What is filled in for a controller binding: read, judged, and every refusal by its code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from domain.controllers.controller_bindings import (
    MEASURAND_OF,
    BindingBefore,
    BindingContext,
    BindingForm,
    CapabilityOwner,
    DraftValidation,
    EffectKind,
    KnownDevice,
    read_draft,
    validate_draft,
)
from domain.monitoring.capabilities import Capability
from domain.site.measurands import MeasurandKey
from runtime.controllers import controller_tables

DEPOT, ELSEWHERE, MICROGRID, DEVICE, OTHER, BINDING, FIRST = (UUID(int=number) for number in range(1, 8))
SENDS = frozenset(MEASURAND_OF.values())
A = KnownDevice(DEVICE, DEPOT, "Controller A", "bba-1", None, SENDS)
CONTEXT = BindingContext(DEPOT, MICROGRID, A, is_gateway=False, owners={})
NEW: dict[str, Any] = {
    "microgrid_id": str(MICROGRID), "device_id": str(DEVICE), "capabilities": ["DER", "PEAK_SHAVING"],
}  # fmt: skip
BEFORE = BindingBefore(BINDING, DEPOT, MICROGRID, 3, BindingForm(DEVICE, tuple(Capability), enabled=True))
OWNED = {Capability.PEAK_SHAVING: CapabilityOwner(FIRST, OTHER, "Controller B")}


def validated(
    change: Mapping[str, Any], context: BindingContext = CONTEXT, before: BindingBefore | None = None, **more: Any
) -> DraftValidation:
    document = {**({} if before else NEW), **change}
    return validate_draft(read_draft(document, before), context, controller_tables(), **more)


def reported(found: DraftValidation) -> list[tuple[str, str]]:
    return [(each.pointer, each.code) for each in found.violations]


def test_a_binding_that_is_complete_is_taken_in_the_order_of_the_capabilities() -> None:
    found = validated({})
    assert (reported(found), found.warnings) == ([], ())
    assert found.form == BindingForm(DEVICE, (Capability.PEAK_SHAVING, Capability.DER), enabled=True)
    assert found.form is not None
    assert found.form.measurands == (MeasurandKey.LIMIT_PEAK_SHAVING, MeasurandKey.LIMIT_DER_EXPORT)
    assert [(each.effect, each.after_device_name) for each in found.effects] == [
        (EffectKind.STARTS, "Controller A"),
        (EffectKind.STARTS, "Controller A"),
    ]


NO_PEAK = replace(A, controller="bba-1-no-peak-shaving")
NO_SITE = replace(CONTEXT, depot_id=None, microgrid_id=None)
OF_DEPOT = {"microgrid_id": None, "depot_id": str(DEPOT)}
WRONG: list[tuple[dict[str, Any], BindingContext, list[tuple[str, str]]]] = [
    ({"microgrid_id": None}, CONTEXT, [("/microgrid_id", "SITE_MISSING")]),
    ({"microgrid_id": "one"}, CONTEXT, [("/microgrid_id", "WRONG_TYPE")]),
    ({}, NO_SITE, [("/microgrid_id", "MICROGRID_NOT_FOUND")]),
    (OF_DEPOT, NO_SITE, [("/depot_id", "DEPOT_NOT_FOUND")]),
    ({"depot_id": str(ELSEWHERE)}, CONTEXT, [("/depot_id", "MICROGRID_NOT_IN_DEPOT")]),
    (OF_DEPOT, replace(CONTEXT, microgrid_id=None), [("/depot_id", "MICROGRID_NOT_PROVISIONED")]),
    ({"device_id": None}, CONTEXT, [("/device_id", "DEVICE_MISSING")]),
    ({"device_id": 7}, CONTEXT, [("/device_id", "WRONG_TYPE")]),
    ({}, replace(CONTEXT, device=None), [("/device_id", "DEVICE_NOT_FOUND")]),
    ({}, replace(CONTEXT, device=None, is_gateway=True), [("/device_id", "DEVICE_WITHOUT_SENSOR")]),
    ({}, replace(CONTEXT, device=replace(A, depot_id=ELSEWHERE)), [("/device_id", "DEVICE_NOT_IN_DEPOT")]),
    ({}, replace(CONTEXT, device=replace(A, bound_by=FIRST)), [("/device_id", "ALREADY_BOUND")]),
    ({"capabilities": []}, CONTEXT, [("/capabilities", "CAPABILITIES_MISSING")]),
    ({"capabilities": "DER"}, CONTEXT, [("/capabilities", "WRONG_TYPE")]),
    (
        {"capabilities": ["DER", "SOC", "DER", 1]},
        CONTEXT,
        [
            ("/capabilities/1", "UNKNOWN_CAPABILITY"),
            ("/capabilities/2", "CAPABILITY_REPEATED"),
            ("/capabilities/3", "UNKNOWN_CAPABILITY"),
        ],
    ),
    ({}, replace(CONTEXT, owners=OWNED), [("/capabilities/1", "CAPABILITY_OWNED")]),
    ({}, replace(CONTEXT, device=NO_PEAK), [("/capabilities/1", "UNSUPPORTED_BY_REVISION")]),
    ({"enabled": "yes"}, CONTEXT, [("/enabled", "WRONG_TYPE")]),
    ({"colour": "red", "version": 1}, CONTEXT, [("/colour", "UNKNOWN_FIELD"), ("/version", "UNKNOWN_FIELD")]),
    # Everything at once, each beside its field.
    (
        {"capabilities": ["PEAK_SHAVING", "NONE"], "enabled": 1, "colour": "red"},
        BindingContext(DEPOT, None, replace(NO_PEAK, bound_by=FIRST), is_gateway=False, owners=OWNED),
        [
            ("/capabilities/1", "UNKNOWN_CAPABILITY"),
            ("/enabled", "WRONG_TYPE"),
            ("/colour", "UNKNOWN_FIELD"),
            ("/microgrid_id", "MICROGRID_NOT_PROVISIONED"),
            ("/device_id", "ALREADY_BOUND"),
            ("/capabilities/0", "UNSUPPORTED_BY_REVISION"),
        ],
    ),
]


@pytest.mark.acceptance("COR-39.4")
@pytest.mark.parametrize(("change", "context", "expected"), WRONG)
def test_every_problem_has_its_code_and_its_field(
    change: dict[str, Any], context: BindingContext, expected: list[tuple[str, str]]
) -> None:
    found = validated(change, context)
    assert reported(found) == expected
    assert found.form is None
    assert all(each.reason.endswith(".") for each in found.violations)


@pytest.mark.acceptance("COR-39.4")
def test_a_capability_that_no_measurand_tells_of_cannot_be_bound() -> None:
    found = validated({}, measurand_of={Capability.DER: MeasurandKey.LIMIT_DER_EXPORT})
    assert reported(found) == [("/capabilities/1", "CAPABILITY_WITHOUT_MEASURAND")]


def test_the_second_source_is_refused_with_the_name_of_the_first() -> None:
    (violation,) = validated({}, replace(CONTEXT, owners=OWNED)).violations
    assert 'supplied by the device "Controller B"' in violation.reason
    # Switched off it stands ready.
    assert reported(validated({"enabled": False}, replace(CONTEXT, owners=OWNED))) == []


def test_what_is_worth_a_look_does_not_stop_it() -> None:
    silent = validated({}, replace(CONTEXT, device=replace(A, sends=None)))
    assert silent.form is not None
    assert [(each.pointer, each.code) for each in silent.warnings] == [("/device_id", "DEVICE_NEVER_SENT")]
    partly = validated({}, replace(CONTEXT, device=replace(A, sends=frozenset({"LIMIT_DER_EXPORT", "SOMETHING"}))))
    assert [(each.pointer, each.code) for each in partly.warnings] == [("/capabilities/1", "MEASURAND_NEVER_SENT")]


MINE = {each: CapabilityOwner(BINDING, DEVICE, "Controller A") for each in Capability}
BOUND = replace(CONTEXT, device=replace(A, bound_by=BINDING), owners=MINE)


def effects(found: DraftValidation) -> list[EffectKind]:
    return [each.effect for each in found.effects]


def test_a_change_keeps_what_is_left_out_and_says_what_it_does() -> None:
    same = validated({"version": 3}, BOUND, BEFORE)
    assert same.form == BEFORE.form
    assert effects(same) == [EffectKind.STAYS, EffectKind.STAYS]
    assert effects(validated({"enabled": False}, BOUND, BEFORE)) == [EffectKind.STOPS, EffectKind.STOPS]
    fewer = validated({"capabilities": ["DER"]}, BOUND, BEFORE)
    assert effects(fewer) == [EffectKind.STOPS, EffectKind.STAYS]
    b = KnownDevice(OTHER, DEPOT, "Controller B", None, None, None)
    moved = validated({"device_id": str(OTHER)}, replace(BOUND, device=b), BEFORE)
    assert effects(moved) == [EffectKind.MOVES, EffectKind.MOVES]
    assert (moved.effects[0].before_device_id, moved.effects[0].after_device_id) == (DEVICE, OTHER)
    off = validated({"enabled": False, "capabilities": ["DER"]}, replace(BOUND, owners={}), BEFORE)
    assert effects(off) == [EffectKind.NONE, EffectKind.NONE]


def test_what_another_device_supplies_stays_with_it() -> None:
    context = replace(BOUND, owners={**OWNED, Capability.DER: MINE[Capability.DER]})
    found = validated({"capabilities": ["PEAK_SHAVING", "DER"]}, context, BEFORE)
    assert reported(found) == [("/capabilities/0", "CAPABILITY_OWNED")]
    assert [(each.effect, each.after_device_name) for each in found.effects] == [
        (EffectKind.STAYS, "Controller B"),
        (EffectKind.STAYS, "Controller A"),
    ]


def test_a_binding_stays_with_its_site() -> None:
    change = {"depot_id": str(ELSEWHERE), "microgrid_id": str(OTHER), "version": "3"}
    assert reported(validated(change, BOUND, BEFORE)) == [
        ("/depot_id", "SITE_FIXED"),
        ("/microgrid_id", "SITE_FIXED"),
        ("/version", "WRONG_TYPE"),
    ]
    assert reported(validated({"depot_id": str(DEPOT), "microgrid_id": str(MICROGRID)}, BOUND, BEFORE)) == []


def test_to_switch_off_is_never_refused_for_what_the_site_has_become() -> None:
    context = replace(BOUND, microgrid_id=None, device=replace(NO_PEAK, bound_by=BINDING))
    assert reported(validated({"enabled": False}, context, BEFORE)) == []
    assert {code for _, code in reported(validated({}, context, BEFORE))} == {
        "MICROGRID_NOT_PROVISIONED",
        "UNSUPPORTED_BY_REVISION",
    }
