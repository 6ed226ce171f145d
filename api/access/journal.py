"""The journal: who did what to what, when and from where, with before and after."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field

from api.base.dependencies import ActorDep, EngineDep, ScopeDep
from api.base.problems import problem_responses
from api.base.types import Cursor, Limit, Moment, OfDepot, Text, cut_page, decode_cursor
from domain.access.journal import spreadsheet_safe
from domain.base.problems import ProblemCode
from store.access.journal import JournalEntry, JournalFilter, journal_parts, read_journal
from store.base.changes import record_change
from store.base.database import snapshot, transaction

router = APIRouter(prefix="/api/journal", tags=["journal"])

NDJSON = "application/x-ndjson"
CSV = "text/csv"
_LONGEST = 1_000
"""Characters of an actor's name or of a kind."""


class JournalFormat(StrEnum):
    """As what the journal is answered."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


class JournalEntryDocument(BaseModel):
    """One entry of the journal."""

    entry_id: int = Field(description="Greater for what was recorded later in one depot.")
    at: datetime = Field(description="When it was done.")
    actor: str = Field(description="Who did it, by the name of then.")
    kind: str = Field(description="What was done.", examples=["CIRCUIT_CHANGED"])
    depot_id: UUID | None = Field(description="Null: it concerns no single depot.")
    depot_name: str | None = Field(description="As the depot is called now; null: there is none.")
    subject_id: UUID | None = Field(description="To what it was done; null: to nothing that has an id.")
    detail: dict[str, Any] = Field(
        description="Of a change `[before, after]` by field; otherwise what there is to tell."
    )
    request_id: str | None = Field(description="The `X-Request-ID` of its request; null: no request did it.")
    client: str | None = Field(description="The network address that the request came from.")

    @staticmethod
    def of(entry: JournalEntry) -> JournalEntryDocument:
        """The entry as the store has it."""
        return JournalEntryDocument.model_validate(entry, from_attributes=True)


class JournalPage(BaseModel):
    """Entries, the last first."""

    items: list[JournalEntryDocument]
    next_cursor: str | None


@router.get(
    "",
    response_model=JournalPage,
    responses={
        200: {"content": {NDJSON: {"schema": {"type": "string"}}, CSV: {"schema": {"type": "string"}}}},
        **problem_responses(ProblemCode.INVALID_CURSOR),
    },
)
async def list_all(
    engine: EngineDep,
    scope: ScopeDep,
    actor: ActorDep,
    depot_id: OfDepot = None,
    person: Annotated[Text | None, Query(max_length=_LONGEST, description="By this actor alone.")] = None,
    kind: Annotated[Text | None, Query(max_length=_LONGEST, description="Of this kind alone.")] = None,
    since: Annotated[Moment | None, Query(description="From this time on.")] = None,
    until: Annotated[Moment | None, Query(description="Before this time.")] = None,
    answer: Annotated[
        JournalFormat,
        Query(alias="format", description="`ndjson` and `csv`: all entries; cursor and limit say nothing."),
    ] = JournalFormat.JSON,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Read the journal, the last entry first. Reading all of it at once is itself recorded."""
    wanted = JournalFilter(depot_id, person, kind, since, until)
    if answer is JournalFormat.JSON:
        key = decode_cursor(cursor, tuple[int])
        async with snapshot(engine) as connection:
            found = await read_journal(connection, scope, wanted, before=key[0] if key else None, limit=limit + 1)
        items, more = cut_page(found, limit, lambda entry: entry.entry_id)
        page = JournalPage(items=[JournalEntryDocument.of(entry) for entry in items], next_cursor=more)
        return JSONResponse(page.model_dump(mode="json"))
    if not scope.is_empty and (depot_id is None or scope.holds(depot_id)):
        async with transaction(engine, actor) as connection:
            detail = {"format": answer.value, **wanted.as_detail()}
            await record_change(connection, actor, "JOURNAL_EXPORTED", depot_id=depot_id, detail=detail)
    parts = journal_parts(engine, scope, wanted)
    as_csv = answer is JournalFormat.CSV
    return StreamingResponse(
        _as_csv(parts) if as_csv else _as_lines(parts),
        media_type=CSV if as_csv else NDJSON,
        headers={"Content-Disposition": f'attachment; filename="journal.{answer}"'},
    )


async def _as_lines(parts: AsyncIterator[list[JournalEntry]]) -> AsyncIterator[str]:
    async for part in parts:
        yield "".join(f"{JournalEntryDocument.of(entry).model_dump_json()}\n" for entry in part)


async def _as_csv(parts: AsyncIterator[list[JournalEntry]]) -> AsyncIterator[str]:
    yield _rows([list(JournalEntryDocument.model_fields)])
    async for part in parts:
        yield _rows([_cells(JournalEntryDocument.of(entry)) for entry in part])


def _cells(entry: JournalEntryDocument) -> list[str]:
    values = entry.model_dump(mode="json") | {"detail": json.dumps(entry.detail, ensure_ascii=False)}
    return ["" if value is None else spreadsheet_safe(str(value)) for value in values.values()]


def _rows(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
