"""A depot whose week can be seen: load, state of charge, capabilities and a fail-safe, with an outage and more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.site.measurands import MeasurandKey
from tests.factories.history.readings import fill_readings
from tests.factories.load_sites import held
from tests.factories.sites import MadeDepot, add_action, add_device, add_power_source, make_site

WEEK = timedelta(days=7)

_STATUSES = text(
    """
    INSERT INTO capability_events (microgrid_id, capability, status, observed_at, received_at, provider_event_ref,
                                   effect, recorded_by)
    SELECT CAST(:microgrid_id AS uuid), c.capability,
           CASE WHEN extract(hour FROM at)::int % c.each < c.each / 2 THEN 'ON' ELSE 'OFF' END, at, at,
           'filled:' || extract(epoch FROM at), 'SHOWN', 'tests'
    FROM generate_series(CAST(:since AS timestamptz), CAST(:until AS timestamptz), interval '4 minutes') AS at
    CROSS JOIN (VALUES ('PEAK_SHAVING', 12), ('DER', 8)) AS c (capability, each)
""".replace("::int", "\\:\\:int")
)
_FAULTS = text("""
    UPDATE device_readings SET soc = NULL, faults = '{"SOC": "VALUE_UNAVAILABLE"}'
    WHERE device_id = :device_id AND observed_at >= :since AND observed_at < :until
""")


async def make_trend_site(
    engine: AsyncEngine, *, span: timedelta = WEEK, step: timedelta = timedelta(minutes=1)
) -> MadeDepot:
    """Make a depot with a meter, a battery and a controller, and fill what they measured over ``span`` until now.

    Two days ago the meter was silent for three hours, and the battery had no value for one; a day ago, what the battery
    measured in two hours came ten minutes later than measured.
    """
    site = await make_site(engine)
    feed = site.circuit_ids[0]
    meter = await add_device(engine, site, "em-1", feed)
    battery = await add_device(engine, site, "bess-1", feed)
    await add_power_source(engine, site, "BATTERY", feed)
    await add_action(engine, site, "UPDATE_POWER_SOURCE_STATE", "SOC", sensor_id="bess-1")
    now = datetime.now(UTC)
    since, silent, again = now - span, now - timedelta(hours=48), now - timedelta(hours=45)
    for begin, end in ((since, silent), (again, now)):
        await fill_readings(engine, meter, MeasurandKey.TOTAL_POWER_LOAD, since=begin, until=end, step=step,
                            middle=240e3, swing=180e3)  # fmt: skip
    delayed = now - timedelta(hours=24)
    for begin, end, late in (
        (since, delayed, timedelta()), (delayed, delayed + timedelta(hours=2), timedelta(minutes=10)),
        (delayed + timedelta(hours=2), now, timedelta()),
    ):  # fmt: skip
        await fill_readings(engine, battery, MeasurandKey.SOC, since=begin, until=end, step=step, middle=55, swing=35,
                            late=late)  # fmt: skip
    async with engine.begin() as connection:
        await connection.execute(_FAULTS, {"device_id": battery, "since": silent, "until": silent + timedelta(hours=1)})
        await connection.execute(_STATUSES, {"microgrid_id": site.microgrid_id, "since": since, "until": now})
        await connection.execute(
            text("""
                INSERT INTO power_source_readings (power_source_id, measurand, value_number, observed_at, received_at,
                                                   device_id)
                SELECT id, 'SOC', 55, now(), now(), :device_id FROM power_sources WHERE depot_id = :depot_id
            """),
            {"device_id": battery, "depot_id": site.depot_id},
        )
    hours = timedelta(hours=1)
    await held(engine, site, 0, (span, "CONTROLLER", None, 400e3), (30 * hours, "FAIL_SAFE", "CONNECTION_LOST", 150e3),
               (26 * hours, "CONTROLLER", None, 320e3))  # fmt: skip
    return site
