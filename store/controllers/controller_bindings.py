"""Controller bindings of microgrids: read, validated, made, changed (COR-39).

A binding is the sensor action ``Update Microgrid State`` of a device, seen from the microgrid. There is no other row
for it, so the two cannot differ; every write goes through ``store.site.sensor_actions``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.principals import EVERYWHERE, DepotScope
from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from domain.base.versions import Versions, also
from domain.base.violations import Violation
from domain.controllers.controller_bindings import (
    BindingBefore,
    BindingCode,
    BindingContext,
    BindingDraft,
    BindingForm,
    CapabilityOwner,
    DraftValidation,
    KnownDevice,
    read_draft,
    validate_draft,
)
from domain.controllers.controller_support import ControllerTables
from domain.monitoring.capabilities import CAPABILITY_MEASURANDS, Capability, CapabilityStatus, capability_status
from domain.monitoring.freshness import Timeliness, threshold_for, timeliness
from domain.site.measurands import MeasurandKey
from domain.site.sensor_action_forms import SensorActionForm, given_version
from domain.site.sensor_actions import SensorAction, SensorActionKind
from store.base.versions import check_version
from store.controllers.binding_history import seen_from_microgrid
from store.monitoring.device_reports import DeviceReport, LastPacket, ReportedValue, read_reports
from store.site.sensor_actions import add_action, change_action, read_sensor_action, remove_action
from store.site.site_changes import ConfigurationChange, change_in_depot_of, configuration_change


@dataclass(frozen=True)
class BoundCapability:
    """One capability that a binding supplies, or would supply if it were enabled."""

    capability: Capability
    measurand: MeasurandKey
    owned: bool
    """Whether this binding is the one that supplies it now."""
    last: ReportedValue | None
    """The last value that the device sent; None: none is known."""
    status: CapabilityStatus | None
    """That value as a status; None where there is none, or it cannot be read."""
    timeliness: Timeliness | None
    """How old the value is. None where the binding does not supply it: nothing keeps it current."""


@dataclass(frozen=True)
class BindingRecord:
    """A binding with what it is about."""

    binding_id: UUID
    """The id of the sensor action that it is."""
    depot_id: UUID
    depot_name: str
    microgrid_id: UUID | None
    """The depot's active microgrid; None: it has none yet."""
    device_id: UUID
    device_name: str
    sensor_id: str
    controller: str | None
    gateway_id: UUID
    gateway_name: str
    capabilities: tuple[BoundCapability, ...]
    enabled: bool
    version: int
    last_packet: LastPacket | None
    """Of the device; None: no packet ever had it."""
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str

    def form(self) -> BindingForm:
        """Return what a person gave to make it what it is."""
        return BindingForm(self.device_id, tuple(each.capability for each in self.capabilities), self.enabled)


_BINDINGS = text("""
    SELECT a.id AS binding_id, a.depot_id, p.name AS depot_name, m.id AS microgrid_id, d.id AS device_id,
           d.name AS device_name, d.sensor_id, d.controller, g.id AS gateway_id, g.name AS gateway_name,
           a.measurands, a.enabled, a.version, a.created_at, a.created_by, a.updated_at, a.updated_by,
           ARRAY(SELECT o.capability FROM capability_owners AS o WHERE o.sensor_action_id = a.id) AS owned,
           (SELECT jsonb_object_agg(t.capability, t.seconds) FROM freshness_thresholds AS t
            WHERE t.microgrid_id = m.id) AS thresholds,
           clock_timestamp() AS now
    FROM sensor_actions AS a
    JOIN devices AS d ON d.id = a.device_id
    JOIN gateways AS g ON g.id = d.gateway_id
    JOIN depots AS p ON p.id = a.depot_id
    LEFT JOIN microgrids AS m ON m.depot_id = a.depot_id AND m.retired_at IS NULL
    WHERE a.action = 'UPDATE_MICROGRID_STATE'
      AND (CAST(:binding_id AS uuid) IS NULL OR a.id = :binding_id)
      AND (CAST(:depot_id AS uuid) IS NULL OR a.depot_id = :depot_id)
      AND (CAST(:microgrid_id AS uuid) IS NULL OR m.id = :microgrid_id)
      AND (CAST(:within AS uuid[]) IS NULL OR a.depot_id = ANY (CAST(:within AS uuid[])))
      AND (CAST(:after AS uuid) IS NULL OR a.id > :after)
    ORDER BY a.id
    LIMIT :limit
""")


async def list_bindings(
    connection: AsyncConnection,
    scope: DepotScope,
    *,
    depot_id: UUID | None = None,
    microgrid_id: UUID | None = None,
    after: UUID | None = None,
    limit: int,
) -> list[BindingRecord]:
    """List bindings of the depots within ``scope`` by id, beginning after ``after``, in two queries."""
    return await _read(connection, scope=scope, depot_id=depot_id, microgrid_id=microgrid_id, after=after, limit=limit)


async def read_binding(connection: AsyncConnection, binding_id: UUID) -> BindingRecord:
    """Read one binding.

    Raises:
        Problem: ``BINDING_NOT_FOUND``.

    """
    found = await _read(connection, binding_id=binding_id)
    if not found:
        raise Problem(ProblemCode.BINDING_NOT_FOUND, f"There is no controller binding {binding_id}.")
    return found[0]


async def _read(
    connection: AsyncConnection,
    *,
    scope: DepotScope = EVERYWHERE,
    binding_id: UUID | None = None,
    depot_id: UUID | None = None,
    microgrid_id: UUID | None = None,
    after: UUID | None = None,
    limit: int = 1,
) -> list[BindingRecord]:
    given = {
        "binding_id": binding_id,
        "depot_id": depot_id,
        "microgrid_id": microgrid_id,
        "within": None if scope.everywhere else list(scope.depot_ids),
        "after": after,
        "limit": limit,
    }
    rows = (await connection.execute(_BINDINGS, given)).mappings().all()
    reports = await read_reports(connection, {row["device_id"] for row in rows})
    return [_record(dict(row), reports.get(row["device_id"])) for row in rows]


def _record(row: dict[str, Any], report: DeviceReport | None) -> BindingRecord:
    measurands, owned, now = row.pop("measurands"), row.pop("owned"), row.pop("now")
    own = {Capability(name): timedelta(seconds=seconds) for name, seconds in (row.pop("thresholds") or {}).items()}
    capabilities: list[BoundCapability] = []
    for measurand in (MeasurandKey(key) for key in measurands):
        capability = CAPABILITY_MEASURANDS[measurand]
        last = None if report is None else report.values.get(measurand)
        updating = row["enabled"] and capability in owned
        age = timeliness(last.effective_at, now, threshold_for(capability, own)) if last and updating else None
        capabilities.append(BoundCapability(capability, measurand, capability in owned, last, _status(last), age))
    return BindingRecord(
        **row, capabilities=tuple(capabilities), last_packet=None if report is None else report.last_packet
    )


def _status(last: ReportedValue | None) -> CapabilityStatus | None:
    return None if last is None or last.unreadable else capability_status(last.value)


@dataclass(frozen=True)
class DisabledBinding:
    """A binding that is switched off."""

    binding_id: UUID
    device_id: UUID
    device_name: str


_DISABLED = text("""
    SELECT a.id, d.id AS device_id, d.name, a.measurands
    FROM sensor_actions AS a JOIN devices AS d ON d.id = a.device_id
    WHERE a.depot_id = :depot_id AND a.action = 'UPDATE_MICROGRID_STATE' AND NOT a.enabled
    ORDER BY a.updated_at, a.id
""")


async def disabled_bindings(connection: AsyncConnection, depot_id: UUID) -> dict[Capability, DisabledBinding]:
    """Say which binding would supply each of a depot's capabilities if it were enabled; the last changed of several."""
    return {
        CAPABILITY_MEASURANDS[MeasurandKey(key)]: DisabledBinding(row.id, row.device_id, row.name)
        for row in await connection.execute(_DISABLED, {"depot_id": depot_id})
        for key in row.measurands
    }


_DEPOT_OF_MICROGRID = text("SELECT depot_id FROM microgrids WHERE id = :microgrid_id AND retired_at IS NULL")
_SITE = text("""
    SELECT p.id AS depot_id, m.id AS microgrid_id
    FROM depots AS p LEFT JOIN microgrids AS m ON m.depot_id = p.id AND m.retired_at IS NULL WHERE p.id = :depot_id
""")
_DEVICE = text("""
    SELECT d.id, d.depot_id, d.name, d.controller, a.id AS bound_by
    FROM devices AS d
    LEFT JOIN sensor_actions AS a ON a.device_id = d.id AND a.action = 'UPDATE_MICROGRID_STATE'
    WHERE d.id = :device_id
""")
_IS_GATEWAY = text("SELECT EXISTS (SELECT FROM gateways WHERE id = :device_id)")
_OWNERS = text("""
    SELECT o.capability, a.id, d.id AS device_id, d.name
    FROM capability_owners AS o
    JOIN sensor_actions AS a ON a.id = o.sensor_action_id
    JOIN devices AS d ON d.id = a.device_id
    WHERE o.depot_id = :depot_id
""")


async def _depot_of(connection: AsyncConnection, draft: BindingDraft) -> UUID | None:
    """Find the depot that a draft is about, whether it exists or not. It never changes, so no lock is needed."""
    if draft.microgrid_id is None:
        return draft.depot_id
    return (await connection.execute(_DEPOT_OF_MICROGRID, {"microgrid_id": draft.microgrid_id})).scalar_one_or_none()


async def _know(connection: AsyncConnection, draft: BindingDraft) -> BindingContext:
    depot_id = await _depot_of(connection, draft)
    site = (await connection.execute(_SITE, {"depot_id": depot_id})).one_or_none()
    device, is_gateway = None, False
    if draft.device_id is not None:
        row = (await connection.execute(_DEVICE, {"device_id": draft.device_id})).one_or_none()
        if row is None:
            is_gateway = (await connection.execute(_IS_GATEWAY, {"device_id": draft.device_id})).scalar_one()
        else:
            report = (await read_reports(connection, (row.id,))).get(row.id)
            sends = None if report is None else frozenset(report.values)
            device = KnownDevice(row.id, row.depot_id, row.name, row.controller, row.bound_by, sends)
    owners = {
        Capability(row.capability): CapabilityOwner(row.id, row.device_id, row.name)
        for row in await connection.execute(_OWNERS, {"depot_id": depot_id})
    }
    return BindingContext(
        None if site is None else site.depot_id, None if site is None else site.microgrid_id, device, is_gateway, owners
    )


def _before(record: BindingRecord) -> BindingBefore:
    return BindingBefore(record.binding_id, record.depot_id, record.microgrid_id, record.version, record.form())


async def validate_binding_draft(
    connection: AsyncConnection, document: Mapping[str, Any], tables: ControllerTables, binding_id: UUID | None
) -> DraftValidation:
    """Say what a new binding, or a change of ``binding_id``, would do, and what is wrong with it. Nothing is stored.

    Raises:
        Problem: ``BINDING_NOT_FOUND``.

    """
    before = None if binding_id is None else _before(await read_binding(connection, binding_id))
    draft = read_draft(document, before)
    found = validate_draft(draft, await _know(connection, draft), tables)
    version = None if before is None else given_version(document)
    if before is not None and version is not None and version != before.version:
        reason = f"The binding has changed since version {version} was read; it is version {before.version} now."
        conflict = Violation("/version", BindingCode.VERSION_CONFLICT, reason)
        return replace(found, form=None, violations=(conflict, *found.violations))
    return found


def _invalid(found: DraftValidation, site: BindingContext) -> Problem:
    codes = {violation.code.value for violation in found.violations}
    context: dict[str, Any] = {}
    if BindingCode.CAPABILITY_OWNED in codes:
        context["owners"] = [_owner(name, each) for name, each in site.owners.items()]
    if BindingCode.ALREADY_BOUND in codes and site.device is not None:
        context["binding_id"] = site.device.bound_by
    return Problem(
        ProblemCode.INVALID_CONTROLLER_BINDING,
        "The controller binding cannot be like this; `errors` says everything that is wrong.",
        violations=found.violations,
        context=context or None,
    )


def _owner(capability: Capability, owner: CapabilityOwner) -> dict[str, Any]:
    return {
        "capability": capability,
        "binding_id": owner.binding_id,
        "device_id": owner.device_id,
        "device_name": owner.device_name,
    }


def _action_form(form: BindingForm) -> SensorActionForm:
    return SensorActionForm(SensorAction(SensorActionKind.UPDATE_MICROGRID_STATE, form.measurands), form.enabled)


async def create_binding(
    connection: AsyncConnection, actor: Actor, document: Mapping[str, Any], tables: ControllerTables
) -> BindingRecord:
    """Bind a device to a microgrid, from ``{microgrid_id | depot_id, device_id, capabilities, enabled}``.

    Raises:
        Problem: ``INVALID_CONTROLLER_BINDING``.

    """
    draft = read_draft(document)
    depot_id = await _depot_of(connection, draft)
    if depot_id is None or (await connection.execute(_SITE, {"depot_id": depot_id})).first() is None:
        site = await _know(connection, draft)
        raise _invalid(validate_draft(draft, site, tables), site)
    async with configuration_change(connection, actor, depot_id) as change:
        form = await _valid_form(connection, draft, tables)
        made = await add_action(change, form.device_id, _action_form(form))
        return await read_binding(connection, made.sensor_action_id)


async def _valid_form(connection: AsyncConnection, draft: BindingDraft, tables: ControllerTables) -> BindingForm:
    """Say what a draft makes of the site as it is now.

    Raises:
        Problem: ``INVALID_CONTROLLER_BINDING``.

    """
    site = await _know(connection, draft)
    found = validate_draft(draft, site, tables)
    if found.form is None:
        raise _invalid(found, site)
    return found.form


@asynccontextmanager
async def _change_of(
    connection: AsyncConnection, actor: Actor, binding_id: UUID, expected: Versions
) -> AsyncGenerator[tuple[ConfigurationChange, BindingRecord]]:
    """Change or delete a binding, if it still has a version that is ``expected``.

    Raises:
        Problem: ``BINDING_NOT_FOUND`` or ``VERSION_CONFLICT``.

    """
    async with change_in_depot_of(connection, actor, read_binding, binding_id) as (change, before):
        await check_version(
            connection,
            before,
            "binding",
            binding_id,
            expected,
            current=_current(before),
            journal="sensor action",
            describe=seen_from_microgrid,
        )
        yield change, before


def _current(record: BindingRecord) -> dict[str, Any]:
    return {
        "binding_id": record.binding_id,
        "device_id": record.device_id,
        "device_name": record.device_name,
        "capabilities": list(record.form().capabilities),
        "enabled": record.enabled,
        "version": record.version,
        "updated_at": record.updated_at,
        "updated_by": record.updated_by,
    }


async def update_binding(
    connection: AsyncConnection,
    actor: Actor,
    binding_id: UUID,
    document: Mapping[str, Any],
    tables: ControllerTables,
    expected: Versions = None,
) -> BindingRecord:
    """Change device, capabilities and ``enabled``; what is left out stays.

    Another device takes over with everything the binding owns, in one step: no packet finds it without an owner, or
    with two. What changes nothing leaves the version alone.

    Raises:
        Problem: ``BINDING_NOT_FOUND``, ``VERSION_CONFLICT`` or ``INVALID_CONTROLLER_BINDING``.

    """
    expected = also(expected, given_version(document))
    async with _change_of(connection, actor, binding_id, expected) as (change, before):
        form = await _valid_form(connection, read_draft(document, _before(before)), tables)
        return await _store(change, before, form)


async def disable_binding(
    connection: AsyncConnection, actor: Actor, binding_id: UUID, expected: Versions = None
) -> BindingRecord:
    """Let the device supply nothing any more. It is never refused for what the site has become.

    Raises:
        Problem: ``BINDING_NOT_FOUND`` or ``VERSION_CONFLICT``.

    """
    async with _change_of(connection, actor, binding_id, expected) as (change, before):
        return await _store(change, before, replace(before.form(), enabled=False))


async def delete_binding(
    connection: AsyncConnection, actor: Actor, binding_id: UUID, expected: Versions = None
) -> None:
    """Delete a binding. What it supplied stays in the history.

    Raises:
        Problem: ``BINDING_NOT_FOUND`` or ``VERSION_CONFLICT``.

    """
    async with _change_of(connection, actor, binding_id, expected) as (change, _):
        await remove_action(change, await read_sensor_action(connection, binding_id))


async def _store(change: ConfigurationChange, before: BindingRecord, form: BindingForm) -> BindingRecord:
    if form == before.form():
        return before
    action = await read_sensor_action(change.connection, before.binding_id)
    moved = None if form.device_id == before.device_id else form.device_id
    await change_action(change, action, _action_form(form), moved)
    return await read_binding(change.connection, before.binding_id)
