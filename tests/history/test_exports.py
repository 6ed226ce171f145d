"""Exports: what was measured, as files that the tools of analysts open."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.limits import MAX_EXPORTS, Places, export_places
from domain.access.principals import Grant
from domain.access.roles import Role
from domain.base.problems import Problem, ProblemCode
from domain.base.times import EARLIEST, LATEST
from domain.history.exports import ExportKind, ExportSelection
from domain.site.measurands import MEASURANDS
from store.base.tables import changes
from store.history.exports import columns_of
from store.site.remediations import RemediationState
from tests.access.sites import WHO, asked_as, person
from tests.factories.load_sites import make_load_site
from tests.factories.packets import send
from tests.factories.sites import MadeDepot, add_device, controller_site, make_site, milliseconds, packet

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
KINDS = [each.value for each in ExportKind]


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


async def measured(api: httpx.AsyncClient, engine: AsyncEngine) -> tuple[MadeDepot, list[UUID]]:
    """A depot with two devices that measured something, one of them badly."""
    site = await make_site(engine)
    devices = [await add_device(engine, site, sensor, site.circuit_ids[0]) for sensor in ("em-1", "bess-1")]
    for minutes, load in ((10, 5_000), (9, -2_500.5), (9, -2_500.5)):
        await send(api, packet(site, at(minutes), "em-1", TOTAL_POWER_LOAD=load, VOLTAGE=230))
    await send(api, packet(site, at(8), "bess-1", SOC=120, DEVICE_POWER_STATE="on", LIMIT_PEAK_SHAVING="true"))
    return site, devices


def at(minutes: float) -> int:
    return milliseconds(NOW - timedelta(minutes=minutes))


async def test_each_reading_is_a_row_once_with_units_and_zone(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site, (meter, battery) = await measured(api, engine)
    answer = await api.get("/api/exports/readings", params={"depot_id": str(site.depot_id)})
    rows = {(row["device_id"], row["observed_at"]): row for row in rows_of(answer)}
    stamp = "%Y-%m-%dT%H:%M:%S.%fZ"
    assert set(rows) == {
        (str(meter), f"{NOW - timedelta(minutes=10):{stamp}}"),
        (str(meter), f"{NOW - timedelta(minutes=9):{stamp}}"),
        (str(battery), f"{NOW - timedelta(minutes=8):{stamp}}"),
    }
    second = rows[str(meter), f"{NOW - timedelta(minutes=9):{stamp}}"]
    shown = ("depot_id", "device", "circuit", "TOTAL_POWER_LOAD [W]", "VOLTAGE [V]")
    assert {name: second[name] for name in shown} == {
        "depot_id": str(site.depot_id),
        "device": "Device em-1",
        "circuit": "Feed 1",
        "TOTAL_POWER_LOAD [W]": "-2500.5",
        "VOLTAGE [V]": "230",
    }
    (last,) = [row for row in rows.values() if row["device_id"] == str(battery)]
    assert (last["SOC [%]"], last["DEVICE_POWER_STATE"], last["LIMIT_PEAK_SHAVING"]) == ("", "on", "t")
    assert last["faults"] == '{"SOC": "VALUE_OUT_OF_RANGE"}'
    assert datetime.fromisoformat(last["received_at"]).tzinfo is not None
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="readings-')


async def test_what_is_selected_leaves_out_the_rest(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site, (meter, battery) = await measured(api, engine)
    await measured(api, engine)

    async def count(**query: Any) -> int:
        return len(rows_of(await api.get("/api/exports/readings", params=query)))

    assert await count() == 6
    assert await count(depot_id=str(site.depot_id)) == 3
    assert await count(device_id=[str(meter), str(battery)]) == 3
    assert await count(device_id=str(meter), measurand="VOLTAGE") == 2
    assert await count(device_id=str(meter), measurand="SOC") == 0
    # A fault is what came of it.
    assert await count(device_id=str(battery), measurand="SOC") == 1
    nine = (NOW - timedelta(minutes=9)).isoformat()
    assert await count(depot_id=str(site.depot_id), since=nine) == 2
    assert await count(depot_id=str(site.depot_id), until=nine) == 1
    assert await count(since=EARLIEST.isoformat(), until=LATEST.isoformat()) == 6
    only = await api.get("/api/exports/readings", params={"measurand": ["SOC", "VOLTAGE"]})
    assert [name for name in rows_of(only)[0] if "[" in name] == ["VOLTAGE [V]", "SOC [%]"]


def _pandas(path: Path) -> list[tuple[datetime, float | None, str]]:
    pandas = import_module("pandas")
    if path.suffix == ".csv":
        frame = pandas.read_csv(path, parse_dates=["observed_at"])
    else:
        duckdb = import_module("duckdb")
        # pandas reads Parquet by pyarrow alone; DuckDB gives it the same frame.
        frame = duckdb.sql(f"SELECT * FROM '{path}'").df()
    assert str(frame["observed_at"].dt.tz) != "None"
    found = zip(frame["observed_at"], frame["TOTAL_POWER_LOAD [W]"], frame["depot"], strict=True)
    return [(time.to_pydatetime(), None if pandas.isna(load) else load, depot) for time, load, depot in found]


def _duckdb(path: Path) -> list[tuple[datetime, float | None, str]]:
    query = f"""SELECT epoch_us(observed_at), "TOTAL_POWER_LOAD [W]", depot FROM '{path}'"""
    found = import_module("duckdb").sql(query).fetchall()
    return [(datetime.fromtimestamp(time / 1e6, UTC), load, depot) for time, load, depot in found]


def _polars(path: Path) -> list[tuple[datetime, float | None, str]]:
    polars = import_module("polars")
    frame = polars.read_csv(path, try_parse_dates=True) if path.suffix == ".csv" else polars.read_parquet(path)
    assert frame.schema["observed_at"].time_zone == "UTC"
    return frame.select("observed_at", "TOTAL_POWER_LOAD [W]", "depot").rows()


@pytest.mark.parametrize("answer", ["csv", "parquet"])
@pytest.mark.parametrize("read", [_pandas, _duckdb, _polars])
async def test_analysts_open_it(
    api: httpx.AsyncClient, engine: AsyncEngine, tmp_path: Path, read: Callable[[Path], list[Any]], answer: str
) -> None:
    await measured(api, engine)
    sent = await api.get("/api/exports/readings", params={"format": answer})
    assert sent.status_code == 200, sent.text
    path = tmp_path / f"readings.{answer}"
    path.write_bytes(sent.content)
    assert sorted(read(path), key=lambda row: row[0]) == [
        (NOW - timedelta(minutes=10), 5_000.0, "Arrow Road"),
        (NOW - timedelta(minutes=9), -2_500.5, "Arrow Road"),
        (NOW - timedelta(minutes=8), None, "Arrow Road"),
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_an_empty_export_has_its_header_in_both_formats(
    api: httpx.AsyncClient, tmp_path: Path, kind: str
) -> None:
    selection = ExportSelection(NOW, NOW)
    expected = [column.header for column in columns_of(ExportKind(kind), selection)]
    as_csv = await api.get(f"/api/exports/{kind}")
    assert next(csv.reader(io.StringIO(as_csv.text))) == expected
    path = tmp_path / "empty.parquet"
    path.write_bytes((await api.get(f"/api/exports/{kind}", params={"format": "parquet"})).content)
    described = import_module("duckdb").sql(f"DESCRIBE SELECT * FROM '{path}'").fetchall()
    assert [name for name, *_ in described] == expected


async def test_histories_are_exported_with_names_and_units(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    made = await make_load_site(engine, feeds=2)
    query = {"depot_id": str(made.site.depot_id), "since": (NOW - timedelta(days=1)).isoformat()}
    changes_of = rows_of(await api.get("/api/exports/capacity-history", params=query))
    first = [row for row in changes_of if row["circuit"] == "Feed 1" and row["mode"] != "AWAITING"]
    assert [(row["mode"], row["reason"], row["capacity [W]"]) for row in first] == [
        ("CONTROLLER", "", "400000"),
        ("FAIL_SAFE", "CONNECTION_LOST", "150000"),
        ("CONTROLLER", "", "320000"),
        ("CONTROLLER", "", "380000"),
    ]

    site = await controller_site(engine)
    for value in ("true", "false"):
        await send(api, packet(site, None, LIMIT_PEAK_SHAVING=value))
    found = rows_of(await api.get("/api/exports/capability-history", params={"depot_id": str(site.depot_id)}))
    assert {(row["capability"], row["status"]) for row in found} == {("PEAK_SHAVING", "ON"), ("PEAK_SHAVING", "OFF")}
    assert {row["microgrid_id"] for row in found} == {str(site.microgrid_id)}


async def test_remediations_of_a_window_are_those_that_were_open(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await make_site(engine, provisioned=False)
    device_id = await add_device(engine, site)
    async with engine.begin() as connection:
        for opened, closed in ((5, 4), (5, None), (2, 1)):
            await connection.execute(
                text("""
                    INSERT INTO remediations (depot_id, gateway_id, device_id, sensor_action_id, action, code,
                        candidates, opened_at, last_seen_at, times, closed_at, closed_by)
                    VALUES (:depot, :gateway, :device, :action, 'UPDATE_MICROGRID_STATE', 'MICROGRID_MISSING', '{}',
                        CAST(:opened AS timestamptz), :opened, 3, CAST(:closed AS timestamptz),
                        CASE WHEN CAST(:closed AS timestamptz) IS NOT NULL THEN 'ann' END)
                """),
                {
                    "depot": site.depot_id, "gateway": site.gateway_id, "device": device_id, "action": uuid4(),
                    "opened": NOW - timedelta(hours=opened),
                    "closed": None if closed is None else NOW - timedelta(hours=closed),
                },
            )  # fmt: skip

    async def times(since: float, until: float) -> list[tuple[str, str]]:
        window = {name: (NOW - timedelta(hours=ago)).isoformat() for name, ago in (("since", since), ("until", until))}
        found = rows_of(await api.get("/api/exports/remediations", params=window))
        return [(row["times"], row["closed_by"]) for row in found]

    assert await times(6, 4.5) == [("3", "ann"), ("3", "")]
    assert await times(3.5, 3) == [("3", "")]
    assert await times(3, 0) == [("3", ""), ("3", "ann")]
    assert set(RemediationState) == {"OPEN", "CLOSED"}


async def test_a_name_is_no_formula_in_csv_and_as_it_is_in_parquet(
    api: httpx.AsyncClient, engine: AsyncEngine, tmp_path: Path
) -> None:
    site, _ = await measured(api, engine)
    names = ["=1+1", " @sum(a1)", '"quoted", and\nbroken', "-", "plain"]
    for name in names:
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE depots SET name = :name"), {"name": name})
        query = {"depot_id": str(site.depot_id)}
        shown = {row["depot"] for row in rows_of(await api.get("/api/exports/readings", params=query))}
        assert shown == {f"'{name}" if name.lstrip()[0] in "=@-" else name}
        path = tmp_path / "names.parquet"
        path.write_bytes((await api.get("/api/exports/readings", params={**query, "format": "parquet"})).content)
        assert import_module("duckdb").sql(f"SELECT DISTINCT depot FROM '{path}'").fetchall() == [(name,)]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"depot_id": str(UUID(int=7))}, (404, "DEPOT_NOT_FOUND")),
        ({"device_id": str(UUID(int=7))}, (404, "DEVICE_NOT_FOUND")),
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-02T00:00:00Z"}, (422, "INVALID_REQUEST")),
        ({"since": "2026-01-02T00:00:00"}, (422, "INVALID_REQUEST")),
        ({"format": "xlsx"}, (422, "INVALID_REQUEST")),
        ({"measurand": "FLUX"}, (422, "INVALID_REQUEST")),
        ({"device_id": [str(UUID(int=n)) for n in range(501)]}, (422, "INVALID_REQUEST")),
    ],
)
async def test_what_cannot_be_exported_is_refused(
    api: httpx.AsyncClient, query: dict[str, Any], told: tuple[int, str]
) -> None:
    answer = await api.get("/api/exports/readings", params=query)
    assert (answer.status_code, answer.json()["code"]) == told


async def test_a_device_of_another_depot_is_not_there(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    (one, _), (_, (foreign, _)) = await measured(api, engine), await measured(api, engine)
    query = {"depot_id": str(one.depot_id), "device_id": str(foreign)}
    answer = await api.get("/api/exports/readings", params=query)
    assert (answer.status_code, answer.json()["code"]) == (404, "DEVICE_NOT_FOUND")


@asynccontextmanager
async def viewer(database_url: str, depot_id: UUID) -> AsyncGenerator[httpx.AsyncClient]:
    async with asked_as(database_url, {"ann": person(Grant(Role.VIEWER, depot_id))}) as caller:
        caller.headers[WHO] = "ann"
        yield caller


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_of_a_foreign_depot_is_in_it(
    api: httpx.AsyncClient, engine: AsyncEngine, database_url: str, kind: str
) -> None:
    own, foreign = (await make_load_site(engine, feeds=1)).site, (await make_load_site(engine, feeds=1)).site
    del api
    async with viewer(database_url, own.depot_id) as caller:
        all_of_it = await caller.get(f"/api/exports/{kind}")
        assert all_of_it.status_code == 200
        assert str(foreign.depot_id) not in all_of_it.text
        named = await caller.get(f"/api/exports/{kind}", params={"depot_id": str(foreign.depot_id)})
        assert (named.status_code, named.json()["code"]) == (404, "DEPOT_NOT_FOUND")


async def test_it_is_in_the_journal_with_what_was_selected(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site, (meter, _) = await measured(api, engine)
    query = {"depot_id": str(site.depot_id), "device_id": str(meter), "measurand": "SOC", "format": "parquet"}
    await api.get("/api/exports/readings", params=query)
    async with engine.connect() as connection:
        query = select(changes.c.depot_id, changes.c.detail).where(changes.c.action == "READINGS_EXPORTED")
        ((depot_id, detail),) = (await connection.execute(query)).all()
    assert depot_id == site.depot_id
    assert (detail["format"], detail["device_ids"], detail["measurands"]) == ("parquet", [str(meter)], ["SOC"])


async def test_beyond_the_cap_nothing_is_sent(
    api: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await measured(api, engine)
    for most, told in ((3, 200), (2, 422)):
        monkeypatch.setattr("api.history.exports.MOST_ROWS", most)
        answer = await api.get("/api/exports/readings")
        assert answer.status_code == told
    assert answer.json()["code"] == "EXPORT_TOO_LARGE"


async def test_without_duckdb_csv_is_still_there(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        del name

    monkeypatch.setattr("store.history.parquet.find_spec", nothing)
    answer = await api.get("/api/exports/readings", params={"format": "parquet"})
    assert (answer.status_code, answer.json()["code"]) == (501, "PARQUET_NOT_INSTALLED")
    assert (await api.get("/api/exports/readings")).status_code == 200


async def test_no_file_is_left_behind(
    api: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    await measured(api, engine)

    def left() -> list[Path]:
        return list(tmp_path.iterdir())

    for query in ({}, {"format": "parquet"}, {"depot_id": str(UUID(int=7))}):
        await api.get("/api/exports/readings", params=query)
        assert left() == []


async def test_one_more_than_may_go_on_is_refused() -> None:
    places = export_places()

    async def taken(places: Places, more: int) -> None:
        async with places.place():
            if more:
                await taken(places, more - 1)

    await taken(places, MAX_EXPORTS - 1)
    with pytest.raises(Problem) as refused:
        await taken(places, MAX_EXPORTS)
    assert refused.value.code is ProblemCode.TOO_MANY_EXPORTS
    await taken(places, MAX_EXPORTS - 1)


def test_every_measurand_has_a_column() -> None:
    headers = [column.header for column in columns_of(ExportKind.READINGS, ExportSelection(NOW, NOW))]
    assert len(headers) == len(set(headers)) == len(MEASURANDS) + 11
