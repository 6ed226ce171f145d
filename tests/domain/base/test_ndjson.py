"""Lines out of a stream: however it is cut, the same lines come out."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from domain.base.ndjson import LineSplitter

BOUND = 8


def split(body: bytes, *cuts: int) -> list[tuple[int, bytes | None]]:
    """Split ``body``, given in pieces that begin at ``cuts``."""
    splitter = LineSplitter(BOUND)
    places = [0, *sorted(cuts), len(body)]
    found = [line for at, to in pairwise(places) for line in splitter.feed(body[at:to])]
    return [*found, *splitter.end()]


@given(
    st.lists(st.text("ab\r", max_size=12).map(str.encode), max_size=8).map(b"\n".join),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_the_cuts_make_no_difference(body: bytes, cuts: list[int]) -> None:
    expected = [
        (number, line if len(line) <= BOUND else None)
        for number, line in enumerate((each.removesuffix(b"\r") for each in body.split(b"\n")), 1)
        if line.strip() or len(line) > BOUND
    ]
    assert split(body, *(min(cut, len(body)) for cut in cuts)) == expected


def test_blank_lines_are_numbered_and_left_out() -> None:
    assert split(b"\n \na\r\n\n\nb") == [(3, b"a"), (6, b"b")]


def test_the_bound_itself_is_a_good_length_and_one_more_is_not() -> None:
    assert split(b"x" * BOUND + b"\r\n" + b"y" * BOUND + b"y\nz") == [(1, b"x" * BOUND), (2, None), (3, b"z")]
    assert split(b"y" * 1000, *range(1000)) == [(1, None)]


def test_a_byte_order_mark_is_left_out_at_the_very_beginning_only() -> None:
    mark = b"\xef\xbb\xbf"
    assert split(mark + b"a\n" + mark + b"b", 1, 2, 3) == [(1, b"a"), (2, mark + b"b")]
    assert split(mark) == []


def test_a_line_without_an_end_is_not_held() -> None:
    splitter = LineSplitter(1_000)
    chunk = b"x" * 10_000
    tracemalloc.start()
    for _ in range(1_000):
        assert list(splitter.feed(chunk)) == []
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 10 * len(chunk)
    assert list(splitter.feed(b"\nnext\n")) == [(1, None), (2, b"next")]
