"""The product's own API, as a scenario run uses it: packet ingest and what came of the packets, over HTTP.

A run sees the product as an external controller and an operator see it. What cannot be reached is an error that
Temporal tries again; what is refused is not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx

_TIMEOUT = httpx.Timeout(30, connect=5)
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=2)
"""A connection is not used again when the server may be closing it at that moment: it does so after 5 seconds."""
_PAGE = 500
_AGAIN = (429, 502, 503, 504)
"""Statuses that say to come again."""


class RefusedError(Exception):
    """The API refused what a run needs, and would refuse it again."""


class UnclearError(Exception):
    """The API failed in a way that it does not explain. It may be a moment's or this request's."""


class UnavailableError(Exception):
    """The API, or what it stands on, is unavailable for now."""


class ManageApi:
    """A connection that is made with the first request and kept."""

    def __init__(self, url: str, make_token: MakeToken | None = None) -> None:
        """Take where it is, and what makes a token for it. One is made only where the API asks who calls."""
        self.url = url
        self._make_token = make_token
        self._made: httpx.AsyncClient | None = None

    async def post_packets(self, run_id: UUID, packets: Sequence[Mapping[str, Any]]) -> list[list[dict[str, Any]]]:
        """Send packets of a scenario run; answer what each one's sensor actions did.

        Only the worker may send them, so this proves who it is where nobody else has to, too.

        Raises:
            UnavailableError: they may be there or not.
            RefusedError: the product does not take one of them.

        """
        path, named = "/api/telemetry/packets", {"Scenario-Run": str(run_id)}
        await self._prove()
        answered = await self._call("POST", path, json=list(packets), headers=named)
        for item in answered["items"]:
            if item["status"] != "ACCEPTED":
                problem = item["problem"]
                raise RefusedError(f"The product refused a packet: {problem['code']}: {problem['detail']}")
        return [item["actions"] for item in answered["items"]]

    async def stored_packets(self, gateway_id: UUID, since_ms: int) -> dict[int, list[list[dict[str, Any]]]]:
        """Read a gateway's packets that were measured from ``since_ms`` on: by timestamp, the answers of each.

        Several with one timestamp are in the order in which they came.
        """
        found: dict[int, list[tuple[str, str, list[dict[str, Any]]]]] = defaultdict(list)
        cursor: str | None = None
        while True:
            more = {} if cursor is None else {"cursor": cursor}
            page = await self._get("/api/telemetry/packets", gateway_id=str(gateway_id), limit=_PAGE, **more)
            for item in page["items"]:
                observed = milliseconds(item["observed_at"])
                if observed >= since_ms:
                    found[observed].append((item["received_at"], item["packet_id"], item["actions"]))
            cursor = page["next_cursor"]
            if cursor is None or milliseconds(page["items"][-1]["observed_at"]) < since_ms:
                break
        return {observed: [actions for *_, actions in sorted(each, key=_arrival)] for observed, each in found.items()}

    async def capability_statuses(self, microgrid_id: UUID) -> list[dict[str, Any]]:
        """Read the latest status of each capability."""
        return (await self._get(f"/api/microgrids/{microgrid_id}/capability-status"))["items"]

    async def circuit_capacity(self, circuit_id: UUID) -> dict[str, Any]:
        """Read what holds for a circuit's capacity."""
        return await self._get(f"/api/circuits/{circuit_id}/capacity")

    async def capacity_held_before(self, circuit_id: UUID, moment: str) -> dict[str, Any] | None:
        """Read what held for a circuit's capacity just before a moment."""
        path = f"/api/circuits/{circuit_id}/capacity/history"
        return (await self._get(path, since=moment, limit=1))["held_before"]

    async def power_source(self, power_source_id: UUID) -> dict[str, Any]:
        """Read a power source with its latest readings."""
        return await self._get(f"/api/power-sources/{power_source_id}")

    async def open_remediations(self, depot_id: UUID) -> list[dict[str, Any]]:
        """Read what stops updates in a depot."""
        return (await self._get("/api/remediations", depot_id=str(depot_id), limit=_PAGE))["items"]

    async def close(self) -> None:
        """End the connection; another request makes a new one."""
        made, self._made = self._made, None
        if made is not None:
            await made.aclose()

    async def _get(self, path: str, **parameters: str | int) -> Any:
        return await self._call("GET", path, params=parameters)

    async def _send(
        self, client: httpx.AsyncClient, method: str, path: str, options: Mapping[str, Any]
    ) -> httpx.Response:
        try:
            return await client.request(method, path, **options)
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise UnavailableError(f"The API at {self.url} does not answer ({reason}).") from error

    def _client(self) -> httpx.AsyncClient:
        if self._made is None:
            # A proxy of the environment is for other machines.
            self._made = httpx.AsyncClient(
                base_url=self.url, timeout=_TIMEOUT, limits=_LIMITS, trust_env=not _is_loopback(self.url)
            )
        return self._made

    async def _prove(self, *, again: bool = False) -> None:
        """Have a token, or another one than there is."""
        headers = self._client().headers
        if self._make_token is not None and (again or "Authorization" not in headers):
            headers["Authorization"] = f"Bearer {await self._make_token()}"

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        response = await self._send(self._client(), method, path, options)
        if response.status_code == HTTPStatus.UNAUTHORIZED and self._make_token is not None:
            # What reads is asked for a token where there is a provider alone, and a token ends in time.
            await self._prove(again=True)
            response = await self._send(self._client(), method, path, options)
        if response.is_success:
            return response.json()
        words = f"{method} {path} at {self.url} answered {response.status_code}: {response.text[:500]}"
        if response.status_code in _AGAIN:
            raise UnavailableError(words)
        if response.is_server_error:
            raise UnclearError(words)
        raise RefusedError(words)


MakeToken = Callable[[], Awaitable[str]]


def milliseconds(moment: str) -> int:
    """Read an RFC 3339 time as milliseconds since the epoch."""
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def _arrival(stored: tuple[str, str, list[dict[str, Any]]]) -> tuple[datetime, str]:
    return datetime.fromisoformat(stored[0]), stored[1]


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
