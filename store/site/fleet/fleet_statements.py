"""What an import does in the database, statement by statement. ``store.site.fleet.fleet_import`` says in which order.

Temporary tables, which end with the import's connection:

- ``staged``: every line that keeps the contract by itself;
- ``refused``: every line that was refused, with why;
- ``repeats``: lines whose id an earlier line has;
- ``todo``: lines that say something new, with their depot, in the order of the depots;
- ``batch``: the lines of some whole depots, while they are stored. ``state`` is NULL while a line is open, then
  ``STORED``, ``UNCHANGED``, or the code of the refusal;
- ``jumps``: circuits of the batch that cannot be reached from above, each with one that it hangs under.
"""

# ruff: noqa: S608 (what is put into the statements are constants of this module)

from __future__ import annotations

from sqlalchemy import TextClause, text

from domain.base.bounds import CIRCUITS, DEVICES, GATEWAYS, POWER_SOURCES, Bound
from domain.site.circuits import MAX_DEPTH
from domain.site.fleet import DEPOT_FIELDS, FleetCode, FleetRecord, LineKind, Refusal
from store.site.tables import depots

_OF_DEPOTS = ", ".join(f"{name} {depots.c[name].type}" for name in DEPOT_FIELDS if name != "name")
_COLUMNS = f"""
    line bigint NOT NULL, kind text NOT NULL, id uuid NOT NULL, name text NOT NULL, depot_id uuid, {_OF_DEPOTS},
    parent_id uuid, position integer, rated_power_w double precision, site_model_name text, output_translation jsonb,
    gateway_id uuid, sensor_id text, circuit_id uuid, source_kind text"""
STAGED = ("line", *FleetRecord._fields)
"""The columns of ``staged``, in the order in which records are written into it."""
REFUSED = ("line", *Refusal._fields)
"""The same for what was refused by itself."""
_NAMES = ", ".join(STAGED)

# The settings live as long as the connection, which is the import's own. The plans must be made for the tables as
# they are: they grow under the import, and temporary tables have no statistics by themselves.
PREPARE = [
    # A large file takes its time, and waits for its turn at depots that are being changed.
    "SET statement_timeout = 0",
    "SET lock_timeout = '60s'",
    "SET temp_buffers = '64MB'",
    "SET work_mem = '64MB'",
    "SET plan_cache_mode = force_custom_plan",
    "SET jit = off",
    # A batch is small beside the tables: it asks their indexes.
    "SET random_page_cost = 1",
    f"CREATE TEMPORARY TABLE staged ({_COLUMNS})",
    """CREATE TEMPORARY TABLE refused (
        line bigint NOT NULL, code text NOT NULL, reason text, field text, kind text, id uuid,
        other_line bigint, other_id uuid)""",
    f"CREATE TEMPORARY TABLE repeats ({_COLUMNS}, first_line bigint NOT NULL)",
    f"CREATE TEMPORARY TABLE batch ({_COLUMNS}, state text, other_line bigint, other_id uuid) ON COMMIT DELETE ROWS",
    "CREATE TEMPORARY TABLE jumps (id uuid NOT NULL, at uuid) ON COMMIT DELETE ROWS",
]

# What is stored of a line, and whether it is the same. A circuit's position is no content: the file's is an order.
_STORED = {
    LineKind.DEPOT: ("depots", " AND ".join(f"x.{name} IS NOT DISTINCT FROM s.{name}" for name in DEPOT_FIELDS)),
    LineKind.CIRCUIT: (
        "circuits",
        """(x.depot_id, x.name) = (s.depot_id, s.name) AND x.parent_id IS NOT DISTINCT FROM s.parent_id
        AND x.rated_power_w IS NOT DISTINCT FROM s.rated_power_w""",
    ),
    LineKind.GATEWAY: (
        "gateways",
        """(x.depot_id, x.name) = (s.depot_id, s.name) AND x.site_model_name IS NOT DISTINCT FROM s.site_model_name
        AND x.output_translation IS NOT DISTINCT FROM s.output_translation""",
    ),
    LineKind.DEVICE: (
        "devices",
        """(x.gateway_id, x.sensor_id, x.name) = (s.gateway_id, s.sensor_id, s.name)
        AND x.circuit_id IS NOT DISTINCT FROM s.circuit_id""",
    ),
    LineKind.POWER_SOURCE: (
        "power_sources",
        """(x.depot_id, x.kind, x.name) = (s.depot_id, s.source_kind, s.name)
        AND x.circuit_id IS NOT DISTINCT FROM s.circuit_id""",
    ),
}


def _same_lines(table: str) -> str:
    """The lines of ``table`` that are stored with the same content."""
    return "\nUNION ALL\n".join(
        f"SELECT s.line FROM {table} AS s JOIN {stored} AS x ON x.id = s.id WHERE s.kind = '{kind}' AND {same}"
        for kind, (stored, same) in _STORED.items()
    )


# The way from what was staged to what is to do. Nothing of it is written outside of temporary tables.
SORT = [
    "ANALYZE staged (line, kind, id, gateway_id)",
    """
    INSERT INTO repeats
    SELECT s.*, f.first_line
    FROM (SELECT kind, id, min(line) AS first_line FROM staged GROUP BY kind, id HAVING count(*) > 1) AS f
    JOIN staged AS s ON s.kind = f.kind AND s.id = f.id AND s.line <> f.first_line
    """,
    "CREATE INDEX ON refused (id)",
    # A device has its depot from its gateway, as that is stored or else as the file says.
    f"""
    CREATE TEMPORARY TABLE todo AS
    WITH same AS ({_same_lines("staged")})
    SELECT {", ".join(f"s.{name}" for name in STAGED if name != "depot_id")},
           CASE s.kind WHEN 'depot' THEN s.id WHEN 'device' THEN coalesce(x.depot_id, g.depot_id)
                ELSE s.depot_id END AS depot_id
    FROM staged AS s
    LEFT JOIN gateways AS x ON s.kind = 'device' AND x.id = s.gateway_id
    LEFT JOIN staged AS g ON s.kind = 'device' AND g.kind = 'gateway' AND g.id = s.gateway_id
        AND NOT EXISTS (SELECT FROM repeats AS r WHERE r.line = g.line)
    WHERE NOT EXISTS (SELECT FROM same WHERE same.line = s.line)
      AND NOT EXISTS (SELECT FROM repeats AS r WHERE r.line = s.line)
    ORDER BY depot_id
    """,
    "CREATE INDEX ON todo (depot_id)",
    "CREATE INDEX ON todo (id)",
    "ANALYZE todo (line, kind, id, depot_id)",
]
COUNT_UNCHANGED = text("""
    SELECT (SELECT count(*) FROM staged) - (SELECT count(*) FROM repeats) - (SELECT count(*) FROM todo)
""")
DROP_STAGED = text("DROP TABLE staged")

# Where batches end: after the depot with which so many lines are full.
BOUNDS = text("""
    SELECT depot_id FROM (
        SELECT depot_id, lines, sum(lines) OVER (ORDER BY depot_id) AS total,
               lead(depot_id) OVER (ORDER BY depot_id) IS NULL AS is_last
        FROM (SELECT depot_id, count(*) AS lines FROM todo WHERE depot_id IS NOT NULL GROUP BY depot_id) AS counted
    ) AS numbered
    WHERE is_last OR div(total, :size) <> div(total - lines, :size)
    ORDER BY depot_id
""")


def _refused_before(kind: LineKind, id_: str) -> str:
    """The first line of this kind and id that was refused already, as a row ``r`` that may be missing."""
    return f"""LEFT JOIN LATERAL (
        SELECT min(line) AS line FROM refused WHERE refused.id = {id_} AND refused.kind = '{kind}'
    ) AS r ON true"""


REFUSE_DEVICES_OF_NOWHERE = text(f"""
    INSERT INTO refused (line, code, kind, id, other_line, other_id)
    SELECT d.line,
           CASE WHEN x.id IS NOT NULL THEN '{FleetCode.CONTENT_DIFFERS}'
                WHEN r.line IS NOT NULL THEN '{FleetCode.GATEWAY_REFUSED}' ELSE '{FleetCode.GATEWAY_NOT_FOUND}' END,
           d.kind, d.id, r.line, d.gateway_id
    FROM todo AS d LEFT JOIN devices AS x ON x.id = d.id {_refused_before(LineKind.GATEWAY, "d.gateway_id")}
    WHERE d.depot_id IS NULL
""")

# A batch, in this order.
FILL = text(f"""
    INSERT INTO batch ({_NAMES}) SELECT {_NAMES} FROM todo
    WHERE (CAST(:after AS uuid) IS NULL OR depot_id > :after) AND depot_id <= :upto
""")
# PostgreSQL checks the references of each row by a statement, whose plan it can keep: planning takes longer than
# looking one row up by its key. The plan must look it up: made while a table is small it would read all of it later.
KEEP_PLANS = text("""
    SELECT set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true)
""")
PLAN_ANEW = text("""
    SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_seqscan', 'on', true)
""")
ANALYZE_BATCH = text("ANALYZE batch (line, kind, id, depot_id, parent_id, state)")
ANALYZE_STATES = text("ANALYZE batch (state)")
STORE_DEPOTS = text(f"""
    WITH made AS (
        INSERT INTO depots (id, {", ".join(DEPOT_FIELDS)}, created_by, updated_by)
        SELECT id, {", ".join(DEPOT_FIELDS)}, :actor, :actor FROM batch WHERE kind = 'depot' ORDER BY id
        ON CONFLICT (id) DO NOTHING RETURNING id
    )
    UPDATE batch SET state = 'STORED' FROM made WHERE batch.kind = 'depot' AND batch.id = made.id
""")
# In the order of the ids, as everyone does. Depots that this transaction made are locked by that.
LOCK_DEPOTS = text("""
    SELECT count(*) FROM (
        SELECT 1 FROM depots
        WHERE id IN (SELECT depot_id FROM batch EXCEPT SELECT id FROM batch WHERE state = 'STORED')
        ORDER BY id FOR NO KEY UPDATE
    ) AS locked
""")
# From here on nobody else changes these depots. Each statement checks lines that are still open.
COMPARE = [
    text(f"""
        UPDATE batch AS s SET state = CASE WHEN {same} THEN 'UNCHANGED' ELSE '{FleetCode.CONTENT_DIFFERS}' END
        FROM {stored} AS x WHERE s.kind = '{kind}' AND s.state IS NULL AND x.id = s.id
    """)
    for kind, (stored, same) in _STORED.items()
]
REFUSE_OF_RETIRED = text(f"""
    UPDATE batch AS b SET state = '{FleetCode.DEPOT_RETIRED}'
    FROM depots AS d
    WHERE b.state IS NULL AND d.id = b.depot_id AND d.retired_at IS NOT NULL
""")
REFUSE_DELETED = text(f"""
    UPDATE batch AS b SET state = '{FleetCode.CIRCUIT_DELETED}'
    FROM changes AS c
    WHERE b.kind = 'circuit' AND b.state IS NULL
      AND c.depot_id = b.depot_id AND c.action = 'CIRCUIT_DELETED' AND c.subject_id = b.id
""")
REFUSE_WITHOUT_DEPOT = text(f"""
    UPDATE batch AS b
    SET state = CASE WHEN r.line IS NULL THEN '{FleetCode.DEPOT_NOT_FOUND}' ELSE '{FleetCode.DEPOT_REFUSED}' END,
        other_line = r.line, other_id = l.depot_id
    FROM batch AS l {_refused_before(LineKind.DEPOT, "l.depot_id")}
    WHERE l.line = b.line AND l.kind <> 'device' AND l.state IS NULL
      AND NOT EXISTS (SELECT FROM depots AS d WHERE d.id = l.depot_id)
""")
# Circuits whose parent is neither a line of this depot nor stored in it.
REFUSE_WITHOUT_PARENT = text(f"""
    UPDATE batch AS b
    SET state = CASE WHEN p.id IS NOT NULL OR t.id IS NOT NULL THEN '{FleetCode.PARENT_IN_OTHER_DEPOT}'
                     WHEN r.line IS NOT NULL THEN '{FleetCode.PARENT_REFUSED}'
                     ELSE '{FleetCode.PARENT_NOT_FOUND}' END,
        other_line = r.line, other_id = l.parent_id
    FROM batch AS l
    LEFT JOIN circuits AS p ON p.id = l.parent_id
    LEFT JOIN todo AS t ON t.id = l.parent_id AND t.kind = 'circuit'
    {_refused_before(LineKind.CIRCUIT, "l.parent_id")}
    WHERE l.line = b.line AND l.kind = 'circuit' AND l.state IS NULL AND l.parent_id IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM batch AS q WHERE q.kind = 'circuit' AND q.id = l.parent_id AND q.depot_id = l.depot_id)
      AND p.depot_id IS DISTINCT FROM l.depot_id
""")
# From the top, and from circuits that are stored already, downwards.
REACH_CIRCUITS = text(f"""
    WITH RECURSIVE open AS (
        SELECT id, parent_id, depot_id FROM batch WHERE kind = 'circuit' AND state IS NULL
    ), above AS (
        SELECT DISTINCT p.id AS stored, p.parent_id AS next, 1 AS depth
        FROM open AS o JOIN circuits AS p ON p.id = o.parent_id AND p.depot_id = o.depot_id
        WHERE NOT EXISTS (SELECT FROM open AS q WHERE q.id = o.parent_id)
        UNION ALL
        SELECT a.stored, p.parent_id, a.depth + 1 FROM above AS a JOIN circuits AS p ON p.id = a.next
    ), reached AS (
        SELECT o.id, 1 + coalesce(s.depth, 0) AS depth
        FROM open AS o LEFT JOIN (SELECT stored, max(depth) AS depth FROM above GROUP BY stored) AS s
            ON s.stored = o.parent_id
        WHERE o.parent_id IS NULL OR s.stored IS NOT NULL
        UNION ALL
        SELECT o.id, r.depth + 1 FROM reached AS r JOIN open AS o ON o.parent_id = r.id
        WHERE r.depth <= {MAX_DEPTH}
    )
    UPDATE batch
    SET state = CASE WHEN reached.depth > {MAX_DEPTH} THEN '{FleetCode.CIRCUIT_TREE_TOO_DEEP}' ELSE 'STORED' END
    FROM reached WHERE batch.kind = 'circuit' AND batch.id = reached.id
""")
# What was not reached hangs on something refused, or on itself. A jump goes to the parent at first and twice as far
# with every round; after enough rounds those that hang on something refused have jumped off, and the others are all
# in a cycle, each place of which is somebody's.
JUMPS = text("""
    INSERT INTO jumps
    SELECT b.id, p.id FROM batch AS b
    LEFT JOIN batch AS p ON p.kind = 'circuit' AND p.state IS NULL AND p.id = b.parent_id
    WHERE b.kind = 'circuit' AND b.state IS NULL
""")
JUMP_TWICE_AS_FAR = text("UPDATE jumps AS j SET at = k.at FROM jumps AS k WHERE k.id = j.at")
REFUSE_CYCLES = text(f"""
    UPDATE batch SET state = '{FleetCode.CIRCUIT_CYCLE}'
    WHERE kind = 'circuit' AND id IN (SELECT at FROM jumps)
""")
REFUSE_BELOW_REFUSED = text(f"""
    UPDATE batch AS b SET state = '{FleetCode.PARENT_REFUSED}', other_line = p.line
    FROM batch AS p
    WHERE b.kind = 'circuit' AND b.state IS NULL AND p.kind = 'circuit' AND p.id = b.parent_id
""")


def _refuse_too_many(kind: LineKind, bound: Bound, good: str) -> TextClause:
    """Refuse all new things of a kind of a depot that would have too many: some alone would be a site that nobody has.

    Such depots are found once, whatever the planner believes: it knows nothing yet of the states that this batch has
    just been given. ``good`` is the condition that nothing else speaks against a line ``b``.
    """
    stored, _ = _STORED[kind]
    return text(f"""
        WITH crowded AS MATERIALIZED (
            SELECT b.depot_id FROM batch AS b WHERE b.kind = '{kind}' AND {good}
            GROUP BY b.depot_id
            HAVING count(*) + (SELECT count(*) FROM {stored} AS x WHERE x.depot_id = b.depot_id) > {bound.most}
        )
        UPDATE batch AS b SET state = '{FleetCode(bound.code)}'
        FROM crowded
        WHERE b.kind = '{kind}' AND {good} AND b.depot_id = crowded.depot_id
    """)


REFUSE_TOO_MANY_CIRCUITS = _refuse_too_many(LineKind.CIRCUIT, CIRCUITS, "b.state = 'STORED'")
REFUSE_TOO_MANY_GATEWAYS = _refuse_too_many(LineKind.GATEWAY, GATEWAYS, "b.state IS NULL")
REFUSE_TOO_MANY_DEVICES = _refuse_too_many(LineKind.DEVICE, DEVICES, "b.state IS NULL")
REFUSE_TOO_MANY_POWER_SOURCES = _refuse_too_many(LineKind.POWER_SOURCE, POWER_SOURCES, "b.state IS NULL")
# After the siblings that are there already, without a gap; a depot that this batch made has none. The last of them is
# looked up before anything is inserted: afterwards the index would be full of rows that this statement may not see yet.
STORE_CIRCUITS = text("""
    WITH places AS MATERIALIZED (
        SELECT depot_id, parent_id, CASE
            WHEN parent_id IS NULL THEN (
                SELECT max(c.position) FROM circuits AS c WHERE c.depot_id = d.depot_id AND c.parent_id IS NULL)
            ELSE (
                SELECT max(c.position) FROM circuits AS c
                WHERE c.depot_id = d.depot_id AND c.parent_id = d.parent_id) END AS last
        FROM (
            SELECT DISTINCT depot_id, parent_id FROM batch WHERE kind = 'circuit' AND state = 'STORED'
            AND depot_id NOT IN (SELECT id FROM batch WHERE kind = 'depot' AND state = 'STORED')
        ) AS d
    )
    INSERT INTO circuits (id, depot_id, parent_id, name, position, rated_power_w, created_by, updated_by)
    SELECT b.id, b.depot_id, b.parent_id, b.name,
           coalesce(p.last, -1)
               + row_number() OVER (PARTITION BY b.depot_id, b.parent_id ORDER BY b.position NULLS LAST, b.line),
           b.rated_power_w, :actor, :actor
    FROM batch AS b
    LEFT JOIN places AS p ON p.depot_id = b.depot_id AND (p.parent_id IS NULL) = (b.parent_id IS NULL)
        AND coalesce(p.parent_id, p.depot_id) = coalesce(b.parent_id, b.depot_id)
    WHERE b.kind = 'circuit' AND b.state = 'STORED'
""")
STORE_GATEWAYS = text("""
    INSERT INTO gateways (id, depot_id, name, site_model_name, output_translation, created_by, updated_by)
    SELECT id, depot_id, name, site_model_name, output_translation, :actor, :actor
    FROM batch WHERE kind = 'gateway' AND state IS NULL
""")
REFUSE_WITHOUT_GATEWAY = text(f"""
    UPDATE batch AS b
    SET state = CASE WHEN g.id IS NULL THEN '{FleetCode.GATEWAY_NOT_FOUND}' ELSE '{FleetCode.GATEWAY_REFUSED}' END,
        other_line = g.line, other_id = l.gateway_id
    FROM batch AS l LEFT JOIN batch AS g ON g.kind = 'gateway' AND g.id = l.gateway_id
    WHERE l.line = b.line AND l.kind = 'device' AND l.state IS NULL
      AND NOT EXISTS (SELECT FROM gateways AS x WHERE x.id = l.gateway_id AND x.depot_id = l.depot_id)
""")
# Devices and power sources that are linked to a circuit which is not in their depot, now that circuits are stored.
REFUSE_WITHOUT_CIRCUIT = text(f"""
    UPDATE batch AS b
    SET state = CASE WHEN c.id IS NOT NULL OR t.depot_id <> l.depot_id THEN '{FleetCode.CIRCUIT_IN_OTHER_DEPOT}'
                     WHEN t.id IS NOT NULL OR r.line IS NOT NULL THEN '{FleetCode.CIRCUIT_REFUSED}'
                     ELSE '{FleetCode.CIRCUIT_NOT_FOUND}' END,
        other_line = coalesce(t.line, r.line), other_id = l.circuit_id
    FROM batch AS l
    LEFT JOIN circuits AS c ON c.id = l.circuit_id
    LEFT JOIN todo AS t ON t.id = l.circuit_id AND t.kind = 'circuit'
    {_refused_before(LineKind.CIRCUIT, "l.circuit_id")}
    WHERE l.line = b.line AND l.circuit_id IS NOT NULL AND l.state IS NULL AND c.depot_id IS DISTINCT FROM l.depot_id
""")
REFUSE_REPEATED_SENSORS = text(f"""
    UPDATE batch AS b SET state = '{FleetCode.REPEATED_SENSOR}'
    FROM (
        SELECT l.line, x.id AS stored, first_value(l.line) OVER (
            PARTITION BY l.gateway_id, l.sensor_id ORDER BY l.line) AS first_line
        FROM batch AS l LEFT JOIN devices AS x ON x.gateway_id = l.gateway_id AND x.sensor_id = l.sensor_id
        WHERE l.kind = 'device' AND l.state IS NULL
    ) AS o
    WHERE o.line = b.line AND (o.stored IS NOT NULL OR o.first_line <> o.line)
""")
STORE_DEVICES = text("""
    INSERT INTO devices (id, depot_id, gateway_id, sensor_id, name, circuit_id, created_by, updated_by)
    SELECT id, depot_id, gateway_id, sensor_id, name, circuit_id, :actor, :actor
    FROM batch WHERE kind = 'device' AND state IS NULL
""")
STORE_POWER_SOURCES = text("""
    INSERT INTO power_sources (id, depot_id, circuit_id, kind, name, created_by, updated_by)
    SELECT id, depot_id, circuit_id, source_kind, name, :actor, :actor
    FROM batch WHERE kind = 'power_source' AND state IS NULL
""")
# Lines that are still open now have been stored.
RECORD_REFUSED = text("""
    INSERT INTO refused (line, code, kind, id, other_line, other_id)
    SELECT line, state, kind, id, other_line, other_id FROM batch WHERE state NOT IN ('STORED', 'UNCHANGED')
""")
WRITE_JOURNAL = text("""
    INSERT INTO changes (actor, action, depot_id, detail)
    SELECT :actor, 'FLEET_IMPORTED', depot_id, jsonb_object_agg(kind, lines)
    FROM (
        SELECT depot_id, kind, count(*) AS lines FROM batch WHERE coalesce(state, 'STORED') = 'STORED'
        GROUP BY depot_id, kind
    ) AS counted
    GROUP BY depot_id
""")
COUNT_BATCH = text("""
    SELECT kind, count(*) FILTER (WHERE coalesce(state, 'STORED') = 'STORED'),
           count(*) FILTER (WHERE state = 'UNCHANGED')
    FROM batch GROUP BY kind
""")

# When everything is stored. A repeated line whose content equals what is stored changes nothing.
REFUSE_REPEATS = text(f"""
    WITH same AS ({_same_lines("repeats")}), added AS (
        INSERT INTO refused (line, code, kind, id, other_line)
        SELECT line, '{FleetCode.REPEATED_ID}', kind, id, first_line FROM repeats AS r
        WHERE NOT EXISTS (SELECT FROM same WHERE same.line = r.line)
        RETURNING line
    )
    SELECT (SELECT count(*) FROM repeats) - (SELECT count(*) FROM added)
""")
COUNT_REFUSED = text("SELECT code, count(*) FROM refused GROUP BY code ORDER BY count(*) DESC, code")
LIST_REFUSED = text("""
    SELECT line, code, reason, field, kind, id, other_line, other_id FROM refused ORDER BY line
""")
