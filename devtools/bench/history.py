"""`./dev bench history`: what a long history takes and costs to read, beside the bare database.

One depot has four meters that measured each ten seconds until now, and a controller that said each half minute whether
its capabilities were ON. Readings and events are filled in by SQL; the product's own statements roll them up.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isclose
from statistics import median
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from pydantic import SecretStr
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.main import create_app
from cli.errors import CommandFailedError
from devtools.bench.baselines.bare_bands import bare_bands, check_same_bands
from devtools.bench.baselines.flexmeasures import flexmeasures
from devtools.bench.baselines.flexmeasures_charts import ask, fill
from devtools.bench.figures import Latency
from devtools.bench.site import DepotIds, make_sites, packet_template, read_sites
from devtools.bench.stage import Databases, databases
from domain.history.buckets import bucket_begin, bucket_for
from domain.history.rollups import RollupWidth
from runtime.settings import Settings
from store.base.database import make_engine
from store.history.parquet import can_write_parquet
from store.history.rolling.band_statements import BANDS
from store.history.rollup_statements import TABLES
from store.history.rollups import note_touched, roll_up_page

METERS = 4
EVERY = timedelta(seconds=10)
PACKETS_EVERY = timedelta(seconds=30)
"""A packet of the controller."""
MEASURANDS = 3
"""Values of a reading."""
PER_DAY = METERS * (timedelta(days=1) // EVERY)
SPANS = {
    "1 h": timedelta(hours=1),
    "24 h": timedelta(days=1),
    "7 d": timedelta(days=7),
    "90 d": timedelta(days=90),
    "1 y": timedelta(days=365),
}
EXPORTED = timedelta(days=7)
ARRAY = 100
_DATABASE = "history"
_KEPT = ("device_readings", *TABLES.values())
_EVENTS = ("capability_events", *BANDS.values())

_METERS = """
    INSERT INTO devices (depot_id, gateway_id, sensor_id, name, circuit_id, created_by, updated_by)
    SELECT depot_id, gateway_id, 'em-' || n, 'Meter ' || n, circuit_id, 'bench', 'bench'
    FROM devices CROSS JOIN generate_series(1, :meters) AS n RETURNING id
"""
# As it is in the field, those of one moment come together.
_FILL = """
    INSERT INTO device_readings (device_id, observed_at, received_at, total_power_load, current, voltage)
    SELECT d.id, t, t + interval '200 milliseconds', p.watts, p.watts / 400, 400 + extract(second FROM t)::float8 / 10
    FROM generate_series($1::timestamptz, $2::timestamptz - $3::interval, $3::interval) AS t
    CROSS JOIN unnest($4::uuid[]) WITH ORDINALITY AS d (id, n)
    CROSS JOIN LATERAL (
        SELECT 50000 * d.n + 40000 * sin(extract(epoch FROM t)::float8 / 13750)
               + (extract(epoch FROM t)::bigint * 7919 % 1000) AS watts
    ) AS p
"""
# ON for some hours of a day; every three days or so nothing comes for ten minutes.
_FILL_EVENTS = """
    INSERT INTO capability_events (microgrid_id, capability, status, observed_at, received_at, provider_event_ref,
                                   source_device_id, effect, recorded_by)
    SELECT $4, c.capability, CASE WHEN extract(hour FROM t)::integer % c.hours < c.hours / 2 THEN 'ON' ELSE 'OFF' END,
           t, t + interval '200 milliseconds', 'packet:' || $5::uuid || ':' || extract(epoch FROM t) || ':em-grid',
           $5, 'SHOWN', 'bench'
    FROM generate_series($1::timestamptz, $2::timestamptz - $3::interval, $3::interval) AS t
    CROSS JOIN (VALUES ('PEAK_SHAVING', 12), ('DER', 8)) AS c (capability, hours)
    WHERE extract(epoch FROM t)::bigint % 250000 >= 600
"""
_SIZES = """
    SELECT coalesce(sum(pg_table_size(inhrelid)), 0)::bigint, coalesce(sum(pg_indexes_size(inhrelid)), 0)::bigint
    FROM pg_inherits WHERE inhparent = $1::text::regclass
"""
# The buckets of a chart with all its numbers, as one would ask for them by hand.
_BARE_OF_READINGS = """
    SELECT device_id, date_bin($4, observed_at, 'epoch'), min(value), sum(value * seconds) / sum(seconds), max(value),
           (array_agg(value ORDER BY observed_at DESC))[1], count(*),
           count(*) FILTER (WHERE received_at - observed_at > interval '5 minutes')
    FROM (
        SELECT device_id, observed_at, received_at, total_power_load AS value,
               date_part('epoch', least(lead(observed_at) OVER (PARTITION BY device_id ORDER BY observed_at),
                                        observed_at + interval '15 minutes') - observed_at) AS seconds
        FROM device_readings WHERE device_id = ANY ($1::uuid[]) AND observed_at >= $2 AND observed_at < $3
    ) AS r
    GROUP BY 1, 2 ORDER BY 1, 2
"""
_BARE_OF_ROLLUPS = """
    SELECT device_id, date_bin($4, begins_at, 'epoch'), min(total_power_load_least),
           sum(total_power_load_weighted) / sum(total_power_load_seconds), max(total_power_load_most),
           (max(ARRAY[date_part('epoch', begins_at), total_power_load_last]))[2], sum(total_power_load_readings),
           coalesce(sum(total_power_load_delayed), 0)
    FROM {} WHERE device_id = ANY ($1::uuid[]) AND begins_at >= $2 AND begins_at < $3
    GROUP BY 1, 2 ORDER BY 1, 2
"""
_BARE_EXPORT = """
    SELECT * FROM device_readings WHERE device_id = ANY ($1::uuid[]) AND observed_at >= $2 AND observed_at < $3
"""


@dataclass(frozen=True)
class HistoryOptions:
    """What was asked for."""

    days: int
    rounds: int
    colds: int
    packets: int
    growth: Sequence[int]
    """Values that there are when reads are measured again."""
    flexmeasures: bool
    """Whether FlexMeasures is installed and asked for the same charts."""


@dataclass(frozen=True)
class _Past:
    """The depot with its past, which ends at ``end``."""

    made: Databases
    site: DepotIds
    meters: Sequence[UUID]
    end: datetime
    events_end: datetime
    """Up to then the controller's events are filled in; the packets that follow are taken."""

    @property
    def url(self) -> str:
        return self.made.url_of(_DATABASE)


@dataclass(frozen=True)
class _Chart:
    """One chart, and the bare statements of the same buckets and bands."""

    path: str
    bare: str
    given: tuple[object, ...]
    bands: str
    bands_given: tuple[object, ...]
    width: timedelta
    source: str

    @staticmethod
    def of(past: _Past, span: timedelta) -> _Chart:
        width = bucket_for(span)
        rolled = [each for each in RollupWidth if not width % each.span]
        source = TABLES[max(rolled, key=lambda each: each.span)] if rolled else "device_readings"
        since = past.end - span
        names = [("series", f"device:{each}:TOTAL_POWER_LOAD") for each in past.meters]
        window = [("since", since.isoformat()), ("until", past.end.isoformat())]
        return _Chart(
            f"/api/series?{httpx.QueryParams([*names, *window])}",
            _BARE_OF_ROLLUPS.format(source) if rolled else _BARE_OF_READINGS,
            (list(past.meters), bucket_begin(since, width), past.end, width),
            *bare_bands(past.site.microgrid_id, since, past.end),
            width,
            source,
        )


@dataclass(frozen=True)
class _Warm:
    """How long a chart takes, and the bare statements of its buckets, and of its buckets and bands."""

    chart: Latency
    buckets: Latency
    all: Latency


async def run(options: HistoryOptions) -> int:
    """Measure and print."""
    console = Console()
    async with databases() as made:
        past = await _make(made, options.packets)
        console.print(await _packets_table(past, options.packets))
        growth = Table(title="Growth, milliseconds (p50, p99)")
        for column in ("values", "status", "chart, 24 h", "chart, 7 d", "door, packets/s"):
            growth.add_column(column, justify="right")
        filled = past.end
        growing = {values // MEASURANDS for values in options.growth}
        for readings in sorted({options.days * PER_DAY, *growing}):
            since = past.end - EVERY * (readings // METERS)
            filled = await _fill(past, since, filled, console)
            if readings in growing:
                growth.add_row(f"{readings * MEASURANDS:,}", *await _growth(past, options.rounds))
            if readings == options.days * PER_DAY:
                console.print(await _rollups_table(past, readings))
                console.print(await _charts_table(past, options, console))
                console.print(await _exports_table(past, since, options.colds))
                if options.flexmeasures:
                    console.print(await _flexmeasures_table(past, since, options.rounds))
        if options.growth:
            console.print(growth)
    return 0


async def _make(made: Databases, packets: int) -> _Past:
    await made.execute("postgres", f"CREATE DATABASE {_DATABASE} TEMPLATE migrated")
    engine = make_engine(made.url_of(_DATABASE), pool_size=1)
    async with engine.begin() as connection:
        await make_sites(connection, 1)
        (site,) = await read_sites(connection)
        meters = (await connection.execute(text(_METERS), {"meters": METERS})).scalars().all()
    await engine.dispose()
    end = bucket_begin(datetime.now(UTC), PACKETS_EVERY)
    return _Past(made, site, meters, end, end - packets * PACKETS_EVERY)


async def _packets_table(past: _Past, packets: int) -> Table:
    """What is kept of packets of a controller, which the product takes."""
    async with _api(past) as api:
        await _send(api, past.site, past.events_end, packets, PACKETS_EVERY)
    table = Table(title=f"Kept of a packet with five measurands ({packets:,} packets)")
    for column in ("", "rows", "table, bytes", "indexes, bytes"):
        table.add_column(column, justify="right" if column else "left")
    async with _bare(past) as driver:
        for name in ("packets", "device_readings", "capability_events", "capacity_events"):
            rows, heap, indexes = await _kept(driver, name)
            table.add_row(name, f"{rows / packets:.2f}", f"{heap / packets:,.0f}", f"{indexes / packets:,.0f}")
    return table


async def _send(api: httpx.AsyncClient, site: DepotIds, since: datetime, packets: int, every: timedelta) -> float:
    """Send packets that were measured from a moment on; answer how many a second were taken."""
    template, first = packet_template(site), int(since.timestamp() * 1000)
    times = [first + n * (every // timedelta(milliseconds=1)) for n in range(packets)]
    began = time.perf_counter()
    for place in range(0, packets, ARRAY):
        array = ",".join(template % at for at in times[place : place + ARRAY])
        answer = await api.post(
            "/api/telemetry/packets", content=f"[{array}]", headers={"content-type": "application/json"}
        )
        _check(answer)
    return packets / (time.perf_counter() - began)


async def _fill(past: _Past, since: datetime, until: datetime, console: Console) -> datetime:
    """Fill in what was before what is there, a day at a time, and roll it up; answer where it begins now."""
    async with _bare(past) as driver:
        for statement in _months(since, past.end):
            await driver.execute(statement)
        days = [(max(until - timedelta(days=n + 1), since), until - timedelta(days=n))
                for n in range(-(-(until - since) // timedelta(days=1)))]  # fmt: skip
        for begin, end in track(days, description="filling", console=console, transient=True):
            await driver.execute(_FILL, begin, end, EVERY, list(past.meters), timeout=600)
            given = (PACKETS_EVERY, past.site.microgrid_id, past.site.device_id)
            await driver.execute(_FILL_EVENTS, begin, min(end, past.events_end), *given, timeout=600)
    engine = make_engine(past.url, pool_size=1)
    async with engine.begin() as connection:
        await note_touched(connection)
    with console.status("rolling up"):
        while await _roll_up(engine):
            pass
    await engine.dispose()
    await past.made.execute(_DATABASE, "VACUUM ANALYZE")
    await past.made.execute(_DATABASE, "CHECKPOINT")
    return since


async def _roll_up(engine: AsyncEngine) -> bool:
    async with engine.begin() as connection:
        return await roll_up_page(connection) is not None


def _months(since: datetime, until: datetime) -> list[str]:
    """What makes the months of readings, events and rollups that may be missing."""
    made: list[str] = []
    month = datetime(since.year, since.month, 1, tzinfo=UTC)
    while month <= until:
        following = (month + timedelta(days=32)).replace(day=1)
        made += [
            f"CREATE TABLE IF NOT EXISTS {parent}_{month:%Y_%m} PARTITION OF {parent} "
            f"FOR VALUES FROM ('{month}') TO ('{following}')"
            for parent in (*_KEPT, *_EVENTS)
        ]
        month = following
    return made


async def _rollups_table(past: _Past, readings: int) -> Table:
    table = Table(title=f"Kept of {readings:,} readings of three measurands")
    for column in ("", "rows a reading", "table, bytes a reading", "indexes, bytes a reading"):
        table.add_column(column, justify="right" if column else "left")
    async with _bare(past) as driver:
        for name in (*_KEPT, *_EVENTS):
            rows, heap, indexes = await _kept(driver, name)
            table.add_row(name, f"{rows / readings:.4f}", f"{heap / readings:.1f}", f"{indexes / readings:.1f}")
    return table


async def _kept(driver: asyncpg.Connection, table: str) -> tuple[int, int, int]:
    """The rows of a table, the bytes of its months, and those of their indexes."""
    rows = await driver.fetchval(f"SELECT count(*) FROM {table}") or 0  # noqa: S608 - a constant
    sizes = await driver.fetchrow(_SIZES, table)
    assert sizes is not None
    return rows, *sizes


async def _charts_table(past: _Past, options: HistoryOptions, console: Console) -> Table:
    table = Table(title=f"Charts of {METERS} meters, milliseconds (p50, p99)")
    for column in ("", "buckets of", "read from", "chart", "bare SELECT", "ratio", "with bands", "ratio", "cold",
                   "bare, cold", "ratio"):  # fmt: skip
        table.add_column(column, justify="right")
    for name, span in track(SPANS.items(), description="charts", console=console, transient=True):
        chart = _Chart.of(past, span)
        warm = await _warm(past, chart, options.rounds)
        colds = [await _cold(past, chart) for _ in range(options.colds)]
        cold, bare = (median(each) * 1000 for each in zip(*colds, strict=True))
        table.add_row(
            name, f"{chart.width.total_seconds():,.0f} s", chart.source, *_beside(warm),
            f"{cold:.1f}", f"{bare:.1f}", f"{cold / bare:.2f}",
        )  # fmt: skip
    return table


def _beside(warm: _Warm) -> list[str]:
    """The chart, the buckets alone and with the bands, and how many times as long the chart takes."""
    shown = [_shown(warm.chart)]
    for bare in (warm.buckets, warm.all):
        shown += [_shown(bare), f"{warm.chart.p50 / bare.p50:.2f}"]
    return shown


async def _warm(past: _Past, chart: _Chart, rounds: int) -> _Warm:
    """The chart and the bare statements, in turn."""
    charts: list[float] = []
    buckets: list[float] = []
    both: list[float] = []
    async with _api(past) as api, _bare(past) as driver:
        answer = (await api.get(chart.path)).json()
        _check_same(answer, await driver.fetch(chart.bare, *chart.given, timeout=600))
        check_same_bands(answer, await driver.fetch(chart.bands, *chart.bands_given, timeout=600))
        for number in range(rounds + 2):
            asked = await _ask(api, chart.path)
            of_buckets = await _select(driver, chart.bare, chart.given)
            of_bands = await _select(driver, chart.bands, chart.bands_given)
            # Whoever asks first fills what others find.
            if number >= 2:
                charts.append(asked)
                buckets.append(of_buckets)
                both.append(of_buckets + of_bands)
    return _Warm(Latency.of(charts), Latency.of(buckets), Latency.of(both))


def _check_same(answer: dict[str, Any], rows: Sequence[asyncpg.Record]) -> None:
    """The bare statement says the same as the chart, but for the last bucket, of which the chart knows more."""
    for series in answer["series"]:
        values = [[moment.timestamp(), *numbers] for device, moment, *numbers in rows
                  if str(device) == series["subject_id"]][:-1]  # fmt: skip
        names = ("times", "min", "mean", "max", "last", "counts", "delayed")
        shown = list(zip(*(series[name] for name in names), strict=True))[: len(values)]
        for wanted, found in zip(values, shown, strict=True):
            pairs = zip(wanted, found, strict=True)
            if not all(other is not None and isclose(one, other, rel_tol=1e-6) for one, other in pairs):
                raise CommandFailedError(f"The chart says {found}, and the bare statement {wanted}.")


async def _cold(past: _Past, chart: _Chart) -> tuple[float, float]:
    """Each by itself as the first after a start of PostgreSQL; the system may still have the files in memory."""
    await past.made.restart()
    async with _api(past) as api:
        await _ask(api, "/readyz")
        asked = await _ask(api, chart.path)
    await past.made.restart()
    async with _bare(past) as driver:
        return asked, await _select(driver, chart.bare, chart.given)


async def _growth(past: _Past, rounds: int) -> list[str]:
    paths = [
        f"/api/microgrids/{past.site.microgrid_id}/capability-status",
        *(_Chart.of(past, SPANS[span]).path for span in ("24 h", "7 d")),
    ]
    async with _api(past) as api:
        took: list[list[float]] = [[] for _ in paths]
        for _ in range(rounds + 2):
            for path, each in zip(paths, took, strict=True):
                each.append(await _ask(api, path))
        # Measured after all charts, which are to have a controller's packets and no more.
        every = timedelta(milliseconds=1)
        door = await _send(api, past.site, datetime.now(UTC) - 2_000 * every, 2_000, every)
    return [*(_shown(Latency.of(each[2:])) for each in took), f"{door:,.0f}"]


async def _flexmeasures_table(past: _Past, since: datetime, rounds: int) -> Table:
    """The same charts of FlexMeasures, and of the product right before them."""
    spans = {name: span for name, span in SPANS.items() if past.end - span >= since}
    ours = {name: (await _warm(past, _Chart.of(past, span), rounds)).chart for name, span in spans.items()}
    async with flexmeasures(past.made, METERS) as other:
        await fill(past.made, other, since, past.end)
        theirs = await ask(other, spans, past.end, max(rounds // 10, 1))
    table = Table(title="Charts beside FlexMeasures, milliseconds (p50, p99)")
    for column in ("", "chart", "FlexMeasures", "ratio"):
        table.add_column(column, justify="right")
    for name, latency in theirs.items():
        table.add_row(name, _shown(ours[name]), _shown(latency), f"{latency.p50 / ours[name].p50:.1f}")
    return table


async def _exports_table(past: _Past, since: datetime, rounds: int) -> Table:
    """Rows a second as a file of the product, and by ``COPY`` of the same readings, in turn."""
    since = max(since, past.end - EXPORTED)
    rows = METERS * ((past.end - since) // EVERY)
    named = [("device_id", str(each)) for each in past.meters]
    window = [("since", since.isoformat()), ("until", past.end.isoformat())]
    formats = ["csv", *(["parquet"] if can_write_parquet() else [])]
    took: dict[str, list[float]] = {each: [] for each in (*formats, "COPY")}
    async with _api(past) as api, _bare(past) as driver:
        for _ in range(rounds + 1):
            for each in formats:
                path = f"/api/exports/readings?{httpx.QueryParams([*named, *window, ('format', each)])}"
                took[each].append(await _ask(api, path))
            with tempfile.TemporaryFile() as file:
                began = time.perf_counter()
                await driver.copy_from_query(
                    _BARE_EXPORT, list(past.meters), since, past.end, output=file, format="csv", header=True
                )
                took["COPY"].append(time.perf_counter() - began)
    rates = {name: rows / median(seconds[1:]) for name, seconds in took.items()}
    table = Table(title=f"Exports of {rows:,} readings")
    for column in ("", "rows/s", "of COPY"):
        table.add_column(column, justify="right" if column else "left")
    for name, rate in rates.items():
        table.add_row(name, f"{rate:,.0f}", f"{rate / rates['COPY']:.2f}")
    return table


@asynccontextmanager
async def _api(past: _Past) -> AsyncGenerator[httpx.AsyncClient]:
    """The API in this process."""
    application = create_app(Settings(database_url=SecretStr(past.url)))
    transport = httpx.ASGITransport(application)
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=600) as caller,
    ):
        yield caller


@asynccontextmanager
async def _bare(past: _Past) -> AsyncGenerator[asyncpg.Connection]:
    driver = await asyncpg.connect(past.url)
    try:
        yield driver
    finally:
        await driver.close()


async def _ask(api: httpx.AsyncClient, path: str) -> float:
    # The client takes a millisecond to take the address apart, which is not the product's.
    request = api.build_request("GET", path)
    began = time.perf_counter()
    answer = await api.send(request)
    took = time.perf_counter() - began
    _check(answer)
    return took


def _check(answer: httpx.Response) -> None:
    if not answer.is_success:
        raise CommandFailedError(f"{answer.request.url.path} answered {answer.status_code}: {answer.text[:500]}")


async def _select(driver: asyncpg.Connection, statement: str, given: Sequence[object]) -> float:
    began = time.perf_counter()
    await driver.fetch(statement, *given, timeout=600)
    return time.perf_counter() - began


def _shown(latency: Latency) -> str:
    return f"{latency.p50:.1f}, {latency.p99:.1f}"
