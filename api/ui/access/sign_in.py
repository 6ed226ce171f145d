"""Signing in and out: sending people to the provider, taking them back, and the pages at the end of both."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from api.access import sign_in as flow
from api.access.authentication import session_of
from api.access.cookies import CSRF, SESSION, forget_cookie
from api.access.provider import needs_provider
from api.base.dependencies import SettingsDep, resources_of
from api.ui.base.rendering import is_htmx, render

_NOBODY = {"session": None, "main_links": [], "topics": None}
"""What a page shows of the session that the request has just ended."""

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs_provider)])


@router.get("/sign-in", name="sign_in")
async def start(
    request: Request, settings: SettingsDep, return_to: Annotated[str | None, Query(max_length=4000)] = None
) -> Response:
    """Send somebody to the provider; afterwards they go on where they wanted to."""
    public = urlsplit(settings.public_url)
    if request.headers["host"].lower() != public.netloc.lower():
        # The provider sends people back to the public address, where the cookies of another name are not.
        query = "" if return_to is None else f"?{urlencode({'return_to': return_to})}"
        return RedirectResponse(f"{settings.public_url}{request.scope['path']}{query}", 303)
    return await flow.begin(request, resources_of(request.app), return_to)


@router.get("/sign-in/callback", name="sign_in_callback")
async def come_back(request: Request) -> Response:
    """Take somebody back from the provider."""
    return await flow.finish(request, resources_of(request.app))


@router.get("/signed-in", name="signed_in")
async def show_signed_in(request: Request) -> Response:
    """Say that somebody is signed in again, and tell the pages that wait for it; in a header, who it is."""
    session = session_of(request.scope)
    headers = {} if session is None else {"X-Manage-Person": str(session.person_id)}
    return render(request, "signed_in.html", {"topics": None}, headers=headers)


@router.post("/sign-out", name="sign_out")
async def end(request: Request, settings: SettingsDep) -> Response:
    """End the session here, and go on to end it at the provider."""
    address = await flow.sign_out(request, resources_of(request.app))
    response: Response
    if is_htmx(request):
        response = Response(headers={"HX-Redirect": address or f"{settings.public_url}/sign-out/done"})
    else:
        # A form may not be redirected to another origin (form-action), so the page leads there.
        response = render(request, "signed_out.html", {**_NOBODY, "at_provider": address})
    for name in (SESSION, CSRF):
        forget_cookie(response, name)
    return response


@router.get("/sign-out/done", name="signed_out")
async def show_signed_out(request: Request) -> Response:
    """Say that the session has ended."""
    return render(request, "signed_out.html", {**_NOBODY, "at_provider": None})
