"""Which time zone was meant by a name that is none."""

from __future__ import annotations

import pytest

from domain.base.problems import Problem
from domain.base.timezones import check_timezone, known_timezones, suggest_timezone


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("Berlin", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("Europe/Berln", "Europe/Berlin"),
        ("Germany/Berlin", "Europe/Berlin"),
        (" Europe / Berlin ", "Europe/Berlin"),
        ("toronto", "America/Toronto"),
        ("New York", "America/New_York"),
        ("america/new-york", "America/New_York"),
        ("S\u00e3o Paulo", "America/Sao_Paulo"),
        ("Z\u00fcrich", "Europe/Zurich"),
        ("Kolkatta", "Asia/Kolkata"),
        ("Port au Prince", "America/Port-au-Prince"),
        ("utc", "UTC"),
    ],
)
def test_the_nearest_one_is_suggested(given: str, meant: str) -> None:
    assert suggest_timezone(given) == meant
    with pytest.raises(Problem, match=f"Did you mean {meant}\\?$"):
        check_timezone(given)


@pytest.mark.parametrize("given", ["", " ", "\u0301", "/", "qqqqqqqq", "\x00", "<b>", "Factory", "e" * 1_000_000])
def test_nothing_is_suggested_for_what_is_like_none(given: str) -> None:
    assert suggest_timezone(given) is None
    with pytest.raises(Problem, match=r"IANA database\.$"):
        check_timezone(given)


def test_the_lines_of_a_file_are_refused_without_a_search() -> None:
    with pytest.raises(Problem, match=r"IANA database\.$"):
        check_timezone("Berlin", suggest=False)


def test_every_time_zone_is_found_by_its_own_name_in_small_letters() -> None:
    wrong = {name for name in known_timezones() if suggest_timezone(name.casefold().replace("_", " ")) != name}
    # Some names are told apart by how their words are parted or by case alone.
    assert all(suggest_timezone(name.casefold()) in known_timezones() for name in wrong)
    assert len(wrong) < 5
