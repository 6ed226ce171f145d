"""What a text may be: one form for what looks the same, and nothing that cannot be seen or that misleads."""

from __future__ import annotations

import unicodedata
from xml.etree.ElementTree import Element, fromstring, tostring

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.base.actor import Actor
from domain.base.names import MAX_ID_LENGTH, MAX_NAME_LENGTH, clean_name, clean_sensor_id
from domain.base.problems import Problem, ProblemCode
from domain.base.texts import Fault, fault_of, is_blank, is_plain, normal, why_not
from domain.monitoring.capabilities import MAX_EVENT_REF_LENGTH, check_event_ref

NOTHING_TO_SEE = [
    "", " ", "\u00a0", "\u3000", "\u200b", "\u200b\u200b ", "\u3164", "\uffa0", "\u115f", "\u2800", "\u00ad", "\ufeff",
    "\u2060", "\u200d", "\u200c", "\u200e", "\u200f", "\ufe0f", "\u034f", "\u180e", "\U000e0041", "\U000e0100",
    "\u2028", "\u2029", "\u202e", "\u2066\u2069", "\U0001d159", "\u0338\u0301", " \u0e34",
]  # fmt: skip
MISLEADING = [
    ("a\x00", Fault.CONTROL), ("a\x1b[31m", Fault.CONTROL), ("a\nb", Fault.CONTROL), ("a\tb", Fault.CONTROL),
    ("a\x7fb", Fault.CONTROL), ("a\x85b", Fault.CONTROL), ("a\x9bb", Fault.CONTROL),
    ("a\u2028b", Fault.LINE_SEPARATOR), ("a\u2029b", Fault.LINE_SEPARATOR),
    ("a\u202eb", Fault.DIRECTION), ("a\u202db", Fault.DIRECTION), ("a\u2067b", Fault.DIRECTION),
    ("a\ufffeb", Fault.NONCHARACTER), ("a\uffffb", Fault.NONCHARACTER), ("a\ufdd0b", Fault.NONCHARACTER),
    ("a\U0001fffeb", Fault.NONCHARACTER), ("a\U0010ffffb", Fault.NONCHARACTER),
    ("a\ud800b", Fault.SURROGATE), ("a\udfff", Fault.SURROGATE),
    ("a\U000e0068b", Fault.FORMAT), ("a\ufff9b", Fault.FORMAT), ("a\u206ab", Fault.FORMAT),
    ("\U0001f3f4\U000e0068", Fault.FORMAT),
]  # fmt: skip
GOOD = [
    "Arrow Road 1", "école", "Zürich Süd", "Ørsted ⌀ 5 µm", "東京営業所", "차고지", "תחנה \u200e3",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "👨\u200d👩\u200d👧 depot", "❤\ufe0f", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "1\ufe0f\u20e3", "\u0f0b", "ก\u0e33", "a\u00a0b", "\ufffd", "\ue000",
]  # fmt: skip


@pytest.mark.parametrize("text", NOTHING_TO_SEE, ids=ascii)
def test_what_shows_nothing_is_no_name(text: str) -> None:
    assert is_blank(text)
    for read in (clean_name, clean_sensor_id, check_event_ref):
        with pytest.raises(Problem):
            read(text)
    with pytest.raises(ValueError, match="actor"):
        Actor(text)


@pytest.mark.parametrize(("text", "fault"), MISLEADING, ids=ascii)
def test_what_cannot_be_shown_as_it_is_has_no_place_in_a_text(text: str, fault: Fault) -> None:
    assert fault_of(normal(text)) is fault
    assert why_not(fault).isprintable()
    for read in (clean_name, clean_sensor_id, check_event_ref):
        with pytest.raises(Problem):
            read(text)


@pytest.mark.parametrize("text", GOOD, ids=ascii)
def test_what_people_write_is_good(text: str) -> None:
    assert fault_of(normal(text)) is None
    assert not is_blank(text)
    assert clean_name(f" {text}\u3000") == normal(text)


def test_what_looks_the_same_is_the_same() -> None:
    assert clean_name("e\u0301cole") == clean_name("école") == "école"
    assert clean_name("\ufeffde\u200bpot\u00ad") == "depot"
    assert clean_sensor_id("Za\u0308hler") == "Zähler"
    assert check_event_ref("e\u0301") == "é"


def test_a_text_of_several_lines_has_line_ends_and_tabs() -> None:
    text = "one\r\n\ttwo\rthree\n"
    assert normal(text, lines=True) == "one\n\ttwo\nthree\n"
    assert fault_of(normal(text, lines=True), lines=True) is None
    assert fault_of("one\x0b", lines=True) is Fault.CONTROL
    assert fault_of("one\u2028two", lines=True) is Fault.LINE_SEPARATOR


def test_a_length_counts_in_the_one_form() -> None:
    assert clean_name("e\u0301" * MAX_NAME_LENGTH) == "é" * MAX_NAME_LENGTH
    assert clean_sensor_id("e\u0301" * MAX_ID_LENGTH) == "é" * MAX_ID_LENGTH
    assert check_event_ref("e\u0301" * MAX_EVENT_REF_LENGTH) == "é" * MAX_EVENT_REF_LENGTH
    with pytest.raises(Problem) as refused:
        clean_name("e\u0301" * (MAX_NAME_LENGTH + 1))
    assert refused.value.code is ProblemCode.INVALID_NAME


def test_a_text_far_too_long_is_not_composed() -> None:
    # A run of accents in the wrong order takes the square of its length.
    accents = "e" + "\u0301\u0316" * 500_000
    assert normal(accents) is accents


@given(st.text())
@example("\u00ad")
@example("a\u200b")
def test_the_one_form_is_a_form_of_its_own(text: str) -> None:
    form = normal(text)
    assert normal(form) == form
    assert unicodedata.is_normalized("NFC", form)
    assert not is_plain(text) or (form == text and fault_of(form) is None)
    assert fault_of(form) is not None or form.encode() is not None


@given(st.text())
def test_what_is_a_text_can_stand_in_xml(text: str) -> None:
    form = normal(text)
    if fault_of(form) is None:
        assert fromstring(tostring(Element("case", {"name": form}))).get("name") == form
