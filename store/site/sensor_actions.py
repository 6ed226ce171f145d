"""Sensor actions of devices: made, changed, switched on and off, under the rules of ``domain.site.sensor_actions``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from domain.base.versions import Versions, also
from domain.base.violations import Violation
from domain.controllers.controller_support import ControllerTables, SupportCode, unsupported
from domain.monitoring.capabilities import CAPABILITY_MEASURANDS, Capability
from domain.site.deletions import SubjectKind
from domain.site.measurands import MeasurandKey
from domain.site.sensor_action_forms import SensorActionForm, given_version, parse_change, parse_new
from domain.site.sensor_actions import InvalidAction, SensorAction, SensorActionKind
from store.base.arrays import is_one_of_texts
from store.site.capacities import capacity_policy, policy_values
from store.site.deletions import check_consent
from store.site.devices import DeviceRecord, read_device
from store.site.site_changes import Configurable, ConfigurationChange, change_in_depot_of, change_of
from store.site.tables import capability_owners, devices, sensor_actions


@dataclass(frozen=True)
class SensorActionRecord:
    """A sensor action as it is stored."""

    sensor_action_id: UUID
    depot_id: UUID
    device_id: UUID
    action: SensorActionKind
    measurands: tuple[MeasurandKey, ...]
    heartbeat_threshold_seconds: float | None
    """Of ``UPDATE_CIRCUIT_CAPACITY`` alone."""
    fail_safe_capacity_w: float | None
    """Of ``UPDATE_CIRCUIT_CAPACITY`` alone, and optional there."""
    enabled: bool
    version: int
    """Moves with every change."""
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """What the action publishes of its depot's microgrid while it is switched on."""
        return capabilities_of(self.action, self.measurands)

    def form(self) -> SensorActionForm:
        """Return what a person gave to make it what it is."""
        policy = None if self.heartbeat_threshold_seconds is None else capacity_policy(asdict(self))
        return SensorActionForm(SensorAction(self.action, self.measurands, policy), self.enabled)


_SENSOR_ACTIONS = select(
    sensor_actions.c.id.label("sensor_action_id"),
    sensor_actions.c.depot_id,
    sensor_actions.c.device_id,
    sensor_actions.c.action,
    sensor_actions.c.measurands,
    sensor_actions.c.heartbeat_threshold_seconds,
    sensor_actions.c.fail_safe_capacity_w,
    sensor_actions.c.enabled,
    sensor_actions.c.version,
    sensor_actions.c.created_at,
    sensor_actions.c.created_by,
    sensor_actions.c.updated_at,
    sensor_actions.c.updated_by,
)


def capabilities_of(kind: SensorActionKind, measurands: tuple[MeasurandKey, ...]) -> tuple[Capability, ...]:
    """Say which capabilities an action of these measurands publishes while it is switched on."""
    if kind is not SensorActionKind.UPDATE_MICROGRID_STATE:
        return ()
    return tuple(CAPABILITY_MEASURANDS[key] for key in measurands if key in CAPABILITY_MEASURANDS)


def _record(row: Mapping[Any, Any]) -> SensorActionRecord:
    values = dict(row)
    values["action"] = SensorActionKind(values["action"])
    values["measurands"] = tuple(MeasurandKey(key) for key in values["measurands"])
    return SensorActionRecord(**values)


async def list_sensor_actions(connection: AsyncConnection, device_id: UUID) -> list[SensorActionRecord]:
    """List a device's sensor actions by their kind; there is one of a kind at most.

    Raises:
        Problem: ``DEVICE_NOT_FOUND``.

    """
    await read_device(connection, device_id)
    query = _SENSOR_ACTIONS.where(sensor_actions.c.device_id == device_id).order_by(sensor_actions.c.action)
    return [_record(row) for row in (await connection.execute(query)).mappings()]


async def read_sensor_action(connection: AsyncConnection, sensor_action_id: UUID) -> SensorActionRecord:
    """Read one sensor action.

    Raises:
        Problem: ``SENSOR_ACTION_NOT_FOUND``.

    """
    query = _SENSOR_ACTIONS.where(sensor_actions.c.id == sensor_action_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise Problem(ProblemCode.SENSOR_ACTION_NOT_FOUND, f"There is no sensor action {sensor_action_id}.")
    return _record(row)


_SENSOR_ACTION = Configurable(
    SubjectKind.SENSOR_ACTION,
    sensor_actions,
    read_sensor_action,
    ("device_id", "action", "measurands", "heartbeat_threshold_seconds", "fail_safe_capacity_w", "enabled"),
)


def _invalid(found: InvalidAction) -> Problem:
    return Problem(
        ProblemCode.INVALID_SENSOR_ACTION,
        "The sensor action cannot be configured like this; `errors` says everything that is wrong.",
        violations=found.violations,
    )


def _values(form: SensorActionForm) -> dict[str, Any]:
    policy = form.action.capacity_policy
    settings = {"heartbeat_threshold_seconds": None, "fail_safe_capacity_w": None}
    return {
        "measurands": [key.value for key in form.action.measurands],
        **(settings if policy is None else policy_values(policy)),
        "enabled": form.enabled,
    }


async def create_sensor_action(
    connection: AsyncConnection, actor: Actor, device_id: UUID, document: Mapping[str, Any], tables: ControllerTables
) -> SensorActionRecord:
    """Make a sensor action of a document ``{action, measurands, …settings, enabled}``.

    Raises:
        Problem: ``DEVICE_NOT_FOUND``, ``INVALID_SENSOR_ACTION``, ``SENSOR_ACTION_EXISTS`` or ``CAPABILITY_OWNED``.

    """
    async with change_in_depot_of(connection, actor, read_device, device_id) as (change, device):
        form = parse_new(document)
        if isinstance(form, InvalidAction):
            raise _invalid(form)
        kind = form.action.kind
        existing = select(sensor_actions.c.id).where(
            sensor_actions.c.device_id == device_id, sensor_actions.c.action == kind
        )
        found = (await connection.execute(existing)).scalar_one_or_none()
        if found is not None:
            raise Problem(
                ProblemCode.SENSOR_ACTION_EXISTS,
                f'The device "{device.name}" has this sensor action already. Change that one instead.',
                "action",
                context={"sensor_action_id": found},
            )
        _check_support(tables, device, form)
        await _check_owners(connection, device.depot_id, None, form)
        return await add_action(change, device_id, form)


async def add_action(change: ConfigurationChange, device_id: UUID, form: SensorActionForm) -> SensorActionRecord:
    """Store a sensor action that was checked, of a device of the depot."""
    return await change.add_row(_SENSOR_ACTION, {"device_id": device_id, "action": form.action.kind, **_values(form)})


async def update_sensor_action(
    connection: AsyncConnection,
    actor: Actor,
    sensor_action_id: UUID,
    document: Mapping[str, Any],
    tables: ControllerTables,
    expected: Versions = None,
) -> SensorActionRecord:
    """Change measurands, settings and ``enabled``; what is left out stays.

    With a ``version`` in the document, or ``expected`` ones, only if the action still has that version. What changes
    nothing leaves the version alone.

    Raises:
        Problem: ``SENSOR_ACTION_NOT_FOUND``, ``VERSION_CONFLICT``, ``INVALID_SENSOR_ACTION`` or
            ``CAPABILITY_OWNED``.

    """
    expected = also(expected, given_version(document))
    async with change_of(connection, actor, _SENSOR_ACTION, sensor_action_id, expected) as (change, before):
        form = parse_change(document, before.form())
        if isinstance(form, InvalidAction):
            raise _invalid(form)
        if form == before.form():
            return before
        # To take something from an action, or to switch it off, is never refused.
        if {*form.action.measurands} - {*before.measurands} or (form.enabled and not before.enabled):
            _check_support(tables, await read_device(connection, before.device_id), form)
        await _check_owners(connection, before.depot_id, sensor_action_id, form)
        return await change_action(change, before, form)


async def change_action(
    change: ConfigurationChange, before: SensorActionRecord, form: SensorActionForm, device_id: UUID | None = None
) -> SensorActionRecord:
    """Store a change of a sensor action that was checked.

    With ``device_id`` the action goes to that device of the same depot, and with it what it owns.
    """
    moved = {} if device_id is None else {"device_id": device_id}
    after = await change.change_row(_SENSOR_ACTION, before, {**_values(form), **moved})
    # What is open names the device that the action was of.
    if not after.enabled or moved:
        await change.close_remediations(sensor_action_ids=(before.sensor_action_id,))
    return after


async def delete_sensor_action(
    connection: AsyncConnection,
    actor: Actor,
    sensor_action_id: UUID,
    expected: Versions = None,
    consent: str | None = None,
) -> None:
    """Delete a sensor action. What it published stays.

    Raises:
        Problem: ``SENSOR_ACTION_NOT_FOUND``, ``VERSION_CONFLICT`` or ``DELETION_CHANGED``.

    """
    async with change_of(connection, actor, _SENSOR_ACTION, sensor_action_id, expected) as (change, before):
        await check_consent(connection, SubjectKind.SENSOR_ACTION, sensor_action_id, consent)
        await remove_action(change, before)


async def remove_action(change: ConfigurationChange, before: SensorActionRecord) -> None:
    """Delete a sensor action that may be deleted."""
    await change.close_remediations(sensor_action_ids=(before.sensor_action_id,))
    # Switched off first: what follows it is released before it is gone.
    action = update(sensor_actions).where(sensor_actions.c.id == before.sensor_action_id)
    await change.connection.execute(action.values(enabled=False))
    await change.delete_row(_SENSOR_ACTION, before)


def _check_support(tables: ControllerTables, device: DeviceRecord, form: SensorActionForm) -> None:
    """Refuse a capability that the device's controller cannot tell of."""
    missing = unsupported(tables, device.controller, form.action.measurands)
    if missing:
        raise Problem(
            ProblemCode.INVALID_SENSOR_ACTION,
            "The sensor action cannot be configured like this; `errors` says everything that is wrong.",
            violations=[
                Violation(
                    "/measurands",
                    SupportCode.UNSUPPORTED_BY_REVISION,
                    f'The controller "{device.controller}" does not send {key}.',
                )
                for key in missing
            ],
        )


async def _check_owners(
    connection: AsyncConnection, depot_id: UUID, sensor_action_id: UUID | None, form: SensorActionForm
) -> None:
    """Refuse an action that is switched on for a capability that another one publishes; None: it is a new one."""
    wanted = capabilities_of(form.action.kind, form.action.measurands)
    if not form.enabled or not wanted:
        return
    query = (
        select(
            capability_owners.c.capability,
            capability_owners.c.sensor_action_id,
            sensor_actions.c.device_id,
            devices.c.name.label("device_name"),
        )
        .join(sensor_actions, sensor_actions.c.id == capability_owners.c.sensor_action_id)
        .join(devices, devices.c.id == sensor_actions.c.device_id)
        .where(
            capability_owners.c.depot_id == depot_id,
            is_one_of_texts(capability_owners.c.capability, wanted),
            capability_owners.c.sensor_action_id.is_distinct_from(sensor_action_id),
        )
        .order_by(capability_owners.c.capability)
    )
    owners = [dict(row) for row in (await connection.execute(query)).mappings()]
    if owners:
        raise Problem(
            ProblemCode.CAPABILITY_OWNED,
            "A capability of a depot has one owner. "
            + " ".join(f'The device "{owner["device_name"]}" publishes {owner["capability"]}.' for owner in owners)
            + " Switch it off there first.",
            violations=[
                Violation(
                    "/measurands",
                    ProblemCode.CAPABILITY_OWNED,
                    f'{owner["capability"]} is published by the device "{owner["device_name"]}".',
                )
                for owner in owners
            ],
            context={"owners": owners},
        )
