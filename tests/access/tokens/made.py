"""API tokens as tests make them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx


def wanted(*grants: tuple[str, UUID | None], name: str = "CI", days: float = 30) -> dict[str, Any]:
    """What a token with these roles is asked for with."""
    given = [{"role": role, "depot_id": None if depot is None else str(depot)} for role, depot in grants]
    return {"name": name, "grants": given, "expires_at": (datetime.now(UTC) + timedelta(days=days)).isoformat()}


def bearing(token: str) -> dict[str, str]:
    """The header that says who asks."""
    return {"authorization": f"Bearer {token}"}


async def make(api: httpx.AsyncClient, *grants: tuple[str, UUID | None], **more: Any) -> tuple[str, str]:
    """Create a token; its id and its text."""
    answer = await api.post("/api/tokens", json=wanted(*grants, **more))
    assert answer.status_code == 201, answer.text
    return answer.json()["token_id"], answer.json()["secret"]
