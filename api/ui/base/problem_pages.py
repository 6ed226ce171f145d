"""Refusals as pages: what the API says as a problem document, a person gets as a page, or as a notice in one."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import cast

from fastapi import FastAPI, Request, Response

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
        return _page(request, problem, answer)

    return handle


def wants_page(request: Request) -> bool:
    """Whether a person looks at the answer."""
    return "text/html" in request.headers.get("accept", "") and not request.scope["path"].startswith(_NOT_PAGES)


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
    context |= {"type": problem_type(problem.code)}
    context |= {"topics": None}  # nothing on it is live
    if missing_assets():
        context |= {"fetch": FETCH}
        return render(request, "bare_problem.html", context, status=status, headers=headers)
    if is_htmx(request):
        # What is shown stays; the refusal is told beside it.
        headers |= {"HX-Retarget": "#notices", "HX-Reswap": "innerHTML"}
        return render(request, "problem.html", context, block="notice", status=status, headers=headers)
    return render(request, "problem.html", context, status=status, headers=headers)
