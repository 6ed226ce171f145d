"""The version of what people edit: it increases with every change, so that a stale one is refused with what changed."""

from __future__ import annotations

from collections.abc import Iterable

Versions = frozenset[int] | None
"""The versions that a change was made for; None: it is right for whatever holds."""


def also(expected: Versions, version: int | None) -> Versions:
    """Narrow ``expected`` to one version, where one is named besides."""
    if version is None:
        return expected
    return frozenset((version,)) if expected is None else expected & {version}


def last_read(expected: Iterable[int], current: int) -> int | None:
    """The version that the caller read last; None where the subject never had any of them."""
    return max((version for version in expected if 0 < version < current), default=None)
