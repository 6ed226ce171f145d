"""The API as the commands use it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from cli.addresses import is_loopback, is_private
from cli.errors import CommandFailedError
from cli.logins import LoginProof, read_login
from cli.place import running_places
from cli.token import TokenProof, read_token

_CHUNK = 256 * 1024
_NDJSON = "application/x-ndjson"
_NAMED = "MANAGE_API_URL"
_TIMEOUT = httpx.Timeout(60, connect=10)
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=2)
"""A connection is not used again when the server may be closing it at that moment: it does so after 5 seconds."""

_BROKEN_OFF = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)

_PAUSES = (0.5, 1.0, 2.0)
"""Seconds before the second, third and fourth try."""
_ASKED_AGAIN = frozenset({"OUTCOME_UNKNOWN", "IDEMPOTENCY_KEY_IN_USE", "DATABASE_BUSY", "DATABASE_UNAVAILABLE"})
"""Refusals after which the same request, under the same key, may be answered."""


class RefusedError(CommandFailedError):
    """The API refused the request; ``code`` is its stable reason, ``problem`` the whole document."""

    def __init__(self, code: str, detail: str, problem: dict[str, Any] | None = None) -> None:
        self.code = code
        self.problem = problem or {}
        super().__init__("\n".join([f"{code}: {detail}", *_wrong_fields(self.problem)]))


def _wrong_fields(problem: dict[str, Any]) -> list[str]:
    """Say which fields are wrong, if the refusal itself does not; errors in scenarios are shown by line."""
    if "violations" in (problem.get("context") or {}):
        return []
    wrong = [each for each in problem.get("errors", []) if each["detail"] != problem["detail"]]
    return [f"  {each['field']}: {each['detail']}" for each in wrong]


class UnreachableError(CommandFailedError):
    """Nothing answers where the API should be, or it went away in the middle."""


class Api:
    """A connection to the API."""

    def __init__(
        self,
        url: str,
        *,
        instance_id: str = "",
        proof: httpx.Auth | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Name the API; with ``instance_id`` it must be that of one `./dev up`, whoever answers there.

        ``proof`` says who asks; ``transport`` is another way there than by the network.
        """
        self.url = url
        self._instance_id = instance_id
        self._proof = proof
        try:
            # httpx takes half an IPv6 address for a name.
            urlsplit(url)
            # A proxy of the environment is for other machines.
            self._http = httpx.AsyncClient(
                base_url=url, timeout=_TIMEOUT, limits=_LIMITS, auth=proof, transport=transport,
                trust_env=not is_loopback(url),
            )  # fmt: skip
        except (httpx.InvalidURL, ValueError) as error:
            raise CommandFailedError(f"{url} is no address of an API: {error}.") from error

    async def get(self, path: str, **parameters: str | int) -> Any:
        """Read something.

        Raises:
            RefusedError, UnreachableError: it could not be read.

        """
        return await self._call("GET", path, params=parameters)

    async def post(self, path: str, body: object = None) -> Any:
        """Ask for something.

        Raises:
            RefusedError, UnreachableError: it was not done, or nobody knows.

        """
        return await self._call("POST", path, json=body)

    async def create(self, path: str, body: object) -> Any:
        """Create something, once: where the answer is lost, it is asked for again under the same key.

        Raises:
            RefusedError, UnreachableError: it was not created, or nobody knows.

        """
        key = {"Idempotency-Key": str(uuid4())}
        for tries, pause in enumerate((*_PAUSES, None)):
            try:
                return await self._call("POST", path, json=body, headers=key)
            except UnreachableError as error:
                if pause is None or (not tries and isinstance(error.__cause__, httpx.ConnectError)):
                    raise
            except RefusedError as error:
                if pause is None or error.code not in _ASKED_AGAIN:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError

    async def patch(self, path: str, body: object) -> Any:
        """Change something.

        Raises:
            RefusedError, UnreachableError: it was not done, or nobody knows.

        """
        return await self._call("PATCH", path, json=body)

    async def delete(self, path: str) -> None:
        """Delete something.

        Raises:
            RefusedError, UnreachableError: it was not done, or nobody knows.

        """
        await self._answer("DELETE", path)

    async def download(self, path: str) -> bytes:
        """Read something that is no JSON document.

        Raises:
            RefusedError, UnreachableError: it could not be read.

        """
        return (await self._answer("GET", path)).content

    async def exists(self, path: str) -> bool:
        """Say whether there is something to see at ``path``."""
        return (await self._http.get(path)).is_success

    async def import_fleet(self, fleet: Path, sent: Callable[[int], None], refusals: IO[bytes]) -> Any:
        """Stream a fleet into the import and answer what it came to.

        ``sent`` hears how many bytes went out. Every refused line is written into ``refusals`` as it comes, as NDJSON.

        Raises:
            RefusedError, UnreachableError: it was cut off. What is wrong with single lines is in the report.

        """
        request = self._http.build_request(
            "POST",
            "/api/depots/import",
            content=_chunks(fleet, sent),
            headers={"Content-Type": _NDJSON, "Accept": _NDJSON},
            # It answers when the last line has been stored.
            timeout=httpx.Timeout(None, connect=10),
        )
        with self._reaching():
            response = await self._http.send(request, stream=True)
            try:
                if not response.is_success:
                    await response.aread()
                    raise self._refusal(response)
                counts = b""
                async for chunk in response.aiter_bytes():
                    if counts.endswith(b"\n"):
                        refusals.write(chunk)
                        continue
                    first, end, rest = chunk.partition(b"\n")
                    counts += first + end
                    refusals.write(rest)
                return json.loads(counts)
            finally:
                await response.aclose()

    async def upload_fleet(self, fleet: Path, sent: Callable[[int], None]) -> Any:
        """Upload a fleet and start the job that imports it; answer the job.

        ``sent`` hears how many bytes went out.

        Raises:
            RefusedError, UnreachableError: nothing is imported, or nobody knows.

        """
        try:
            return await self._call(
                "POST",
                "/api/imports",
                params={"file_name": fleet.name},
                content=_chunks(fleet, sent),
                headers={"Content-Type": _NDJSON, "Idempotency-Key": str(uuid4())},
                # It answers when the file is stored.
                timeout=httpx.Timeout(None, connect=10),
            )
        except UnreachableError as error:
            if not isinstance(error.__cause__, _BROKEN_OFF):
                raise
            # Who refuses a body before all of it came may close the connection before its answer is read.
            raise UnreachableError(
                f"The API at {self.url} ended the connection before {fleet.name} was stored. It, or a proxy before it, "
                "may have refused the file: its log says why. Without --watch it is sent in another way."
            ) from error.__cause__

    async def save(self, path: str, file: IO[bytes], *, start: int = 0, got: Callable[[], None] = lambda: None) -> None:
        """Download something of any size into a file: from a byte on, behind what the file has.

        ``got`` is called after each part that came.

        Raises:
            RefusedError, UnreachableError: it could not be read.

        """
        with self._reaching():
            asked = {"Range": f"bytes={start}-"} if start else {}
            async with self._http.stream("GET", path, headers=asked) as response:
                if not response.is_success:
                    await response.aread()
                    raise self._refusal(response)
                if start and response.status_code != HTTPStatus.PARTIAL_CONTENT:
                    # All of it comes again, whoever stands between.
                    file.seek(0)
                    file.truncate()
                async for chunk in response.aiter_bytes():
                    file.write(chunk)
                    got()

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        return (await self._answer(method, path, **options)).json()

    async def _answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        with self._reaching():
            response = await self._http.request(method, path, **options)
        if response.is_success:
            return response
        raise self._refusal(response)

    @contextmanager
    def _reaching(self) -> Generator[None]:
        try:
            yield
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise UnreachableError(
                f"The API at {self.url} does not answer ({reason}). Start it with ./dev up, "
                "or set MANAGE_API_URL to where it is."
            ) from error

    def _refusal(self, response: httpx.Response) -> RefusedError:
        try:
            problem = response.json()
            code, detail = str(problem["code"]), str(problem["detail"])
        except (ValueError, KeyError, TypeError):
            return RefusedError(f"HTTP {response.status_code}", response.text[:500])
        if code == "SIGN_IN_REQUIRED":
            detail += f" Log in with ./dev login --api {self.url}, or set MANAGE_TOKEN to an API token."
        elif code == "TOKEN_REFUSED" and isinstance(self._proof, LoginProof):
            detail += f" Log in again with ./dev login --api {self.url}; ./dev logout forgets the login."
        elif code == "TOKEN_REFUSED":
            detail += " It is the one that MANAGE_TOKEN holds, or that MANAGE_TOKEN_FILE names."
        return RefusedError(code, detail, problem)

    async def __aenter__(self) -> Self:
        if self._instance_id:
            try:
                await self._know_it_again()
            except BaseException:
                await self._http.aclose()
                raise
        return self

    async def _know_it_again(self) -> None:
        with self._reaching():
            answer = await self._http.get("/healthz")
        try:
            reported = answer.json()["instance_id"]
        except (ValueError, KeyError, TypeError):
            reported = None
        if reported != self._instance_id:
            raise CommandFailedError(
                f"Something else answers at {self.url}, where the product of this folder was started. "
                "Stop `./dev up` and start it again."
            )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()


async def _chunks(fleet: Path, sent: Callable[[int], None]) -> AsyncIterator[bytes]:
    total = 0
    with fleet.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
            total += len(chunk)
            sent(total)


def name_api(url: str | None) -> None:
    """Have ``find_api`` take this API, if one is named."""
    if url is not None:
        os.environ[_NAMED] = url


@dataclass(frozen=True)
class Address:
    """Where an API is; with ``instance_id`` it is that of one `./dev up`."""

    url: str
    instance_id: str = ""


def find_address() -> Address:
    """Where the API is that was named, by ``--api`` or ``MANAGE_API_URL``; else that of the running `./dev up` of this
    folder.

    Raises:
        CommandFailedError: none runs, or more than one, so that nobody knows which is meant.

    """
    named = os.environ.get(_NAMED)
    if named:
        return Address(named)
    found = running_places()
    if not found:
        raise CommandFailedError(
            f"The product of this folder does not run. Start it with ./dev up, or name another one with --api "
            f"or {_NAMED}."
        )
    if len(found) > 1:
        listed = [f"  --api {running.api_url}  ({place.shown})" for place, running in found]
        raise CommandFailedError("\n".join(["More than one product of this folder runs. Say which:", *listed]))
    ((_, running),) = found
    return Address(running.api_url, running.instance_id)


def find_api() -> Api:
    """The API that ``find_address`` finds, with the proof of who asks: ``MANAGE_TOKEN``, else what `./dev login` kept.

    Raises:
        CommandFailedError: there is no one API, or the proof cannot be read or would be sent in the clear.

    """
    there = find_address()
    token = read_token(is_private=is_private(there.url))
    if token:
        return Api(there.url, instance_id=there.instance_id, proof=TokenProof(token))
    login = read_login(there.url) if is_private(there.url) else None
    return Api(there.url, instance_id=there.instance_id, proof=None if login is None else LoginProof(login))
