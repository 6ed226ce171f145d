"""Refusals as pages: what the API says as a problem document, a person gets as a page, or as a notice in one."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import cast
from urllib.parse import urlencode

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from api.base.access import SAFE_METHODS, principal_of
from api.base.dependencies import resources_of
from api.base.problems import MEDIA_TYPE, ProblemDocument
from api.ui.base.assets import FETCH, missing_assets
from api.ui.base.rendering import is_htmx, render
from domain.base.problems import ProblemCode, problem_type

_NOT_PAGES = ("/api/", "/live", "/static/")

_Handler = Callable[[Request, Exception], Awaitable[Response]]

_DETAILS = {
    "ROUTE_NOT_FOUND": "Nothing is at this address. It may be mistyped.",
    "PAGES_UNAVAILABLE": "Files that the pages load were not fetched. Run this in the folder of the product, then load "
    "the page again. The API works meanwhile.",
    "OUTCOME_UNKNOWN": "The connection to the database was lost while this was being stored: it may or may not be "
    "stored. Check before you send it again; a form that adds something can be sent again as it is, and adds it once.",
}
"""What is said to a person where that is not what is said to a program."""


def install_problem_pages(app: FastAPI) -> None:
    """Show every refusal of ``app`` as a page where a browser asks for one. To be called after the handlers are in."""
    for kind, handler in list(app.exception_handlers.items()):
        if inspect.iscoroutinefunction(handler):
            app.exception_handlers[kind] = _paged(cast("_Handler", handler))


def _paged(handler: _Handler) -> _Handler:
    async def handle(request: Request, error: Exception) -> Response:
        answer = await handler(request, error)
        if answer.media_type != MEDIA_TYPE or not wants_page(request):
            return answer
        problem = ProblemDocument.model_validate_json(bytes(answer.body))
        if problem.code is ProblemCode.SIGN_IN_REQUIRED and (asked := _ask_to_sign_in(request)) is not None:
            return asked
        if problem.code is ProblemCode.OTHER_PERSON_SIGNED_IN and is_htmx(request):
            # The page stays as it is, and says it in a dialog (static/js/session.js).
            return PlainTextResponse(
                problem.detail, problem.status, {"HX-Reswap": "none", "X-Manage-Problem": problem.code}
            )
        return _page(request, problem, answer)

    return handle


def wants_page(request: Request) -> bool:
    """Whether a person looks at the answer."""
    return "text/html" in request.headers.get("accept", "") and not request.scope["path"].startswith(_NOT_PAGES)


def _ask_to_sign_in(request: Request) -> Response | None:
    """Send somebody who is not signed in to do so, and back; None: there is nothing that could be asked for again."""
    if is_htmx(request):
        # The page stays as it is, with all that was typed, and asks to sign in beside it (static/js/session.js).
        return Response(status_code=401, headers={"HX-Reswap": "none"})
    if request.method not in SAFE_METHODS:
        return None
    path, query = request.scope["path"], request.url.query
    asked = urlencode({"return_to": f"{path}?{query}" if query else path})
    address = resources_of(request.app).addresses("sign_in")
    return RedirectResponse(f"{address}?{asked}", 303)


def _page(request: Request, problem: ProblemDocument, answer: Response) -> Response:
    # A wrong id is no request of a wrong form to a person: there is nothing at that address.
    of_path = problem.code is ProblemCode.INVALID_REQUEST and all(each.field.endswith("_id") for each in problem.errors)
    status = 404 if of_path and request.method == "GET" else problem.status
    detail = (
        "The address contains an invalid id."
        if status != problem.status
        else _DETAILS.get(problem.code, problem.detail)
    )
    title = "There is no such page" if status != problem.status else problem.code.heading
    headers = {name: value for name, value in answer.headers.items() if name.lower() in ("retry-after", "allow")}
    context = {"title": title, "detail": detail, "code": problem.code, "status": status, "errors": problem.errors}
    context |= {"type": problem_type(problem.code), "request_id": problem.request_id}
    context |= {"topics": None}  # nothing on it is live
    context |= {"signs_in": resources_of(request.app).settings.people_sign_in and principal_of(request.scope) is None}
    if missing_assets():
        context |= {"fetch": FETCH}
        return render(request, "bare_problem.html", context, status=status, headers=headers)
    if is_htmx(request):
        # What is shown stays; the refusal is shown beside it.
        headers |= {"HX-Retarget": "#notices", "HX-Reswap": "innerHTML"}
        return render(request, "problem.html", context, block="notice", status=status, headers=headers)
    return render(request, "problem.html", context, status=status, headers=headers)
