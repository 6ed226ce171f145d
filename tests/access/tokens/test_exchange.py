"""The API processes bound attempts together: what one counts, the others count, too."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from api.base.kept.exchange import MOST, Exchange, open_exchange
from api.base.kept.failed_proofs import BEARER, LOGOUT, WORKER, FailedProofs
from api.base.kept.sign_in_starts import SignInStarts
from domain.access.attempts import MOST_FAILED, MOST_STARTED
from domain.base.problems import Problem, ProblemCode
from store.base.notifications.notify import tell_processes
from tests.helpers.support import database_away, until

HOST, OTHER_HOST = "192.0.2.7", "192.0.2.8"


@asynccontextmanager
async def two(engine: AsyncEngine) -> AsyncGenerator[tuple[Exchange, Exchange]]:
    """Two processes that hear each other."""
    async with open_exchange(engine) as one, open_exchange(engine) as other:
        for sender, receiver in ((one, other), (other, one)):
            await hears(sender, receiver)
        yield one, other


async def hears(sender: Exchange, receiver: Exchange) -> None:
    """Wait until what one tells now arrives at the other, and all that it told before."""
    heard, word = asyncio.Event(), os.urandom(8).hex()

    async def hear(given: str) -> None:
        # Those of another time may come late.
        if given == word:
            heard.set()

    receiver.when_told("greeting", tuple[str], hear)

    async def has_heard() -> bool:
        sender.tell("greeting", word)
        return heard.is_set()

    await until(has_heard)


async def is_refused(proofs: FailedProofs, host: str = HOST, digest: bytes | None = None) -> bool:
    try:
        async with proofs.looking_at(BEARER, host, digest or os.urandom(32)):
            return False
    except Problem as problem:
        assert problem.code is ProblemCode.TOO_MANY_FAILED_PROOFS
        return True


async def test_wrong_proofs_of_one_address_count_at_all_processes_together(engine: AsyncEngine) -> None:
    async with two(engine) as (first, second):
        one, other = FailedProofs(first), FailedProofs(second)
        right = os.urandom(32)
        one.note_right(right)
        # The same wrong proof at both is one.
        repeated = os.urandom(32)
        for each in (one, other):
            await each.note_wrong(BEARER, HOST, repeated)
        for number in range(MOST_FAILED - 2):
            await (one, other)[number % 2].note_wrong(BEARER, HOST, os.urandom(32))
        last = os.urandom(32)
        await one.note_wrong(BEARER, HOST, last)

        async def both_are_full() -> bool:
            return await is_refused(one) and await is_refused(other)

        await until(both_are_full)
        # What is wrong each finds out by itself.
        assert await one.was_wrong(HOST, last)
        assert not await other.was_wrong(HOST, last)
        # Who was right at one goes on at the other; so does another address.
        assert not await is_refused(other, digest=right)
        assert not await is_refused(other, OTHER_HOST)


async def test_a_notice_of_its_own_is_not_counted_twice(engine: AsyncEngine) -> None:
    async with two(engine) as (first, second):
        one, other = FailedProofs(first), FailedProofs(second)
        for _ in range(MOST_FAILED - 1):
            await one.note_wrong(BEARER, HOST, os.urandom(32))
        await hears(first, second)
        await hears(second, first)
        assert not await is_refused(one)
        assert not await is_refused(other)


async def test_tokens_of_workers_are_not_told(engine: AsyncEngine) -> None:
    heard: list[str] = []

    async def hear(kind: str, *_: str) -> None:
        heard.append(kind)

    async with two(engine) as (first, second):
        one = FailedProofs(first)
        second.when_told("wrong proof", tuple[str, str, str], hear)
        await one.note_wrong(WORKER, HOST, os.urandom(32))
        await one.note_wrong(LOGOUT, HOST, os.urandom(32))

        async def is_told() -> bool:
            return bool(heard)

        await until(is_told)
        assert heard == [LOGOUT]


async def test_sign_ins_that_are_begun_count_at_all_processes_together(engine: AsyncEngine) -> None:
    async with two(engine) as (first, second):
        one, other = SignInStarts(first), SignInStarts(second)
        for _ in range(MOST_STARTED):
            await one.count(HOST)
        await hears(first, second)
        with pytest.raises(Problem) as refused:
            await other.count(HOST)
        assert refused.value.code is ProblemCode.TOO_MANY_SIGN_INS
        await other.count(OTHER_HOST)


async def test_what_nobody_understands_and_too_much_of_it_does_no_harm(engine: AsyncEngine) -> None:
    async with two(engine) as (first, second):
        for number in range(2 * MOST):
            first.tell("a word of a later release", str(number), "<b>\u0000</b>", "ü" * 100)
        first.tell("greeting", "x" * 8_000)
        await hears(first, second)


async def test_forged_notices_are_skipped_and_told_once(engine: AsyncEngine) -> None:
    hexadecimal = "0" * 64
    forged = [
        "", "garbage", "null", "1", "[]", "{}", '["x"]', '["x", 1]', "[" * 5_000, '["x", 1, "\\ud800"]',
        '["x", 1, "wrong proof"]', '["x", 1, "wrong proof", "bearer", "192.0.2.7"]',
        '["x", 1, "wrong proof", "bearer", "192.0.2.7", null]', '["x", 1, "wrong proof", "bearer", "192.0.2.7", 5]',
        f'["x", 1, "wrong proof", "bearer", "192.0.2.7", "{hexadecimal}", "more"]',
        '["x", 1, "right proof", "zz"]', '["x", 1, "right proof", "00"]', '["x", 1, "right proof", []]',
        '["x", 1, "sign-in begun"]', '["x", 1, "sign-in begun", 7]',
    ]  # fmt: skip
    with capture_logs() as logs:
        async with two(engine) as (first, second):
            proofs, starts = FailedProofs(second), SignInStarts(second)
            async with engine.begin() as connection:
                await tell_processes(connection, "api_processes", forged)
            # What comes after them is counted.
            for _ in range(MOST_STARTED):
                await SignInStarts(first).count(HOST)
            await hears(first, second)
            with pytest.raises(Problem):
                await starts.count(HOST)
            assert not await is_refused(proofs)
    told = [(each["event"], each["log_level"]) for each in logs if each["log_level"] != "info"]
    # Each of the two connections says it once.
    assert told.count(("malformed notifications skipped", "warning")) == 2
    assert [
        event for event, _ in told if event not in {"malformed notifications skipped", "too many sign-ins begun"}
    ] == []


async def test_without_a_database_each_counts_its_own_and_then_they_hear_again(
    engine: AsyncEngine, postgres_url: str, database_url: str
) -> None:
    async with two(engine) as (first, second):
        one = FailedProofs(first)
        async with database_away(postgres_url, database_url):
            for _ in range(MOST_FAILED):
                await one.note_wrong(BEARER, HOST, os.urandom(32))
            assert await is_refused(one)
        await hears(first, second)
        await hears(second, first)


async def test_a_notice_is_sent_with_the_commit(engine: AsyncEngine) -> None:
    heard: list[str] = []

    async def hear(word: str) -> None:
        heard.append(word)

    async with two(engine) as (first, second):
        second.when_told("word", tuple[str], hear)
        async with engine.connect() as connection:
            await tell_processes(connection, "api_processes", ['["somebody", 1, "word", "rolled back"]'])
            await connection.rollback()
        first.tell("word", "committed")

        async def was_heard() -> bool:
            return bool(heard)

        await until(was_heard)
        assert heard == ["committed"]
