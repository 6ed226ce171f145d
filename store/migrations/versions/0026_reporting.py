"""The schema `reporting`: views for dashboards and analysts, with documented columns and a role of their own."""

from __future__ import annotations

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_NUMBERS = {
    "current": "Total RMS current, A",
    "frequency": "Grid frequency, Hz",
    "voltage": "RMS voltage, phase to neutral, V",
    "line_voltage": "RMS voltage, line to line, V",
    "total_power_load": "Total active power, W",
    "total_reactive_power": "Total reactive power, var",
    "total_apparent_power": "Total apparent power, VA",
    "total_power_factor": "Total power factor",
    "phase_1n_voltage_thd": "Total harmonic distortion of the voltage, phase 1, %",
    "phase_2n_voltage_thd": "Total harmonic distortion of the voltage, phase 2, %",
    "phase_3n_voltage_thd": "Total harmonic distortion of the voltage, phase 3, %",
    "available_charging_capacity": "Power available for charging, W",
    "fail_safe_capacity": "Power to fall back to when the controller is lost, W",
    "soc": "State of charge of the battery, %",
}
_OTHERS = {
    "heartbeat_status": "The state of the controller's heartbeat",
    "limit_peak_shaving": "Whether peak shaving limits the site",
    "limit_der_export": "Whether the export of distributed energy resources is limited",
    "device_power_state": "Whether the device is switched on",
    "bess_operational_mode": "What the battery is doing",
}
_PLACE = {
    "depot_id": "The depot",
    "depot": "Its name",
    "device_id": "The device",
    "device": "Its name",
    "circuit_id": "The circuit that the device is linked to now; null: none",
    "circuit": "Its name",
}
_PLACE_COLUMNS = "d.depot_id, p.name AS depot, d.id AS device_id, d.name AS device, d.circuit_id, c.name AS circuit"
_PLACE_JOINS = """
    JOIN devices AS d ON d.id = r.device_id JOIN depots AS p ON p.id = d.depot_id
    LEFT JOIN circuits AS c ON c.id = d.circuit_id
"""
_SIMULATED = {"scenario_run_id": "The scenario run that sent it; null: it is real"}
_HISTORY_TIMES = {"observed_at": "When it was seen, by the sender's clock", "received_at": "When it came"}

_PARTS = {
    "mean": "mean, weighted by time",
    "least": "least",
    "most": "most",
    "last": "last",
    "readings": "how many readings",
}


def _rollup(table: str) -> tuple[str, dict[str, str]]:
    columns, comments = [], {}
    for name, meaning in _NUMBERS.items():
        columns.append(f"r.{name}_weighted / nullif(r.{name}_seconds, 0) AS {name}_mean")
        columns += [f"r.{name}_{part}" for part in ("least", "most", "last", "readings")]
        comments |= {f"{name}_{part}": f"{meaning}: {words}" for part, words in _PARTS.items()}
    columns.append("r.total_power_load_weighted / 3600 AS energy_wh")
    comments["energy_wh"] = "Active energy over the time that readings cover, Wh"
    columns.append("r.total_power_load_seconds AS covered_seconds")
    comments["covered_seconds"] = "The time that readings of the active power cover, s"
    listed = ", ".join(columns)
    query = f"SELECT r.begins_at AS time, {_PLACE_COLUMNS}, {listed} FROM {table} AS r {_PLACE_JOINS}"  # noqa: S608
    return query, {"time": "When the bucket begins", **_PLACE, **comments}


_VIEWS: dict[str, tuple[str, str, dict[str, str]]] = {
    "depots": (
        "Depots",
        """SELECT id AS depot_id, name AS depot, timezone, provisioning, provisioning_code, created_at FROM depots""",
        {
            "depot_id": "The depot",
            "depot": "Its name",
            "timezone": "Its time zone, by its IANA name",
            "provisioning": "Whether it has its microgrid: PENDING, PROVISIONED or FAILED",
            "provisioning_code": "Why it failed; null: it did not",
            "created_at": "When it was made",
        },
    ),
    "circuits": (
        "Circuits, with what holds for their capacity now",
        """
        SELECT c.depot_id, p.name AS depot, c.id AS circuit_id, c.name AS circuit, c.parent_id, c.rated_power_w,
               k.mode, k.reason, k.capacity_w, k.since AS mode_since, k.scenario_run_id
        FROM circuits AS c JOIN depots AS p ON p.id = c.depot_id
        LEFT JOIN circuit_capacities AS k ON k.circuit_id = c.id
        """,
        {
            "depot_id": "The depot",
            "depot": "Its name",
            "circuit_id": "The circuit",
            "circuit": "Its name",
            "parent_id": "The circuit above it; null: it is at the top",
            "rated_power_w": "Its rating, W; null: not known",
            "mode": "AWAITING, CONTROLLER or FAIL_SAFE, as it was last noticed; null: it follows no controller",
            "reason": "Why the fail-safe holds",
            "capacity_w": "What holds, W; null: the rating",
            "mode_since": "When the mode or the reason last changed",
            **_SIMULATED,
        },
    ),
    "capability_status": (
        "The latest status of each capability",
        """
        SELECT m.depot_id, p.name AS depot, l.microgrid_id, l.capability, l.status, l.observed_at, l.received_at,
               least(l.observed_at, l.received_at) AS seen_at,
               (o.sensor_action_id IS NOT NULL AND least(l.observed_at, l.received_at)
                   + coalesce(make_interval(secs => t.seconds), k.threshold) >= clock_timestamp()) AS is_fresh,
               l.source_device_id AS device_id, d.name AS device, l.scenario_run_id
        FROM capability_latest AS l JOIN microgrids AS m ON m.id = l.microgrid_id AND m.retired_at IS NULL
        JOIN depots AS p ON p.id = m.depot_id JOIN known_capabilities() AS k ON k.capability = l.capability
        LEFT JOIN freshness_thresholds AS t ON t.microgrid_id = m.id AND t.capability = l.capability
        LEFT JOIN capability_owners AS o ON o.depot_id = m.depot_id AND o.capability = l.capability
        LEFT JOIN devices AS d ON d.id = l.source_device_id
        """,
        {
            "depot_id": "The depot",
            "depot": "Its name",
            "microgrid_id": "Its microgrid",
            "capability": "PEAK_SHAVING or DER",
            "status": "ON or OFF",
            **_HISTORY_TIMES,
            "seen_at": "When it counts as seen: the earlier of both times",
            "is_fresh": "Whether a device updates it and it is not older than its threshold",
            "device_id": "The device that it came from; null: not known",
            "device": "Its name",
            **_SIMULATED,
        },
    ),
    "capability_history": (
        "Every status that was reported",
        """
        SELECT m.depot_id, p.name AS depot, e.microgrid_id, e.capability, e.status, e.effect, e.observed_at,
               e.received_at, e.source_device_id AS device_id, d.name AS device, e.scenario_run_id
        FROM capability_events AS e JOIN microgrids AS m ON m.id = e.microgrid_id JOIN depots AS p ON p.id = m.depot_id
        LEFT JOIN devices AS d ON d.id = e.source_device_id
        """,
        {
            "depot_id": "The depot",
            "depot": "Its name",
            "microgrid_id": "Its microgrid",
            "capability": "PEAK_SHAVING or DER",
            "status": "ON or OFF; null: the sender had no value",
            "effect": "What it did to the latest status: SHOWN, LATE, UNAVAILABLE, REPEATED or CONFLICTING",
            **_HISTORY_TIMES,
            "device_id": "The device that it came from; null: not known",
            "device": "Its name",
            **_SIMULATED,
        },
    ),
    "capacity_history": (
        "Every change of what a circuit may draw",
        """
        SELECT e.depot_id, p.name AS depot, e.circuit_id, c.name AS circuit, e.at, e.received_at, e.mode, e.reason,
               e.capacity_w, e.scenario_run_id
        FROM capacity_events AS e JOIN depots AS p ON p.id = e.depot_id LEFT JOIN circuits AS c ON c.id = e.circuit_id
        """,
        {
            "depot_id": "The depot",
            "depot": "Its name",
            "circuit_id": "The circuit",
            "circuit": "Its name; null: it is gone",
            "at": "From when on it held",
            "received_at": "When the product took it",
            "mode": "AWAITING, CONTROLLER, FAIL_SAFE, or RELEASED where the rating held again",
            "reason": "Why the fail-safe held",
            "capacity_w": "What held, W; null: the rating",
            **_SIMULATED,
        },
    ),
    "remediations": (
        "What stops updates, open and closed",
        """
        SELECT e.depot_id, p.name AS depot, e.id AS remediation_id, e.device_id, d.name AS device, e.code, e.action,
               e.opened_at, e.last_seen_at, e.times, e.closed_at, e.scenario_run_id
        FROM remediations AS e JOIN depots AS p ON p.id = e.depot_id LEFT JOIN devices AS d ON d.id = e.device_id
        """,
        {
            "depot_id": "The depot",
            "depot": "Its name",
            "remediation_id": "The remediation",
            "device_id": "The device whose update is stopped",
            "device": "Its name; null: it is gone",
            "code": "Why, as the API names it",
            "action": "What cannot be done with its packets",
            "opened_at": "When the first packet was stopped",
            "last_seen_at": "When the last one was",
            "times": "How many packets were",
            "closed_at": "When it was closed; null: it is open",
            **_SIMULATED,
        },
    ),
    "readings": (
        "What devices measured: a row for a device and time of measurement",
        f"""
        SELECT least(r.observed_at, r.received_at) AS time, r.observed_at, r.received_at, {_PLACE_COLUMNS},
               {", ".join(f"r.{name}" for name in (*_NUMBERS, *_OTHERS))}, r.faults, r.scenario_run_id
        FROM device_readings AS r {_PLACE_JOINS}
        """,  # noqa: S608
        {
            "time": "When it counts as measured; ask for a window of observed_at, too: it has the index",
            "observed_at": "When it was measured, by the gateway's clock",
            "received_at": "When it came",
            **_PLACE,
            **_NUMBERS,
            **_OTHERS,
            "faults": "Measurands that came without a value that can be used, with the code of each",
            **_SIMULATED,
        },
    ),
    "readings_by_quarter": ("Readings by quarter of an hour", *_rollup("reading_quarters")),
    "readings_by_day": ("Readings by day (UTC)", *_rollup("reading_days")),
}


def upgrade() -> None:
    op.execute("CREATE SCHEMA IF NOT EXISTS reporting")
    op.execute(
        "COMMENT ON SCHEMA reporting IS "
        "'Views for dashboards and analysts. Columns are added, and never change their meaning.'"
    )
    for name, (meaning, query, columns) in _VIEWS.items():
        op.execute(f"CREATE VIEW reporting.{name} AS {query.replace(':', chr(92) + ':')}")
        op.execute(f"COMMENT ON VIEW reporting.{name} IS '{_quoted(meaning)}'")
        for column, words in columns.items():
            op.execute(f"COMMENT ON COLUMN reporting.{name}.{column} IS '{_quoted(words)}'")


def downgrade() -> None:
    for name in _VIEWS:
        op.execute(f"DROP VIEW reporting.{name}")


def _quoted(words: str) -> str:
    return words.replace("'", "''").replace(":", "\\:")
