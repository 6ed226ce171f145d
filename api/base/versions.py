"""Versions over HTTP: an answer's ``ETag`` is the version of what it shows, ``If-Match`` asks for one (RFC 9110)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Annotated, Any, ParamSpec, Protocol, TypeVar

from fastapi import Header, Response

from domain.base.problems import Problem, ProblemCode
from domain.base.versions import Versions

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="The `ETag` of what was read. Where it has another version by now, the request is refused: "
        "`context.current` tells what holds, `context.changes` who changed which field since, and when. "
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
