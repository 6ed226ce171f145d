"""The legacy fleet comes in: what lands, what is refused and why, and that nothing else happens."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from domain.site.circuits import MAX_CIRCUITS, MAX_DEPTH
from domain.site.fleet import MAX_LINE_BYTES, FleetCode, LineKind
from fleet.make_fleet import CUT_SHORT, fleet, lines
from store.base.database import transaction
from store.base.tables import changes
from store.provisioning.microgrids import reconcile_microgrid
from store.provisioning.tables import outbox
from store.site.circuits import delete_circuit, update_circuit
from store.site.fleet import fleet_statements
from store.site.fleet.fleet_import import FleetImport
from store.site.tables import depots
from tests.factories.backfills import begin, reached
from tests.factories.fleet_lines import (
    ROUTE,
    TABLES,
    circuit,
    codes,
    count,
    depot,
    device,
    encode,
    flawed,
    gaps,
    gateway,
    import_lines,
    in_a_world,
    post,
    source,
    state,
    stored_fleet,
)
from tests.factories.fleet_model import Fleet
from tests.helpers.live import working
from tests.helpers.support import ACTOR, assert_follows, circuits_of, drifted_depots, make_depot

# What the maker of fleets writes


async def test_every_flaw_is_reported_by_its_line_and_everything_else_lands(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    rows = list(fleet(300, seed=3, flaws=True))
    expected = flawed(rows)
    assert len(set(expected.values())) == 6
    report = await post(api, encode(CUT_SHORT if row is None else row for row in rows))
    assert codes(report) == expected
    good = [row for number, row in enumerate(rows, 1) if row is not None and number not in expected]
    kinds = Counter(row["type"] for row in good)
    assert report["landed"] == {f"{kind}s": kinds[kind] for kind in LineKind}
    assert (report["lines"], report["unchanged"], report["refused"]) == (len(rows), 0, len(expected))
    assert report["refused_by_code"] == Counter(expected.values())
    stored = await state(engine)
    for kind in LineKind:
        assert [row[0] for row in stored[f"{kind}s"]] == sorted(
            UUID(str(row["id"])) for row in good if row["type"] == kind
        )
    assert await gaps(engine) == 0


async def test_a_refused_line_is_named_with_all_that_helps_to_find_it(api: httpx.AsyncClient) -> None:
    here, foreign, above = str(uuid4()), str(uuid4()), str(uuid4())
    body = [depot(here), depot(foreign), circuit(foreign, above), circuit(here, above), circuit(here, parent=above)]
    refusals = (await post(api, encode(body)))["refusals"]
    assert refusals == [
        {
            "line": 4,
            "code": "REPEATED_ID",
            "reason": "The id stands on line 3 already, and the first line of an id wins.",
            "field": "id",
            "type": "circuit",
            "id": above,
        },
        {
            "line": 5,
            "code": "PARENT_IN_OTHER_DEPOT",
            "reason": f"The parent, circuit {above}, is of another depot.",
            "field": "parent_id",
            "type": "circuit",
            "id": body[4]["id"],
        },
    ]


async def test_the_same_file_again_changes_nothing(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    body = "".join(lines(80, seed=5, flaws=True)).encode()
    first = await post(api, body)
    before, told = await state(engine), await count(engine, "changes")
    second = await post(api, body)
    assert second["landed"] == dict.fromkeys(TABLES, 0)
    assert second["unchanged"] == sum(first["landed"].values())
    assert second["refusals"] == first["refusals"]
    assert await state(engine) == before
    assert await count(engine, "changes") == told


async def test_an_import_provisions_nothing(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    await post(api, "".join(lines(30, seed=5, flaws=True)).encode())
    assert {row[3] for row in (await state(engine))["depots"]} == {"PENDING"}
    assert await count(engine, "outbox") == await count(engine, "microgrids") == 0


async def test_every_row_and_every_depots_journal_say_who_imported(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    here = str(uuid4())
    await post(api, encode([depot(here), circuit(here), circuit(here)]))
    assert {row[-1] for rows in (await state(engine)).values() for row in rows} == {"local-administrator"}
    async with engine.connect() as connection:
        found = (await connection.execute(select(changes))).mappings().one()
    assert (found["actor"], found["action"], str(found["depot_id"])) == ("local-administrator", "FLEET_IMPORTED", here)
    assert found["detail"] == {"depot": 1, "circuit": 2}


@pytest.mark.acceptance("COR-8.1")
async def test_the_backfill_gives_an_imported_fleet_its_microgrids(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    rows = list(fleet(120, seed=3, flaws=True))
    await post(api, encode(CUT_SHORT if row is None else row for row in rows))
    tops = {row["depot_id"] for row in rows if row and row["type"] == "circuit" and row["name"] not in ("Spare", "   ")}
    async with working(client, engine, task_queue):
        done = await reached(api, await begin(api, page_size=50), "COMPLETED")
    assert done["outcomes"] == {
        "CREATED": len(tops), "ALREADY_PROVISIONED": 0, "NO_TOP_LEVEL_CIRCUITS": 120 - len(tops),
    }  # fmt: skip
    async with engine.connect() as connection:
        assert await drifted_depots(connection) == []
    await assert_follows(engine, UUID(str(next(iter(tops)))))


# Whatever lines say of one another: the same as the model


POOL = {"depot": 3, "circuit": 8, "gateway": 2, "device": 3, "power_source": 2}


@st.composite
def small_fleets(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Some dozen lines of few ids, which point at one another in every wrong way."""

    def id_of(kind: str) -> st.SearchStrategy[str]:
        return st.integers(1, POOL[kind]).map(lambda number: f"{kind} {number}")

    circuit_id = st.none() | id_of("circuit")
    fields: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "depot": {"timezone": st.sampled_from(["UTC", "UTC", "Europe/Zurich"])},
        "circuit": {
            "depot_id": id_of("depot"),
            "parent_id": circuit_id,
            "position": st.integers(0, 3),
            "rated_power_w": st.sampled_from([None, 5.0]),
        },
        "gateway": {
            "depot_id": id_of("depot"),
            "site_model_name": st.sampled_from([None, "legacy-v1"]),
            "output_translation": st.sampled_from([None, {"a": 1}]),
        },
        "device": {
            "gateway_id": id_of("gateway"),
            "sensor_id": st.sampled_from(["mgc-1", "meter"]),
            "circuit_id": circuit_id,
        },
        "power_source": {
            "depot_id": id_of("depot"),
            "circuit_id": circuit_id,
            "kind": st.sampled_from(["BATTERY", "SOLAR"]),
        },
    }
    kinds = ["depot"] * 3 + ["circuit"] * 8 + ["gateway", "device", "device", "power_source"]
    name = st.sampled_from(["Feed", "Feed", "Feed", "Board", " "])
    made: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 30))):
        kind = draw(st.sampled_from(kinds))
        line = {"type": kind, "id": draw(id_of(kind)), "name": draw(name)}
        made.append(line | {field: draw(values) for field, values in fields[kind].items()})
    return made


@given(st.lists(small_fleets(), min_size=1, max_size=2), st.sampled_from([1, 5, 20_000]))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_lines_say_of_one_another_the_model_says_the_same(
    engine: AsyncEngine, drawn: list[list[dict[str, Any]]], batch_lines: int
) -> None:
    fleets = in_a_world(uuid4(), drawn)
    model = Fleet()
    for rows in fleets:
        expected = model.take(rows)
        summary, refused = await import_lines(engine, encode(rows), batch_lines=batch_lines)
        assert refused == expected.refused
        assert summary.unchanged == len(expected.unchanged)
        kinds = Counter(rows[number - 1]["type"] for number in expected.landed)
        assert summary.stored == {kind: kinds[kind] for kind in LineKind}
    assert await stored_fleet(engine, fleets) == model
    assert await gaps(engine) == 0


@given(st.permutations(range(60)))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_lines_may_come_in_any_order(engine: AsyncEngine, order: list[int]) -> None:
    space = uuid4()
    rows = [row for row in fleet(6, seed=11, flaws=True) if row is not None]
    (rows,) = in_a_world(space, [rows[:60]])
    wrong = {number - 1: code for number, code in flawed(rows).items()}
    # Of two lines with one id it is the order that decides, so only one of them may be there.
    order = [place for place in order if place < len(rows) and wrong.get(place) != "REPEATED_ID"]
    shuffled = [rows[place] for place in order]
    _, refused = await import_lines(engine, encode(shuffled), batch_lines=20)
    assert refused == {number: wrong[place] for number, place in enumerate(order, 1) if place in wrong}
    expected = Fleet()
    expected.take([rows[place] for place in sorted(order)])
    assert await stored_fleet(engine, [shuffled]) == expected


# What is stored already


async def test_new_circuits_come_after_those_that_are_there(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    here, board = str(uuid4()), str(uuid4())
    await post(
        api, encode([depot(here), circuit(here, board, name="A", position=7), circuit(here, name="B", position=9)])
    )
    more = [
        circuit(here, name="E", position=None),
        circuit(here, name="D", position=1),
        circuit(here, name="C", position=0),
        circuit(here, name="F", position=None),
        circuit(here, parent=board, name="under A"),
    ]
    report = await post(api, encode(more))
    assert report["landed"]["circuits"] == len(more)
    found = [(each.name, each.position) for each in await circuits_of(engine, UUID(here))]
    assert found == [("A", 0), ("under A", 0), ("B", 1), ("C", 2), ("D", 3), ("E", 4), ("F", 5)]


async def test_what_operators_changed_is_not_undone(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    here = str(uuid4())
    top, other, below, leaf = (str(uuid4()) for _ in range(4))
    body = encode(
        [
            depot(here),
            circuit(here, top, name="Top", position=0),
            circuit(here, other, name="Other", position=1),
            circuit(here, below, top, name="Below", position=0),
            circuit(here, leaf, below, name="Leaf", position=0),
            source(here, top),
        ]
    )
    await post(api, body)
    async with transaction(engine, ACTOR) as connection:
        await update_circuit(connection, ACTOR, UUID(other), {"name": "Renamed", "position": 0})
        await delete_circuit(connection, ACTOR, UUID(below), cascade=True)
        await connection.execute(update(depots).values(timezone="UTC"))
    before = await state(engine)
    again = await post(api, body)
    assert codes(again) == {
        1: "CONTENT_DIFFERS", 3: "CONTENT_DIFFERS", 4: "CIRCUIT_DELETED", 5: "PARENT_REFUSED",
    }  # fmt: skip
    assert again["unchanged"] == 2
    assert await state(engine) == before


async def test_a_depot_that_is_provisioned_asks_for_its_sync_and_no_other_does(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    ready, failed, waiting = [await make_depot(engine, *names) for names in (("A",), (), ("A",))]
    async with transaction(engine, ACTOR) as connection:
        for depot_id in (ready, failed):
            await reconcile_microgrid(connection, ACTOR, depot_id)
        await connection.execute(delete(outbox))
    below = (await circuits_of(engine, ready))[0].circuit_id
    await post(api, encode([circuit(str(ready), parent=str(below)), circuit(str(waiting))]))
    assert await count(engine, "outbox") == 0
    await post(api, encode([circuit(str(depot_id)) for depot_id in (ready, failed, waiting)]))
    async with engine.connect() as connection:
        asked = (await connection.execute(select(outbox.c.depot_id, outbox.c.requested_by))).all()
    assert {tuple(row) for row in asked} == {(ready, "local-administrator"), (failed, "local-administrator")}


async def test_a_device_may_hang_on_what_is_stored(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    here, site, feed = str(uuid4()), str(uuid4()), str(uuid4())
    await post(api, encode([depot(here), gateway(here, site), circuit(here, feed)]))
    report = await post(api, encode([device(site, feed), device(site, feed, sensor_id="meter"), device(site, feed)]))
    assert (report["landed"]["devices"], codes(report)) == (2, {3: "REPEATED_SENSOR"})
    assert codes(await post(api, encode([device(site)]))) == {1: "REPEATED_SENSOR"}


async def test_everything_of_a_gateway_is_stored(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    here, site = str(uuid4()), str(uuid4())
    translation = {"SOC": {"path": ["a\\b", "é\t"], "factor": 1.5}}
    made = gateway(here, site, site_model_name="legacy\\v1", output_translation=translation, name="Tür \\N {0}")
    await post(api, encode([depot(here), made]))
    ((_, _, name, model, stored, _),) = (await state(engine))["gateways"]
    assert (name, model, stored) == ("Tür \\N {0}", "legacy\\v1", translation)
    assert (await post(api, encode([made])))["unchanged"] == 1


# Shapes of trees


async def test_a_tree_as_deep_as_allowed_lands_and_not_a_circuit_more(engine: AsyncEngine) -> None:
    here, ids = str(uuid4()), [str(uuid4()) for _ in range(MAX_DEPTH + 3)]
    chain = [circuit(here, each, above) for each, above in zip(ids, [None, *ids], strict=False)]
    expected = {
        MAX_DEPTH + 2: "CIRCUIT_TREE_TOO_DEEP",
        MAX_DEPTH + 3: "PARENT_REFUSED",
        MAX_DEPTH + 4: "PARENT_REFUSED",
    }
    assert (await import_lines(engine, encode([depot(here), *chain])))[1] == expected
    # The same in two files: the depth of what is stored counts.
    there, ids = str(uuid4()), [str(uuid4()) for _ in range(MAX_DEPTH + 1)]
    chain = [circuit(there, each, above) for each, above in zip(ids, [None, *ids], strict=False)]
    assert (await import_lines(engine, encode([depot(there), *chain[:20]])))[1] == {}
    assert (await import_lines(engine, encode(chain[20:])))[1] == {MAX_DEPTH + 1 - 20: "CIRCUIT_TREE_TOO_DEEP"}
    assert await count(engine, "circuits") == 2 * MAX_DEPTH


@pytest.mark.parametrize("length", [1, 2, 3, 64, 100])
async def test_every_circuit_of_a_cycle_is_told_from_those_that_hang_on_it(engine: AsyncEngine, length: int) -> None:
    here, good = str(uuid4()), str(uuid4())
    ring = [str(uuid4()) for _ in range(length)]
    tail = [str(uuid4()) for _ in range(70)]
    body = [depot(here), circuit(here, good)]
    body += [circuit(here, each, ring[place - 1]) for place, each in enumerate(ring)]
    body += [circuit(here, each, above) for each, above in zip(tail, [ring[0], *tail], strict=False)]
    body += [source(here, ring[0]), source(here, good), circuit(here, parent=good)]
    _, refused = await import_lines(engine, encode(body))
    begins = 3 + length
    assert refused == (
        dict.fromkeys(range(3, begins), "CIRCUIT_CYCLE")
        | dict.fromkeys(range(begins, begins + 70), "PARENT_REFUSED")
        | {begins + 70: "CIRCUIT_REFUSED"}
    )
    assert await gaps(engine) == 0


async def test_many_siblings_are_placed_without_looking_at_each_for_each(engine: AsyncEngine) -> None:
    here, top = str(uuid4()), str(uuid4())
    body = [depot(here), circuit(here, top), *(circuit(here, parent=top) for _ in range(MAX_CIRCUITS // 2))]
    body += [circuit(here) for _ in range(MAX_CIRCUITS // 2 - 1)]
    summary, _ = await import_lines(engine, encode(body))
    assert summary.stored[LineKind.CIRCUIT] == MAX_CIRCUITS
    assert await gaps(engine) == 0


# The answer


async def test_what_is_stored_is_looked_up_for_each_line_and_not_for_each_pair_of_lines(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[int] = []
    scans = "SELECT idx_scan + seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'circuits'"
    land = FleetImport._store_batch  # pyright: ignore[reportPrivateUsage]

    async def counted(self: FleetImport, after: UUID | None, upto: UUID) -> dict[LineKind, tuple[int, int]]:
        landed = await land(self, after, upto)
        looked_up.append((await self._connection.execute(text(scans))).scalar_one())  # pyright: ignore[reportPrivateUsage]
        return landed

    monkeypatch.setattr(FleetImport, "_store_batch", counted)
    given = list(lines(600, seed=1, flaws=False))
    _, refused = await import_lines(engine, "".join(given).encode())
    assert not refused
    assert len(given) > 5_000
    assert len(looked_up) == 1, "all of it in one transaction"
    assert looked_up[0] < 10 * len(given)


async def test_references_of_a_later_batch_are_not_checked_by_reading_whole_tables(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Their plans are kept from the first batch, when the tables were empty.
    read: list[int] = []
    rows_read = "SELECT sum(seq_tup_read) FROM pg_stat_xact_user_tables WHERE relname IN ('depots', 'circuits')"
    land = FleetImport._store_batch  # pyright: ignore[reportPrivateUsage]

    async def counted(self: FleetImport, after: UUID | None, upto: UUID) -> dict[LineKind, tuple[int, int]]:
        landed = await land(self, after, upto)
        read.append((await self._connection.execute(text(rows_read))).scalar_one())  # pyright: ignore[reportPrivateUsage]
        return landed

    monkeypatch.setattr(FleetImport, "_store_batch", counted)
    body = "".join(lines(300, seed=1, flaws=False)).encode()
    await import_lines(engine, body, batch_lines=300)
    stored = await count(engine, "circuits")
    assert len(read) > 5
    assert read[-1] < 60 * stored, "some statements read a small table as a whole; hundreds of checks must not"


async def test_the_report_may_come_line_by_line(api: httpx.AsyncClient) -> None:
    body = "".join(lines(200, seed=2, flaws=True)).encode()
    document = await post(api, body)
    answer = await api.post(ROUTE, content=body, headers={"accept": "application/x-ndjson"})
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    counts, *refusals = [json.loads(line) for line in answer.text.splitlines()]
    assert len(refusals) > 20
    assert refusals == document.pop("refusals")
    assert counts == document | {"landed": dict.fromkeys(TABLES, 0), "unchanged": sum(document["landed"].values())}


@pytest.mark.parametrize("body", [b"", b"\n", b"\r\n \n\n", b"\xef\xbb\xbf"])
async def test_an_empty_file_is_an_import_of_nothing(api: httpx.AsyncClient, body: bytes) -> None:
    assert await post(api, body) == {
        "lines": 0, "landed": dict.fromkeys(TABLES, 0), "unchanged": 0, "refused": 0, "refused_by_code": {},
        "refusals": [],
    }  # fmt: skip


async def test_a_line_too_long_is_refused_by_its_number(api: httpx.AsyncClient) -> None:
    here = str(uuid4())
    body = encode([depot(here), "x" * 10_000_000, circuit(here), "x" * (MAX_LINE_BYTES + 1), "x" * MAX_LINE_BYTES])
    report = await post(api, body)
    assert codes(report) == {2: "LINE_TOO_LONG", 4: "LINE_TOO_LONG", 5: "NOT_JSON"}
    assert report["landed"] == dict.fromkeys(TABLES, 0) | {"depots": 1, "circuits": 1}


async def test_the_document_declares_what_comes_in_and_what_comes_back(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json")).json()
    operation = document["paths"][ROUTE]["post"]
    assert list(operation["requestBody"]["content"]) == ["application/x-ndjson", "application/octet-stream"]
    assert operation["requestBody"]["required"] is True
    answer = operation["responses"]["200"]["content"]
    assert answer["application/json"]["schema"] == {"$ref": "#/components/schemas/ImportReport"}
    assert "application/x-ndjson" in answer
    schemas = document["components"]["schemas"]
    assert schemas["FleetCode"]["enum"] == list(FleetCode)
    assert set(schemas["ImportReport"]["required"]) == {
        "lines", "landed", "unchanged", "refused", "refused_by_code", "refusals",
    }  # fmt: skip
    assert set(schemas["Landed"]["properties"]) == set(TABLES)


def test_the_records_go_into_the_columns_that_are_there() -> None:
    for columns in (fleet_statements.STAGED, fleet_statements.REFUSED):
        table = "staged" if columns is fleet_statements.STAGED else "refused"
        (made,) = [each for each in fleet_statements.PREPARE if f"TABLE {table} " in each]
        assert all(f"{name} " in made for name in columns)
