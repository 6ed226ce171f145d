"""Temporal's task queues, one a kind of work: what takes long has slots of its own, and none of those of the syncs."""

from __future__ import annotations

from enum import StrEnum


class Work(StrEnum):
    """A kind of work that a process of the worker serves."""

    SYNCS = "syncs"
    """What must not wait: the syncs, the capacity watch and the audits."""
    JOBS = "jobs"
    """What takes as long as there is much of it: backfills, imports, exports, and the upkeep of the history."""
    SIMULATION = "simulation"
    """Scenario runs."""


EVERY_WORK = frozenset(Work)


def queue_of(task_queue: str, work: Work) -> str:
    """Name the queue of a kind of work; ``task_queue`` is the product's (``MANAGE_TASK_QUEUE``).

    That of the syncs has the product's own name, which was the only queue's: what was started there goes on there.
    """
    return task_queue if work is Work.SYNCS else f"{task_queue}-{work}"
