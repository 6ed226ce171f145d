"""Which version of the worker takes what comes: a new one at once, one that was there before when nobody else is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry
from temporalio.client import Client
from temporalio.service import RPCError

from runtime.temporal import connect
from runtime.version import version
from runtime.workers import known, versions
from runtime.workers.known import GONE_AFTER, UNHEARD_FOR, UNVERSIONED, KnownVersion, may_take_over
from runtime.workers.versions import Takeover, build_id, deployment_of, make_current, read_versions
from tests.helpers.commands import run
from tests.helpers.support import patiently, until
from tests.workflows.versions import serving_version

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


_INSTANT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("was_current", "asked_ago", "unheard_for", "may"),
    [
        (False, timedelta(0), None, True),
        (False, None, None, True),
        (True, timedelta(0), None, False),
        (True, GONE_AFTER, None, False),
        (True, GONE_AFTER + _INSTANT, None, True),
        (True, None, timedelta(0), False),
        (True, None, UNHEARD_FOR, False),
        (True, None, UNHEARD_FOR + _INSTANT, True),
        # The clocks of two machines differ.
        (True, timedelta(minutes=-5), None, False),
    ],
)
def test_when_a_version_may_take_over(
    was_current: bool, asked_ago: timedelta | None, unheard_for: timedelta | None, may: bool
) -> None:
    mine = KnownVersion("0.1.0-a", "INACTIVE", NOW, was_current)
    asked_at, unheard_since = (None if ago is None else NOW - ago for ago in (asked_ago, unheard_for))
    assert may_take_over(mine, asked_at, unheard_since, NOW) is may


def test_the_build_id_is_the_release_and_its_code() -> None:
    assert build_id().startswith(f"{version()}-")
    assert len(build_id()) == len(version()) + 13


def test_a_deployments_name_has_no_dot() -> None:
    assert deployment_of("depot-microgrid") == "depot-microgrid"
    assert deployment_of("grid.example:a") == "grid-example-a"


async def test_a_new_version_takes_over_and_an_old_one_only_where_that_is_gone(
    client: Client, task_queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = deployment_of(task_queue)
    assert await read_versions(client, deployment) == known.KnownVersions(UNVERSIONED, ())
    registries = [CollectorRegistry() for _ in range(2)]
    old, new = (
        Takeover(client, task_queue, build, registry, takes_over=True)
        for build, registry in zip(("1.0.0-a", "1.1.0-b"), registries, strict=True)
    )
    looks_only = Takeover(client, task_queue, "1.1.0-b", None, takes_over=False)
    # Temporal has not heard of it.
    assert not await patiently(old.look)

    def shown() -> list[float | None]:
        return [each.get_sample_value("manage_worker_version_current") for each in registries]

    async def current() -> str:
        return (await patiently(lambda: read_versions(client, deployment))).current

    async with serving_version(client, task_queue, "1.0.0-a"):
        assert not await patiently(old.look)
        assert await patiently(old.look)
        assert await current() == "1.0.0-a"
        async with serving_version(client, task_queue, "1.1.0-b"):
            assert await patiently(looks_only.look)
            assert await current() == "1.0.0-a"
            assert not await patiently(new.look)
            assert await patiently(new.look)
            # Its workers ask, so an old one that starts again, however often, changes nothing.
            await until(lambda: patiently(old.look))
            assert await current() == "1.1.0-b"
            assert shown() == [0, 1]
            assert await client.execute_workflow("Idle", id=task_queue, task_queue=task_queue) == "ended"
        with monkeypatch.context() as later:
            later.setattr(known, "GONE_AFTER", timedelta(0))
            assert not await patiently(old.look)
        assert await patiently(old.look)
        assert await patiently(new.look)
        assert shown() == [1, 0]
        assert await client.execute_workflow("Idle", id=task_queue, task_queue=task_queue) == "ended"
        await patiently(lambda: make_current(client, deployment, "1.0.0-a"))
        with pytest.raises(RPCError, match="not found"):
            await make_current(client, deployment, "9.9.9-none")


async def test_a_version_whose_workers_temporal_forgot_for_a_moment_stays_current(
    client: Client, task_queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = deployment_of(task_queue)
    old, new = (Takeover(client, task_queue, build, None, takes_over=True) for build in ("1.0.0-a", "1.1.0-b"))
    forgotten: list[str] = []
    heard = versions.asked_at

    async def forgets(client: Client, task_queue: str, chosen: str) -> datetime | None:
        return None if chosen in forgotten else await heard(client, task_queue, chosen)

    async def current() -> str:
        return (await patiently(lambda: read_versions(client, deployment))).current

    monkeypatch.setattr(versions, "asked_at", forgets)
    async with serving_version(client, task_queue, "1.0.0-a"), serving_version(client, task_queue, "1.1.0-b"):
        await until(lambda: patiently(old.look))
        await until(lambda: patiently(new.look))
        forgotten.append("1.1.0-b")
        # It is to be looked at again soon, and changes nothing.
        assert not await patiently(old.look)
        assert await current() == "1.1.0-b"
        forgotten.clear()
        await until(lambda: patiently(old.look))
        # What was not known before counts no longer.
        monkeypatch.setattr(known, "UNHEARD_FOR", timedelta(0))
        forgotten.append("1.1.0-b")
        assert not await patiently(old.look)
        assert await current() == "1.1.0-b"
        # It stays so.
        await until(lambda: patiently(old.look))
        assert await current() == "1.0.0-a"
        # Nor does what was not known before it took over the first time.
        forgotten.append("1.0.0-a")
        assert not await patiently(new.look)
        assert await current() == "1.0.0-a"


async def test_the_command_shows_versions_and_chooses_one(
    client: Client, temporal_address: str, task_queue: str
) -> None:
    async def told(*arguments: str) -> tuple[int, list[str]]:
        variables = {"MANAGE_TASK_QUEUE": task_queue, "TEMPORAL_ADDRESS": temporal_address}
        answer = await asyncio.to_thread(run, "versions", *arguments, **variables)
        return answer.returncode, [*answer.stdout.splitlines(), *answer.stderr.splitlines()]

    nobody = "Workers without a version take what comes."
    assert await told() == (0, [nobody])
    async with serving_version(client, task_queue, "1.0.0-a"):
        code, lines = await told("--current", "1.0.0-a")
        assert code == 0
        assert len(lines) == 1
        assert lines[0].startswith("CURRENT   1.0.0-a  since ")
        assert lines[0].endswith(" UTC, 0 workflows run")
        code, lines = await told("--current", "[b]1.0.0-z")
        assert code == 1
        assert "1.0.0-z" in " ".join(lines)
        code, lines = await told("--current", "unversioned")
        assert (code, lines[-1]) == (0, nobody)


async def test_a_process_whose_temporal_is_away_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:9")
    takeover = Takeover(await connect(lazy=True), "nobody", "1.0.0-a", None, takes_over=True)
    looks = 0
    look = takeover.look

    async def counted() -> bool:
        nonlocal looks
        looks += 1
        return await look()

    monkeypatch.setattr(takeover, "look", counted)
    running = asyncio.create_task(takeover.run())

    async def looked_twice() -> bool:
        return looks == 2

    await until(looked_twice)
    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
