"""Errors that no further try can mend."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from temporalio.exceptions import ApplicationError

from domain.problems import Problem


@contextmanager
def final_refusals(*more: type[Exception]) -> Generator[None]:
    """Let Temporal not try again what would be refused again: problems, and errors of the types in ``more``."""
    try:
        yield
    except (Problem, *more) as error:
        raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from error
