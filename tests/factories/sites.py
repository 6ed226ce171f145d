"""Sites for tests: a depot with a microgrid, a gateway, devices with sensor actions, and the packets that they send."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.site.circuit_capacity import CapacityPolicy, begin
from store.base.database import transaction
from store.provisioning.microgrids import reconcile_microgrid
from store.site.capacities import capacity_values, policy_values
from store.site.tables import circuit_capacities, devices, gateways, power_sources, remediations, sensor_actions
from tests.helpers.support import ACTOR, circuits_of, make_depot, microgrid_of

MADE = {"created_by": ACTOR.name, "updated_by": ACTOR.name}
CONTROLLER = "mgc-1"
"""The sensor id of the controller in the packets of these tests."""


@dataclass
class MadeDepot:
    """A site and the ids of its parts."""

    depot_id: UUID
    gateway_id: UUID
    circuit_ids: list[UUID]
    microgrid_id: UUID | None
    devices: dict[str, UUID] = field(default_factory=dict[str, UUID])
    """By sensor id."""
    actions: dict[tuple[str, str], UUID] = field(default_factory=dict[tuple[str, str], UUID])
    """By sensor id and action."""


async def make_site(
    engine: AsyncEngine, *, feeds: int = 1, provisioned: bool = True, output_translation: object = None
) -> MadeDepot:
    """Make a depot with top-level circuits, its microgrid, and a gateway without a site model."""
    depot_id = await make_depot(engine, *(f"Feed {n + 1}" for n in range(feeds)))
    microgrid_id = None
    async with transaction(engine, ACTOR) as connection:
        if provisioned:
            await reconcile_microgrid(connection, ACTOR, depot_id)
        gateway_id = (
            await connection.execute(
                insert(gateways)
                .values(depot_id=depot_id, name="Gateway", output_translation=output_translation, **MADE)
                .returning(gateways.c.id)
            )
        ).scalar_one()
    if provisioned:
        microgrid_id = (await microgrid_of(engine, depot_id)).microgrid_id
    circuit_ids = [circuit.circuit_id for circuit in await circuits_of(engine, depot_id)]
    return MadeDepot(depot_id, gateway_id, circuit_ids, microgrid_id)


async def add_device(
    engine: AsyncEngine, site: MadeDepot, sensor_id: str = CONTROLLER, circuit_id: UUID | None = None
) -> UUID:
    """Add a device to the site's gateway."""
    async with transaction(engine, ACTOR) as connection:
        device_id = (
            await connection.execute(
                insert(devices)
                .values(
                    depot_id=site.depot_id,
                    gateway_id=site.gateway_id,
                    sensor_id=sensor_id,
                    name=f"Device {sensor_id}",
                    circuit_id=circuit_id,
                    **MADE,
                )
                .returning(devices.c.id)
            )
        ).scalar_one()
    site.devices[sensor_id] = device_id
    return device_id


async def add_action(
    engine: AsyncEngine,
    site: MadeDepot,
    action: str,
    *measurands: str,
    sensor_id: str = CONTROLLER,
    enabled: bool = True,
    policy: CapacityPolicy | None = None,
    follows: UUID | None = None,
) -> UUID:
    """Give a device a sensor action. ``follows``: the circuit whose capacity follows it from now on."""
    settings = {} if policy is None else policy_values(policy)
    async with transaction(engine, ACTOR) as connection:
        action_id = (
            await connection.execute(
                insert(sensor_actions)
                .values(
                    depot_id=site.depot_id,
                    device_id=site.devices[sensor_id],
                    action=action,
                    measurands=list(measurands),
                    enabled=enabled,
                    **settings,
                    **MADE,
                )
                .returning(sensor_actions.c.id)
            )
        ).scalar_one()
        if follows is not None:
            assert policy is not None
            await connection.execute(
                insert(circuit_capacities).values(
                    circuit_id=follows,
                    depot_id=site.depot_id,
                    sensor_action_id=action_id,
                    **capacity_values(begin(policy, datetime.now(UTC))),
                    **settings,
                )
            )
    site.actions[sensor_id, action] = action_id
    return action_id


async def add_power_source(
    engine: AsyncEngine, site: MadeDepot, kind: str = "BATTERY", circuit_id: UUID | None = None
) -> UUID:
    """Add a power source to the site's depot."""
    async with transaction(engine, ACTOR) as connection:
        row = insert(power_sources).values(
            depot_id=site.depot_id, circuit_id=circuit_id, kind=kind, name=f"A {kind.lower()}", **MADE
        )
        return (await connection.execute(row.returning(power_sources.c.id))).scalar_one()


async def open_remediation(engine: AsyncEngine, site: MadeDepot, at: datetime, run_id: UUID | None = None) -> UUID:
    """Open a remediation of a site, as packets do."""
    values: dict[str, Any] = {
        "depot_id": site.depot_id, "gateway_id": site.gateway_id, "device_id": uuid4(), "sensor_action_id": uuid4(),
        "action": "UPDATE_POWER_SOURCE_LOAD", "code": "NO_POWER_SOURCE", "candidates": [], "opened_at": at,
        "last_seen_at": at, "times": 1, "scenario_run_id": run_id,
    }  # fmt: skip
    async with engine.begin() as connection:
        made = await connection.execute(insert(remediations).values(**values).returning(remediations.c.id))
        return made.scalar_one()


async def controller_site(engine: AsyncEngine) -> MadeDepot:
    """Make a site whose controller reports both capabilities."""
    site = await make_site(engine)
    await add_device(engine, site, circuit_id=site.circuit_ids[0])
    await add_action(engine, site, "UPDATE_MICROGRID_STATE", "LIMIT_PEAK_SHAVING", "LIMIT_DER_EXPORT")
    return site


def milliseconds(moment: datetime | None = None) -> int:
    """A moment as a packet has it; now, where none is given."""
    return int((moment or datetime.now(UTC)).timestamp() * 1000)


def packet(
    site: MadeDepot, timestamp: int | None = None, sensor_id: str = CONTROLLER, /, **measurands: float | str | None
) -> dict[str, Any]:
    """Make a packet of one sensor."""
    return {
        "device_id": str(site.gateway_id),
        "timestamp": milliseconds() if timestamp is None else timestamp,
        "sensors": [
            {
                "sensor_id": sensor_id,
                "measurands": [{"key": key, "value": value, "unit": None} for key, value in measurands.items()],
            }
        ],
    }
