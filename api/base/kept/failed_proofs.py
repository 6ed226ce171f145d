"""Wrong proofs, by where they come from: whoever guesses is stopped, and whoever was right goes on."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import structlog
from pydantic import Field

from api.base.kept.limiter import make_limiter
from domain.access.attempts import MOST_FAILED, WINDOW_SECONDS, network_of
from domain.access.secrets import digest_of
from domain.base.problems import Problem, ProblemCode

if TYPE_CHECKING:
    from limits import RateLimitItemPerSecond

    from api.base.kept.exchange import Exchange
    from api.base.kept.limiter import Limiter

_log = structlog.get_logger("access")

BEARER = "bearer"
"""API tokens and secrets of gateways."""
ACCESS_TOKEN = "access-token"  # noqa: S105 (a kind)
WORKER = "worker"
"""Counted, and never refused for their number: what one costs is a look into a table, as a wrong session does."""
LOGOUT = "logout"
SIGN_IN = "sign-in"
"""Counted apart, so that a program with a wrong token keeps nobody at the same address from signing in."""
_WRONG, _RIGHT = "wrong proof", "right proof"
"""What the processes tell each other."""
_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
"""A digest, in hexadecimal."""
_MOST_RIGHT = 10_000
"""Digests of proofs that were right; of more, the oldest are forgotten."""


class FailedProofs:
    """Counts wrong proofs for each address in a moving window.

    The API processes tell each other what they count, so that the limit is one for all of them. What is right and wrong
    each finds out by itself: one that is set up otherwise, as during an upgrade, may refuse what another accepts.

    A proof that was right in one of them is always checked, and so are others until the address is full; then they are
    refused without a look. The same wrong proof counts once a window: a program with an outdated secret repeats it, and
    does not guess.

    What is being looked at has a place as if it were wrong, and others wait for one: of guesses at once no more are
    looked at than of guesses one after another, and of right proofs at once none is refused.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._limiter: Limiter | None = None
        self._right: dict[bytes, None] = {}
        self._places: dict[tuple[str, str], _Places] = {}
        self._exchange = exchange
        exchange.when_told(_WRONG, tuple[str, str, _Digest], self._hear_wrong)
        exchange.when_told(_RIGHT, tuple[_Digest], self._hear_right)

    @asynccontextmanager
    async def looking_at(
        self, kind: str, host: str, digest: bytes, claimed: Callable[[], str] = lambda: ""
    ) -> AsyncGenerator[None]:
        """Look at a proof within the block, which notes whether it was wrong; wait until there is a place for it.

        ``claimed`` is who sent it, as the proof itself says. If somebody of that name was right from there, it is
        looked at: tokens are renewed, and a new one is not known yet.

        Raises:
            Problem: ``TOO_MANY_FAILED_PROOFS``: too many of its kind from its address were wrong.

        """
        if kind == WORKER or digest in self._right or _sender(kind, host, claimed()) in self._right:
            yield
            return
        where = kind, network_of(host)
        if await self.was_wrong(host, digest):
            # It is counted already.
            await self._room(where)
            yield
            return
        places = self._places.setdefault(where, _Places())
        places.users += 1
        try:
            await self._take(places, where, digest)
            try:
                yield
            finally:
                places.give_back(digest)
        finally:
            places.users -= 1
            if not places.users:
                del self._places[where]

    async def _take(self, places: _Places, where: tuple[str, str], digest: bytes) -> None:
        """Take a place. The same proof has one, however often it comes at once; one that was right needs none."""
        if digest not in places.looked_at:
            async with places.turn:
                while not (digest in self._right or digest in places.looked_at):
                    # Nothing is awaited between the count and the place.
                    if await self._room(where) > len(places.looked_at):
                        break
                    places.freed.clear()
                    await places.freed.wait()
        places.looked_at[digest] += 1

    async def _room(self, where: tuple[str, str]) -> int:
        """How many more proofs may be wrong.

        Raises:
            Problem: ``TOO_MANY_FAILED_PROOFS``: none.

        """
        if self._limiter is None:
            return MOST_FAILED
        window = await self._limiter.get_window_stats(_most(), *where)
        if window.remaining > 0:
            return window.remaining
        raise Problem(
            ProblemCode.TOO_MANY_FAILED_PROOFS,
            "Too many wrong proofs came from this address.",
            retry_after=max(1, math.ceil(window.reset_time - time.time())),
        )

    async def was_wrong(self, host: str, digest: bytes) -> bool:
        """Whether this proof came from there within the window, and was wrong."""
        return self._limiter is not None and not await self._limiter.test(_once(), network_of(host), digest.hex())

    async def note_wrong(self, kind: str, host: str, digest: bytes) -> None:
        """Count a wrong proof."""
        self._right.pop(digest, None)
        network = network_of(host)
        if await self._count(kind, network, digest.hex(), _once(), _told()) and kind != WORKER:
            self._exchange.tell(_WRONG, kind, network, digest.hex())

    async def _count(
        self, kind: str, network: str, digest: str, here: RateLimitItemPerSecond, elsewhere: RateLimitItemPerSecond
    ) -> bool:
        """Count a wrong proof, unless it was counted in this window, ``here`` or ``elsewhere``."""
        if self._limiter is None:
            # Imported when it is first needed, and beside the loop: neither a start nor a request waits for it.
            made = await asyncio.to_thread(make_limiter)
            self._limiter = self._limiter or made
        if not await self._limiter.hit(here, network, digest):
            return False
        if not await self._limiter.test(elsewhere, network, digest):
            return False
        limit = _most()
        await self._limiter.hit(limit, kind, network)
        if not await self._limiter.test(limit, kind, network):
            _log.warning("too many wrong proofs", kind=kind, client=network)
        return True

    async def _hear_wrong(self, kind: str, network: str, digest: str) -> None:
        await self._count(kind, network, digest, _told(), _once())

    def note_right(self, digest: bytes) -> None:
        """Keep in mind that a proof was right."""
        if self._keep(digest):
            self._exchange.tell(_RIGHT, digest.hex())

    async def _hear_right(self, digest: str) -> None:
        self._keep(bytes.fromhex(digest))

    def _keep(self, digest: bytes) -> bool:
        if digest in self._right:
            return False
        if len(self._right) >= _MOST_RIGHT:
            del self._right[next(iter(self._right))]
        self._right[digest] = None
        return True

    def note_sender(self, kind: str, host: str, name: str) -> None:
        """Keep in mind that a proof of somebody of this name was right, from there."""
        self.note_right(_sender(kind, host, name))


class _Places:
    """The proofs of one kind and network that are being looked at, and those that wait."""

    def __init__(self) -> None:
        self.users = 0
        """Who has a place or waits for one."""
        self.looked_at: Counter[bytes] = Counter()
        """Their digests, with how often each came."""
        self.turn = asyncio.Lock()
        """Had by the one who waits for a place; the others wait behind it, in the order in which they came."""
        self.freed = asyncio.Event()

    def give_back(self, digest: bytes) -> None:
        """Give a place back."""
        self.looked_at[digest] -= 1
        if not self.looked_at[digest]:
            del self.looked_at[digest]
            self.freed.set()


def _sender(kind: str, host: str, name: str) -> bytes:
    return digest_of(f"{kind} {network_of(host)} {name}")


def _most() -> RateLimitItemPerSecond:
    from limits import RateLimitItemPerSecond

    return RateLimitItemPerSecond(MOST_FAILED, WINDOW_SECONDS, namespace="failed")


def _once() -> RateLimitItemPerSecond:
    from limits import RateLimitItemPerSecond

    return RateLimitItemPerSecond(1, WINDOW_SECONDS, namespace="wrong")


def _told() -> RateLimitItemPerSecond:
    from limits import RateLimitItemPerSecond

    return RateLimitItemPerSecond(1, WINDOW_SECONDS, namespace="told")
