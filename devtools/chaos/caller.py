"""Sends requests to the API, each noted before it is sent and after its answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from devtools.chaos.checker.request_log import Outcome
from devtools.chaos.request_writer import RequestWriter

_UNKNOWN_CODES = frozenset({"OUTCOME_UNKNOWN", "INTERNAL_ERROR", "SYNC_TIMED_OUT"})
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_KEEPS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=2)
_KEEPS_NONE = httpx.Limits(max_connections=None, max_keepalive_connections=0)


@dataclass(frozen=True)
class Answer:
    """What came of a try."""

    outcome: Outcome
    code: str | None = None
    document: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def acknowledged(self) -> bool:
        """Whether it was done."""
        return self.outcome is Outcome.ACKNOWLEDGED


@dataclass
class Request:
    """One thing that is asked for, under one id, however often it is sent."""

    what: str
    asked: dict[str, Any]
    """What the log says of it."""
    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    kept: Collection[str] = ()
    """The fields of the answer that the log keeps."""
    is_repeatable: bool = False
    """Whether it has an ``Idempotency-Key``."""
    operation_id: str = field(default_factory=lambda: str(uuid4()))
    tries: int = 0


class Caller:
    """The API as the traffic uses it."""

    def __init__(self, url: str, writer: RequestWriter, *, timeout: float, keeps_connections: bool = True) -> None:
        """``timeout``: seconds after which nobody waits for an answer any longer.

        Who does not keep connections opens one for each request, so that none is with a process that is paused.
        """
        self.writer = writer
        self.reads: Counter[Outcome] = Counter()
        """How many reads ended how."""
        limits = _KEEPS if keeps_connections else _KEEPS_NONE
        self._http = httpx.AsyncClient(base_url=url, timeout=timeout, limits=limits, trust_env=False)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, request: Request) -> Answer:
        """Send a request, for the first time or again, and note both."""
        request.tries += 1
        number = request.tries
        self.writer.intent(request.operation_id, number, request.what, request.asked)
        headers = {**request.headers, "X-Request-ID": request.operation_id}
        if request.is_repeatable:
            headers["Idempotency-Key"] = request.operation_id
        is_raw = isinstance(request.body, bytes)
        try:
            response = await self._http.request(
                request.method,
                request.path,
                headers=headers,
                content=request.body if is_raw else None,
                json=None if is_raw else request.body,
            )
            answer = judge(response)
        except httpx.HTTPError as error:
            answer = _broken_off(error)
        kept = {name: answer.document.get(name) for name in request.kept} if answer.acknowledged else {}
        self.writer.answer(request.operation_id, number, request.what, answer.outcome, answer.code, kept)
        return answer

    async def read(self, path: str) -> Answer:
        """Read something; this leaves no trace in the log."""
        try:
            answer = judge(await self._http.get(path))
        except httpx.HTTPError as error:
            answer = _broken_off(error)
        self.reads[answer.outcome] += 1
        if not answer.acknowledged:
            self.writer.codes["READ", str(answer.code)] += 1
        return answer


def _broken_off(error: httpx.HTTPError) -> Answer:
    outcome = Outcome.REFUSED if isinstance(error, _NEVER_LEFT) else Outcome.UNKNOWN
    return Answer(outcome, type(error).__name__)


def judge(response: httpx.Response) -> Answer:
    """Say what an answer means to whoever asked."""
    if response.is_success:
        is_json = response.headers.get("content-type", "").startswith("application/json")
        return Answer(Outcome.ACKNOWLEDGED, None, response.json() if is_json and response.content else {})
    is_problem = response.headers.get("content-type", "").startswith("application/problem+json")
    code = response.json().get("code", "") if is_problem else ""
    # A failure that says nothing of what was done leaves it open.
    is_open = code in _UNKNOWN_CODES or (response.status_code >= 500 and not code)
    return Answer(Outcome.UNKNOWN if is_open else Outcome.REFUSED, code or f"HTTP {response.status_code}")
