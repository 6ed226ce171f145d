"""What is stored already as it is stored from now on: texts in their one form, no capacity that cannot be.

Texts: composed (NFC), without the invisible characters that change nothing that one sees. What would be blank, too long
or another device's id in that form stays as it is. Names of circuits go on to the microgrids by the outbox.

Numbers: a capacity or a reading beyond the measurands' bounds, or by which registers say that they have no value, is
forgotten. Where such a capacity holds, the fail-safe takes over, as a step of the circuit's history.

The history is left as it came: whoever reads it leaves out what cannot be.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# As domain.base.texts and domain.site.measurands had it when this was written: a migration does not change with them.
_LEFT_OUT = r"U&'\00AD\180E\200B\2060\2061\2062\2063\2064\FEFF'"
_FORM = f"normalize(translate({{0}}, {_LEFT_OUT}, ''), NFC)"
_NAMES = (
    ("depots", "name"),
    ("circuits", "name"),
    ("gateways", "name"),
    ("gateways", "site_model_name"),
    ("devices", "name"),
    ("power_sources", "name"),
)
_SENSORS = f"""
    WITH formed AS (
        SELECT id, gateway_id, {_FORM.format("sensor_id")} AS form FROM devices
        WHERE sensor_id <> {_FORM.format("sensor_id")}
    ), first AS (
        SELECT DISTINCT ON (gateway_id, form) id, gateway_id, form FROM formed
        WHERE btrim(form) <> '' AND char_length(form) <= 200 ORDER BY gateway_id, form, id
    )
    UPDATE devices AS d SET sensor_id = f.form FROM first AS f
    WHERE d.id = f.id
      AND NOT EXISTS (SELECT 1 FROM devices AS o WHERE o.gateway_id = f.gateway_id AND o.sensor_id = f.form)
"""  # noqa: S608 - constants
_NO_POWER = "(abs({0}) > 1e9 OR {0} IN (32767, 32768, -32768, 65535))"
# A controller's capacity ends at once, as it does where no packet comes: whoever watches the deadlines takes the step.
# A fail-safe that was received is forgotten; the step from it is taken here, where the history's month is there.
_CAPACITIES = f"""
    WITH ended AS (
        UPDATE circuit_capacities SET deadline = least(deadline, now())
        WHERE mode = 'CONTROLLER' AND {_NO_POWER.format("capacity_w")}
    ), forgotten AS (
        UPDATE circuit_capacities
        SET fail_safe_received_w = NULL, fail_safe_observed_at = NULL,
            capacity_w = CASE WHEN basis IS DISTINCT FROM 'FAIL_SAFE_RECEIVED' THEN capacity_w
                              ELSE coalesce(fail_safe_capacity_w, 0) END,
            basis = CASE WHEN basis IS DISTINCT FROM 'FAIL_SAFE_RECEIVED' THEN basis
                         WHEN fail_safe_capacity_w IS NULL THEN 'FAIL_SAFE_UNKNOWN' ELSE 'FAIL_SAFE_CONFIGURED' END
        WHERE {_NO_POWER.format("fail_safe_received_w")}
          AND NOT (mode = 'CONTROLLER' AND {_NO_POWER.format("capacity_w")})
        RETURNING circuit_id, depot_id, mode, reason, capacity_w, basis
    )
    INSERT INTO capacity_events (circuit_id, depot_id, mode, reason, capacity_w, basis, at, received_at)
    SELECT circuit_id, depot_id, mode, reason, capacity_w, basis, now(), now() FROM forgotten
    WHERE mode = 'FAIL_SAFE'
      AND to_regclass('capacity_events_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')) IS NOT NULL
"""  # noqa: S608 - constants
# Those that end keep their row for it; what they received is forgotten in a statement of its own.
_RECEIVED = f"""
    UPDATE circuit_capacities SET fail_safe_received_w = NULL, fail_safe_observed_at = NULL
    WHERE {_NO_POWER.format("fail_safe_received_w")}
"""  # noqa: S608 - constants
_READINGS = f"DELETE FROM power_source_readings WHERE {_NO_POWER.format('value_number')}"  # noqa: S608 - constants


def upgrade() -> None:
    op.execute("SELECT set_config('manage.actor', 'system:migration', true)")
    for table, column in _NAMES:
        form = _FORM.format(column)
        op.execute(
            f"UPDATE {table} SET {column} = btrim({form}) "  # noqa: S608 - constants
            f"WHERE {column} <> {form} AND btrim({form}) <> '' AND char_length({form}) <= 200"
        )
    op.execute(_SENSORS)
    op.execute(_CAPACITIES)
    op.execute(_RECEIVED)
    op.execute(_READINGS)


def downgrade() -> None:
    """What was written in another way is not known any more, and the version before reads the one form as well."""
