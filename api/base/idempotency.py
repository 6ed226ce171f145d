"""Creating something once, however often it is asked for: the ``Idempotency-Key`` of the IETF's draft.

A request that comes again under its key gets the answer that was given; nothing is made a second time. A refused
request leaves no answer, for it changed nothing: under the same key it is tried anew.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request
from pydantic import BaseModel
from pydantic_core import to_json
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.datastructures import FormData

from api.base.limits import open_form
from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from store.base.database import transaction
from store.base.idempotency import forget_response, lock_key, read_response, store_response

T = TypeVar("T", bound=BaseModel)

MAX_KEY_LENGTH = 255
_KEY = r"^[\x21-\x7e]+$"
FIELD = "idempotency_key"
"""The hidden field that has a form's key."""

ONCE = (
    ProblemCode.IDEMPOTENCY_KEY_IN_USE,
    ProblemCode.IDEMPOTENCY_KEY_REUSED,
    ProblemCode.OUTCOME_UNKNOWN,
    ProblemCode.DATABASE_UNAVAILABLE,
    ProblemCode.DATABASE_BUSY,
    ProblemCode.BODY_TOO_SLOW,
    ProblemCode.INVALID_REQUEST,
)
"""What a route that creates may refuse with besides."""


@dataclass(frozen=True)
class Once:
    """A creating request, and the key under which it is answered once."""

    operation: str
    """Method and path."""
    key: str | None
    """None: it is done each time that it is asked for."""
    waits: bool = False
    """Whether to wait for the same request while it is being answered, rather than refuse this one."""

    async def create(
        self,
        engine: AsyncEngine,
        actor: Actor,
        body: object,
        answer: type[T],
        make: Callable[[AsyncConnection], Awaitable[T]],
    ) -> T:
        """Have ``make`` create what ``body`` asks for, in a transaction; or answer what was answered to the same.

        ``body`` is a model or a dataclass.

        Raises:
            Problem: ``IDEMPOTENCY_KEY_IN_USE`` or ``IDEMPOTENCY_KEY_REUSED``, or what ``make`` raises.
            OutcomeUnknownError: it may have been created, or not. To ask again is safe with a key.

        """
        async with transaction(engine, actor) as connection:
            if self.key is None:
                return await make(connection)
            digest = hashlib.sha256(self.operation.encode() + b"\n" + to_json(body)).digest()
            if not await lock_key(connection, actor.name, self.key, waits=self.waits):
                raise Problem(
                    ProblemCode.IDEMPOTENCY_KEY_IN_USE,
                    "A request with this Idempotency-Key is being answered at this moment. Ask again for its answer.",
                )
            kept = await read_response(connection, actor.name, self.key)
            if kept is None:
                made = await make(connection)
                await store_response(connection, actor.name, self.key, digest, made.model_dump_json())
                return made
            if kept.digest != digest:
                raise Problem(
                    ProblemCode.IDEMPOTENCY_KEY_REUSED,
                    "This form was sent before, filled in otherwise. Open it again to send another one."
                    if self.waits
                    else "Another request came with this Idempotency-Key before. A new request takes a new key.",
                )
            return answer.model_validate_json(kept.answer)

    async def forget(self, connection: AsyncConnection, actor: Actor) -> None:
        """Forget the answer, in the transaction that undoes what was created."""
        if self.key is not None:
            await forget_response(connection, actor.name, self.key)


async def _of_header(
    request: Request,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=MAX_KEY_LENGTH,
            pattern=_KEY,
            description="Makes it safe to send the request again: under the same key, for at least 24 hours, the same "
            "request is answered as it was the first time and creates nothing more. A UUID does.",
            examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
        ),
    ] = None,
) -> Once:
    # The draft's header is a structured string, in quotes; many clients leave them out.
    bare = key[1:-1] if key is not None and len(key) > 2 and key[0] == key[-1] == '"' else key
    return Once(_operation(request), bare)


async def _of_form(request: Request) -> Once:
    return _once(request, await open_form(request))


async def _of_upload(request: Request) -> Once:
    return _once(request, await open_form(request, files=1))


def _once(request: Request, form: FormData) -> Once:
    key = str(form.get(FIELD, ""))
    # Each form has a key of its own; one that was tampered with counts as none.
    is_key = len(key) <= MAX_KEY_LENGTH and re.fullmatch(_KEY, key) is not None
    return Once(_operation(request), key if is_key else None, waits=True)


def _operation(request: Request) -> str:
    return f"{request.method} {request.scope['path']}"


OnceDep = Annotated[Once, Depends(_of_header)]
"""A route's request, by the header's key."""
FormOnceDep = Annotated[Once, Depends(_of_form)]
"""A form's, by the key in it. A form that is sent twice waits for itself: both get the answer."""
UploadOnceDep = Annotated[Once, Depends(_of_upload)]
"""The same of a form with a file."""
