"""When a status is fresh and when it is stale."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.monitoring.capabilities import Capability
from domain.monitoring.freshness import Freshness, threshold_for, timeliness

AT = datetime(2026, 3, 29, 0, 59, tzinfo=UTC)
FIVE = timedelta(minutes=5)


@pytest.mark.parametrize(
    ("since", "age", "freshness"),
    [
        (timedelta(), timedelta(), Freshness.FRESH),
        (timedelta(minutes=-3), timedelta(), Freshness.FRESH),
        (FIVE, FIVE, Freshness.FRESH),
        (FIVE + timedelta(microseconds=1), FIVE + timedelta(microseconds=1), Freshness.STALE),
        (timedelta(days=400), timedelta(days=400), Freshness.STALE),
    ],
)
def test_the_age_of_a_status(since: timedelta, age: timedelta, freshness: Freshness) -> None:
    told = timeliness(AT, AT + since, FIVE)
    assert (told.age, told.freshness, told.stale_at) == (age, freshness, AT + FIVE)


def test_zones_play_no_part() -> None:
    sydney = AT.astimezone(timezone(timedelta(hours=11)))
    assert timeliness(sydney, AT + FIVE, FIVE) == timeliness(AT, AT + FIVE, FIVE)


@given(st.timedeltas(timedelta(), timedelta(days=1)), st.timedeltas(-FIVE, timedelta(days=2)))
def test_stale_exactly_after_the_moment_that_is_told(threshold: timedelta, since: timedelta) -> None:
    told = timeliness(AT, AT + since, threshold)
    assert (told.freshness is Freshness.STALE) is (AT + since > told.stale_at)
    assert told.age >= timedelta()


@pytest.mark.parametrize("capability", Capability)
def test_every_capability_has_a_threshold_that_a_microgrid_may_override(capability: Capability) -> None:
    assert threshold_for(capability) == capability.threshold == FIVE
    assert threshold_for(capability, {capability: timedelta(seconds=30)}) == timedelta(seconds=30)
    (other,) = set(Capability) - {capability}
    assert threshold_for(other, {capability: timedelta(seconds=30)}) == FIVE
