"""Applications that are called from a place, and the headers that every answer has."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI

HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@asynccontextmanager
async def calling(app: FastAPI, *, place: str = "127.0.0.1") -> AsyncGenerator[httpx.AsyncClient]:
    """Call an application from an address."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(place, 4711))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as caller,
    ):
        yield caller


def assert_dressed(answer: httpx.Response) -> None:
    """Assert that an answer has every header that all have."""
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, answer.request.url
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
