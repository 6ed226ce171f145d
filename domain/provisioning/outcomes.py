"""What a depot's microgrid provisioning can come to (COR-8.12), and what a sync answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class ProvisioningState(StrEnum):
    """Where a depot stands on its way to a microgrid."""

    PENDING = "PENDING"
    """Nothing has looked at the depot yet: a sync is due, or the backfill has not come by."""
    PROVISIONED = "PROVISIONED"
    """The depot has its microgrid, with a grid connection for each top-level circuit."""
    FAILED = "FAILED"
    """The depot cannot be provisioned as it is; the code says why. It heals with the next good change."""


class ProvisioningCode(StrEnum):
    """Why a depot's provisioning is ``FAILED``."""

    NO_TOP_LEVEL_CIRCUITS = "NO_TOP_LEVEL_CIRCUITS"
    SYNC_FAILED = "SYNC_FAILED"
    """The last sync failed in a way that trying it again does not change."""


PROVISIONING_MESSAGES: dict[ProvisioningCode, str] = {
    ProvisioningCode.NO_TOP_LEVEL_CIRCUITS: (
        "The depot has no top-level circuit, so there is nothing to connect its microgrid to the grid with. "
        "Add a top-level circuit: the microgrid is created automatically."
    ),
    ProvisioningCode.SYNC_FAILED: (
        "The last sync of this depot failed, and retrying it could not succeed. Its grid connections may "
        "differ from its circuits. The sync workflow in Temporal and the worker's log have the reason; once that is "
        "fixed, Resync or the next change of the circuits runs the sync again."
    ),
}


class SyncOutcome(StrEnum):
    """What one sync of a depot came to."""

    CREATED = "CREATED"
    """The depot had no microgrid and has one now."""
    CHANGED = "CHANGED"
    """Grid connections were added, removed, renamed or moved."""
    UNCHANGED = "UNCHANGED"
    """The grid connections already followed the top-level circuits."""
    NO_TOP_LEVEL_CIRCUITS = "NO_TOP_LEVEL_CIRCUITS"
    """There is no top-level circuit. A microgrid that exists is kept, without grid connections."""
    DEPOT_GONE = "DEPOT_GONE"
    """The depot does not exist any more."""
    DEPOT_RETIRED = "DEPOT_RETIRED"
    """The depot is retired, and so is its microgrid."""


@dataclass(frozen=True)
class SyncRequest:
    """Asks for one sync of one depot."""

    depot_id: UUID
    requested_by: str
    reason: str
    """``CIRCUITS_CHANGED``, ``DEPOT_CREATED``, ``RESYNC``, …"""
    request_id: str | None = None
    """The request of the API that asked last; None: none did."""
    changed_at: datetime | None = None
    """When the first change was made that no pass has taken up; None: none is known."""
    traceparent: str | None = None
    """What hands on the trace of the request that asked last (W3C Trace Context); None: it is not traced."""


@dataclass(frozen=True)
class FailedSync:
    """Says that a depot's sync failed for good."""

    depot_id: UUID
    requested_by: str
    failure: str
    """Why, in a line."""
    request_id: str | None = None
    """The request of the API that asked last; None: none did."""


@dataclass(frozen=True)
class NodeChange:
    """One grid connection in the result of a sync."""

    circuit_id: UUID
    name: str
    """The name after the sync; of a removed grid connection, its last name."""
    previous_name: str | None = None
    """The name before, where it was renamed."""


NAMED_CHANGES = 10
"""Grid connections of a kind that a sync's result names. It travels through Temporal, which bounds a message."""


@dataclass(frozen=True)
class ChangeCounts:
    """How many grid connections a sync touched, by what it did to them."""

    added: int
    removed: int
    renamed: int
    moved: int


@dataclass(frozen=True)
class SyncResult:
    """What a sync did, in the words of the structure: how much of each kind, the first ``NAMED_CHANGES`` by name."""

    depot_id: UUID
    microgrid_id: UUID | None
    """None where the depot has never had a top-level circuit."""
    outcome: SyncOutcome
    version_before: int | None
    version_after: int | None
    added: tuple[NodeChange, ...] = ()
    removed: tuple[NodeChange, ...] = ()
    renamed: tuple[NodeChange, ...] = ()
    moved: tuple[NodeChange, ...] = ()
    """Grid connections whose place among those that stayed is different."""
    counts: ChangeCounts | None = None
    """How many there are of each kind. None: the result is of a release that named them all."""

    @property
    def touched(self) -> ChangeCounts:
        """How many grid connections of each kind there are, named or not."""
        return self.counts or ChangeCounts(len(self.added), len(self.removed), len(self.renamed), len(self.moved))

    def in_words(self) -> str:
        """Tell what happened in one line, for a log, a terminal or Temporal's UI."""
        if self.outcome is SyncOutcome.DEPOT_GONE:
            return "The depot does not exist any more."
        if self.outcome is SyncOutcome.DEPOT_RETIRED:
            return "The depot is retired, and its microgrid with it."
        if self.outcome is SyncOutcome.NO_TOP_LEVEL_CIRCUITS and self.microgrid_id is None:
            return "No top-level circuit, so no microgrid."
        touched = self.touched
        parts = [
            f"{verb} {_names(changed, count)}"
            for verb, changed, count in (
                ("added", self.added, touched.added),
                ("removed", self.removed, touched.removed),
                ("renamed", self.renamed, touched.renamed),
                ("moved", self.moved, touched.moved),
            )
            if count
        ]
        version = (
            f"version {self.version_after}"
            if self.version_before in (None, self.version_after)
            else f"version {self.version_before} → {self.version_after}"
        )
        return f"{'; '.join(parts) or 'nothing to change'} ({version})"


def _names(changes: Sequence[NodeChange], count: int) -> str:
    named = ", ".join(_name(change) for change in changes[:NAMED_CHANGES])
    more = count - min(len(changes), NAMED_CHANGES)
    return f"{named} and {more:,} more" if more else named


def _name(change: NodeChange) -> str:
    return change.name if change.previous_name is None else f"{change.previous_name} → {change.name}"
