"""Rollups held against the readings and events that they are made from, day by day, by device and microgrid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.history.rollups import RollupCheckReport, RollupWidth
from domain.history.series import HELD_AT_MOST
from domain.monitoring.capabilities import Capability
from store.base.driver import driver_errors, driver_in
from store.history.rolling.band_statements import BANDS, LATE
from store.history.rolling.marks import EVENTS, READINGS, Stretch
from store.history.rollups import KEEP_MONTHS, LOCK, roll_up
from store.monitoring.device_readings import OLDEST_MONTH
from store.monitoring.statuses.transitions import AT, KINDS, said

PAGE = 6
"""Devices and microgrids whose day is compared in one transaction."""
_DAY = RollupWidth.DAY.span


@dataclass(frozen=True)
class RollupCheck:
    """A check and how far it is."""

    check_id: UUID
    requested_by: str
    requested_at: datetime
    since: datetime | None
    """The first day; None: nothing was rolled up yet."""
    until: datetime | None
    """The day after the last."""
    repair: bool
    compared: int
    """Days of devices and of microgrids that were compared."""
    differences: int
    """Buckets that were not what the readings and events say."""
    finished_at: datetime | None


_COLUMNS = "id, requested_by, requested_at, since, until, repair, compared, differences, finished_at"
_BEGIN = f"""
    INSERT INTO rollup_checks (id, requested_by, repair, since, until, day)
    SELECT $1, $2, $3, s.since, s.until, s.since
    FROM rollup_mark AS m
    CROSS JOIN LATERAL (SELECT date_bin($5, m.complete_at - $6::interval, 'epoch') AS until, ({OLDEST_MONTH}) AS oldest)
        AS u
    CROSS JOIN LATERAL (
        SELECT u.until, least(u.until, greatest(u.oldest, coalesce(u.until - $4::integer * $5::interval, u.oldest)))
            AS since
    ) AS s
    ON CONFLICT (id) DO NOTHING
"""  # noqa: S608 - constants
_FORGET = """
    DELETE FROM rollup_checks WHERE id IN (SELECT id FROM rollup_checks ORDER BY requested_at DESC, id OFFSET 100)
"""
_POSITION = f"""
    SELECT {_COLUMNS}, day, after_device FROM rollup_checks WHERE id = $1 FOR UPDATE
"""  # noqa: S608 - constants
_LAST = f"SELECT {_COLUMNS} FROM rollup_checks ORDER BY requested_at DESC, id LIMIT 1"  # noqa: S608 - constants
_ONE = f"SELECT {_COLUMNS} FROM rollup_checks WHERE id = $1"  # noqa: S608 - constants
_MARKS = "SELECT (SELECT mark FROM rollup_mark), (SELECT mark FROM band_mark)"
# Both have ids of their own, so one order is through all of them.
_SUBJECTS = f"""
    SELECT subject_id, bool_or(is_device) AS is_device FROM (
        SELECT device_id AS subject_id, true AS is_device FROM device_readings
        WHERE observed_at >= $1 AND observed_at < $2 AND device_id > $3
        UNION
        SELECT device_id, true FROM reading_minutes WHERE begins_at >= $1 AND begins_at < $2 AND device_id > $3
        UNION
        SELECT device_id, true FROM reading_quarters WHERE begins_at >= $1 AND begins_at < $2 AND device_id > $3
        UNION
        SELECT device_id, true FROM reading_days WHERE begins_at = $1 AND device_id > $3
        UNION
        SELECT microgrid_id, false FROM {BANDS[RollupWidth.QUARTER]}
        WHERE begins_at >= $1 AND begins_at < $2 AND microgrid_id > $3
        UNION
        SELECT microgrid_id, false FROM {BANDS[RollupWidth.DAY]} WHERE begins_at = $1 AND microgrid_id > $3
        UNION (
            SELECT m.id, false FROM microgrids AS m
            WHERE m.id > $3 AND EXISTS (
                SELECT FROM unnest($5::text[]) AS c (capability) CROSS JOIN {KINDS}
                CROSS JOIN LATERAL (
                    SELECT FROM capability_events AS e
                    WHERE {said("m.id", "c.capability", "k.status", "k.simulated")} AND {AT} >= $1 AND {AT} < $2
                      AND e.received_at >= $1 AND e.received_at < $2::timestamptz + {LATE}
                ) AS e
            )
            ORDER BY m.id LIMIT $4
        )
    ) AS found
    GROUP BY subject_id ORDER BY subject_id LIMIT $4
"""  # noqa: S608 - constants
_NOTE = """
    UPDATE rollup_checks
    SET compared = compared + $2, differences = differences + $3, day = $4, after_device = $5,
        finished_at = CASE WHEN $4 >= until OR until IS NULL THEN now() END
    WHERE id = $1
"""
_NOBODY = UUID(int=0)


async def begin_check(
    connection: AsyncConnection, check_id: UUID, requested_by: str, days: int | None, *, repair: bool
) -> None:
    """Store a check of the last whole days that are rolled up; None: of all months. A second time nothing is done."""
    driver = await driver_in(connection)
    with driver_errors():
        await driver.execute(_BEGIN, check_id, requested_by, repair, days, _DAY, HELD_AT_MOST)
        await driver.execute(_FORGET)


async def check_page(connection: AsyncConnection, check_id: UUID, page: int = PAGE) -> RollupCheckReport:
    """Compare the day of the next devices and microgrids; answer what the check came to so far.

    What is still to be rolled up is no difference.
    """
    driver = await driver_in(connection)
    with driver_errors():
        await driver.execute(LOCK)
        await driver.execute(KEEP_MONTHS)
        row = await driver.fetchrow(_POSITION, check_id)
        assert row is not None
        *values, day, after = row
        check = RollupCheck(*values)
        if check.finished_at is None and (day is None or check.until is None or day >= check.until):
            await driver.execute(_NOTE, check_id, 0, 0, day, None)
        elif check.finished_at is None:
            found = await driver.fetch(_SUBJECTS, day, day + _DAY, after or _NOBODY, page, list(Capability))
            differences = 0
            if found:
                marks = await driver.fetchrow(_MARKS)
                assert marks is not None
                await driver.execute("SAVEPOINT compared")
                for source, mark in zip((READINGS, EVENTS), marks, strict=True):
                    stretches = [
                        Stretch(each["subject_id"], day, day + _DAY)
                        for each in found
                        if each["is_device"] is (source is READINGS)
                    ]
                    differences += await roll_up(driver, source, stretches, settled=mark)
                if not check.repair:
                    await driver.execute("ROLLBACK TO SAVEPOINT compared")
            position = (day, found[-1]["subject_id"]) if len(found) == page else (day + _DAY, None)
            await driver.execute(_NOTE, check_id, len(found), differences, *position)
        row = await driver.fetchrow(_POSITION, check_id)
    assert row is not None
    return RollupCheckReport(row["compared"], row["differences"], row["repair"], row["finished_at"] is not None)


async def read_check(connection: AsyncConnection, check_id: UUID) -> RollupCheck:
    """One check, which there is."""
    driver = await driver_in(connection)
    with driver_errors():
        row = await driver.fetchrow(_ONE, check_id)
    assert row is not None
    return RollupCheck(*row)


async def read_last_check(connection: AsyncConnection) -> RollupCheck | None:
    """The check that was asked for last; None: none was yet."""
    driver = await driver_in(connection)
    with driver_errors():
        row = await driver.fetchrow(_LAST)
    return None if row is None else RollupCheck(*row)
