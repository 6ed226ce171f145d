"""What a value means, and which of many events is the latest, whatever the order in which they come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.base.names import MAX_ID_LENGTH
from domain.base.problems import Problem, ProblemCode
from domain.monitoring.capabilities import (
    CAPABILITY_MEASURANDS,
    MAX_EVENT_REF_LENGTH,
    Capability,
    CapabilityStatus,
    FoldEffect,
    StatusEvent,
    capability_status,
    check_event_ref,
    fold,
    fold_one,
    packet_event_ref,
)
from domain.monitoring.packets import MAX_TIMESTAMP_MS
from domain.site.measurands import MEASURANDS, ValueKind
from domain.site.sensor_actions import SENSOR_ACTIONS, SensorActionKind
from tests.domain.documents import table

T0 = datetime(2026, 1, 1, tzinfo=UTC)
ON, OFF = CapabilityStatus.ON, CapabilityStatus.OFF


def event(second: int, ref: str, status: CapabilityStatus | None = ON) -> StatusEvent:
    return StatusEvent(T0 + timedelta(seconds=second), ref, status)


# What a value means


@pytest.mark.acceptance("COR-9.11")
@pytest.mark.parametrize(("value", "status"), [("true", ON), ("false", OFF), (True, ON), (False, OFF), (None, None)])
def test_true_and_false_become_on_and_off(value: object, status: CapabilityStatus | None) -> None:
    assert capability_status(value) is status


@pytest.mark.acceptance("COR-9.11")
@pytest.mark.parametrize(
    "value", ["True", "TRUE", "on", "ON", "1", "", " true", "null", 1, 0, 1.0, [], {}, ["true"], float("nan")], ids=repr
)
def test_nothing_else_is_guessed_at(value: object) -> None:
    with pytest.raises(Problem) as refused:
        capability_status(value)
    assert refused.value.code is ProblemCode.INVALID_CAPABILITY_VALUE


@pytest.mark.acceptance("COR-9.11")
@pytest.mark.parametrize(
    "row", table("bba-microgrid-controller/generic-packet-translation.md", "measurand | capability")
)
def test_the_table_of_the_documentation(row: list[str]) -> None:
    measurand, capability, when_true, when_false = row
    (key,) = [key for key in CAPABILITY_MEASURANDS if key == measurand]
    assert CAPABILITY_MEASURANDS[key] == capability
    assert [capability_status(text) for text in MEASURANDS[key].texts] == [when_true, when_false]


def test_every_capability_has_its_measurand() -> None:
    assert sorted(CAPABILITY_MEASURANDS.values()) == sorted(Capability)
    # What the action takes and what is shown are one list.
    assert sorted(CAPABILITY_MEASURANDS) == sorted(SENSOR_ACTIONS[SensorActionKind.UPDATE_MICROGRID_STATE].measurands)
    assert all(MEASURANDS[key].kind is ValueKind.BOOLEAN_TEXT for key in CAPABILITY_MEASURANDS)


@pytest.mark.parametrize("ref", ["", "x" * (MAX_EVENT_REF_LENGTH + 1), "a\0b", "\ud800"])
def test_a_reference_that_cannot_serve(ref: str) -> None:
    with pytest.raises(Problem) as refused:
        check_event_ref(ref)
    assert (refused.value.code, refused.value.field) == (ProblemCode.INVALID_EVENT_REF, "provider_event_ref")


def test_the_longest_packet_still_makes_a_reference() -> None:
    ref = packet_event_ref(UUID(int=0), "s" * MAX_ID_LENGTH, MAX_TIMESTAMP_MS)
    assert check_event_ref(ref) == ref
    assert packet_event_ref(UUID(int=0), "a", 1) != packet_event_ref(UUID(int=0), "b", 1)


# One event more


@pytest.mark.parametrize(
    ("latest", "new", "effect"),
    [
        (None, event(0, "a"), FoldEffect.SHOWN),
        (None, event(0, "a", None), FoldEffect.UNAVAILABLE),
        (event(0, "a"), event(1, "b", OFF), FoldEffect.SHOWN),
        (event(0, "a"), event(1, "b", ON), FoldEffect.SHOWN),
        (event(1, "a"), event(0, "b", OFF), FoldEffect.LATE),
        (event(0, "a"), event(0, "b", OFF), FoldEffect.SHOWN),
        (event(0, "b"), event(0, "a", OFF), FoldEffect.LATE),
        (event(0, "Z"), event(0, "a", OFF), FoldEffect.SHOWN),
        (event(0, "a"), event(9, "b", None), FoldEffect.UNAVAILABLE),
        (event(0, "a"), event(0, "a"), FoldEffect.REPEATED),
        (event(0, "a"), event(0, "a", OFF), FoldEffect.CONFLICTING),
        (event(0, "a"), event(0, "a", None), FoldEffect.CONFLICTING),
        (event(0, "a"), event(9, "a"), FoldEffect.CONFLICTING),
    ],
)
def test_what_one_more_event_does(latest: StatusEvent | None, new: StatusEvent, effect: FoldEffect) -> None:
    folded = fold_one(latest, new)
    assert folded.effect is effect
    assert folded.latest == (new if effect is FoldEffect.SHOWN else latest)


@pytest.mark.acceptance("COR-9.12")
@pytest.mark.parametrize(
    ("again", "effect"),
    [
        (event(0, "a"), FoldEffect.REPEATED),
        (event(0, "a", OFF), FoldEffect.CONFLICTING),
        (event(99, "a", OFF), FoldEffect.CONFLICTING),
        (event(99, "a", None), FoldEffect.CONFLICTING),
    ],
)
def test_a_reference_that_is_sent_again_changes_nothing(again: StatusEvent, effect: FoldEffect) -> None:
    latest = event(5, "b", ON)
    folded = fold_one(latest, again, earlier=event(0, "a"))
    assert (folded.latest, folded.effect) == (latest, effect)


# Many events


def replay(events: list[StatusEvent]) -> tuple[StatusEvent | None, list[FoldEffect]]:
    """Take events one by one as the store does: with the first event of the same reference looked up."""
    latest: StatusEvent | None = None
    first: dict[str, StatusEvent] = {}
    effects: list[FoldEffect] = []
    for each in events:
        folded = fold_one(latest, each, first.get(each.provider_event_ref))
        first.setdefault(each.provider_event_ref, each)
        latest = folded.latest
        effects.append(folded.effect)
    return latest, effects


statuses = st.sampled_from([ON, OFF, None])
refs = st.sampled_from("aAbBzéß€🚌")
honest = st.dictionaries(refs, st.builds(event, st.integers(0, 3), st.just(""), statuses)).map(
    lambda by_ref: [StatusEvent(each.observed_at, ref, each.status) for ref, each in by_ref.items()]
)
"""Events of providers that use a reference for one event alone."""
dishonest = st.lists(st.builds(event, st.integers(0, 3), refs, statuses), max_size=8)


@pytest.mark.acceptance("COR-9.12")
@given(honest, st.data())
def test_the_latest_is_the_same_in_every_order_of_arrival(events: list[StatusEvent], data: st.DataObject) -> None:
    repeated = [*events, *data.draw(st.lists(st.sampled_from(events), max_size=4) if events else st.just([]))]
    shuffled = data.draw(st.permutations(repeated))
    latest, effects = replay(shuffled)
    assert latest == fold(shuffled) == fold(events)
    known = [each for each in events if each.status is not None]
    assert latest == max(known, key=lambda each: (each.observed_at, each.provider_event_ref.encode()), default=None)
    assert FoldEffect.CONFLICTING not in effects


@given(honest, st.data())
def test_without_looking_up_references_repeated_events_are_as_harmless(
    events: list[StatusEvent], data: st.DataObject
) -> None:
    repeated = [*events, *data.draw(st.lists(st.sampled_from(events), max_size=4) if events else st.just([]))]
    latest: StatusEvent | None = None
    for each in data.draw(st.permutations(repeated)):
        latest = fold_one(latest, each).latest
    assert latest == fold(events)


@pytest.mark.acceptance("COR-9.12")
@given(dishonest)
def test_one_by_one_is_the_same_as_the_whole_history(events: list[StatusEvent]) -> None:
    for length in range(len(events) + 1):
        assert replay(events[:length])[0] == fold(events[:length])


@pytest.mark.acceptance("COR-9.12")
@given(dishonest, statuses, st.integers(0, 9), st.data())
def test_no_reference_that_was_seen_changes_what_is_shown(
    events: list[StatusEvent], status: CapabilityStatus | None, second: int, data: st.DataObject
) -> None:
    if not events:
        return
    ref = data.draw(st.sampled_from([each.provider_event_ref for each in events]))
    assert fold([*events, event(second, ref, status)]) == fold(events)


@given(dishonest)
def test_the_effects_tell_the_story(events: list[StatusEvent]) -> None:
    latest, effects = replay(events)
    shown = [each for each, effect in zip(events, effects, strict=True) if effect is FoldEffect.SHOWN]
    assert (shown[-1] if shown else None) == latest
    assert shown == sorted(shown, key=lambda each: each.key)
    seen: set[str] = set()
    for each, effect in zip(events, effects, strict=True):
        again = effect in {FoldEffect.REPEATED, FoldEffect.CONFLICTING}
        assert again is (each.provider_event_ref in seen)
        seen.add(each.provider_event_ref)
        if effect is FoldEffect.UNAVAILABLE:
            assert each.status is None
