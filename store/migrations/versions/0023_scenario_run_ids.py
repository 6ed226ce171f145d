"""Packets of scenario runs, and all that they bring about, say which run sent them."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_HISTORIES = ("packets", "capability_events", "capacity_events")
_TABLES = (
    *_HISTORIES, "device_readings", "capability_latest", "power_source_readings", "remediations", "circuit_capacities",
)  # fmt: skip

# What a run sent has a stamp that the run took, and no two runs of a depot take the same.
_STAMPS = """
    SELECT r.id AS run_id, r.depot_id, r.bindings, r.targets,
           timestamptz 'epoch' + s.stamp_ms * interval '1 millisecond' AS observed_at
    FROM scenario_runs AS r JOIN scenario_run_steps AS s ON s.run_id = r.id
"""
_MARK = (
    """
    UPDATE packets AS t SET scenario_run_id = s.run_id
    FROM stamps AS s CROSS JOIN LATERAL jsonb_array_elements(s.bindings -> 'gateways') AS g (gateway)
    WHERE t.gateway_id = CAST(g.gateway ->> 'gateway_id' AS uuid) AND t.observed_at = s.observed_at
    """,
    """
    UPDATE device_readings AS t SET scenario_run_id = s.run_id
    FROM stamps AS s CROSS JOIN LATERAL jsonb_array_elements_text(s.targets -> 'device_ids') AS d (device_id)
    WHERE t.device_id = CAST(d.device_id AS uuid) AND t.observed_at = s.observed_at
    """,
    """
    UPDATE capability_events AS t SET scenario_run_id = s.run_id
    FROM stamps AS s JOIN microgrids AS m ON m.depot_id = s.depot_id
    WHERE t.microgrid_id = m.id AND t.observed_at = s.observed_at
    """,
    """
    UPDATE capability_latest AS t SET scenario_run_id = s.run_id
    FROM stamps AS s JOIN microgrids AS m ON m.depot_id = s.depot_id
    WHERE t.microgrid_id = m.id AND t.observed_at = s.observed_at
    """,
    """
    UPDATE power_source_readings AS t SET scenario_run_id = s.run_id
    FROM stamps AS s JOIN power_sources AS p ON p.depot_id = s.depot_id
    WHERE t.power_source_id = p.id AND t.observed_at = s.observed_at
    """,
    """
    UPDATE circuit_capacities AS t SET scenario_run_id = s.run_id
    FROM stamps AS s WHERE t.depot_id = s.depot_id AND t.observed_at = s.observed_at
    """,
    """
    UPDATE circuit_capacities AS t SET fail_safe_scenario_run_id = s.run_id
    FROM stamps AS s WHERE t.depot_id = s.depot_id AND t.fail_safe_observed_at = s.observed_at
    """,
    # What began to hold has no stamp of a packet, but the run has its circuit.
    """
    UPDATE capacity_events AS t SET scenario_run_id = r.id
    FROM scenario_runs AS r
    WHERE t.circuit_id = CAST(r.targets ->> 'circuit_id' AS uuid) AND t.mode <> 'RELEASED'
      AND t.received_at BETWEEN r.requested_at AND coalesce(r.finished_at, now())
    """,
    """
    UPDATE remediations AS t SET scenario_run_id = r.id
    FROM scenario_runs AS r CROSS JOIN LATERAL jsonb_array_elements_text(r.targets -> 'device_ids') AS d (device_id)
    WHERE t.device_id = CAST(d.device_id AS uuid)
      AND t.last_seen_at BETWEEN r.requested_at AND coalesce(r.finished_at, now())
    """,
)


def upgrade() -> None:
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} ADD COLUMN scenario_run_id uuid")
    op.execute("ALTER TABLE circuit_capacities ADD COLUMN fail_safe_scenario_run_id uuid")
    op.execute(f"CREATE TEMPORARY TABLE stamps ON COMMIT DROP AS {_STAMPS}")
    # The histories are append-only for everybody else: a row says what it said, and by whom it was sent as well.
    for table in _HISTORIES:
        op.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
    for statement in _MARK:
        op.execute(statement)
    for table in _HISTORIES:
        op.execute(f"ALTER TABLE {table} ENABLE TRIGGER append_only")


def downgrade() -> None:
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} DROP COLUMN scenario_run_id")
    op.execute("ALTER TABLE circuit_capacities DROP COLUMN fail_safe_scenario_run_id")
