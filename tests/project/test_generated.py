"""The committed files that are made from the code are what the code makes; test_schema.py holds the schema."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import pytest

from devtools.generate import GENERATED, HINT, Generated, write
from domain.base.problems import ProblemCode, by_subject

# It needs a database, which the tests have already.
WITHOUT_SERVER = [each for each in GENERATED if each.name != "schema"]


@pytest.mark.parametrize("generated", WITHOUT_SERVER, ids=lambda each: each.name)
def test_a_generated_file_is_what_the_code_makes(generated: Generated) -> None:
    # Line by line: pytest takes minutes to compare two texts of 17,000 lines.
    lines = zip_longest(generated.path.read_text(encoding="utf-8").splitlines(), generated.make().splitlines())
    assert next((pair for pair in enumerate(lines, 1) if len(set(pair[1])) > 1), None) is None, HINT


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
