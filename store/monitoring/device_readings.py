"""Typed readings of devices: a row for each device and time of measurement, a column for each measurand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from domain.monitoring.device_readings import DeviceReading
from domain.site.measurands import MEASURANDS, MeasurandKey, ValueKind
from store.base.arrays import nullable
from store.monitoring.history import oldest_month

COLUMN_TYPES = {
    ValueKind.NUMBER: "double precision",
    ValueKind.TEXT: "text",
    ValueKind.BOOLEAN_TEXT: "boolean",
}


def column_of(key: MeasurandKey) -> str:
    """The column of a measurand."""
    return key.value.lower()


_COLUMNS = [column_of(key) for key in MEASURANDS]
_PARAMETERS = len(_COLUMNS) + 5

OLDEST_MONTH = oldest_month("device_readings")
"""When the oldest month begins of which readings are kept."""


def write_readings_cte(first: int) -> str:
    """A common table expression that stores readings, given as `reading_parameters` from the number ``first`` on.

    What is there already counts: of a packet that is sent again nothing is written, and of another packet with the
    same device and time only the measurands that had not come. What a scenario run sent any of is simulated.
    """
    numbers = range(first, first + _PARAMETERS)
    device, observed, received, faults, run, *values = (f"${n}" for n in numbers)
    types = [COLUMN_TYPES[spec.kind] for spec in MEASURANDS.values()]
    arrays = ", ".join(f"{value}::{kind}[]" for value, kind in zip(values, types, strict=True))
    columns = ", ".join(_COLUMNS)
    known = ", ".join(f"CASE WHEN r.{column_of(key)} IS NOT NULL THEN '{key}' END" for key in MEASURANDS)
    kept = ", ".join(
        f"{column_of(key)} = CASE WHEN r.faults ? '{key}' THEN NULL ELSE coalesce(r.{column_of(key)}, "
        f"excluded.{column_of(key)}) END"
        for key in MEASURANDS
    )
    new = " OR ".join(f"(r.{column_of(key)} IS NULL AND excluded.{column_of(key)} IS NOT NULL)" for key in MEASURANDS)
    return f"""
        INSERT INTO device_readings AS r (device_id, observed_at, received_at, faults, scenario_run_id, {columns})
        SELECT device_id, observed_at, received_at, faults::jsonb, scenario_run_id, {columns}
        FROM unnest({device}::uuid[], {observed}::timestamptz[], {received}::timestamptz[], {faults}::text[],
                    {run}::uuid[], {arrays})
            AS g (device_id, observed_at, received_at, faults, scenario_run_id, {columns})
        ON CONFLICT (device_id, observed_at) DO UPDATE SET {kept},
            scenario_run_id = coalesce(r.scenario_run_id, excluded.scenario_run_id),
            faults = nullif((coalesce(excluded.faults, '{{}}') - array_remove(ARRAY[{known}], NULL))
                            || coalesce(r.faults, '{{}}'), '{{}}')
        WHERE NOT coalesce(r.faults @> excluded.faults, excluded.faults IS NULL) OR {new}
    """  # noqa: S608 - constants


def reading_parameters(readings: Sequence[DeviceReading]) -> list[Any]:
    """Make the parameters of ``write_readings_cte``."""
    measured = {key for each in readings for key in each.values}
    return [
        [each.device_id for each in readings],
        [each.observed_at for each in readings],
        [each.received_at for each in readings],
        nullable([json.dumps(each.faults) if each.faults else None for each in readings]),
        nullable([each.scenario_run_id for each in readings]),
        *([each.values.get(key) for each in readings] if key in measured else None for key in MEASURANDS),
    ]
