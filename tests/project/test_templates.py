"""What templates keep to, so that they can be read: short lines, declared tables, one piece for dialogs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.ui.base import rendering

TEMPLATES = sorted((Path(rendering.__file__).parent.parent / "templates").rglob("*.html"))
LONGEST = 120
"""Characters in a line."""


def _lines_with(pattern: str, *, but: str) -> list[str]:
    """The lines that match a pattern, in all templates but one."""
    return [
        f"{path.name}:{number}: {line.strip()}"
        for path in TEMPLATES
        if path.name != but
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]


def test_lines_are_short() -> None:
    assert _lines_with(f"^.{{{LONGEST + 1},}}", but="") == []


@pytest.mark.parametrize("by_hand", [r"<table", r"<t[rhd]\b", r"colspan", r"data-label"])
def test_tables_are_declared_by_their_columns(by_hand: str) -> None:
    assert _lines_with(by_hand, but="parts.html") == []


@pytest.mark.parametrize("by_hand", [r'id="dialog-title"', r"VERSION_CONFLICT", r"DELETION_CHANGED"])
def test_dialogs_are_one_piece(by_hand: str) -> None:
    assert _lines_with(by_hand, but="dialog.html") == []


def test_forms_that_send_themselves_begin_with_their_token() -> None:
    forms = [
        (path.name, re.search(r"\{\{ (ui\.|own_form)|<input|<button", rest))
        for path in TEMPLATES
        for rest in path.read_text(encoding="utf-8").split('method="post"')[1:]
    ]
    first = [(name, found and found.string[found.start() :].split(" }}")[0]) for name, found in forms]
    assert len(first) >= 5
    assert {each for _, each in first} == {"{{ ui.own_form()", "{{ own_form()"}


def test_headings_labels_and_widths_come_from_the_columns() -> None:
    environment = rendering._environment()  # pyright: ignore[reportPrivateUsage]
    template = environment.from_string("""
        {% set table = new_table("Runs", "data runs", rows_id="rows") %}
        {% call(name, _) table.row_id() %}run-{{ name }}{% endcall %}
        {% call(name, _) table.head("Name") %} {{ name }} {% endcall %}
        {% for figure in ("Passed", "Failed") %}
          {% call(_, counts, place) table.column(figure, "figure", given=loop.index0) %}{{ counts[place] }}{% endcall %}
        {% endfor %}
        {% call(_, counts) table.column("Change", "do", plain=true) %} {% endcall %}
        {% call(name, counts) table.below() %}{{ "why" if counts[1] }}{% endcall %}
        {% call table.end() %}{{ "more" if more }}{% endcall %}
        {{ ui.table(table, rows) }}
    """)

    def drawn(*, fragment: str | None, more: bool) -> str:
        values = {"rows": [("one", (3, 0)), ("two", (2, 1))], "more": more, "fragment": fragment}
        parts = environment.get_template("parts.html").make_module(values)
        return re.sub(r"\s+", " ", template.render({**values, "ui": parts}))

    whole = drawn(fragment=None, more=True)
    assert re.findall(r"<th scope=\"col\"([^>]*)>(.*?)</th>", whole) == [
        ("", "Name"),
        (' class="figure"', "Passed"),
        (' class="figure"', "Failed"),
        (' class="do"', '<span class="visually-hidden">Change</span>'),
    ]
    assert re.findall(r"<td([^>]*)>(.*?)</td>", whole) == [
        (' class="figure" data-label="Passed"', "3"),
        (' class="figure" data-label="Failed"', "0"),
        (' class="do"', ""),
        (' class="figure" data-label="Passed"', "2"),
        (' class="figure" data-label="Failed"', "1"),
        (' class="do"', ""),
        (' colspan="4"', "why"),
        (' colspan="4"', "more"),
    ]
    assert re.findall(r"<tr([^>]*)>", whole)[1:] == [
        ' id="run-one"', ' id="run-two"', ' class="of-row-above" id="run-two-below"', ' class="more"',
    ]  # fmt: skip
    rest = drawn(fragment="more_rows", more=False)
    assert rest.count("<tr") == 3
    assert "<table" not in rest
    assert "<thead" not in rest
