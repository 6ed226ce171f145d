"""Which series may be chosen, and how their time is divided."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.base.problems import Problem, ProblemCode
from domain.history.buckets import LONGEST_SPAN, MOST_POINTS, WIDTHS, bucket_begin, bucket_for
from domain.history.series import MOST_SERIES, Selection, SeriesSubject, parse_selections
from domain.site.measurands import MeasurandKey

DEVICE = UUID("0198d1c0-0000-7000-8000-000000000001")


@pytest.mark.parametrize("subject", SeriesSubject)
def test_a_selection_is_read_back_as_it_was_written(subject: SeriesSubject) -> None:
    selection = Selection(subject, DEVICE, MeasurandKey.SOC)
    assert Selection.parse(str(selection)) == selection


@pytest.mark.parametrize(
    "given", ["", "device", "device:1:SOC", f"device:{DEVICE}", f"device:{DEVICE}:soc", f"depot:{DEVICE}:SOC", ":::"]
)
def test_what_is_no_selection_is_refused(given: str) -> None:
    with pytest.raises(Problem) as refused:
        Selection.parse(given)
    assert refused.value.code is ProblemCode.INVALID_REQUEST


def test_eight_series_are_read_and_nine_are_not() -> None:
    chosen = [str(Selection(SeriesSubject.DEVICE, DEVICE, key)) for key in MeasurandKey]
    assert len(parse_selections([*chosen[:MOST_SERIES], *chosen[:2]])) == MOST_SERIES
    with pytest.raises(Problem) as refused:
        parse_selections(chosen[: MOST_SERIES + 1])
    assert refused.value.code is ProblemCode.TOO_MANY_SERIES


@pytest.mark.parametrize("hours", [0.01, 1, 6, 24, 168, 24 * 31, 24 * 90, 24 * 366, 24 * 367])
def test_a_span_has_no_more_buckets_than_a_chart_shows(hours: float) -> None:
    span = timedelta(hours=hours)
    width = bucket_for(span)
    assert width.total_seconds() in WIDTHS
    assert span / width + 1 <= MOST_POINTS
    assert span <= LONGEST_SPAN


def test_a_bucket_begins_at_a_multiple_of_its_width() -> None:
    moment = datetime(2026, 3, 29, 1, 17, 31, tzinfo=UTC)
    assert bucket_begin(moment, timedelta(minutes=10)) == datetime(2026, 3, 29, 1, 10, tzinfo=UTC)
    assert bucket_begin(moment, timedelta(days=1)) == datetime(2026, 3, 29, tzinfo=UTC)
