"""The committed files that are made from the code are what the code makes; test_schema.py holds the schema."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import pytest

from devtools.generate import GENERATED, HINT, Generated, map_text, write
from domain.base.problems import ProblemCode, by_subject

# It needs a database, which the tests have already.
WITHOUT_SERVER = [each for each in GENERATED if each.name != "schema"]


@pytest.mark.parametrize("generated", WITHOUT_SERVER, ids=lambda each: each.name)
def test_a_generated_file_is_what_the_code_makes(generated: Generated) -> None:
    # Line by line: pytest takes minutes to compare two texts of 17,000 lines.
    for path, text in generated.make().items():
        lines = zip_longest(path.read_text(encoding="utf-8").splitlines(), text.splitlines())
        assert next(((path, *pair) for pair in enumerate(lines, 1) if len(set(pair[1])) > 1), None) is None, HINT


def test_every_code_is_explained_once_and_has_a_status() -> None:
    listed = [code for _, codes in by_subject() for code in codes]
    assert sorted(listed) == sorted(ProblemCode)
    for code in ProblemCode:
        assert code.value == code.name
        assert code.status >= 400
        for sentence in (code.meaning, code.remedy):
            assert sentence.endswith(".")
            assert sentence.count("`") % 2 == 0


def test_a_file_is_written_only_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "made"
    assert write(path, "ä")
    assert not write(path, "ä")
    assert write(path, "b")
    assert path.read_text(encoding="utf-8") == "b"


def test_a_map_lists_what_is_in_a_package(tmp_path: Path) -> None:
    package = tmp_path / "__init__.py"
    package.write_text('"""A yard."""\n')
    assert map_text(package) == '"""A yard."""\n'
    (tmp_path / "__main__.py").write_text('"""Starts it."""\n')
    (tmp_path / "gate.py").write_text('"""The gate (COR-1.2).\n\nIt is tall.\n"""\n')
    (tmp_path / "buses").mkdir()
    (tmp_path / "buses" / "__init__.py").write_text(f'"""{"Bus " * 30}."""\n')
    expected = f'"""A yard.\n\n- ``buses``: {"Bus " * 25}Bus\n  Bus Bus Bus Bus\n- ``gate``: The gate\n"""\n'
    package.write_text(map_text(package))
    assert package.read_text() == expected
    assert map_text(package) == expected
