"""Exports: readings, histories and remediations as files of CSV or Parquet."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.dependencies import ActorDep, EngineDep, ExportLimitDep, ScopeDep
from api.base.problems import problem_responses, refuse_other_methods
from api.base.types import Moment, OfDepot
from domain.access.principals import DepotScope
from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from domain.history.exports import CSV_ALONE, MOST_ROWS, ExportFormat, ExportKind, ExportSelection
from domain.site.measurands import MeasurandKey
from store.base.changes import record_change
from store.base.database import clock, snapshot, transaction
from store.history.exports import columns_of, write_csv
from store.history.parquet import can_write_parquet, write_parquet

router = APIRouter(prefix="/api/exports", tags=["exports"])

DEFAULT_SPAN = timedelta(days=1)
MEDIA_TYPES = {ExportFormat.CSV: "text/csv", ExportFormat.PARQUET: "application/vnd.apache.parquet"}
_PIECE = 262_144
_MOST_NAMED = 500

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file. Times are in UTC and say so; the header of a column has the unit of its numbers.",
        "content": {
            MEDIA_TYPES[ExportFormat.CSV]: {"schema": {"type": "string"}},
            MEDIA_TYPES[ExportFormat.PARQUET]: {"schema": {"type": "string", "format": "binary"}},
        },
    },
    **problem_responses(
        ProblemCode.DEPOT_NOT_FOUND,
        ProblemCode.DEVICE_NOT_FOUND,
        ProblemCode.INVALID_REQUEST,
        ProblemCode.EXPORT_TOO_LARGE,
        ProblemCode.TOO_MANY_EXPORTS,
        ProblemCode.PARQUET_NOT_INSTALLED,
    ),
}
_FormatOf = Annotated[ExportFormat, Query(alias="format", description="The format of the file.")]
_Since = Annotated[Moment | None, Query(description="From then on; a day before `until`.")]
_Until = Annotated[Moment | None, Query(description="Before then; now.")]
_Devices = Annotated[list[UUID] | None, Query(alias="device_id", max_length=_MOST_NAMED, description="Of these alone.")]


class Exporter:
    """Makes the file of one request, and answers with it."""

    def __init__(self, engine: AsyncEngine, scope: DepotScope, actor: Actor, folder: Path) -> None:
        """Take for whom it is made, and where it is put."""
        self._engine = engine
        self._scope = scope
        self._actor = actor
        self._folder = folder

    async def answer(
        self, kind: ExportKind, answer: ExportFormat, since: Moment | None, until: Moment | None,
        depot_id: UUID | None, devices: list[UUID] | None = None, measurands: list[MeasurandKey] | None = None,
    ) -> StreamingResponse:  # fmt: skip
        """Write the whole file before the answer begins: whatever fails is a problem, and never half a file.

        Raises:
            Problem: ``DEPOT_NOT_FOUND``, ``DEVICE_NOT_FOUND``, ``INVALID_REQUEST``, ``EXPORT_TOO_LARGE``,
                ``TOO_MANY_EXPORTS`` or ``PARQUET_NOT_INSTALLED``.

        """
        if answer is ExportFormat.PARQUET and not can_write_parquet():
            raise Problem(ProblemCode.PARQUET_NOT_INSTALLED, CSV_ALONE, "format")
        selection = await self._selection(since, until, depot_id, devices, measurands)
        made = await self._write(kind, selection, answer)
        detail = {"format": answer.value, **selection.as_detail()}
        async with transaction(self._engine, self._actor) as connection:
            await record_change(connection, self._actor, f"{kind.name}_EXPORTED", depot_id=depot_id, detail=detail)
        name = f"{kind.value}-{selection.since:%Y%m%dT%H%M%SZ}-{selection.until:%Y%m%dT%H%M%SZ}.{answer.value}"
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Length": str(made.stat().st_size),
        }
        return StreamingResponse(_pieces(made), media_type=MEDIA_TYPES[answer], headers=headers)

    async def _selection(
        self, since: Moment | None, until: Moment | None, depot_id: UUID | None,
        devices: list[UUID] | None, measurands: list[MeasurandKey] | None,
    ) -> ExportSelection:  # fmt: skip
        if until is None:
            async with snapshot(self._engine) as connection:
                until = await clock(connection)
        since = until - DEFAULT_SPAN if since is None else since
        if since >= until:
            raise Problem(ProblemCode.INVALID_REQUEST, "`since` is before `until`.", "since")
        return ExportSelection(since, until, depot_id, tuple(devices or ()), tuple(measurands or ()))

    async def _write(self, kind: ExportKind, selection: ExportSelection, answer: ExportFormat) -> Path:
        csv = self._folder / "rows.csv"
        as_csv = answer is ExportFormat.CSV
        with csv.open("wb") as file:
            async with snapshot(self._engine) as connection:
                rows = await write_csv(
                    connection, self._scope, kind, selection, file, most=MOST_ROWS, spreadsheet_safe=as_csv
                )
        if rows > MOST_ROWS:
            raise Problem(
                ProblemCode.EXPORT_TOO_LARGE,
                f"There are more than {MOST_ROWS:,} rows, which only a job makes a file of. Or take a shorter window.",
            )
        if as_csv:
            return csv
        parquet = self._folder / "rows.parquet"
        await asyncio.to_thread(write_parquet, csv, parquet, columns_of(kind, selection))
        return parquet


async def _pieces(made: Path) -> AsyncIterator[bytes]:
    with made.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece


async def _exporter(
    engine: EngineDep, scope: ScopeDep, actor: ActorDep, places: ExportLimitDep
) -> AsyncGenerator[Exporter]:
    """What makes one file, which is removed once it was sent, or the connection is gone."""
    async with places.place():
        with tempfile.TemporaryDirectory(prefix="export-") as folder:
            yield Exporter(engine, scope, actor, Path(folder))


_ExporterDep = Annotated[Exporter, Depends(_exporter)]


@router.get("/readings", response_class=StreamingResponse, responses=_ANSWERS)
async def export_readings(
    exporter: _ExporterDep,
    depot_id: OfDepot = None,
    device_id: _Devices = None,
    measurand: Annotated[
        list[MeasurandKey] | None,
        Query(max_length=len(MeasurandKey), description="Columns; all. Rows in which none of them came are left out."),
    ] = None,
    since: _Since = None,
    until: _Until = None,
    answer: _FormatOf = ExportFormat.CSV,
) -> StreamingResponse:
    """Export what devices measured: a row for a device and time of measurement, a column for a measurand."""
    return await exporter.answer(ExportKind.READINGS, answer, since, until, depot_id, device_id, measurand)


@router.get("/capability-history", response_class=StreamingResponse, responses=_ANSWERS)
async def export_capability_history(
    exporter: _ExporterDep,
    depot_id: OfDepot = None,
    device_id: _Devices = None,
    since: _Since = None,
    until: _Until = None,
    answer: _FormatOf = ExportFormat.CSV,
) -> StreamingResponse:
    """Export the statuses of capabilities that were reported, whatever they changed."""
    return await exporter.answer(ExportKind.CAPABILITY_HISTORY, answer, since, until, depot_id, device_id)


@router.get("/capacity-history", response_class=StreamingResponse, responses=_ANSWERS)
async def export_capacity_history(
    exporter: _ExporterDep,
    depot_id: OfDepot = None,
    device_id: _Devices = None,
    since: _Since = None,
    until: _Until = None,
    answer: _FormatOf = ExportFormat.CSV,
) -> StreamingResponse:
    """Export the changes of what circuits may draw; of devices, those of the circuits that they are linked to."""
    return await exporter.answer(ExportKind.CAPACITY_HISTORY, answer, since, until, depot_id, device_id)


@router.get("/remediations", response_class=StreamingResponse, responses=_ANSWERS)
async def export_remediations(
    exporter: _ExporterDep,
    depot_id: OfDepot = None,
    device_id: _Devices = None,
    since: _Since = None,
    until: _Until = None,
    answer: _FormatOf = ExportFormat.CSV,
) -> StreamingResponse:
    """Export the remediations that were open at any time of the window."""
    return await exporter.answer(ExportKind.REMEDIATIONS, answer, since, until, depot_id, device_id)


for _kind in ExportKind:
    refuse_other_methods(
        router, f"/{_kind}", "GET", "An export is read by GET.", name=f"{_kind.name.lower()}_by_another_method"
    )
