"""What is held of the repository itself: commits, releases, decisions, the one version."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.main import create_app
from devtools.commit_subjects import fault_of, subjects_since_release
from runtime.settings import Settings
from runtime.version import version

ROOT = Path(__file__).resolve().parent.parent.parent
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def test_commit_subjects_name_their_area_and_fit() -> None:
    assert [(each, fault) for each in subjects_since_release() if (fault := fault_of(each))] == []


@pytest.mark.parametrize(
    ("subject", "right"),
    [
        ("Packets: a number that no double holds is refused", True),
        ("Texts, times and time zones: one rule each", True),
        ("fixup! Packets: a number that no double holds is refused", True),
        ("A number that no double holds is refused", False),
        ("packets: a number that no double holds is refused", False),
        ("Packets: " + "a" * 64, False),
    ],
)
def test_a_subject_is_judged(subject: str, right: bool) -> None:
    assert (fault_of(subject) is None) is right


def test_releases_are_dated_and_say_how_to_upgrade() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    _, unreleased, *releases = re.split(r"^## ", text, flags=re.MULTILINE)
    assert unreleased.startswith("[Unreleased]\n")
    for release in (unreleased, *releases):
        assert "### Upgrading" in release
    dates = [re.match(r"\[\d+\.\d+\.\d+\] - (\d{4}-\d{2}-\d{2})\n", each) for each in releases]
    assert all(dates)
    assert releases[0].startswith(f"[{version()}]")


def test_every_decision_has_a_date_and_a_status() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    for each in DECISIONS:
        lines = each.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith(f"# {each.name[:4]} "), each.name
        assert re.fullmatch(r"\*\d{4}-\d{2}-\d{2} · (accepted|replaced by \d{4})\*", lines[2]), each.name
        assert f"]({each.name})" in index, each.name


def test_the_version_stands_in_one_place() -> None:
    app = create_app(Settings(database_url=SecretStr("postgresql:///none")))
    assert app.version == version()
    folders = [each.parent for each in ROOT.glob("*/__init__.py")]
    modules = [path for folder in folders for path in folder.rglob("*.py") if "node_modules" not in path.parts]
    assert len(modules) > 100
    assert [path.name for path in modules if f'"{version()}"' in path.read_text(encoding="utf-8")] == []


def test_contributing_has_the_recipes() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for recipe in ("A resource over HTTP", "A page", "A workflow", "A migration", "A problem code", "A setting"):
        assert f"**{recipe}**" in text
    linked = re.findall(r"\]\((?!http)([^)#]+)", text)
    assert [link for link in linked if not (ROOT / link).exists()] == []
    named = re.findall(r"`([\w./]+/[\w.-]*)`", text)
    assert [each for each in named if not (ROOT / each).exists()] == []


def test_the_glossary_leads_to_what_is_there() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\((?!http)([^)#]+)", text)
    assert [link for link in linked if not (ROOT / "docs" / link).exists()] == []
    terms = re.findall(r"^\| ([^|`]+) \| [^|]*\| [^|]+ \| [^|]*\| (.+) \|$", text, re.MULTILINE)
    names = [term for term, where in terms if where != "in code"]
    assert len(names) > 60
    assert [name for name in names if names.count(name) > 1] == []
    places = [place for _, where in terms for place in re.findall(r"`([^`]+)`", where)]
    assert [place for place in places if not (ROOT / place).exists()] == []
