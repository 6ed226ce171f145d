"""Where two runs differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from domain.base.violations import below
from sim_scenarios.evidence.evidence import Evidence, read_evidence


class Nothing:
    """What a field has in a run that does not have the field; there is one, ``NOTHING``."""

    def __repr__(self) -> str:
        """Return it in words."""
        return "nothing"


NOTHING = Nothing()


@dataclass(frozen=True)
class Difference:
    """One field that is not the same."""

    record: str
    """``run``, ``step`` or ``result``."""
    step: int | None
    """The step's index; None in the other records."""
    field: str
    """Where in the record, as an RFC 6901 pointer."""
    first: Any
    second: Any

    @property
    def words(self) -> str:
        """The difference as a line of text."""
        where = self.record if self.step is None else f"step {self.step}"
        return f"{where} {self.field or '/'}: {self.first!r} / {self.second!r}"


def diff(first: bytes, second: bytes, *, most: int = 1_000) -> tuple[Difference, ...]:
    """Compare two runs by their evidence, in the order of the steps; at most ``most`` differences are returned.

    Raises:
        BrokenEvidenceError: one of them is no evidence.

    """
    if first == second:
        return ()
    return tuple(islice(_differences(read_evidence(first), read_evidence(second)), most))


def _differences(first: Evidence, second: Evidence) -> Iterator[Difference]:
    yield from _walk(first.run, second.run, "run", None, "")
    one, other = ({record["step"]: record for record in each.steps} for each in (first, second))
    for step in sorted(one.keys() | other.keys()):
        yield from _walk(one.get(step, NOTHING), other.get(step, NOTHING), "step", step, "")
    yield from _walk(first.result, second.result, "result", None, "")


def _walk(one: Any, other: Any, record: str, step: int | None, pointer: str) -> Iterator[Difference]:
    if isinstance(one, dict) and isinstance(other, dict):
        left, right = cast("Mapping[str, Any]", one), cast("Mapping[str, Any]", other)
        for key in sorted(left.keys() | right.keys()):
            yield from _walk(left.get(key, NOTHING), right.get(key, NOTHING), record, step, below(pointer, key))
    elif isinstance(one, list) and isinstance(other, list):
        for index in range(max(len(one), len(other))):
            pair = [each[index] if index < len(each) else NOTHING for each in (one, other)]
            yield from _walk(pair[0], pair[1], record, step, f"{pointer}/{index}")
    elif one != other:
        yield Difference(record, step, pointer, one, other)
