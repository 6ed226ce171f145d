"""What the API and the pages answer, with its form checked."""

from __future__ import annotations

import re

import httpx

HTMX = {"hx-request": "true", "accept": "text/html"}
"""Headers of a request for a part of a page."""


def problem(answer: httpx.Response) -> tuple[int, str]:
    """The status and code of a problem, after its form was checked."""
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["type"] == f"/problems#{document['code'].lower().replace('_', '-')}"
    assert document["title"]
    assert document["detail"]
    return answer.status_code, document["code"]


def error_of(page: str, element: str) -> str:
    """What a page says beside a field."""
    found = re.search(rf'id="{element}-error">.*?</svg>(.*?)</p>', page, re.DOTALL)
    assert found is not None, page
    return found[1].strip()
