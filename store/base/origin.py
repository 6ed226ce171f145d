"""Where what is done comes from: the request in which it is done, and the address of who sent it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """The request that is being answered; all is empty where there is none."""

    request_id: str = ""
    client: str = ""
    """The caller's network address."""
    trace: Callable[[], str] = str
    """Says what hands the request's trace on; it is asked by the few that do."""

    @property
    def traceparent(self) -> str:
        """What hands the request's trace on (W3C Trace Context); empty: it is not traced."""
        return self.trace()


_NOWHERE = Origin()
_origin: ContextVar[Origin] = ContextVar("_origin", default=_NOWHERE)


def current_origin() -> Origin:
    """Where what is done now comes from."""
    return _origin.get()


@contextmanager
def coming_from(origin: Origin) -> Generator[None]:
    """While the block runs, what is done comes from there."""
    token = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(token)
