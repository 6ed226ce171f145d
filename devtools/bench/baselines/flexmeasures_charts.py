"""The data of FlexMeasures' charts: the same meters, on the same PostgreSQL server, asked as its page asks.

It gets a reading a minute of each meter, as it takes no finer ones over HTTP, and sends each of them; so a chart of it
has a sixth of the readings to read, and more points to send the longer it is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta

import asyncpg
import httpx

from cli.errors import CommandFailedError
from devtools.bench.baselines.flexmeasures import DATABASE, FlexMeasures
from devtools.bench.figures import Latency
from devtools.bench.stage import Databases

EVERY = timedelta(minutes=1)
# The same values as those of the product's meters have at these moments.
_FILL = """
    INSERT INTO timed_belief (event_start, belief_horizon, cumulative_probability, event_value, sensor_id, source_id)
    SELECT t, interval '-200 milliseconds', 0.5,
           50000 * s.n + 40000 * sin(extract(epoch FROM t)::float8 / 13750)
           + (extract(epoch FROM t)::bigint * 7919 % 1000), s.id, $4
    FROM generate_series($1::timestamptz, $2::timestamptz - $3::interval, $3::interval) AS t
    CROSS JOIN unnest($5::int[]) WITH ORDINALITY AS s (id, n)
"""


async def fill(made: Databases, other: FlexMeasures, since: datetime, until: datetime) -> None:
    """Fill in what the meters measured."""
    driver = await asyncpg.connect(made.url_of(DATABASE))
    try:
        await driver.execute(_FILL, since, until, EVERY, other.source, other.sensors, timeout=600)
    finally:
        await driver.close()
    await made.execute(DATABASE, "VACUUM ANALYZE timed_belief")


async def ask(other: FlexMeasures, spans: Mapping[str, timedelta], until: datetime, rounds: int) -> dict[str, Latency]:
    """How long the data of one chart of all meters takes, by span."""
    found: dict[str, Latency] = {}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{other.port}", headers=other.headers, timeout=600, trust_env=False
    ) as client:
        for name, span in spans.items():
            window = {"event_starts_after": (until - span).isoformat(), "event_ends_before": until.isoformat()}
            took: list[float] = []
            # Whoever asks first fills what others find.
            for _ in range(rounds + 1):
                began = time.perf_counter()
                answer = await client.get(
                    f"/api/v3_0/assets/{other.asset}/chart_data", params={**window, "compress_json": "true"}
                )
                took.append(time.perf_counter() - began)
                _check(answer, expected=len(other.sensors) * (span // EVERY))
            found[name] = Latency.of(took[1:])
    return found


def _check(answer: httpx.Response, expected: int) -> None:
    points = len(answer.json()["data"]) if answer.is_success else 0
    if abs(points - expected) > expected // 100 + 8:
        raise CommandFailedError(
            f"FlexMeasures answered {answer.status_code} with {points} points, not {expected}: {answer.text[:500]}"
        )
