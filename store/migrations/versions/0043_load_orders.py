"""The list of depots is ordered by load, and by its share of the capacity, as they were when somebody last asked."""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

_KEPT = (
    "sort_key", "worst", "provisioning", "status", "fail_safe", "remediations", "timezone", "freshness", "alarms",
)  # fmt: skip
_SETTLE = """
CREATE OR REPLACE FUNCTION settle_ranks(changed uuid[]) RETURNS void LANGUAGE sql SET enable_seqscan = off AS $$
    INSERT INTO depot_ranks AS k
    SELECT x.depot_id, x.sort_key,
           CASE WHEN a.priority IS NULL THEN 4000000000000000000
                ELSE a.priority * 1000000000000000000 + rank_of(a.since) END,
           CASE x.provisioning WHEN 'FAILED' THEN coalesce(rank_of(a.failed_since), 1000000000000000000)
                WHEN 'PENDING' THEN 2000000000000000000 ELSE 3000000000000000000 END,
           CASE WHEN a.stale_since IS NOT NULL THEN rank_of(a.stale_since)
                WHEN x.freshness = 'STALE' THEN 1000000000000000000
                WHEN x.freshness = 'FRESH' THEN 2000000000000000000 ELSE 3000000000000000000 END,
           CASE WHEN a.fail_safe_since IS NULL THEN 1000000000000000000 ELSE rank_of(a.fail_safe_since) END,
           CASE WHEN a.remediations_since IS NULL THEN 1000000000000000000 ELSE rank_of(a.remediations_since) END,
           x.timezone, x.freshness,
           CASE WHEN a.silent_controllers > 0 THEN 1 ELSE 0 END | CASE WHEN a.fail_safe_circuits > 0 THEN 2 ELSE 0 END
           | CASE WHEN a.failed_since IS NOT NULL THEN 4 ELSE 0 END
           | CASE WHEN a.open_remediations > 0 THEN 8 ELSE 0 END
           | CASE WHEN a.stale_since IS NOT NULL AND NOT a.stale_by_silence THEN 16 ELSE 0 END
    FROM depot_list AS x
    LEFT JOIN LATERAL (SELECT * FROM depot_alarms WHERE depot_id = x.depot_id OFFSET 0) AS a ON true
    WHERE x.depot_id = ANY (changed)
    ON CONFLICT (depot_id) DO UPDATE
    SET sort_key = excluded.sort_key, worst = excluded.worst, provisioning = excluded.provisioning,
        status = excluded.status, fail_safe = excluded.fail_safe, remediations = excluded.remediations,
        timezone = excluded.timezone, freshness = excluded.freshness, alarms = excluded.alarms
    WHERE {changed}
$$;
"""
_ORDERS = ("load", "load_share")


def upgrade() -> None:
    # What is not measured comes last. Triggers leave these two alone, which are settled when somebody asks for them.
    op.execute("""
        ALTER TABLE depot_ranks ADD COLUMN load bigint NOT NULL DEFAULT 4000000000000000000,
            ADD COLUMN load_share bigint NOT NULL DEFAULT 4000000000000000000
    """)
    for name in _ORDERS:
        op.execute(f"""
            CREATE INDEX depot_ranks_{name} ON depot_ranks ({name}, sort_key, depot_id)
                INCLUDE (freshness, provisioning, alarms)
        """)
    before = ", ".join(f"k.{name}" for name in _KEPT)
    now = ", ".join(f"excluded.{name}" for name in _KEPT)
    _run(_SETTLE.format(changed=f"({before}) IS DISTINCT FROM ({now})"))
    op.execute("""
        CREATE TABLE load_settlement (
            id boolean DEFAULT true CONSTRAINT load_settlement_once CHECK (id) PRIMARY KEY,
            begun_at timestamptz NOT NULL,
            settled_at timestamptz
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE load_settlement")
    _run(_SETTLE.format(changed="k.* IS DISTINCT FROM excluded.*"))
    op.execute("ALTER TABLE depot_ranks DROP COLUMN load, DROP COLUMN load_share")


def _run(script: str) -> None:
    for statement in statements(script):
        op.execute(statement)
