"""JSON bodies, read as packets are: what the product stores is what was validated.

The framework's own reader takes the last of two equal keys, and ``1e-400`` for 0. Here such a value is a mark (see
``domain.base.strict_json``), which the body's types refuse.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from domain.base.strict_json import BrokenJsonError, RepeatedKeys, decode_json, repeated_key


class _StrictRequest(Request):
    async def json(self) -> Any:
        """The body.

        Raises:
            JSONDecodeError: it is no JSON in UTF-8, or nested too deep; the framework answers to this alone.

        """
        try:
            return decode_json(await self.body())
        except BrokenJsonError as error:
            raise json.JSONDecodeError(error.reason, "", 0) from None


class StrictRoute(APIRoute):
    """A route whose JSON body is read strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Read the body before the framework does."""
        handle = super().get_route_handler()

        async def read_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return read_strictly


def once_each(value: Any) -> Any:
    """Return an object as it is.

    Raises:
        PydanticCustomError: ``REPEATED_KEY``.

    """
    if isinstance(value, RepeatedKeys):
        raise PydanticCustomError("REPEATED_KEY", "{reason}", {"reason": repeated_key("").reason})
    return value


Document = Annotated[dict[str, Any], BeforeValidator(once_each)]
"""A body that the domain validates as a whole."""
