"""Random numbers that are the same on every machine: seeded with texts, by the one method that Python keeps stable."""

from __future__ import annotations

import random
from typing import TypeVar

T = TypeVar("T")


class RandomSource:
    """Random numbers for one purpose of one run."""

    def __init__(self, *named: object) -> None:
        """Take what names the purpose, the run's seed among it. The same names give the same draws."""
        self._random = random.Random("/".join(str(each) for each in named))  # noqa: S311 (no secret)

    def between(self, low: int, high: int) -> int:
        """Draw an integer from ``low`` to ``high``, both included."""
        # random() alone is promised to give the same numbers in every version of Python.
        return low + int(self._random.random() * (high - low + 1))

    def shuffled(self, items: list[T]) -> list[T]:
        """Return the items in a mixed order, which for several different items is never the given one."""
        mixed = list(items)
        for last in range(len(mixed) - 1, 0, -1):
            other = self.between(0, last)
            mixed[last], mixed[other] = mixed[other], mixed[last]
        return mixed[1:] + mixed[:1] if mixed == items else mixed
