"""What is counted of work that is done: statements that an engine is given, threads in which a function is called."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine


@dataclass
class Statements:
    """The statements that an engine was given."""

    count: int = 0
    most_parameters: int = 0
    many: list[str] = field(default_factory=list[str])
    """Those that were executed once for each of a list of parameters."""
    texts: list[str] = field(default_factory=list[str])
    """All of them."""


@contextmanager
def statements_of(engine: AsyncEngine) -> Generator[Statements]:
    """Count the statements of an engine while the block runs."""
    seen = Statements()

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, executemany: bool) -> None:
        seen.count += 1
        seen.texts.append(statement)
        seen.most_parameters = max(seen.most_parameters, len(parameters))
        if executemany:
            seen.many.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


def watch_threads(monkeypatch: pytest.MonkeyPatch, *places: tuple[Any, str]) -> list[int]:
    """Note in which thread each of these functions, by their holder and name, is called."""
    seen: list[int] = []
    for holder, name in places:
        original = getattr(holder, name)

        def noting(*args: Any, _original: Any = original, **kwargs: Any) -> Any:
            seen.append(threading.get_ident())
            return _original(*args, **kwargs)

        monkeypatch.setattr(holder, name, noting)
    return seen
