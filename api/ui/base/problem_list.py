"""The page of all problem codes: where the ``type`` of every refusal leads."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.ui.base.rendering import render
from domain.base.problems import PROBLEMS, by_subject, problem_anchor

router = APIRouter(include_in_schema=False)


@router.get(PROBLEMS, name="page_problems")
async def problems(request: Request) -> Response:
    """Say of every code what it means, its status, and what to do."""
    context = {"subjects": list(by_subject()), "anchor": problem_anchor, "topics": []}
    return render(request, "problems.html", context)
