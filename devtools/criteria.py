"""The acceptance criteria as docs/acceptance.md lists them, and what the tests say about them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

_STORY = re.compile(r"^## (COR-\d+) (.+)$")
_ROW = re.compile(r"^\|\s*(COR-\d+)\.(\d+)\s*\|(.+)\|([^|]+)\|$")


class CriteriaError(Exception):
    """The document of the criteria does not have its form."""


class State(StrEnum):
    """How far a criterion is."""

    DELIVERED = "delivered"
    """The product does it; a test must prove it."""
    PLANNED = "planned"


class CriterionStatus(StrEnum):
    """What the tests say about a criterion."""

    COVERED = "covered"
    """Tests carry its number; they were not run."""
    PASSED = "passed"
    FAILED = "failed"
    UNPROVED = "unproved"
    """No test that counts carries its number, or none of them ran to its end."""


@dataclass(frozen=True)
class Criterion:
    """One row of the document."""

    id: str
    story: str
    """The story's number and title."""
    text: str
    state: State


@dataclass(frozen=True)
class ProvingTest:
    """A test that carries criteria."""

    nodeid: str
    criteria: tuple[str, ...]
    counts: bool
    """False: it is marked as skipped or as expected to fail, so it proves nothing."""
    outcome: str | None = None
    """``passed``, ``failed`` or ``skipped``; None: it was not run."""

    @property
    def function(self) -> str:
        """The test without its parameters."""
        return self.nodeid.split("[", 1)[0]


@dataclass(frozen=True)
class Finding:
    """A criterion with the tests behind it."""

    criterion: Criterion
    tests: tuple[ProvingTest, ...]
    status: CriterionStatus

    @property
    def is_fault(self) -> bool:
        """Whether the acceptance check fails by this row."""
        if self.criterion.state is State.PLANNED:
            return False
        return self.status in (CriterionStatus.UNPROVED, CriterionStatus.FAILED)


def parse_criteria(text: str) -> list[Criterion]:
    """Read the document. Every row is read or refused: none is passed over.

    Raises:
        CriteriaError: a row in another form, in another story's section, with an unknown state, or twice.

    """
    found: dict[str, Criterion] = {}
    story = title = ""
    for number, line in enumerate(text.splitlines(), 1):
        if heading := _STORY.match(line):
            story, title = heading.groups()
            continue
        if not line.startswith("| COR-"):
            continue
        row = _ROW.match(line)
        if row is None:
            raise CriteriaError(f"line {number} is no row of id, criterion and state: {line}")
        key, state = f"{row[1]}.{row[2]}", row[4].strip()
        if row[1] != story:
            raise CriteriaError(f"line {number}: {key} stands in the section of {story or 'no story'}")
        if key in found:
            raise CriteriaError(f"line {number}: {key} is there twice")
        if state not in list(State):
            raise CriteriaError(f"line {number}: the state {state!r} of {key} is none of {', '.join(State)}")
        found[key] = Criterion(key, f"{story} {title}", row[3].strip(), State(state))
    if not found:
        raise CriteriaError("no criterion was found")
    return list(found.values())


def evaluate(criteria: Iterable[Criterion], tests: Sequence[ProvingTest], *, ran: bool) -> list[Finding]:
    """Say for each criterion what the tests say; ``ran``: the tests were run, so their outcomes count."""
    findings: list[Finding] = []
    for criterion in criteria:
        behind = tuple(test for test in tests if criterion.id in test.criteria)
        findings.append(Finding(criterion, behind, _status(behind, ran=ran)))
    return findings


def unknown_criteria(criteria: Iterable[Criterion], tests: Iterable[ProvingTest]) -> list[tuple[str, str]]:
    """List markers that name no criterion, each with its test."""
    known = {criterion.id for criterion in criteria}
    found = {(name, test.function) for test in tests for name in test.criteria if name not in known}
    return sorted(found)


def _status(tests: Sequence[ProvingTest], *, ran: bool) -> CriterionStatus:
    proving = [test for test in tests if test.counts]
    if not ran:
        return CriterionStatus.COVERED if proving else CriterionStatus.UNPROVED
    outcomes = {test.outcome for test in proving}
    if "failed" in outcomes:
        return CriterionStatus.FAILED
    return CriterionStatus.PASSED if "passed" in outcomes else CriterionStatus.UNPROVED
