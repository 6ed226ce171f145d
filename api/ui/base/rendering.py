"""Templates to answers: whole pages, or one block of a page where htmx asks for that alone."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2_fragments import render_block

from api.access.authentication import session_of
from api.access.browser.form_tokens import make_form_token
from api.base.access import principal_of
from api.base.dependencies import resources_of
from api.edge.large import in_pieces
from api.ui.base import words
from api.ui.base.assets import assets
from api.ui.base.navigation import depot_tabs, main_links, offers
from api.ui.base.tables import Table

_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; font-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types htmx"
)


def _address(name: str) -> str:
    return assets().address(name)


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent.parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    ours: dict[str, Any] = {
        "static": _address,
        "words": words,
        "new_table": Table,
        "depot_tabs": depot_tabs,
        "fresh_key": lambda: secrets.token_urlsafe(16),
    }
    made.globals.update(ours)
    filters: list[Callable[..., str]] = [
        words.count, words.counted, words.power, words.kilowatts, words.exact, words.to_second, words.duration,
        words.kw, words.in_words, words.threshold, words.figure, words.time_of_day,
        words.clock_time, words.clock_second, words.stale_at,
    ]  # fmt: skip
    made.filters.update({each.__name__: each for each in filters})
    return made


_ENVIRONMENT = _environment()
_MACROS = {"ui": "parts.html", "dialog": "dialog.html", "line": "single_line.html", "job": "job_parts.html"}
"""What templates call, and the file that it is in; each may call those before it."""


def is_htmx(request: Request) -> bool:
    """Whether htmx asks, which puts the answer into a page that is already shown."""
    return request.headers.get("hx-request") == "true"


def render(
    request: Request,
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    block: str | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Answer with a page, or with one ``block`` of it.

    Every element with an ``hx-`` attribute carries ``hx-nonce="{{ nonce }}"``. htmx acts on no other, so that
    nothing that ever slipped into a page as markup could make it act.
    """
    nonce = secrets.token_urlsafe(16)
    depot: Any = (context or {}).get("depot")
    retired = depot.depot_id if getattr(depot, "retired_at", None) is not None else None
    session = session_of(request.scope)
    values = {
        "request": request,
        "nonce": nonce,
        "now": datetime.now(UTC),
        # Whoever is not known yet can go nowhere.
        "main_links": main_links(request) if principal_of(request.scope) else [],
        "session": session,
        "form_token": lambda: make_form_token(session.csrf_token) if session else "",
        "offers": partial(offers, request, retired=retired),
        "url": resources_of(request.app).addresses,
        "topics": (),
        "fragment": block,
        **(context or {}),
    }
    # Not imported by the templates themselves, for a block that is rendered alone has no imports.
    for name, file in _MACROS.items():
        values[name] = _ENVIRONMENT.get_template(file).make_module(values)
    if block is None:
        text = _ENVIRONMENT.get_template(template).render(values)
    else:
        text = render_block(_ENVIRONMENT, template, block, values)
    policy = {"Content-Security-Policy": _POLICY.format(nonce=nonce)}
    return HTMLResponse(text, status, {"Cache-Control": "no-store", **policy, **(headers or {})})


async def render_large(
    request: Request,
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    block: str | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Answer as ``render`` does with what grows with a depot: nobody else waits while it is made and sent."""
    made = await asyncio.to_thread(render, request, template, context, block=block, status=status, headers=headers)
    kept = {name: value for name, value in made.headers.items() if name not in ("content-length", "content-type")}
    return in_pieces(bytes(made.body), made.headers["content-type"], status=status, headers=kept)
