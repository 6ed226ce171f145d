"""Every refusal as an RFC 9457 problem with a stable code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.base.access import SAFE_METHODS
from api.base.dependencies import resources_of
from api.base.methods import allowed_methods
from domain.base.problems import Problem, ProblemCode, problem_title, problem_type
from domain.base.violations import Violation, field_path
from store.base.database import (
    AWAY,
    CALLER,
    FAILURES,
    OutcomeUnknownError,
    is_busy,
    is_retryable_conflict,
    is_unavailable,
    misses_schema,
    took_too_long,
)
from store.base.origin import current_origin
from store.schema_version import is_migrated

_log = structlog.get_logger("api")

MEDIA_TYPE = "application/problem+json"
_SCHEMA = "Problem"
_AFTER_TOO_LONG = 60
"""Seconds until what took the database too long is worth asking for again."""
_EVERY_METHOD = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


class FieldProblem(BaseModel):
    """What is wrong with one field of the request."""

    field: str = Field(description="Where: a path into the body, or the name of a parameter.")
    detail: str
    code: str | None = Field(default=None, description="Which rule it breaks, where the rules have codes.")

    @staticmethod
    def of(violation: Violation) -> FieldProblem:
        """The same of a rule's violation."""
        return FieldProblem(field=field_path(violation.pointer), detail=violation.reason, code=violation.code)


class ProblemDocument(BaseModel):
    """An RFC 9457 problem. Programs read `code`; people read `detail`."""

    type: str = Field(description="Where the API says what `code` means and what to do, relative to its own address.")
    title: str
    status: int
    detail: str
    code: ProblemCode
    errors: list[FieldProblem] = Field(default=[], description="Every field that is wrong, where fields are.")
    context: dict[str, Any] | None = Field(default=None, description="The state that stands in the way.")
    request_id: str = Field(
        default="", description="The `X-Request-ID` of the refused request, by which the log has its lines."
    )


def problem_responses(*codes: ProblemCode) -> dict[int | str, dict[str, Any]]:
    """Declare the refusals of a route, for its ``responses``."""
    by_status: dict[HTTPStatus, list[ProblemCode]] = {}
    for code in codes:
        by_status.setdefault(code.status, []).append(code)
    return {
        int(status): {
            "description": " or ".join(f"`{code}`" for code in grouped),
            "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{_SCHEMA}"}}},
        }
        for status, grouped in by_status.items()
    }


def conflict_responses() -> dict[int | str, dict[str, Any]]:
    """Declare the refusal of a change that was made for another version, for a route's ``responses``."""
    declared = problem_responses(ProblemCode.VERSION_CONFLICT)
    return {int(HTTPStatus.PRECONDITION_FAILED): declared[int(ProblemCode.VERSION_CONFLICT.status)]}


COMMON = problem_responses(
    ProblemCode.INVALID_REQUEST,
    ProblemCode.SIGN_IN_REQUIRED,
    ProblemCode.TOKEN_REFUSED,
    ProblemCode.TOO_MANY_FAILED_PROOFS,
    ProblemCode.ACCESS_REFUSED,
    ProblemCode.NOT_PERMITTED,
    ProblemCode.CROSS_SITE_REFUSED,
    ProblemCode.OTHER_PERSON_SIGNED_IN,
    ProblemCode.DATABASE_UNAVAILABLE,
    ProblemCode.DATABASE_BUSY,
    ProblemCode.DATABASE_NOT_MIGRATED,
    ProblemCode.OUTCOME_UNKNOWN,
    ProblemCode.INTERNAL_ERROR,
)
"""What any route may refuse with."""
OF_BODIES = problem_responses(
    ProblemCode.BODY_TOO_LARGE, ProblemCode.BODY_TOO_SLOW, ProblemCode.UNSUPPORTED_CONTENT_ENCODING
)
"""What any route that takes a body may refuse with."""


def problem_response(
    code: ProblemCode,
    detail: str,
    errors: Sequence[FieldProblem] = (),
    context: Mapping[str, Any] | None = None,
    status: HTTPStatus | None = None,
    retry_after: int = 1,
) -> JSONResponse:
    """Answer with a problem; with the status of its code, unless another is given.

    ``retry_after`` is in seconds, and told where trying again may help.
    """
    status = status or code.status
    document = ProblemDocument(
        type=problem_type(code),
        title=problem_title(code),
        status=status,
        detail=detail,
        code=code,
        errors=list(errors),
        context=None if context is None else dict(context),
        request_id=current_origin().request_id,
    )
    again = status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)
    headers = {"Retry-After": str(retry_after)} if again else None
    if status == HTTPStatus.UNAUTHORIZED:
        # As RFC 6750 has it: whoever sent no token is not told that one is wrong.
        refused = ', error="invalid_token"' if code is ProblemCode.TOKEN_REFUSED else ""
        headers = {"WWW-Authenticate": f'Bearer realm="manage"{refused}'}
    left_out = {"context"} if context is None else None
    return JSONResponse(document.model_dump(mode="json", exclude=left_out), status, headers, MEDIA_TYPE)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    resources_of(request.app).acts.note_problem(request, error.code)
    # RFC 9110 has a status of its own for what If-Match did not find.
    asked = error.code is ProblemCode.VERSION_CONFLICT and request.headers.get("if-match", "*").strip() != "*"
    status = HTTPStatus.PRECONDITION_FAILED if asked else None
    errors = [] if error.field is None else [FieldProblem(field=error.field, detail=error.detail)]
    errors += [FieldProblem.of(violation) for violation in error.violations]
    return problem_response(error.code, error.detail, errors, error.context, status, error.retry_after)


async def _on_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_response(
        ProblemCode.INVALID_REQUEST,
        "The request does not have the documented form; `errors` says where.",
        [_field_problem(each) for each in error.errors()],
    )


def _field_problem(error: Mapping[str, Any]) -> FieldProblem:
    kind, where = error["type"], error["loc"]
    if kind == "json_invalid":
        # Its place is a position in the body, no field; what is wrong is in its context.
        return FieldProblem(field=str(where[0]), detail=error["ctx"]["error"])
    return FieldProblem(
        field=".".join(map(str, where[1:])) or str(where[0]),
        detail=error["msg"],
        # Rules of the product's own have codes; pydantic's kinds of errors are no names of ours.
        code=kind if kind.isupper() else None,
    )


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {
        HTTPStatus.NOT_FOUND: ProblemCode.ROUTE_NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED: ProblemCode.METHOD_NOT_ALLOWED,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ProblemCode.BODY_TOO_LARGE,
        HTTPStatus.REQUEST_TIMEOUT: ProblemCode.BODY_TOO_SLOW,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ProblemCode.UNSUPPORTED_CONTENT_ENCODING,
    }
    code = codes.get(HTTPStatus(error.status_code), ProblemCode.INVALID_REQUEST)
    response = problem_response(code, str(error.detail))
    response.headers.update(error.headers or {})
    if code is ProblemCode.METHOD_NOT_ALLOWED:
        # The framework names the methods of one route; others may share its path.
        response.headers["Allow"] = allowed_methods(request)
    return response


async def _on_database(request: Request, error: Exception) -> Response:
    if isinstance(error, OutcomeUnknownError):
        _log.warning("commit not answered", path=request.scope["path"], error=str(error))
        return problem_response(
            ProblemCode.OUTCOME_UNKNOWN,
            "The connection to the database was lost while the change was being stored: it may or may not be stored. "
            "Check before you ask again; a request with an Idempotency-Key can be sent again as it was.",
        )
    if took_too_long(error):
        _log.warning("statement too slow", path=request.scope["path"], error=str(error))
        return problem_response(
            ProblemCode.DATABASE_BUSY,
            f"The database took longer than the {CALLER.statement:.0f} seconds that it has for this, and stopped. "
            + (
                "Ask for less at a time, as for fewer depots or a shorter time, or again later."
                if request.method in SAFE_METHODS
                else "Nothing was changed; try again later."
            ),
            retry_after=_AFTER_TOO_LONG,
        )
    if is_busy(error) or is_retryable_conflict(error):
        _log.warning("database busy", path=request.scope["path"], error=str(error))
        return problem_response(
            ProblemCode.DATABASE_BUSY,
            "The database is busy: others change the same thing, or use all connections. Nothing was changed; "
            "try again.",
        )
    if is_unavailable(error):
        _log.warning("database away", path=request.scope["path"], error=str(error))
        return problem_response(
            ProblemCode.DATABASE_UNAVAILABLE, "The database cannot be reached. Nothing was changed; try again."
        )
    if misses_schema(error) and await _is_behind(request):
        _log.error("database not migrated", path=request.scope["path"], error=str(error))
        return problem_response(
            ProblemCode.DATABASE_NOT_MIGRATED,
            "The database lacks a migration that this version needs. Nothing was changed. Run `python -m cli.migrate` "
            "in the folder of the product, then try again.",
        )
    return await _on_any(request, error)


async def _is_behind(request: Request) -> bool:
    """Whether the schema is older than this version needs; only asked where a statement has failed for it."""
    try:
        async with resources_of(request.app).health_engine.connect() as connection:
            return not await is_migrated(connection)
    except FAILURES:
        return False


async def _on_gone(_: Request, __: Exception) -> Response:
    return problem_response(ProblemCode.INVALID_REQUEST, "The body ended before all of it was there.")


async def _on_any(request: Request, error: Exception) -> Response:
    _log.error("unexpected error", path=request.scope["path"], exc_info=error)
    return problem_response(ProblemCode.INTERNAL_ERROR, "Something unexpected went wrong; the log has the details.")


_Handler = Callable[[Request, Exception], Awaitable[Response]]

_HANDLERS: tuple[tuple[type[Exception], _Handler], ...] = (
    (Problem, _on_problem),
    (RequestValidationError, _on_invalid),
    (HTTPException, _on_http),
    (ClientDisconnect, _on_gone),
    *((kind, _on_database) for kind in (DBAPIError, PoolTimeoutError, *AWAY)),
    (Exception, _on_any),
)
"""What answers to which error; the first that fits."""


async def answer_error(request: Request, error: Exception) -> Response:
    """Answer to ``error`` as the application does, for what stands before its routes."""
    handlers: Mapping[Any, _Handler] = request.app.exception_handlers
    handler = next(handlers[kind] for kind, _ in _HANDLERS if isinstance(error, kind))
    return await handler(request, error)


def problem_schemas() -> dict[str, Any]:
    """The schemas of a refusal, for the OpenAPI document."""
    document = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**document.pop("$defs"), _SCHEMA: document}


def install_problems(app: FastAPI) -> None:
    """Make every error of ``app`` a problem."""
    for kind, handler in _HANDLERS:
        app.add_exception_handler(kind, handler)


def refuse_other_methods(router: APIRouter, path: str, method: str, detail: str, *, name: str) -> None:
    """Refuse whatever is not ``method``, so that the last part of ``path`` is never taken for an id.

    ``name`` is that of the route, which has a permission as each route has.
    """

    async def refuse() -> Response:
        refusal = problem_response(ProblemCode.METHOD_NOT_ALLOWED, detail)
        refusal.headers["Allow"] = "HEAD, GET" if method == "GET" else method
        return refusal

    others = [each for each in _EVERY_METHOD if each != method]
    router.add_api_route(path, refuse, methods=others, name=name, include_in_schema=False)
