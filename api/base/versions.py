"""Versions over HTTP: an answer's ``ETag`` is the version of what it shows, ``If-Match`` asks for one (RFC 9110)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Concatenate, ParamSpec, Protocol, TypeVar

from fastapi import Depends, Header, Response
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.base.dependencies import ActorDep, EngineDep
from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from domain.base.versions import Versions
from store.base.database import transaction

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="The `ETag` of what was read. Where it has another version by now, the request is refused: "
        "`context.current` has the present state, `context.changes` who changed which field since, and when. "
        "Left out, or `*`: whatever version it has.",
        examples=['"3"'],
    ),
]
_ETAG = re.compile(r'(?P<weak>W/)?"(?P<opaque>[\x21\x23-\x7e\x80-\xff]*)"')
_VERSION = re.compile(r"[0-9]{1,18}")
_SHOWN = {
    "description": "The version, for `If-Match`. What is measured does not move it.",
    "schema": {"type": "string"},
    "example": '"3"',
}


class _Versioned(Protocol):
    version: int


ParametersT = ParamSpec("ParametersT")
AnswerT = TypeVar("AnswerT", bound=_Versioned)
StoredT = TypeVar("StoredT")


def etag(version: int) -> str:
    """Write a version as an entity tag."""
    return f'"{version}"'


def expected(if_match: str | None) -> Versions:
    """Read which versions a request was made for.

    Raises:
        Problem: ``INVALID_REQUEST`` for what is no entity tag.

    """
    if if_match is None or if_match.strip() == "*":
        return None
    tags = [_ETAG.fullmatch(each.strip()) for each in if_match.split(",")]
    found: set[int] = set()
    for tag in tags:
        if tag is None:
            reason = "If-Match has entity tags as an answer's ETag had them, with their quotes, or *."
            raise Problem(ProblemCode.INVALID_REQUEST, reason, "If-Match")
        # A weak tag, or one that is no version, is none that an answer ever had: it matches nothing.
        if not tag["weak"] and _VERSION.fullmatch(tag["opaque"]):
            found.add(int(tag["opaque"]))
    return frozenset(found)


@dataclass(frozen=True)
class Edit:
    """A request that changes or deletes something that has a version: who made it, and which version was read."""

    engine: AsyncEngine
    actor: Actor
    if_match: str | None = None

    @property
    def expected(self) -> Versions:
        """The versions that the change was made for.

        Raises:
            Problem: ``INVALID_REQUEST`` for what is no entity tag.

        """
        return expected(self.if_match)

    async def store(
        self,
        change: Callable[Concatenate[AsyncConnection, Actor, ParametersT], Awaitable[StoredT]],
        *args: ParametersT.args,
        **kwargs: ParametersT.kwargs,
    ) -> StoredT:
        """Make a change of the store in a transaction of its own."""
        async with transaction(self.engine, self.actor) as connection:
            return await change(connection, self.actor, *args, **kwargs)


async def _edit(engine: EngineDep, actor: ActorDep, if_match: IfMatch = None) -> Edit:
    return Edit(engine, actor, if_match)


EditDep = Annotated[Edit, Depends(_edit)]


def tagged(
    route: Callable[ParametersT, Awaitable[AnswerT]],
) -> Callable[ParametersT, Awaitable[AnswerT]]:
    """Let a route's answer carry its version as ``ETag``. Who calls the route as a function gets the answer alone."""

    @wraps(route)
    async def answer(*args: ParametersT.args, **kwargs: ParametersT.kwargs) -> AnswerT:
        response = kwargs.pop("tagged_response", None)
        shown = await route(*args, **kwargs)
        if isinstance(response, Response):
            response.headers["ETag"] = etag(shown.version)
        return shown

    signature = inspect.signature(route)
    given = inspect.Parameter("tagged_response", inspect.Parameter.KEYWORD_ONLY, annotation=Response)
    answer.__signature__ = signature.replace(parameters=[*signature.parameters.values(), given])  # pyright: ignore[reportAttributeAccessIssue]
    return answer


def shows_version(status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Declare the ``ETag`` of an answer, for a route's ``responses``."""
    return {status: {"headers": {"ETag": _SHOWN}}}
