"""Temporal's payloads with a key: nothing plain is left in a history, keys are rotated, and a lost one is told."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer, Worker

from api.main import create_app
from domain.provisioning.outcomes import SyncRequest
from runtime.secrets.keys import PayloadKeys, read_payload_keys
from runtime.secrets.payloads import ENCODING, KEY_ID, EncryptingCodec, UnreadablePayloadError, data_converter
from runtime.settings import Settings
from runtime.temporal import connect
from tests.conftest import executable
from tests.helpers.live import http_client, serving
from tests.helpers.support import follows, make_depot, until
from worker import WORKFLOWS, open_resources, working
from workflows.launch import resync, sync_workflow_id

SECRET = "tell-nobody-4711"
OLD = "old:" + base64.b64encode(b"o" * 32).decode()
NEW = "new-1.2:" + base64.urlsafe_b64encode(b"\xfb" * 32).decode()
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=f'"{SECRET}"'.encode())


@activity.defn
async def repeat(given: str) -> str:
    return given


@activity.defn
async def fail(given: str) -> None:
    raise ApplicationError(f"failed because of {given}", given, non_retryable=True)


@workflow.defn(sandboxed=False)
class Waiting:
    """Takes a secret, waits for another one, hands it to a step and answers it."""

    def __init__(self) -> None:
        self.heard = ""

    @workflow.signal
    def hear(self, words: str) -> None:
        self.heard = words

    @workflow.run
    async def run(self, given: str) -> str:
        await workflow.wait_condition(lambda: bool(self.heard))
        step = fail if self.heard.startswith("fail") else repeat
        said = await workflow.execute_activity(step, self.heard, start_to_close_timeout=timedelta(seconds=20))
        return f"{given} {said}"


@asynccontextmanager
async def at_work(client: Client, task_queue: str) -> AsyncGenerator[None]:
    async with Worker(
        client, task_queue=task_queue, workflows=[Waiting], activities=[repeat, fail], max_cached_workflows=0
    ):
        yield


async def begun(client: Client, task_queue: str) -> WorkflowHandle[Waiting, str]:
    return await client.start_workflow(Waiting.run, SECRET, id=f"waiting-{uuid4()}", task_queue=task_queue)


async def raw(client: Client, workflow_id: str) -> str:
    """A history as Temporal stores it, with what is in Base64 written out."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    return "".join(repr(event) for event in history.events)


async def events_of(client: Client, workflow_id: str) -> set[int]:
    return {event.event_type for event in (await client.get_workflow_handle(workflow_id).fetch_history()).events}


# The codec


async def test_a_payload_is_encrypted_and_read_again() -> None:
    codec = EncryptingCodec(read_payload_keys(f"{NEW},{OLD}"))
    (first,), (second,) = await codec.encode([PLAIN]), await codec.encode([PLAIN])
    assert (first.metadata["encoding"], first.metadata[KEY_ID]) == (ENCODING, b"new-1.2")
    assert SECRET.encode() not in first.SerializeToString()
    assert first.data != second.data
    # Once is enough, and what was never encrypted is read as it is.
    assert await codec.encode([first]) == [first]
    assert await codec.decode([first, PLAIN]) == [PLAIN, PLAIN]
    (old,) = await EncryptingCodec(read_payload_keys(OLD)).encode([PLAIN])
    assert await codec.decode([old]) == [PLAIN]


@pytest.mark.parametrize("change", ["data", "short", "key", "encoding of a key"])
async def test_a_payload_that_was_changed_is_not_read(change: str) -> None:
    codec = EncryptingCodec(read_payload_keys(f"{NEW} {OLD}"))
    (changed,) = await codec.encode([PLAIN])
    if change == "data":
        changed.data = changed.data[:-1] + bytes([changed.data[-1] ^ 1])
    elif change == "short":
        changed.data = changed.data[:5]
    elif change == "key":
        changed.metadata[KEY_ID] = b"old"
    else:
        changed.metadata[KEY_ID] = b"\xff"
    with pytest.raises(UnreadablePayloadError, match="MANAGE_PAYLOAD_KEYS") as refused:
        await codec.decode([changed])
    assert SECRET not in str(refused.value)


async def test_without_a_key_nothing_is_encrypted_and_what_is_says_which_key_is_missing() -> None:
    plain = data_converter(PayloadKeys())
    assert plain.payload_codec is None
    (payload,) = await plain.encode([SECRET])
    assert payload == PLAIN
    encrypted = await data_converter(read_payload_keys(OLD)).encode([SECRET])
    with pytest.raises(UnreadablePayloadError, match="key 'old', and there is no key here"):
        await plain.decode(encrypted)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (base64.b64encode(b"o" * 32).decode(), "Pair 1 has not the form"),
        (f"{OLD} {OLD}", "Pair 2 has the id of an earlier one"),
        (f"{OLD}, a:{base64.b64encode(b'o' * 16).decode()}", "pair 2 has 16 bytes instead of 32"),
        ("a:not*base64", "pair 1 is not in Base64"),
        (f"{'a' * 33}:{OLD}", "Pair 1 has not the form"),
        ("a:ß" + "o" * 42, "pair 1 is not in Base64"),
    ],
)
def test_keys_that_are_none_are_refused_without_showing_them(given: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as refused:
        Settings(payload_keys=SecretStr(given))
    for part in given.replace(",", " ").replace(":", " ").split():
        assert len(part) < 4 or part not in str(refused.value)


def test_keys_are_read_from_lines_and_never_shown() -> None:
    keys = read_payload_keys(f"\n{NEW}\r\n{OLD}\n")
    assert list(keys.by_id) == ["new-1.2", "old"]
    assert keys.first == "new-1.2"
    assert "oooo" not in repr(keys)
    assert not read_payload_keys(" ")


# With a Temporal server


async def test_a_history_holds_nothing_plain(client: Client, task_queue: str) -> None:
    keyed = await connect(read_payload_keys(OLD))
    async with at_work(keyed, task_queue):
        well, badly = await begun(keyed, task_queue), await begun(keyed, task_queue)
        await well.signal(Waiting.hear, f"{SECRET} too")
        assert await well.result() == f"{SECRET} {SECRET} too"
        await badly.signal(Waiting.hear, f"fail {SECRET}")
        with pytest.raises(WorkflowFailureError) as failed:
            await badly.result()
    # Whoever has the key reads what failed, and where.
    assert SECRET in str(failed.value.cause.__cause__)
    for handle in (well, badly):
        stored = await raw(client, handle.id)
        assert SECRET not in stored
        assert "test_payload_codec" not in stored
        assert "Encoded failure" in stored or handle is well
    history = await well.fetch_history()
    for keys, readable in ((f"{NEW} {OLD}", True), (NEW, False)):
        replayer = Replayer(workflows=[Waiting], data_converter=data_converter(read_payload_keys(keys)))
        replayed = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        assert (replayed.replay_failure is None) == readable


async def test_keys_are_rotated_under_a_running_workflow(client: Client, task_queue: str) -> None:
    async def waits(handle: WorkflowHandle[Waiting, str]) -> bool:
        return EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED in await events_of(client, handle.id)

    # It begins before there is any key, goes on with the first, and ends with the second.
    unencrypted = await begun(client, task_queue)
    old = await connect(read_payload_keys(OLD))
    encrypted = await begun(old, task_queue)
    async with at_work(old, task_queue):
        await until(lambda: waits(unencrypted))
        await until(lambda: waits(encrypted))
    both = await connect(read_payload_keys(f"{NEW}\n{OLD}"))
    async with at_work(both, task_queue):
        for handle in (unencrypted, encrypted):
            again = both.get_workflow_handle_for(Waiting.run, handle.id)
            await again.signal(Waiting.hear, "done")
            assert await again.result() == f"{SECRET} done"
    assert KEY_ID in (stored := await raw(client, encrypted.id))
    assert '"old"' in stored
    assert '"new-1.2"' in stored


@pytest.mark.parametrize("left", [NEW, ""])
async def test_a_key_that_was_taken_away_holds_a_workflow_up_and_ends_nothing(
    client: Client, task_queue: str, left: str, caplog: pytest.LogCaptureFixture
) -> None:
    old = await connect(read_payload_keys(OLD))
    handle = await begun(old, task_queue)

    async def failed() -> bool:
        return EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED in await events_of(client, handle.id)

    async with at_work(await connect(read_payload_keys(left)), task_queue):
        await until(failed)
    assert "key 'old'" in caplog.text
    assert SECRET not in caplog.text
    # With the key it goes on by itself.
    async with at_work(old, task_queue):
        await handle.signal(Waiting.hear, "done")
        assert await handle.result() == f"{SECRET} done"


async def test_the_product_works_with_a_key(
    engine: AsyncEngine, database_url: str, client: Client, task_queue: str
) -> None:
    depot_id = await make_depot(engine, "A")
    keyed = await connect(read_payload_keys(OLD))
    async with (
        open_resources(engine, keyed, task_queue=task_queue, api_url="http://127.0.0.1:9") as resources,
        working(resources),
    ):
        await until(lambda: follows(engine, depot_id))
        request = SyncRequest(depot_id, SECRET, "RESYNC")
        await resync(keyed, task_queue, request, timeout=timedelta(seconds=20))
    stored = await raw(client, sync_workflow_id(depot_id))
    assert SECRET not in stored
    # Search attributes are plain: the depot's id, and names of states. So is how a local step went, but not its result.
    assert "requested_by" not in stored
    assert "grid_connection" not in stored
    history = await client.get_workflow_handle(sync_workflow_id(depot_id)).fetch_history()
    replayer = Replayer(workflows=WORKFLOWS, data_converter=data_converter(read_payload_keys(OLD)))
    assert (await replayer.replay_workflow(history)).replay_failure is None


async def test_an_api_without_the_workers_key_says_so(
    engine: AsyncEngine, api: httpx.AsyncClient, client: Client, task_queue: str
) -> None:
    depot_id = await make_depot(engine, "A")
    async with (
        open_resources(
            engine, await connect(read_payload_keys(OLD)), task_queue=task_queue, api_url="http://127.0.0.1:9"
        ) as resources,
        working(resources),
    ):
        await until(lambda: follows(engine, depot_id))
        answer = await api.post(f"/api/depots/{depot_id}/microgrid/resync")
    assert (answer.status_code, answer.json()["code"]) == (503, "TEMPORAL_UNAVAILABLE")
    assert "encrypted with a key" in answer.json()["detail"]


# The codec's address


def document(payload: Payload) -> dict[str, object]:
    return {
        "metadata": {name: base64.b64encode(value).decode() for name, value in payload.metadata.items()},
        "data": base64.b64encode(payload.data).decode(),
    }


async def test_temporals_command_line_shows_what_is_encrypted(
    database_url: str, client: Client, temporal_address: str, task_queue: str
) -> None:
    keyed = await connect(read_payload_keys(OLD))
    async with at_work(keyed, task_queue):
        handle = await begun(keyed, task_queue)
        await handle.signal(Waiting.hear, "done")
        await handle.result()
    settings = Settings(database_url=SecretStr(database_url), payload_keys=SecretStr(f"{NEW} {OLD}"))
    show = [executable("temporal"), "workflow", "show", "--address", temporal_address, "--workflow-id", handle.id]

    async def shown(*more: str) -> str:
        done = await asyncio.to_thread(subprocess.run, [*show, *more], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    async with serving(settings) as address:
        answered = base64.b64encode(f'"{SECRET} done"'.encode()).decode()
        assert answered not in await shown("--output", "json")
        assert answered in await shown("--output", "json", "--codec-endpoint", f"{address}/api/temporal/codec")


async def test_the_codec_decrypts_for_temporals_ui_alone(database_url: str, client: Client) -> None:
    ui = "http://127.0.0.1:8233"
    settings = Settings(
        database_url=SecretStr(database_url), payload_keys=SecretStr(OLD), temporal_ui_url=f"{ui}/somewhere"
    )
    (encrypted,) = await EncryptingCodec(read_payload_keys(OLD)).encode([PLAIN])
    body = {"payloads": [document(encrypted), document(PLAIN)]}
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "x-namespace,content-type"}
    async with serving(settings) as address, http_client(address) as caller:
        path = "/api/temporal/codec/decode"
        answer = await caller.options(path, headers={"origin": ui, **asks})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ui)
        assert "access-control-allow-credentials" not in answer.headers
        sent = {"origin": ui, "sec-fetch-site": "same-site", "x-namespace": client.namespace}
        answer = await caller.post(path, json=body, headers=sent)
        assert answer.json() == {"payloads": [document(PLAIN)] * 2}
        assert (answer.headers["access-control-allow-origin"], answer.headers["cache-control"]) == (ui, "no-store")
        answer = await caller.post(path.replace("decode", "encode"), json={"payloads": [document(PLAIN)]}, headers=sent)
        assert SECRET not in base64.b64decode(answer.json()["payloads"][0]["data"]).decode(errors="replace")
        # Nowhere else, and nobody else.
        for origin in ("http://127.0.0.1:8234", "https://127.0.0.1:8233", "http://evil.example", "null"):
            answer = await caller.options(path, headers={"origin": origin, **asks})
            assert "access-control-allow-origin" not in answer.headers
            answer = await caller.post(path, json=body, headers={"origin": origin})
            assert (answer.status_code, answer.json()["code"]) == (403, "CROSS_SITE_REFUSED")
        answer = await caller.post("/api/depots", json={}, headers=sent)
        assert (answer.status_code, answer.json()["code"]) == (403, "CROSS_SITE_REFUSED")
        assert "access-control-allow-origin" not in answer.headers


async def test_the_codec_says_which_key_is_missing(api: httpx.AsyncClient) -> None:
    (encrypted,) = await EncryptingCodec(read_payload_keys(OLD)).encode([PLAIN])
    path = "/api/temporal/codec/decode"
    answer = await api.post(path, json={"payloads": [document(encrypted)]})
    assert (answer.status_code, answer.json()["code"]) == (422, "PAYLOAD_UNREADABLE")
    assert (await api.post(path, json={"payloads": [document(PLAIN)]})).json() == {"payloads": [document(PLAIN)]}
    assert (await api.post(path, json={})).json() == {"payloads": []}
    assert (await api.post(path, json={"payloads": [{"data": "*"}]})).json()["code"] == "INVALID_REQUEST"


def test_cryptography_is_loaded_where_there_is_a_key_alone() -> None:
    code = (
        "import sys, api.main, worker; from runtime.secrets.payloads import data_converter\n"
        "from runtime.secrets.keys import PayloadKeys\n"
        "data_converter(PayloadKeys()); print('cryptography.hazmat.primitives.ciphers.aead' in sys.modules)"
    )
    done = subprocess.run([executable("python"), "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.lower()) is False


def test_the_document_of_the_codec_is_temporals() -> None:
    schema = create_app(Settings(database_url=SecretStr("postgresql:///none"))).openapi()["components"]["schemas"]
    assert set(schema["PayloadDocument"]["properties"]) == {"metadata", "data"}
