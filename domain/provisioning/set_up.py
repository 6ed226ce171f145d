"""How far a depot is set up: from its circuits to the first packet.

A step is done by what is stored, never by somebody's tick, and opens again when that is taken away.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class SetUpStep(StrEnum):
    """What a depot needs, in the order in which one follows from another."""

    CIRCUITS = "CIRCUITS"
    """A top-level circuit."""
    MICROGRID = "MICROGRID"
    """The microgrid, which follows the circuits by itself."""
    GATEWAY = "GATEWAY"
    """A gateway."""
    GATEWAY_SECRET = "GATEWAY_SECRET"  # noqa: S105 - a step
    """A secret for each gateway; no step where gateways need none."""
    DEVICES = "DEVICES"
    """A device."""
    SENSOR_ACTIONS = "SENSOR_ACTIONS"
    """A sensor action that is switched on; a controller binding is one."""
    FIRST_PACKET = "FIRST_PACKET"
    """A packet with one of the devices."""


@dataclass(frozen=True)
class SetUpFacts:
    """What is stored of a depot that is in service."""

    has_circuits: bool = False
    has_microgrid: bool = False
    has_gateway: bool = False
    without_secret: UUID | None = None
    """The first gateway that has no secret; None: each has one, or there is none."""
    device_id: UUID | None = None
    """The first device."""
    acting_device_id: UUID | None = None
    """The first device with a sensor action that is switched on."""
    has_binding: bool = False
    """Whether a device is bound as a controller."""
    was_heard: bool = False
    """Whether a packet came with one of the devices."""


@dataclass(frozen=True)
class SetUp:
    """The steps of a depot's set-up."""

    done: dict[SetUpStep, bool]
    """Whether each step is done, in their order."""
    facts: SetUpFacts

    @property
    def next_step(self) -> SetUpStep | None:
        """The first step that is not done; None: the depot is set up."""
        return next((step for step, done in self.done.items() if not done), None)


def set_up_of(facts: SetUpFacts, *, needs_secrets: bool) -> SetUp:
    """Say how far a depot is set up. ``needs_secrets``: a gateway's packets are refused without a secret."""
    done = {
        SetUpStep.CIRCUITS: facts.has_circuits,
        SetUpStep.MICROGRID: facts.has_microgrid,
        SetUpStep.GATEWAY: facts.has_gateway,
        SetUpStep.GATEWAY_SECRET: facts.has_gateway and facts.without_secret is None,
        SetUpStep.DEVICES: facts.device_id is not None,
        SetUpStep.SENSOR_ACTIONS: facts.acting_device_id is not None,
        SetUpStep.FIRST_PACKET: facts.was_heard,
    }
    if not needs_secrets:
        del done[SetUpStep.GATEWAY_SECRET]
    return SetUp(done, facts)
