"""Saved views of the list of depots: each is its person's alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, false, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.access.api_tokens import Owner
from domain.access.saved_views import MOST_VIEWS, SavedViewRecord
from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from domain.base.versions import Versions
from store.base.changes import differences, record_change
from store.site.tables import saved_views

_C = saved_views.c
_FIELDS = ("name", "filters")


def _views(owner: Owner) -> Select[*tuple[Any, ...]]:
    query = select(_C.id, _C.name, _C.filters, _C.version, _C.created_at, _C.updated_at)
    return query.where(_of(owner)).order_by(func.natural_key(_C.name), _C.id)


def _of(owner: Owner) -> ColumnElement[bool]:
    if owner.is_local:
        return _C.owner_id.is_(None)
    return false() if owner.person_id is None else _C.owner_id == owner.person_id


async def list_views(connection: AsyncConnection, owner: Owner) -> list[SavedViewRecord]:
    """List all views of a person by name, as people count."""
    return [SavedViewRecord(*row) for row in await connection.execute(_views(owner))]


async def read_view(connection: AsyncConnection, view_id: UUID, owner: Owner) -> SavedViewRecord:
    """Read a view of a person.

    Raises:
        Problem: ``VIEW_NOT_FOUND``.

    """
    row = (await connection.execute(_views(owner).where(_C.id == view_id))).one_or_none()
    if row is None:
        raise Problem(ProblemCode.VIEW_NOT_FOUND, f"There is no saved view {view_id}.")
    return SavedViewRecord(*row)


async def save_view(
    connection: AsyncConnection,
    actor: Actor,
    owner: Owner,
    name: str,
    filters: Mapping[str, Any],
    *,
    replaces: int | None = None,
) -> SavedViewRecord:
    """Save a view under a name, in place of the one of this name where it has the version ``replaces``.

    Raises:
        Problem: ``VIEW_NAME_TAKEN`` or ``TOO_MANY_VIEWS``.

    """
    await _lock(connection)
    taken = await _named(connection, owner, name)
    if taken is not None:
        if taken.version != replaces:
            raise _taken(taken)
        return await _change(connection, actor, owner, taken, {"name": name, "filters": dict(filters)})
    count = (await connection.execute(select(func.count()).select_from(saved_views).where(_of(owner)))).scalar_one()
    if count >= MOST_VIEWS:
        raise Problem(ProblemCode.TOO_MANY_VIEWS, f"You have {count} saved views. Delete one that is not used.")
    row = insert(saved_views).values(owner_id=owner.person_id, name=name, filters=dict(filters))
    view_id = (await connection.execute(row.returning(_C.id))).scalar_one()
    made = await read_view(connection, view_id, owner)
    detail = differences(None, made, _FIELDS)
    await record_change(connection, actor, "SAVED_VIEW_CREATED", subject_id=view_id, detail=detail)
    return made


async def update_view(
    connection: AsyncConnection,
    actor: Actor,
    owner: Owner,
    view_id: UUID,
    changes: Mapping[str, Any],
    expected: Versions = None,
) -> SavedViewRecord:
    """Change the name or the filters of a view.

    Raises:
        Problem: ``VIEW_NOT_FOUND``, ``VERSION_CONFLICT`` or ``VIEW_NAME_TAKEN``.

    """
    await _lock(connection)
    record = await read_view(connection, view_id, owner)
    _check_version(record, expected)
    if "name" in changes:
        taken = await _named(connection, owner, changes["name"])
        if taken is not None and taken.view_id != view_id:
            raise _taken(taken)
    return await _change(connection, actor, owner, record, changes)


async def delete_view(
    connection: AsyncConnection, actor: Actor, owner: Owner, view_id: UUID, expected: Versions = None
) -> None:
    """Delete a view.

    Raises:
        Problem: ``VIEW_NOT_FOUND`` or ``VERSION_CONFLICT``.

    """
    await _lock(connection)
    record = await read_view(connection, view_id, owner)
    _check_version(record, expected)
    await connection.execute(delete(saved_views).where(_C.id == view_id))
    detail = differences(record, None, _FIELDS)
    await record_change(connection, actor, "SAVED_VIEW_DELETED", subject_id=view_id, detail=detail)


async def _lock(connection: AsyncConnection) -> None:
    # Two tabs must not both take the last place, or one name. It is held for a few statements, and never by readers.
    await connection.execute(text("LOCK TABLE saved_views IN SHARE ROW EXCLUSIVE MODE"))


async def _named(connection: AsyncConnection, owner: Owner, name: str) -> SavedViewRecord | None:
    row = (await connection.execute(_views(owner).where(func.lower(_C.name) == func.lower(name)))).one_or_none()
    return None if row is None else SavedViewRecord(*row)


async def _change(
    connection: AsyncConnection, actor: Actor, owner: Owner, record: SavedViewRecord, changes: Mapping[str, Any]
) -> SavedViewRecord:
    if all(getattr(record, name) == value for name, value in changes.items()):
        return record
    values = {**changes, "version": record.version + 1, "updated_at": func.now()}
    await connection.execute(update(saved_views).where(_C.id == record.view_id).values(values))
    changed = await read_view(connection, record.view_id, owner)
    detail = differences(record, changed, _FIELDS)
    await record_change(connection, actor, "SAVED_VIEW_CHANGED", subject_id=record.view_id, detail=detail)
    return changed


def _check_version(record: SavedViewRecord, expected: Versions) -> None:
    if expected is not None and record.version not in expected:
        raise Problem(
            ProblemCode.VERSION_CONFLICT,
            f"The view has changed since it was read; it is version {record.version} now. Look at it, then change it "
            "again.",
            "version",
            context={"current": _shown(record), "changes": []},
        )


def _taken(record: SavedViewRecord) -> Problem:
    return Problem(
        ProblemCode.VIEW_NAME_TAKEN,
        f'You have a view "{record.name}" already.',
        "name",
        context={"current": _shown(record)},
    )


def _shown(record: SavedViewRecord) -> dict[str, Any]:
    return {"view_id": str(record.view_id), "name": record.name, "filters": record.filters, "version": record.version}
