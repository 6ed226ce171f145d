"""What a deletion takes along, and the consent to it: it holds for what was shown, and for nothing that came since."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class SubjectKind(StrEnum):
    """What may be affected by a deletion."""

    CIRCUIT = "CIRCUIT"
    GATEWAY = "GATEWAY"
    DEVICE = "DEVICE"
    POWER_SOURCE = "POWER_SOURCE"
    SENSOR_ACTION = "SENSOR_ACTION"


class DeletionEffect(StrEnum):
    """What a deletion does to something."""

    DELETED = "DELETED"
    UNLINKED = "UNLINKED"
    """It stays, without the circuit that it was linked to."""
    STOPPED = "STOPPED"
    """It stays, and is stopped with a remediation: the circuit that it updated is gone."""
    REROUTED = "REROUTED"
    """It stays, and writes to another power source by the rules of routing, or is stopped."""


@dataclass(frozen=True)
class Affected:
    """One thing that a deletion affects."""

    kind: SubjectKind
    subject_id: UUID
    name: str
    effect: DeletionEffect
    version: int | None = None
    """Of what is deleted: whoever agreed saw it as it was then."""


@dataclass(frozen=True)
class Deletion:
    """All that a deletion affects at one moment; what is deleted itself comes first."""

    affected: tuple[Affected, ...]

    @property
    def consent(self) -> str:
        """A text that is the same as long as the deletion affects the same things in the same way."""
        return _digest(f"{each.effect} {each.kind} {each.subject_id} {each.version or ''}" for each in self.affected)

    def of(self, kind: SubjectKind, effect: DeletionEffect = DeletionEffect.DELETED) -> list[Affected]:
        """What goes along of one kind, without what is deleted itself."""
        return [each for each in self.affected[1:] if each.kind is kind and each.effect is effect]


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:32]
