"""What the API answers, with its form checked."""

from __future__ import annotations

import httpx


def problem(answer: httpx.Response) -> tuple[int, str]:
    """The status and code of a problem, after its form was checked."""
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["type"] == f"/problems#{document['code'].lower().replace('_', '-')}"
    assert document["title"]
    assert document["detail"]
    return answer.status_code, document["code"]
