"""Times at the ends of the calendar, wherever their clock stands; and time zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.base.problems import Problem, ProblemCode
from domain.base.times import EARLIEST, LATEST, in_utc
from domain.base.timezones import check_timezone, find_timezone, known_timezones


@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00+01:00",
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999+00:00",
        "1970-01-01T00:59:59+01:00",
        "9999-12-31T23:59:59.999-05:00",
        "9999-12-31T23:59:59.999999-00:01",
        "2026-11-26T12:00:00",
    ],
)
def test_a_moment_that_is_none_of_ours(moment: str) -> None:
    assert in_utc(datetime.fromisoformat(moment)) is None


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        ("1970-01-01T00:00:00Z", EARLIEST),
        ("1970-01-01T14:00:00+14:00", EARLIEST),
        ("1969-12-31T12:00:00-12:00", EARLIEST),
        ("9999-12-31T23:59:59.999999Z", LATEST),
        ("2026-11-01T01:15:00-04:00", datetime(2026, 11, 1, 5, 15, tzinfo=UTC)),
        ("2026-11-01T01:15:00-05:00", datetime(2026, 11, 1, 6, 15, tzinfo=UTC)),
    ],
)
def test_a_moment_is_told_in_utc(moment: str, told: datetime) -> None:
    found = in_utc(datetime.fromisoformat(moment))
    assert found == told
    assert found is not None
    assert found.utcoffset() == timedelta()


@pytest.mark.parametrize(
    "name", ["America/Toronto", "UTC", "Etc/UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "EST5EDT"]
)
def test_a_zone_of_the_database(name: str) -> None:
    assert check_timezone(name) == name
    assert str(find_timezone(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "localtime", "Factory", "posixrules", "right/America/Toronto", "posix/UTC", "", " UTC", "utc",
        "america/toronto",
        "America/Toronto\0", "../UTC", "/usr/share/zoneinfo/UTC", "America", "tzdata.zi", "zone.tab", "+02:00", "EST5",
        "America/Tor\u200bonto",
    ],
)  # fmt: skip
def test_a_zone_that_is_none(name: str) -> None:
    with pytest.raises(Problem) as refused:
        check_timezone(name)
    assert refused.value.code is ProblemCode.INVALID_TIMEZONE
    assert find_timezone(name) is UTC


def test_every_zone_can_be_read() -> None:
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert len(known_timezones()) > 500
    for name in known_timezones():
        assert noon.astimezone(find_timezone(name)).utcoffset() is not None
