"""Live pages: a stream of events that says what has changed, so that a page asks for the parts that show it.

The stream carries no content. A page that hears ``changed`` asks for its parts anew, and so it does after every
(re)connection, which is why nothing is lost by an event that nobody heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse

from api.access.authorization import Permit, PermitDep
from api.base.dependencies import LiveDep, RightsDep
from api.base.streams.live import Kind, Topic
from api.base.streams.rights import PermittedStream

SPACING = 0.3
"""Seconds between two tellings of one page: a burst is one."""
BEAT = 5.0
"""Seconds between two signs of life; a page that hears none for three of them counts the connection as lost."""

router = APIRouter(include_in_schema=False)


@router.get("/live", name="live")
async def stream(
    request: Request,
    hub: LiveDep,
    rights: RightsDep,
    permit: PermitDep,
    topic: Annotated[list[str], Query(max_length=20)],
) -> EventSourceResponse:
    """Tell a page what changes of what it shows: ``hello``, ``changed``, ``away``, ``back``, ``beat``."""
    topics = [await _permitted(Topic.parse(each), permit) for each in topic]

    async def events() -> AsyncGenerator[ServerSentEvent]:
        async with hub.listen(topics) as listener:
            yield ServerSentEvent(event="hello", data=_now())
            was_away = False
            while True:
                away, changed = await listener.news()
                if away != was_away:
                    yield ServerSentEvent(event="away" if away else "back", data=_now())
                    was_away = away
                for kind in sorted({each.kind for each in changed}):
                    yield ServerSentEvent(event="changed", data=kind)
                await asyncio.sleep(SPACING)

    return PermittedStream(
        request,
        rights,
        events(),
        ping=BEAT,
        ping_message_factory=lambda: ServerSentEvent(event="beat", data=_now()),
    )


async def _permitted(topic: Topic, permit: Permit) -> Topic:
    """Narrow what is watched to the depots that may be seen.

    Raises:
        Problem: ``NOT_PERMITTED`` or ``…_NOT_FOUND``.

    """
    if topic.kind in (Kind.BACKFILL, Kind.BACKFILLS, Kind.IMPORT, Kind.IMPORTS):
        permit.check_fleet()
        return topic
    if topic.subject_id is None:
        return replace(topic, scope=permit.scope)
    await permit.check(**{"run_id" if topic.kind is Kind.RUN else "depot_id": topic.subject_id})
    return topic


def _now() -> str:
    return datetime.now(UTC).isoformat()
