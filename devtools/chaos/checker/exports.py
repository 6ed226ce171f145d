"""Files of exports: each reading is in them once, and none that was acknowledged before is missing."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import UTC, datetime, timedelta

import asyncpg

from devtools.chaos.checker.request_log import RequestLog

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FILES = """
    SELECT e.id::text, e.rows_done, e.size_bytes,
           coalesce(string_agg(p.content, '' ORDER BY p.starts_at), '') AS content
    FROM exports AS e LEFT JOIN export_parts AS p ON p.export_id = e.id
    WHERE e.state = 'COMPLETED' GROUP BY e.id
"""
_READINGS = "SELECT device_id::text, observed_at FROM device_readings"


async def check_exports(connection: asyncpg.Connection, log: RequestLog) -> list[str]:
    """Compare the file of each export of readings with what was acknowledged before it was asked for."""
    operations = log.of("EXPORT")
    files = {row["id"]: row for row in await connection.fetch(_FILES)} if operations else {}
    stored = (
        {(row["device_id"], _ms(row["observed_at"])) for row in await connection.fetch(_READINGS)} if files else set()
    )
    findings: list[str] = []
    for each in operations:
        ids = {answer["export_id"] for answer in each.answers()}
        if len(ids) > 1 or not ids <= files.keys():
            findings.append(f"export {each.operation_id} was answered with {sorted(ids)}, and there is no such file")
            continue
        for export_id in ids:
            row = files[export_id]
            if len(row["content"]) != row["size_bytes"]:
                findings.append(f"export {export_id} has {len(row['content'])} bytes, and says {row['size_bytes']}")
            read = _read(row["content"])
            if read.total() != row["rows_done"]:
                findings.append(f"export {export_id} has {read.total()} rows, and says {row['rows_done']}")
            twice = [key for key, times in read.items() if times > 1]
            findings += [f"export {export_id} has the reading {key} {read[key]} times" for key in twice]
            findings += [
                f"export {export_id} has the reading {key}, which is not there" for key in read.keys() - stored
            ]
            missing = _acknowledged_before(log, each.begun) - read.keys()
            findings += [f"export {export_id} lacks the reading {key}" for key in missing]
    return findings


def _acknowledged_before(log: RequestLog, line: int) -> set[tuple[str, int]]:
    """What was measured by the packets that the product itself had acknowledged; the broker promises for later."""
    return {
        (each.asked["device_id"], each.asked["timestamp_ms"])
        for each in log.of("PACKET")
        if each.asked["transport"] == "HTTP" and (each.acknowledged_at or line) < line
    }


def _read(content: bytes) -> Counter[tuple[str, int]]:
    rows = csv.DictReader(io.StringIO(content.decode()))
    return Counter((row["device_id"], _ms(datetime.fromisoformat(row["observed_at"]))) for row in rows)


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
