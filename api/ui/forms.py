"""What was filled in, and what is wrong with it: every field at once, each beside its field."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from domain.names import clean_name
from domain.problems import Problem, ProblemCode

T = TypeVar("T")
MAX_FIELDS = 20_000
"""Fields in one form; a depot with a few thousand circuits has three for each."""
_MAX_KILOWATTS = 1e7


class FieldErrors(dict[str, str]):
    """What is wrong, by the id of the field."""

    def check(self, field: str, read: Callable[[], T]) -> T | None:
        """Read a field; None, and its error noted, where it is refused."""
        try:
            return read()
        except Problem as problem:
            self[field] = problem.detail
            return None


def read_name(given: str) -> str:
    """Read a name.

    Raises:
        Problem: ``INVALID_NAME``.

    """
    return clean_name(given)


def read_kilowatts(given: str) -> float | None:
    """Read a power in kilowatts; the answer is in watts, None where nothing was given.

    Raises:
        Problem: ``INVALID_REQUEST``.

    """
    if not given.strip():
        return None
    try:
        kilowatts = float(given.strip().replace(",", "."))
    except ValueError:
        kilowatts = float("nan")
    if not 0 < kilowatts <= _MAX_KILOWATTS:
        raise Problem(
            ProblemCode.INVALID_REQUEST,
            f"A rated power is a number of kilowatts above 0 and at most {_MAX_KILOWATTS:.0f}, or left empty.",
        )
    return float(f"{kilowatts * 1000:.15g}")
