"""The API with one more route, which the latest-status read is measured against."""

from __future__ import annotations

from fastapi import FastAPI, Response

from api.main import create_app

CONSTANT = "/bench/constant"


def create() -> FastAPI:
    """The product's application and a route that answers with a constant of as many bytes as asked for."""
    app = create_app()
    answers: dict[int, bytes] = {}

    @app.get(CONSTANT + "/{size}")
    async def constant(size: int) -> Response:  # pyright: ignore[reportUnusedFunction]
        body = answers.setdefault(size, b"[" + b" " * (size - 2) + b"]")
        return Response(body, media_type="application/json")

    return app
