"""Which alarms follow from what is known of a depot, and which of two depots is the worse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.monitoring.alarms import MENDED_AT, Alarm, AlarmFigures, AlarmKind, AlarmPriority, rank

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)
LAST = NOON + timedelta(minutes=9)

SILENT: dict[str, Any] = {"silent_controllers": 1, "silent_since": LATER}
FAIL_SAFE: dict[str, Any] = {"fail_safe_circuits": 3, "fail_safe_since": LAST}
REMEDIATIONS: dict[str, Any] = {"open_remediations": 2, "remediations_since": NOON}


@pytest.mark.parametrize(
    ("known", "kinds", "worst"),
    [
        ({}, [], None),
        (SILENT, [AlarmKind.CONTROLLER_SILENT], (AlarmPriority.HIGH, LATER)),
        (FAIL_SAFE, [AlarmKind.FAIL_SAFE], (AlarmPriority.HIGH, LAST)),
        (REMEDIATIONS, [AlarmKind.REMEDIATION_OPEN], (AlarmPriority.MEDIUM, NOON)),
        ({"failed_since": LAST}, [AlarmKind.PROVISIONING_FAILED], (AlarmPriority.MEDIUM, LAST)),
        ({"stale_since": NOON}, [AlarmKind.STATUS_STALE], (AlarmPriority.LOW, NOON)),
        # The silence says it.
        (SILENT | {"stale_since": NOON, "stale_by_silence": True}, [AlarmKind.CONTROLLER_SILENT],
         (AlarmPriority.HIGH, LATER)),
        # Another capability is stale, whose controller is heard.
        (SILENT | {"stale_since": NOON}, [AlarmKind.CONTROLLER_SILENT, AlarmKind.STATUS_STALE],
         (AlarmPriority.HIGH, LATER)),
        # What is less urgent does not make it older.
        (REMEDIATIONS | FAIL_SAFE | SILENT | {"failed_since": NOON, "stale_since": NOON}, list(AlarmKind),
         (AlarmPriority.HIGH, LATER)),
    ],
)  # fmt: skip
def test_alarms_of_a_depot(
    known: dict[str, Any], kinds: list[AlarmKind], worst: tuple[AlarmPriority, datetime] | None
) -> None:
    alarms = AlarmFigures(**known).alarms
    assert [each.kind for each in alarms] == kinds
    assert rank(alarms) == worst


def test_an_alarm_says_how_many_there_are_and_since_when() -> None:
    found = AlarmFigures(**SILENT, **REMEDIATIONS).alarms
    assert found == (Alarm(AlarmKind.CONTROLLER_SILENT, LATER, 1), Alarm(AlarmKind.REMEDIATION_OPEN, NOON, 2))


def test_every_kind_has_a_place_that_mends_it() -> None:
    assert set(MENDED_AT) == set(AlarmKind)


MOMENTS = st.none() | st.datetimes(timezones=st.just(UTC))
FIGURES = st.builds(
    AlarmFigures,
    silent_controllers=st.integers(1, 9),
    silent_since=MOMENTS,
    fail_safe_circuits=st.integers(1, 9),
    fail_safe_since=MOMENTS,
    open_remediations=st.integers(1, 9),
    remediations_since=MOMENTS,
    failed_since=MOMENTS,
    stale_since=MOMENTS,
    stale_by_silence=st.booleans(),
)


@given(FIGURES)
def test_alarms_are_told_by_priority_and_the_worst_decides(figures: AlarmFigures) -> None:
    alarms = figures.alarms
    priorities = [each.kind.priority for each in alarms]
    assert priorities == sorted(priorities)
    assert len({each.kind for each in alarms}) == len(alarms)
    worst = rank(alarms)
    assert (worst is None) == (not alarms)
    if worst is not None:
        assert worst[0] is priorities[0]
        assert worst[1] in {each.since for each in alarms}
        assert all(each.since >= worst[1] for each in alarms if each.kind.priority is worst[0])
