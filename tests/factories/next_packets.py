"""The live test of a binding as a person runs it: what is asked, and what is sent meanwhile."""

from __future__ import annotations

from typing import Any

import httpx

from tests.factories import packets as packets_by_http
from tests.factories.sites import CONTROLLER, MadeDepot


def path_of(site: MadeDepot) -> str:
    binding_id = site.actions[CONTROLLER, "UPDATE_MICROGRID_STATE"]
    return f"/api/controller-bindings/{binding_id}"


async def ask(api: httpx.AsyncClient, site: MadeDepot, **parameters: Any) -> dict[str, Any]:
    answer = await api.get(f"{path_of(site)}/next-packet", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def send(api: httpx.AsyncClient, *packets: dict[str, Any]) -> list[str]:
    return [each["packet_id"] for each in await packets_by_http.send(api, list(packets))]
