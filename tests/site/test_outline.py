"""The outline of circuits that are being filled in: its levels always make a tree."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.ui.base.forms import FieldErrors, read_kilowatts
from api.ui.base.words import duration, kilowatts, power
from api.ui.site.outline import Line, Outline
from domain.base.problems import Problem
from domain.site.circuits import MAX_DEPTH


def outline(*lines: tuple[str, int]) -> Outline:
    return Outline([Line(name, "", level) for name, level in lines])


def shown(of: Outline) -> list[tuple[str, int]]:
    return [(line.name, line.level) for line in of.lines]


SITE = (("A", 0), ("B", 1), ("C", 2), ("D", 1), ("E", 0))


@pytest.mark.parametrize(
    ("action", "place", "after", "focus"),
    [
        ("beside", 1, [("A", 0), ("B", 1), ("C", 2), ("", 1), ("D", 1), ("E", 0)], 3),
        ("below", 1, [("A", 0), ("B", 1), ("C", 2), ("", 2), ("D", 1), ("E", 0)], 3),
        ("below", 4, [*SITE, ("", 1)], 5),
        ("indent", 3, [("A", 0), ("B", 1), ("C", 2), ("D", 2), ("E", 0)], 3),
        ("indent", 1, list(SITE), 1),
        ("indent", 0, list(SITE), 0),
        ("indent", 4, [("A", 0), ("B", 1), ("C", 2), ("D", 1), ("E", 1)], 4),
        ("outdent", 1, [("A", 0), ("B", 0), ("C", 1), ("D", 1), ("E", 0)], 1),
        ("outdent", 4, list(SITE), 4),
        ("remove", 1, [("A", 0), ("D", 1), ("E", 0)], 1),
        ("remove", 0, [("E", 0)], 0),
        ("add", 99, [*SITE, ("", 0)], 5),
        ("nonsense", 2, list(SITE), 2),
    ],
)
def test_what_a_button_does(action: str, place: int, after: list[tuple[str, int]], focus: int) -> None:
    of = outline(*SITE)
    assert of.act(action, place) == focus
    assert shown(of) == after


@given(
    st.lists(st.tuples(st.sampled_from(["", "A", "B"]), st.integers(-2, 40)), max_size=60),
    st.lists(st.tuples(st.sampled_from(["beside", "below", "indent", "outdent", "remove", "add"]), st.integers(0, 70))),
)
def test_whatever_is_done_the_levels_make_a_tree(lines: list[tuple[str, int]], steps: list[tuple[str, int]]) -> None:
    of = outline(*lines)
    for action, place in steps:
        of.act(action, place)
        levels = [line.level for line in of.lines]
        assert all(0 <= level < MAX_DEPTH for level in levels)
        assert all(after <= before + 1 for before, after in pairwise(levels))
        assert not levels or levels[0] == 0


def test_the_tree_is_read_and_blank_lines_are_left_out() -> None:
    errors = FieldErrors()
    of = Outline([Line("A", "1,5", 0), Line("B", "", 1), Line("", "", 2), Line("", "", 0)])
    tree: list[dict[str, Any]] = of.read(errors)
    assert errors == {}
    assert tree == [
        {"name": "A", "rated_power_w": 1500.0, "children": [{"name": "B", "rated_power_w": None, "children": []}]}
    ]


def test_every_wrong_field_is_noted() -> None:
    errors = FieldErrors()
    Outline([Line("", "x", 0), Line("B", "-1", 1)]).read(errors)
    assert list(errors) == ["circuit-0-name", "circuit-0-kilowatts", "circuit-1-kilowatts"]


@given(st.floats(1e-3, 1e10, allow_nan=False).map(lambda watts: float(f"{watts:.12g}")))
def test_a_rated_power_that_is_shown_for_editing_is_read_back_as_it_was(watts: float) -> None:
    assert read_kilowatts(kilowatts(watts)) == pytest.approx(watts, rel=1e-11)


@pytest.mark.parametrize("wrong", ["0", "-1", "nan", "inf", "1e9", "ten", "1 000"])
def test_a_power_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(Problem):
        read_kilowatts(wrong)


def test_numbers_are_written_as_they_are_read() -> None:
    assert [power(watts) for watts in (12, 7400, 250e3, 1.5e6)] == [
        "12\u202fW", "7.4\u202fkW", "250\u202fkW", "1.5\u202fMW",
    ]  # fmt: skip
    assert [duration(seconds) for seconds in (0.2, 59.6, 3_725, 90_000)] == ["0 s", "1 min 0 s", "1 h 2 min", "1 d 1 h"]
