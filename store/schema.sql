-- The whole schema as the migrations leave it: read it here, change it with a migration.
-- Made by `./dev generate schema`. Not shown: owners, rights, the months of the partitioned tables, Alembic's table.

CREATE SCHEMA reporting;

COMMENT ON SCHEMA reporting IS 'Views for dashboards and analysts. Columns are added, and never change their meaning.';

CREATE FUNCTION public.access_changed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_notify('manage_access', '');
    RETURN NULL;
END
$$;

CREATE FUNCTION public.alarm_ranks_changed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM settle_ranks(array_agg(depot_id)) FROM changed_rows HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE TABLE public.depot_alarms (
    depot_id uuid NOT NULL,
    priority integer NOT NULL,
    since timestamp with time zone NOT NULL,
    silent_controllers integer NOT NULL,
    silent_since timestamp with time zone,
    silent_run_id uuid,
    fail_safe_circuits integer NOT NULL,
    fail_safe_since timestamp with time zone,
    fail_safe_run_id uuid,
    open_remediations integer NOT NULL,
    remediations_since timestamp with time zone,
    remediations_run_id uuid,
    failed_since timestamp with time zone,
    stale_since timestamp with time zone,
    stale_by_silence boolean NOT NULL,
    stale_run_id uuid
)
WITH (fillfactor='70');

CREATE FUNCTION public.alarms_of(wanted uuid[]) RETURNS SETOF public.depot_alarms
    LANGUAGE sql STABLE
    AS $$
    WITH given AS MATERIALIZED (
        SELECT x.depot_id, x.provisioning, depot_fresh_until(x.depot_id) AS fresh_until, k.failed_since, k.stale_since
        FROM depot_list AS x LEFT JOIN depot_alarms AS k ON k.depot_id = x.depot_id
        WHERE x.depot_id = ANY (wanted)
    ), held AS MATERIALIZED (
        -- A deadline that has passed counts although nobody has noticed it yet.
        SELECT c.depot_id, a.device_id, coalesce(c.deadline, c.since) AS since,
               c.deadline IS NOT NULL OR c.reason = 'NO_PACKET' AS is_unheard,
               make_interval(secs => c.heartbeat_threshold_seconds) AS threshold,
               coalesce(c.scenario_run_id, CASE WHEN c.fail_safe_received_w IS NOT NULL
                   THEN c.fail_safe_scenario_run_id END) AS run_id
        FROM circuit_capacities AS c JOIN sensor_actions AS a ON a.id = c.sensor_action_id
        WHERE c.depot_id = ANY (wanted) AND (c.mode = 'FAIL_SAFE' OR c.deadline <= clock_timestamp())
    ), late AS MATERIALIZED (
        SELECT x.depot_id, a.device_id, least(l.observed_at, l.received_at) AS since,
               coalesce(make_interval(secs => t.seconds), k.threshold) AS threshold, l.scenario_run_id AS run_id
        FROM given AS x
        JOIN microgrids AS m ON m.depot_id = x.depot_id AND m.retired_at IS NULL
        JOIN capability_latest AS l ON l.microgrid_id = m.id
        JOIN known_capabilities() AS k ON k.capability = l.capability
        LEFT JOIN freshness_thresholds AS t ON t.microgrid_id = m.id AND t.capability = l.capability
        LEFT JOIN capability_owners AS o ON o.depot_id = x.depot_id AND o.capability = l.capability
        LEFT JOIN sensor_actions AS a ON a.id = o.sensor_action_id
        WHERE x.fresh_until < clock_timestamp() AND (a.id IS NULL OR least(l.observed_at, l.received_at)
            + coalesce(make_interval(secs => t.seconds), k.threshold) < clock_timestamp())
    ), unheard AS (
        SELECT depot_id, device_id, min(threshold) AS threshold, min(since) AS since,
               (array_agg(run_id) FILTER (WHERE run_id IS NOT NULL))[1] AS run_id
        FROM (
            SELECT depot_id, device_id, threshold, since, run_id FROM held WHERE is_unheard
            UNION ALL SELECT depot_id, device_id, threshold, since, run_id FROM late WHERE device_id IS NOT NULL
        ) AS each
        GROUP BY depot_id, device_id
    ), silent AS MATERIALIZED (
        -- Who sends something else is not silent.
        SELECT u.depot_id, u.device_id, coalesce(least(s.observed_at, s.received_at), u.since) AS since, u.run_id
        FROM unheard AS u JOIN devices AS d ON d.id = u.device_id
        LEFT JOIN sensor_sightings AS s ON s.gateway_id = d.gateway_id AND s.sensor_id = d.sensor_id
        WHERE s.sensor_id IS NULL OR least(s.observed_at, s.received_at) + u.threshold < clock_timestamp()
    ), silences AS (
        SELECT depot_id, count(*) AS count, min(since) AS since,
               (array_agg(run_id) FILTER (WHERE run_id IS NOT NULL))[1] AS run_id
        FROM silent GROUP BY depot_id
    ), fail_safes AS (
        SELECT depot_id, count(*) AS count, min(since) AS since,
               (array_agg(run_id) FILTER (WHERE run_id IS NOT NULL))[1] AS run_id
        FROM held GROUP BY depot_id
    ), stopped AS (
        SELECT depot_id, count(*) AS count, min(opened_at) AS since,
               (array_agg(scenario_run_id) FILTER (WHERE scenario_run_id IS NOT NULL))[1] AS run_id
        FROM remediations WHERE depot_id = ANY (wanted) AND closed_at IS NULL GROUP BY depot_id
    ), lates AS (
        SELECT l.depot_id, bool_and(s.device_id IS NOT NULL) AS by_silence,
               (array_agg(l.run_id) FILTER (WHERE l.run_id IS NOT NULL))[1] AS run_id
        FROM late AS l LEFT JOIN silent AS s ON s.depot_id = l.depot_id AND s.device_id = l.device_id
        GROUP BY l.depot_id
    ), told AS (
        SELECT x.depot_id, coalesce(q.count, 0) AS silent_controllers, q.since AS silent_since,
               q.run_id AS silent_run_id, coalesce(f.count, 0) AS fail_safe_circuits, f.since AS fail_safe_since,
               f.run_id AS fail_safe_run_id, coalesce(r.count, 0) AS open_remediations,
               r.since AS remediations_since, r.run_id AS remediations_run_id,
               CASE WHEN x.provisioning = 'FAILED' THEN coalesce(x.failed_since, now()) END AS failed_since,
               CASE WHEN l.depot_id IS NOT NULL
                   THEN coalesce(x.stale_since, nullif(x.fresh_until, '-infinity'), now()) END AS stale_since,
               coalesce(l.by_silence, false) AS stale_by_silence, l.run_id AS stale_run_id
        FROM given AS x
        LEFT JOIN silences AS q ON q.depot_id = x.depot_id
        LEFT JOIN fail_safes AS f ON f.depot_id = x.depot_id
        LEFT JOIN stopped AS r ON r.depot_id = x.depot_id
        LEFT JOIN lates AS l ON l.depot_id = x.depot_id
    ), worst AS (
        SELECT *, CASE WHEN silent_since IS NOT NULL OR fail_safe_since IS NOT NULL THEN 1
            WHEN failed_since IS NOT NULL OR remediations_since IS NOT NULL THEN 2 ELSE 3 END AS priority
        FROM told
        WHERE coalesce(silent_since, fail_safe_since, failed_since, remediations_since, stale_since) IS NOT NULL
    )
    SELECT depot_id, priority, CASE priority WHEN 1 THEN least(silent_since, fail_safe_since)
               WHEN 2 THEN least(failed_since, remediations_since) ELSE stale_since END,
           silent_controllers::integer, silent_since, silent_run_id, fail_safe_circuits::integer, fail_safe_since,
           fail_safe_run_id, open_remediations::integer, remediations_since, remediations_run_id, failed_since,
           stale_since, stale_by_silence, stale_run_id
    FROM worst
$$;

CREATE FUNCTION public.append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION public.capacity_alarms_deleted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM settle_alarms(array_agg(DISTINCT depot_id)) FROM old_rows WHERE mode = 'FAIL_SAFE' HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION public.capacity_alarms_updated() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF EXISTS (SELECT FROM new_rows WHERE mode = 'FAIL_SAFE') OR EXISTS (SELECT FROM old_rows WHERE mode = 'FAIL_SAFE')
    THEN
        PERFORM settle_alarms(array_agg(DISTINCT g.depot_id))
        FROM (
            SELECT depot_id FROM (TABLE new_rows UNION ALL TABLE old_rows) AS each
            GROUP BY circuit_id, depot_id
            HAVING bool_or(mode = 'FAIL_SAFE') AND count(DISTINCT (mode, reason, scenario_run_id)) > 1
        ) AS g
        HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.circuits_deleted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM request_sync(array_agg(DISTINCT depot_id), 'CIRCUITS_CHANGED')
    FROM old_rows WHERE parent_id IS NULL HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION public.circuits_inserted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM request_sync(array_agg(DISTINCT depot_id), 'CIRCUITS_CHANGED')
    FROM new_rows WHERE parent_id IS NULL HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION public.circuits_inserted_no_cycle() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    -- Rows that hang on one another alone are not reached from a root or from an older circuit. One row by itself
    -- cannot do that: it is not its own parent.
    IF (SELECT count(*) FROM new_rows) > 1 THEN
        IF (
            WITH RECURSIVE reached AS (
                SELECT n.id FROM new_rows AS n
                WHERE n.parent_id IS NULL
                   OR NOT EXISTS (SELECT 1 FROM new_rows AS p WHERE p.id = n.parent_id)
                UNION ALL
                SELECT n.id FROM new_rows AS n JOIN reached AS r ON n.parent_id = r.id
            )
            SELECT count(*) FROM reached
        ) < (SELECT count(*) FROM new_rows) THEN
            RAISE EXCEPTION 'inserted circuits would be their own ancestors'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'circuits_no_cycle';
        END IF;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.circuits_no_cycle() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM 1 FROM depots WHERE id = NEW.depot_id FOR NO KEY UPDATE;
    IF EXISTS (
        WITH RECURSIVE above AS (
            SELECT id, parent_id FROM circuits WHERE id = NEW.parent_id
            UNION
            SELECT c.id, c.parent_id FROM circuits AS c JOIN above AS a ON c.id = a.parent_id
        )
        SELECT 1 FROM above WHERE id = NEW.id
    ) THEN
        RAISE EXCEPTION 'circuit % would be its own ancestor', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'circuits_no_cycle';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION public.circuits_updated() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM request_sync(array_agg(DISTINCT n.depot_id) || array_agg(DISTINCT o.depot_id), 'CIRCUITS_CHANGED')
    FROM old_rows AS o JOIN new_rows AS n USING (id)
    WHERE (o.parent_id IS NULL OR n.parent_id IS NULL)
      AND (o.depot_id, o.parent_id, o.name, o.position)
          IS DISTINCT FROM (n.depot_id, n.parent_id, n.name, n.position)
    HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION public.count_version() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
        BEGIN
            NEW.version := OLD.version + 1;
            RETURN NEW;
        END
        $$;

CREATE FUNCTION public.depot_fresh_until(wanted uuid) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    SET enable_seqscan TO 'off'
    AS $$
    SELECT CASE WHEN count(l.status) < count(*) THEN NULL
                WHEN bool_or(o.sensor_action_id IS NULL) THEN CAST('-infinity' AS timestamptz)
                ELSE min(least(l.observed_at, l.received_at)
                         + coalesce(make_interval(secs => t.seconds), k.threshold)) END
    FROM known_capabilities() AS k
    LEFT JOIN LATERAL (
        SELECT id FROM microgrids WHERE depot_id = wanted AND retired_at IS NULL OFFSET 0
    ) AS m ON true
    LEFT JOIN LATERAL (
        SELECT status, observed_at, received_at FROM capability_latest
        WHERE microgrid_id = m.id AND capability = k.capability OFFSET 0
    ) AS l ON true
    LEFT JOIN LATERAL (
        SELECT seconds FROM freshness_thresholds WHERE microgrid_id = m.id AND capability = k.capability OFFSET 0
    ) AS t ON true
    LEFT JOIN LATERAL (
        SELECT sensor_action_id FROM capability_owners WHERE depot_id = wanted AND capability = k.capability OFFSET 0
    ) AS o ON true
    WHERE k.is_expected OR o.sensor_action_id IS NOT NULL OR l.status IS NOT NULL
$$;

CREATE FUNCTION public.depot_grams(name text, labels text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    SELECT name_grams(name || chr(31) || fold(name) || labels)
$$;

CREATE FUNCTION public.depot_list_deleted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO depot_counts (provisioning, freshness, depots)
    SELECT provisioning, freshness, -count(*) FROM old_rows GROUP BY provisioning, freshness;
    RETURN NULL;
END $$;

CREATE FUNCTION public.depot_list_inserted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO depot_counts (provisioning, freshness, depots)
    SELECT provisioning, freshness, count(*) FROM new_rows GROUP BY provisioning, freshness;
    RETURN NULL;
END $$;

CREATE FUNCTION public.depot_list_updated() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO depot_counts (provisioning, freshness, depots)
    SELECT provisioning, freshness, sum(one) FROM (
        SELECT provisioning, freshness, 1 AS one FROM new_rows
        UNION ALL SELECT provisioning, freshness, -1 FROM old_rows
    ) AS moved
    GROUP BY provisioning, freshness HAVING sum(one) <> 0;
    RETURN NULL;
END $$;

CREATE FUNCTION public.depots_inserted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF coalesce(current_setting('manage.importing', true), '') <> 'on' THEN
        PERFORM request_sync(array_agg(id), 'DEPOT_CREATED') FROM new_rows HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.depots_listed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    WITH told AS MATERIALIZED (
        SELECT timezone, region, tags, fold_labels(ARRAY[timezone, region] || tags) AS labels
        FROM (SELECT DISTINCT timezone, region, tags FROM new_rows) AS each
    )
    INSERT INTO depot_list (depot_id, name, provisioning, grams, region, tags, sort_key, timezone, words, labels)
    SELECT n.id, n.name, n.provisioning, depot_grams(n.name, t.labels), lower(n.region), lower_all(n.tags),
           natural_key(n.name), n.timezone, fold(n.name), t.labels
    FROM new_rows AS n
    JOIN told AS t ON t.timezone = n.timezone AND t.tags = n.tags AND coalesce(t.region, '') = coalesce(n.region, '');
    RETURN NULL;
END $$;

CREATE FUNCTION public.depots_relisted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE depot_list AS x
    SET provisioning = n.provisioning FROM new_rows AS n
    WHERE x.depot_id = n.id AND x.provisioning IS DISTINCT FROM n.provisioning;
    UPDATE depot_list AS x
    SET name = n.name, grams = depot_grams(n.name, l.labels), sort_key = natural_key(n.name),
        region = lower(n.region), tags = lower_all(n.tags), timezone = n.timezone, words = fold(n.name),
        labels = l.labels
    FROM new_rows AS n
    CROSS JOIN LATERAL (SELECT fold_labels(ARRAY[n.timezone, n.region] || n.tags) AS labels) AS l
    WHERE x.depot_id = n.id
      AND (x.name, x.region, x.tags, x.timezone)
          IS DISTINCT FROM (n.name, lower(n.region), lower_all(n.tags), n.timezone);
    RETURN NULL;
END $$;

CREATE FUNCTION public.depots_retired() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    own text := fold_labels(ARRAY[NEW.timezone, NEW.region] || NEW.tags);
BEGIN
    IF NEW.retired_at IS NOT NULL THEN
        DELETE FROM depot_list WHERE depot_id = NEW.id;
    ELSE
        INSERT INTO depot_list (depot_id, name, provisioning, grams, region, tags, sort_key, timezone, words, labels)
        VALUES (NEW.id, NEW.name, NEW.provisioning, depot_grams(NEW.name, own), lower(NEW.region),
                lower_all(NEW.tags), natural_key(NEW.name), NEW.timezone, fold(NEW.name), own);
        PERFORM settle_freshness(ARRAY[NEW.id]);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.devices_ask_for_fill() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO reading_fills AS f (gateway_id, device_ids)
    SELECT n.gateway_id, array_agg(n.id ORDER BY n.id)
    FROM new_devices AS n JOIN sensor_sightings AS s ON s.gateway_id = n.gateway_id AND s.sensor_id = n.sensor_id
    GROUP BY n.gateway_id
    ON CONFLICT (gateway_id) DO UPDATE
    SET device_ids = CASE WHEN f.finished_at IS NULL THEN f.device_ids ELSE '{}' END || excluded.device_ids,
        asked_at = now(), after_observed_at = NULL, after_packet_id = NULL, packets_read = 0, finished_at = NULL;
    RETURN NULL;
END $$;

CREATE FUNCTION public.devices_change_source() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF (NEW.gateway_id, NEW.sensor_id) IS DISTINCT FROM (OLD.gateway_id, OLD.sensor_id) THEN
        UPDATE capability_tenures SET tenure = tenure + 1 WHERE device_id = NEW.id;
        UPDATE circuit_capacities AS c
        SET observed_at = NULL, received_at = NULL, fail_safe_observed_at = NULL, fail_safe_received_at = NULL
        FROM sensor_actions AS a WHERE a.id = c.sensor_action_id AND a.device_id = NEW.id;
    END IF;
    PERFORM release_readings(NEW.id, NULL);
    RETURN NULL;
END $$;

CREATE FUNCTION public.fold(given text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    SELECT translate(replace(replace(replace(
        lower(regexp_replace(normalize(lower(given), NFKD), U&'[\0300-\036f]', '', 'g')),
        U&'\00df', 'ss'), U&'\00e6', 'ae'), U&'\0153', 'oe'), U&'\00f8\0142\0111\0131', 'oldi')
$$;

CREATE FUNCTION public.fold_labels(labels text[]) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    SELECT coalesce(string_agg(chr(31) || part, '' ORDER BY part COLLATE "C"), '')
    FROM (
        SELECT fold(label) AS part FROM unnest(labels) AS given (label) WHERE label IS NOT NULL
        UNION
        SELECT regexp_split_to_table(fold(label), '[/_ -]+') FROM unnest(labels) AS given (label)
        WHERE label IS NOT NULL
    ) AS parts
$$;

CREATE FUNCTION public.forbid_changes(relation regclass) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    held record;
BEGIN
    FOR held IN
        SELECT DISTINCT r.rolname FROM pg_class AS c, aclexplode(c.relacl) AS a, pg_roles AS r
        WHERE c.oid = relation AND r.oid = a.grantee AND a.grantee <> c.relowner
          AND a.privilege_type IN ('UPDATE', 'DELETE', 'TRUNCATE')
    LOOP
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON %s FROM %I', relation, held.rolname);
    END LOOP;
END $$;

CREATE FUNCTION public.gateway_secrets_changed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_notify('manage_access', 'gateway_secrets');
    RETURN NULL;
END
$$;

CREATE FUNCTION public.keep_months(months_ahead integer, months_kept integer) RETURNS TABLE(partition_name text, change text)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    SELECT * FROM keep_months(months_ahead, months_kept, 1200)
$$;

CREATE FUNCTION public.keep_months(months_ahead integer, months_kept integer, journal_months_kept integer) RETURNS TABLE(partition_name text, change text)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    SELECT * FROM keep_months(months_ahead, months_kept, journal_months_kept, 1200)
$$;

CREATE FUNCTION public.keep_months(months_ahead integer, months_kept integer, journal_months_kept integer, rollup_months_kept integer) RETURNS TABLE(partition_name text, change text)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    SELECT * FROM keep_months_of(
        ARRAY['packets', 'capability_events', 'band_quarters', 'band_days', 'capacity_events', 'device_readings', 'reading_minutes'],
        'history', months_ahead, months_kept)
    UNION ALL
    SELECT * FROM keep_months_of(
        ARRAY['reading_quarters', 'reading_days'], 'history', months_ahead, greatest(rollup_months_kept, months_kept))
    UNION ALL
    SELECT * FROM keep_months_of(ARRAY['changes'], 'journal', months_ahead, journal_months_kept)
$$;

CREATE FUNCTION public.keep_months_of(parents text[], floor_name text, months_ahead integer, months_kept integer) RETURNS TABLE(partition_name text, change text)
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE
    parent text;
    month timestamptz;
    this_month timestamptz := date_trunc('month', now(), 'UTC');
    fewest integer := (SELECT months FROM retention_floors WHERE name = floor_name);
    old record;
BEGIN
    IF months_ahead NOT BETWEEN 1 AND 24 OR months_kept IS NULL OR months_kept NOT BETWEEN fewest AND 1200 THEN
        RAISE EXCEPTION 'between 1 and 24 months are made ahead, and between % and 1200 are kept of the %',
            fewest, floor_name USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('keep_months', 0));
    FOREACH parent IN ARRAY parents LOOP
        FOR month IN
            SELECT (this_month AT TIME ZONE 'UTC' + make_interval(months => n)) AT TIME ZONE 'UTC'
            FROM generate_series(-1, months_ahead) AS n
        LOOP
            partition_name := parent || '_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
            CONTINUE WHEN to_regclass(partition_name) IS NOT NULL;
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                partition_name, parent, month, (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'
            );
            IF parent NOT IN ('device_readings', 'reading_minutes', 'reading_quarters', 'reading_days', 'band_quarters', 'band_days') THEN
                PERFORM forbid_changes(partition_name::regclass);
            END IF;
            change := 'MADE';
            RETURN NEXT;
        END LOOP;
        FOR old IN
            SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = parent::regclass
              AND right(c.relname, 7) < to_char(
                  this_month AT TIME ZONE 'UTC' - make_interval(months => months_kept), 'YYYY_MM')
            ORDER BY c.relname
        LOOP
            EXECUTE format('DROP TABLE %I', old.relname);
            partition_name := old.relname;
            change := 'DROPPED';
            RETURN NEXT;
        END LOOP;
    END LOOP;
END $$;

CREATE FUNCTION public.keep_replaced_row() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    was jsonb := to_jsonb(OLD);
BEGIN
    INSERT INTO replaced_rows (depot_id, source, row_key, content)
    VALUES (
        coalesce(
            (was ->> 'depot_id')::uuid,
            (SELECT m.depot_id FROM microgrids AS m WHERE m.id = (was ->> 'microgrid_id')::uuid)
        ),
        TG_TABLE_NAME,
        coalesce(was ->> 'id', (was ->> 'microgrid_id') || ' ' || (was ->> 'capability')),
        was
    );
    RETURN NULL;
END $$;

CREATE FUNCTION public.known_capabilities() RETURNS TABLE(capability text, measurand text, threshold interval, is_expected boolean)
    LANGUAGE sql IMMUTABLE ROWS 2 PARALLEL SAFE
    AS $$
    SELECT * FROM (VALUES
        ('PEAK_SHAVING', 'LIMIT_PEAK_SHAVING', interval '5 minutes', true),
        ('DER', 'LIMIT_DER_EXPORT', interval '5 minutes', true)
    ) AS known (capability, measurand, threshold, is_expected)
$$;

CREATE FUNCTION public.list_alarms_inserted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM settle_alarms(array_agg(depot_id)) FROM new_rows WHERE provisioning = 'FAILED' HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION public.list_alarms_updated() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM settle_alarms(array_agg(g.depot_id))
    FROM (
        SELECT depot_id
        FROM (
            SELECT depot_id, freshness = 'STALE' AS stale, provisioning = 'FAILED' AS failed FROM old_rows
            UNION ALL
            SELECT depot_id, freshness = 'STALE', provisioning = 'FAILED' FROM new_rows
        ) AS each
        GROUP BY depot_id
        HAVING bool_or(stale) <> bool_and(stale) OR bool_or(failed) <> bool_and(failed)
    ) AS g
    HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION public.list_ranks_inserted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM settle_ranks(array_agg(depot_id)) FROM new_rows HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION public.list_ranks_updated() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM settle_ranks(array_agg(g.depot_id))
    FROM (
        SELECT depot_id
        FROM (
            SELECT depot_id, sort_key, timezone, provisioning, freshness FROM old_rows
            UNION ALL
            SELECT depot_id, sort_key, timezone, provisioning, freshness FROM new_rows
        ) AS each
        GROUP BY depot_id
        HAVING min(sort_key) <> max(sort_key) OR min(timezone) <> max(timezone)
            OR min(provisioning) <> max(provisioning) OR min(freshness) <> max(freshness)
    ) AS g
    HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION public.lower_all(texts text[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
            SELECT coalesce(array_agg(lower(each) ORDER BY place), '{}')
            FROM unnest(texts) WITH ORDINALITY AS given (each, place)
        $$;

CREATE FUNCTION public.microgrids_changed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF (SELECT count(*) FROM new_rows) > 20 THEN
        -- A backfill makes thousands at once: whoever watches any of them looks again.
        PERFORM pg_notify('microgrid_events', '* STRUCTURE');
    ELSE
        PERFORM pg_notify('microgrid_events', depot_id::text || ' STRUCTURE')
        FROM (SELECT DISTINCT depot_id FROM new_rows) AS touched;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.name_grams(name text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    SELECT coalesce(array_agg(DISTINCT gram), '{}')
    FROM (
        SELECT unnest(string_to_array(lower(name), NULL))
        UNION ALL
        SELECT one || other
        FROM unnest(string_to_array(lower(name), NULL), (string_to_array(lower(name), NULL))[2:]) AS pairs (one, other)
    ) AS grams (gram)
    WHERE gram IS NOT NULL
$$;

CREATE FUNCTION public.natural_key(name text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    SELECT coalesce(string_agg(
        CASE WHEN part[1] ~ '^[0-9]'
            THEN lpad(char_length(ltrim(part[1], '0'))::text, 3, '0') || ltrim(part[1], '0') ELSE part[1] END,
        '' ORDER BY place), '')
    FROM regexp_matches(regexp_replace(normalize(lower(name), NFD), U&'[\0300-\036f]', '', 'g'),
                        '[0-9]+|[^0-9]+', 'g') WITH ORDINALITY AS found (part, place)
$$;

CREATE FUNCTION public.owners_changed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM settle_freshness(ARRAY[coalesce(NEW.depot_id, OLD.depot_id)]);
    RETURN NULL;
END $$;

CREATE FUNCTION public.packets_sight_sensors() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO sensor_sightings AS s (gateway_id, sensor_id, packet_id, observed_at, received_at)
    
    WITH sighted AS MATERIALIZED (
        SELECT l.*, coalesce(
            (SELECT true FROM sensor_sightings AS o
             WHERE o.gateway_id = l.gateway_id AND o.sensor_id = l.sensor_id LIMIT 1),
            (SELECT true FROM devices AS d WHERE d.gateway_id = l.gateway_id AND d.sensor_id = l.sensor_id LIMIT 1),
            false
        ) AS known
        FROM (
    SELECT DISTINCT ON (p.gateway_id, m.sensor ->> 'sensor_id')
           p.gateway_id, m.sensor ->> 'sensor_id' AS sensor_id, p.id AS packet_id, p.observed_at, p.received_at
    FROM new_packets AS p
    CROSS JOIN LATERAL jsonb_array_elements(
        CASE jsonb_typeof(p.document -> 'sensors') WHEN 'array' THEN p.document -> 'sensors' ELSE '[]' END
    ) AS m (sensor)
    WHERE m.sensor ->> 'sensor_id' IS NOT NULL AND EXISTS (SELECT FROM gateways AS g WHERE g.id = p.gateway_id)
    ORDER BY p.gateway_id, m.sensor ->> 'sensor_id', least(p.observed_at, p.received_at) DESC, p.observed_at DESC, p.id
) AS l
    ), held AS MATERIALIZED (
        SELECT g.gateway_id, (
            SELECT count(*) FROM sensor_sightings AS o
            WHERE o.gateway_id = g.gateway_id AND NOT EXISTS (
                SELECT FROM devices AS d WHERE d.gateway_id = o.gateway_id AND d.sensor_id = o.sensor_id
            )
        ) AS unknown
        FROM (SELECT DISTINCT gateway_id FROM sighted WHERE NOT known) AS g
    ), placed AS (
        SELECT n.*, h.unknown,
               count(*) FILTER (WHERE NOT n.known) OVER (PARTITION BY n.gateway_id ORDER BY n.sensor_id) AS place
        FROM sighted AS n LEFT JOIN held AS h ON h.gateway_id = n.gateway_id
    )
    SELECT gateway_id, sensor_id, packet_id, observed_at, received_at FROM placed
    WHERE known OR unknown + place <= 500
    ORDER BY gateway_id, sensor_id

    ON CONFLICT (gateway_id, sensor_id) DO UPDATE
    SET packet_id = excluded.packet_id, observed_at = excluded.observed_at, received_at = excluded.received_at
    WHERE (least(excluded.observed_at, excluded.received_at), excluded.observed_at)
        > (least(s.observed_at, s.received_at), s.observed_at);
    RETURN NULL;
END $$;

CREATE FUNCTION public.part_pattern(part text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    SELECT '%' || regexp_replace(part, '([\\%_])', '\\\1', 'g') || '%'
$$;

CREATE FUNCTION public.rank_of(moment timestamp with time zone) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    SELECT CAST(extract(epoch FROM greatest(to_timestamp(-62135596800), least(to_timestamp(253402300799), moment)))
                * 1000000 AS bigint)
$$;

CREATE FUNCTION public.readings_changed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NEW.written_in := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END $$;

CREATE FUNCTION public.release_readings(of_device uuid, measurands text[]) RETURNS void
    LANGUAGE sql
    AS $$
    UPDATE power_source_readings SET released = true
    WHERE device_id = of_device AND (measurands IS NULL OR measurand = ANY (measurands)) AND NOT released
$$;

CREATE FUNCTION public.remediation_alarms_inserted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM settle_alarms(array_agg(DISTINCT depot_id)) FROM new_rows HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION public.remediation_alarms_updated() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM settle_alarms(array_agg(DISTINCT n.depot_id)) FROM new_rows AS n JOIN old_rows AS o USING (id)
    WHERE (n.closed_at IS NULL) <> (o.closed_at IS NULL) OR n.scenario_run_id IS DISTINCT FROM o.scenario_run_id
    HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION public.request_sync(depots_changed uuid[], why text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO outbox (depot_id, reason, requested_by)
    SELECT d.id, why, coalesce(nullif(current_setting('manage.actor', true), ''), session_user)
    FROM depots AS d
    WHERE d.id = ANY (depots_changed)
      AND (d.provisioning <> 'PENDING' OR coalesce(current_setting('manage.importing', true), '') <> 'on');
    IF FOUND THEN
        PERFORM pg_notify('outbox', '');
    END IF;
END $$;

CREATE FUNCTION public.scenario_run_steps_written_once() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'the evidence of a step is written once' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION public.search_grams(search text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    SELECT coalesce(array_agg(gram), '{}') FROM unnest(name_grams(search)) AS gram
    WHERE char_length(gram) = least(2, char_length(lower(search)))
$$;

CREATE FUNCTION public.sensor_actions_own_capabilities() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    DELETE FROM capability_owners WHERE sensor_action_id = NEW.id;
    IF NEW.enabled AND NEW.action = 'UPDATE_MICROGRID_STATE' THEN
        INSERT INTO capability_owners (depot_id, capability, sensor_action_id)
        SELECT NEW.depot_id, k.capability, NEW.id
        FROM known_capabilities() AS k WHERE k.measurand = ANY (NEW.measurands);
        INSERT INTO capability_tenures AS t (depot_id, capability, device_id, tenure)
        SELECT depot_id, capability, NEW.device_id, 0 FROM capability_owners WHERE sensor_action_id = NEW.id
        ON CONFLICT (depot_id, capability) DO UPDATE SET tenure = t.tenure + 1, device_id = excluded.device_id
        WHERE t.device_id <> excluded.device_id;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.sensor_actions_release_readings() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NOT OLD.enabled OR OLD.action NOT LIKE 'UPDATE_POWER_SOURCE_%' THEN
        RETURN NULL;
    ELSIF TG_OP = 'DELETE' OR NOT NEW.enabled OR NEW.device_id <> OLD.device_id THEN
        PERFORM release_readings(OLD.device_id, OLD.measurands);
    ELSIF NOT OLD.measurands <@ NEW.measurands THEN
        PERFORM release_readings(
            OLD.device_id, ARRAY(SELECT unnest(OLD.measurands) EXCEPT SELECT unnest(NEW.measurands)));
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.settle_alarms(changed uuid[]) RETURNS void
    LANGUAGE sql
    AS $$
    WITH told AS MATERIALIZED (
        SELECT * FROM alarms_of(changed)
    ), mended AS (
        DELETE FROM depot_alarms
        WHERE depot_id = ANY (changed) AND depot_id <> ALL (ARRAY(SELECT depot_id FROM told))
    )
    INSERT INTO depot_alarms AS k SELECT * FROM told
    ON CONFLICT (depot_id) DO UPDATE
    SET priority = excluded.priority, since = excluded.since, silent_controllers = excluded.silent_controllers,
        silent_since = excluded.silent_since, silent_run_id = excluded.silent_run_id,
        fail_safe_circuits = excluded.fail_safe_circuits, fail_safe_since = excluded.fail_safe_since,
        fail_safe_run_id = excluded.fail_safe_run_id, open_remediations = excluded.open_remediations,
        remediations_since = excluded.remediations_since, remediations_run_id = excluded.remediations_run_id,
        failed_since = excluded.failed_since, stale_since = excluded.stale_since,
        stale_by_silence = excluded.stale_by_silence, stale_run_id = excluded.stale_run_id
    WHERE k.* IS DISTINCT FROM excluded.*
$$;

CREATE FUNCTION public.settle_freshness(changed uuid[]) RETURNS void
    LANGUAGE sql
    SET enable_seqscan TO 'off'
    AS $$
    WITH told AS MATERIALIZED (
        SELECT each.depot_id, (
        SELECT CASE WHEN count(l.status) < count(*) THEN NULL
                    WHEN bool_or(o.sensor_action_id IS NULL) THEN CAST('-infinity' AS timestamptz)
                    ELSE min(least(l.observed_at, l.received_at)
                             + coalesce(make_interval(secs => t.seconds), k.threshold)) END
        FROM known_capabilities() AS k
        LEFT JOIN LATERAL (
            SELECT id FROM microgrids WHERE depot_id = each.depot_id AND retired_at IS NULL OFFSET 0
        ) AS m ON true
        LEFT JOIN LATERAL (
            SELECT status, observed_at, received_at FROM capability_latest
            WHERE microgrid_id = m.id AND capability = k.capability OFFSET 0
        ) AS l ON true
        LEFT JOIN LATERAL (
            SELECT seconds FROM freshness_thresholds
            WHERE microgrid_id = m.id AND capability = k.capability OFFSET 0
        ) AS t ON true
        LEFT JOIN LATERAL (
            SELECT sensor_action_id FROM capability_owners
            WHERE depot_id = each.depot_id AND capability = k.capability OFFSET 0
        ) AS o ON true
        WHERE k.is_expected OR o.sensor_action_id IS NOT NULL OR l.status IS NOT NULL
        ) AS fresh_until
        FROM (SELECT DISTINCT depot_id FROM unnest(changed) AS given (depot_id)) AS each
    ), judged AS MATERIALIZED (
        SELECT depot_id, fresh_until, CASE WHEN fresh_until IS NULL THEN 'NONE'
            WHEN fresh_until < clock_timestamp() THEN 'STALE' ELSE 'FRESH' END AS freshness
        FROM told
    ), flipped AS (
        UPDATE depot_list AS x SET freshness = j.freshness FROM judged AS j
        WHERE x.depot_id = j.depot_id AND x.freshness <> j.freshness
    ), lapsed AS (
        DELETE FROM fresh_depots WHERE depot_id = ANY (ARRAY(SELECT depot_id FROM judged WHERE freshness <> 'FRESH'))
    )
    INSERT INTO fresh_depots AS f (depot_id, fresh_until)
    SELECT j.depot_id, j.fresh_until FROM judged AS j JOIN depot_list AS x ON x.depot_id = j.depot_id
    LEFT JOIN fresh_depots AS f ON f.depot_id = j.depot_id
    WHERE j.freshness = 'FRESH' AND (f.depot_id IS NULL OR j.fresh_until < f.fresh_until
       OR j.fresh_until > f.fresh_until + least(interval '1 minute', (j.fresh_until - now()) / 4))
    ON CONFLICT (depot_id) DO UPDATE SET fresh_until = excluded.fresh_until
    WHERE excluded.fresh_until < f.fresh_until
       OR excluded.fresh_until > f.fresh_until + least(interval '1 minute', (excluded.fresh_until - now()) / 4)
$$;

CREATE FUNCTION public.settle_ranks(changed uuid[]) RETURNS void
    LANGUAGE sql
    SET enable_seqscan TO 'off'
    AS $$
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
    WHERE (k.sort_key, k.worst, k.provisioning, k.status, k.fail_safe, k.remediations, k.timezone, k.freshness, k.alarms) IS DISTINCT FROM (excluded.sort_key, excluded.worst, excluded.provisioning, excluded.status, excluded.fail_safe, excluded.remediations, excluded.timezone, excluded.freshness, excluded.alarms)
$$;

CREATE FUNCTION public.statuses_changed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM settle_freshness(array_agg(m.depot_id))
    FROM new_rows AS n JOIN microgrids AS m ON m.id = n.microgrid_id AND m.retired_at IS NULL HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION public.thresholds_changed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM settle_freshness(array_agg(depot_id)) FROM microgrids
    WHERE id = coalesce(NEW.microgrid_id, OLD.microgrid_id) HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE TABLE public.api_tokens (
    id uuid DEFAULT uuidv7() NOT NULL,
    name text NOT NULL,
    owner_id uuid,
    owner text NOT NULL,
    digest bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT api_tokens_name CHECK (((btrim(name) <> ''::text) AND (char_length(name) <= 200)))
);

CREATE TABLE public.backfill_outcomes (
    backfill_id uuid NOT NULL,
    depot_id uuid NOT NULL,
    outcome text NOT NULL,
    microgrid_id uuid,
    CONSTRAINT backfill_outcomes_outcome CHECK ((outcome = ANY (ARRAY['CREATED'::text, 'ALREADY_PROVISIONED'::text, 'NO_TOP_LEVEL_CIRCUITS'::text])))
);

CREATE TABLE public.backfill_pages (
    backfill_id uuid NOT NULL,
    page integer NOT NULL,
    created integer NOT NULL,
    already_provisioned integer NOT NULL,
    no_top_level_circuits integer NOT NULL,
    finished_at timestamp with time zone DEFAULT now() NOT NULL,
    upto uuid
);

CREATE TABLE public.backfills (
    id uuid DEFAULT uuidv7() NOT NULL,
    dry_run boolean NOT NULL,
    page_size integer NOT NULL,
    state text NOT NULL,
    depots_total bigint,
    requested_by text NOT NULL,
    requested_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    failure text,
    CONSTRAINT backfills_state CHECK ((state = ANY (ARRAY['RUNNING'::text, 'PAUSED'::text, 'COMPLETED'::text, 'CANCELLED'::text, 'FAILED'::text])))
);

CREATE TABLE public.band_blocks (
    microgrid_id uuid NOT NULL,
    block_at timestamp with time zone NOT NULL,
    since timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL
);

CREATE TABLE public.band_days (
    microgrid_id uuid NOT NULL,
    capability text NOT NULL,
    begins_at timestamp with time zone NOT NULL,
    n integer NOT NULL,
    status text NOT NULL,
    tenure integer NOT NULL,
    scenario_run_id uuid,
    first_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL,
    longest_gap interval NOT NULL
)
PARTITION BY RANGE (begins_at);

CREATE TABLE public.band_mark (
    is_only boolean DEFAULT true NOT NULL,
    mark bigint DEFAULT 0 NOT NULL,
    next_transaction bigint DEFAULT 0 NOT NULL,
    next_at timestamp with time zone,
    noted_at timestamp with time zone,
    complete_at timestamp with time zone,
    CONSTRAINT band_mark_one CHECK (is_only)
);

CREATE TABLE public.band_quarters (
    microgrid_id uuid NOT NULL,
    capability text NOT NULL,
    begins_at timestamp with time zone NOT NULL,
    n integer NOT NULL,
    status text NOT NULL,
    tenure integer NOT NULL,
    scenario_run_id uuid,
    first_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL,
    longest_gap interval NOT NULL
)
PARTITION BY RANGE (begins_at);

CREATE TABLE public.capability_events (
    id uuid DEFAULT uuidv7() NOT NULL,
    microgrid_id uuid NOT NULL,
    capability text NOT NULL,
    status text,
    observed_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    provider_event_ref text NOT NULL COLLATE pg_catalog."C",
    source_device_id uuid,
    effect text NOT NULL,
    recorded_by text NOT NULL,
    tenure integer DEFAULT 0 NOT NULL,
    scenario_run_id uuid,
    written_in bigint DEFAULT ((pg_current_xact_id())::text)::bigint NOT NULL,
    CONSTRAINT capability_events_effect CHECK ((effect = ANY (ARRAY['SHOWN'::text, 'LATE'::text, 'UNAVAILABLE'::text, 'REPEATED'::text, 'CONFLICTING'::text]))),
    CONSTRAINT capability_events_status CHECK ((status = ANY (ARRAY['ON'::text, 'OFF'::text])))
)
PARTITION BY RANGE (received_at);

CREATE TABLE public.capability_latest (
    microgrid_id uuid NOT NULL,
    capability text NOT NULL,
    event_id uuid NOT NULL,
    status text NOT NULL,
    observed_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    provider_event_ref text NOT NULL COLLATE pg_catalog."C",
    source_device_id uuid,
    tenure integer DEFAULT 0 NOT NULL,
    scenario_run_id uuid,
    since timestamp with time zone,
    CONSTRAINT capability_latest_status CHECK ((status = ANY (ARRAY['ON'::text, 'OFF'::text])))
)
WITH (fillfactor='70');

CREATE TABLE public.capability_owners (
    depot_id uuid NOT NULL,
    capability text NOT NULL,
    sensor_action_id uuid NOT NULL
);

CREATE TABLE public.capability_tenures (
    depot_id uuid NOT NULL,
    capability text NOT NULL,
    device_id uuid NOT NULL,
    tenure integer NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE public.capacity_events (
    id uuid DEFAULT uuidv7() NOT NULL,
    circuit_id uuid NOT NULL,
    depot_id uuid NOT NULL,
    mode text NOT NULL,
    reason text,
    capacity_w double precision,
    basis text,
    at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    scenario_run_id uuid,
    CONSTRAINT capacity_events_mode CHECK ((mode = ANY (ARRAY['AWAITING'::text, 'CONTROLLER'::text, 'FAIL_SAFE'::text, 'RELEASED'::text])))
)
PARTITION BY RANGE (received_at);

CREATE TABLE public.changes (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    depot_id uuid,
    subject_id uuid,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    request_id text DEFAULT NULLIF(current_setting('manage.request_id'::text, true), ''::text),
    client text DEFAULT NULLIF(current_setting('manage.client'::text, true), ''::text)
)
PARTITION BY RANGE (at);

ALTER TABLE public.changes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.circuit_capacities (
    circuit_id uuid NOT NULL,
    depot_id uuid NOT NULL,
    sensor_action_id uuid NOT NULL,
    mode text NOT NULL,
    since timestamp with time zone NOT NULL,
    deadline timestamp with time zone,
    reason text,
    capacity_w double precision,
    basis text,
    observed_at timestamp with time zone,
    fail_safe_received_w double precision,
    fail_safe_observed_at timestamp with time zone,
    heartbeat_threshold_seconds double precision NOT NULL,
    fail_safe_capacity_w double precision,
    received_at timestamp with time zone,
    fail_safe_received_at timestamp with time zone,
    scenario_run_id uuid,
    fail_safe_scenario_run_id uuid,
    CONSTRAINT circuit_capacities_capacity CHECK ((capacity_w >= (0)::double precision)),
    CONSTRAINT circuit_capacities_deadline CHECK (((mode = 'FAIL_SAFE'::text) = (deadline IS NULL))),
    CONSTRAINT circuit_capacities_fail_safe CHECK (((mode = 'FAIL_SAFE'::text) = (reason IS NOT NULL))),
    CONSTRAINT circuit_capacities_known CHECK (((mode = 'AWAITING'::text) = (capacity_w IS NULL))),
    CONSTRAINT circuit_capacities_mode CHECK ((mode = ANY (ARRAY['AWAITING'::text, 'CONTROLLER'::text, 'FAIL_SAFE'::text])))
)
WITH (fillfactor='70');

CREATE TABLE public.circuits (
    id uuid DEFAULT uuidv7() NOT NULL,
    depot_id uuid NOT NULL,
    parent_id uuid,
    name text NOT NULL,
    "position" integer NOT NULL,
    rated_power_w double precision,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_by text NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT circuits_name CHECK (((btrim(name) <> ''::text) AND (char_length(name) <= 200))),
    CONSTRAINT circuits_not_own_parent CHECK ((parent_id <> id)),
    CONSTRAINT circuits_position CHECK (("position" >= 0)),
    CONSTRAINT circuits_rated_power CHECK ((rated_power_w > (0)::double precision)),
    CONSTRAINT circuits_version CHECK ((version >= 1))
);

CREATE TABLE public.depot_counts (
    id bigint NOT NULL,
    provisioning text NOT NULL,
    freshness text NOT NULL,
    depots bigint NOT NULL
);

ALTER TABLE public.depot_counts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.depot_counts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.depot_list (
    depot_id uuid NOT NULL,
    name text NOT NULL,
    provisioning text NOT NULL,
    freshness text DEFAULT 'NONE'::text NOT NULL,
    grams text[] NOT NULL,
    region text,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    sort_key text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    timezone text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    words text DEFAULT ''::text NOT NULL,
    labels text DEFAULT ''::text NOT NULL,
    CONSTRAINT depot_list_freshness CHECK ((freshness = ANY (ARRAY['NONE'::text, 'STALE'::text, 'FRESH'::text])))
);

CREATE TABLE public.depot_ranks (
    depot_id uuid NOT NULL,
    sort_key text NOT NULL COLLATE pg_catalog."C",
    worst bigint NOT NULL,
    provisioning bigint NOT NULL,
    status bigint NOT NULL,
    fail_safe bigint NOT NULL,
    remediations bigint NOT NULL,
    timezone text NOT NULL COLLATE pg_catalog."C",
    freshness text NOT NULL,
    alarms integer NOT NULL,
    load bigint DEFAULT '4000000000000000000'::bigint NOT NULL,
    load_share bigint DEFAULT '4000000000000000000'::bigint NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE public.depots (
    id uuid DEFAULT uuidv7() NOT NULL,
    name text NOT NULL,
    timezone text NOT NULL,
    provisioning text DEFAULT 'PENDING'::text NOT NULL,
    provisioning_code text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_by text NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    allows_simulation boolean DEFAULT false NOT NULL,
    region text,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    retired_at timestamp with time zone,
    CONSTRAINT depots_name CHECK (((btrim(name) <> ''::text) AND (char_length(name) <= 200))),
    CONSTRAINT depots_provisioning CHECK ((provisioning = ANY (ARRAY['PENDING'::text, 'PROVISIONED'::text, 'FAILED'::text]))),
    CONSTRAINT depots_provisioning_code CHECK (((provisioning = 'FAILED'::text) = (provisioning_code IS NOT NULL))),
    CONSTRAINT depots_region CHECK (((btrim(region) <> ''::text) AND (char_length(region) <= 100))),
    CONSTRAINT depots_tags CHECK ((cardinality(tags) <= 20)),
    CONSTRAINT depots_version CHECK ((version >= 1))
);

CREATE TABLE public.device_readings (
    device_id uuid NOT NULL,
    observed_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    faults jsonb,
    current double precision,
    frequency double precision,
    voltage double precision,
    line_voltage double precision,
    total_power_load double precision,
    total_reactive_power double precision,
    total_apparent_power double precision,
    total_power_factor double precision,
    phase_1n_voltage_thd double precision,
    phase_2n_voltage_thd double precision,
    phase_3n_voltage_thd double precision,
    available_charging_capacity double precision,
    fail_safe_capacity double precision,
    heartbeat_status text,
    limit_peak_shaving boolean,
    limit_der_export boolean,
    soc double precision,
    device_power_state text,
    bess_operational_mode text,
    scenario_run_id uuid,
    written_in bigint DEFAULT ((pg_current_xact_id())::text)::bigint NOT NULL
)
PARTITION BY RANGE (observed_at);

CREATE TABLE public.devices (
    id uuid DEFAULT uuidv7() NOT NULL,
    depot_id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    sensor_id text NOT NULL,
    name text NOT NULL,
    circuit_id uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_by text NOT NULL,
    controller text,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT devices_controller CHECK (((btrim(controller) <> ''::text) AND (char_length(controller) <= 100))),
    CONSTRAINT devices_name CHECK (((btrim(name) <> ''::text) AND (char_length(name) <= 200))),
    CONSTRAINT devices_sensor_id CHECK (((btrim(sensor_id) <> ''::text) AND (char_length(sensor_id) <= 200))),
    CONSTRAINT devices_version CHECK ((version >= 1))
);

CREATE TABLE public.export_parts (
    export_id uuid NOT NULL,
    starts_at bigint NOT NULL,
    content bytea NOT NULL
);

CREATE TABLE public.exports (
    id uuid DEFAULT uuidv7() NOT NULL,
    kind text NOT NULL,
    file_format text NOT NULL,
    since timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL,
    depot_id uuid,
    device_ids uuid[] NOT NULL,
    measurands text[] NOT NULL,
    within uuid[],
    state text NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    failure text,
    done_until timestamp with time zone,
    slice_seconds double precision,
    rows_done bigint DEFAULT 0 NOT NULL,
    size_bytes bigint DEFAULT 0 NOT NULL,
    expires_at timestamp with time zone,
    CONSTRAINT exports_state CHECK ((state = ANY (ARRAY['RUNNING'::text, 'PAUSED'::text, 'COMPLETED'::text, 'CANCELLED'::text, 'FAILED'::text])))
);

CREATE TABLE public.fresh_depots (
    depot_id uuid NOT NULL,
    fresh_until timestamp with time zone NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE public.freshness_thresholds (
    microgrid_id uuid NOT NULL,
    capability text NOT NULL,
    seconds double precision NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_by text NOT NULL,
    CONSTRAINT freshness_thresholds_seconds CHECK ((seconds > (0)::double precision))
);

CREATE TABLE public.gateway_secrets (
    id uuid DEFAULT uuidv7() NOT NULL,
    gateway_id uuid NOT NULL,
    slot text NOT NULL,
    digest bytea NOT NULL,
    mqtt_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT gateway_secrets_slot CHECK ((slot = ANY (ARRAY['a'::text, 'b'::text])))
);

CREATE TABLE public.gateways (
    id uuid DEFAULT uuidv7() NOT NULL,
    depot_id uuid NOT NULL,
    name text NOT NULL,
    site_model_name text,
    output_translation jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_by text NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT gateways_name CHECK (((btrim(name) <> ''::text) AND (char_length(name) <= 200))),
    CONSTRAINT gateways_version CHECK ((version >= 1))
);

CREATE TABLE public.grants (
    id uuid DEFAULT uuidv7() NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    depot_id uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    CONSTRAINT grants_kind CHECK ((kind = ANY (ARRAY['person'::text, 'group'::text, 'program'::text]))),
    CONSTRAINT grants_name CHECK (((btrim(name) <> ''::text) AND (char_length(name) <= 200))),
    CONSTRAINT grants_role CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text, 'configurator'::text, 'qa'::text, 'administrator'::text, 'auditor'::text, 'gateway'::text]))),
    CONSTRAINT grants_subject CHECK (((btrim(subject) <> ''::text) AND (char_length(subject) <= 1000)))
);

CREATE TABLE public.idempotency_keys (
    actor text NOT NULL,
    key text NOT NULL,
    digest bytea NOT NULL,
    answer text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.import_parts (
    import_id uuid NOT NULL,
    part integer NOT NULL,
    content bytea NOT NULL
);

CREATE TABLE public.import_refusals (
    import_id uuid NOT NULL,
    line bigint NOT NULL,
    code text NOT NULL,
    reason text,
    field text,
    kind text,
    id uuid,
    other_line bigint,
    other_id uuid
);

CREATE TABLE public.imports (
    id uuid DEFAULT uuidv7() NOT NULL,
    file_name text NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 text NOT NULL,
    state text NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    failure text,
    bytes_read bigint DEFAULT 0 NOT NULL,
    lines bigint DEFAULT 0 NOT NULL,
    lines_to_store bigint,
    lines_done bigint DEFAULT 0 NOT NULL,
    stored jsonb DEFAULT '{}'::jsonb NOT NULL,
    unchanged bigint,
    refused jsonb DEFAULT '{}'::jsonb NOT NULL,
    reported integer DEFAULT 0 NOT NULL,
    stored_upto uuid,
    CONSTRAINT imports_state CHECK ((state = ANY (ARRAY['RUNNING'::text, 'PAUSED'::text, 'COMPLETED'::text, 'CANCELLED'::text, 'FAILED'::text])))
);

CREATE TABLE public.load_settlement (
    id boolean DEFAULT true NOT NULL,
    begun_at timestamp with time zone NOT NULL,
    settled_at timestamp with time zone,
    CONSTRAINT load_settlement_once CHECK (id)
);

CREATE TABLE public.microgrid_nodes (
    id uuid DEFAULT uuidv7() NOT NULL,
    microgrid_id uuid NOT NULL,
    kind text DEFAULT 'GRID_CONNECTION'::text NOT NULL,
    circuit_id uuid NOT NULL,
    name text NOT NULL,
    "position" integer NOT NULL,
    created_at timestamp with time zone DEFAULT now(),
    CONSTRAINT microgrid_nodes_kind CHECK ((kind = 'GRID_CONNECTION'::text))
);

CREATE TABLE public.microgrids (
    id uuid DEFAULT uuidv7() NOT NULL,
    depot_id uuid NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    synced_at timestamp with time zone DEFAULT now() NOT NULL,
    retired_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_by text NOT NULL,
    CONSTRAINT microgrids_version CHECK ((version >= 1))
);

CREATE TABLE public.outbox (
    id bigint NOT NULL,
    depot_id uuid NOT NULL,
    reason text NOT NULL,
    requested_by text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    request_id text DEFAULT NULLIF(current_setting('manage.request_id'::text, true), ''::text),
    traceparent text DEFAULT NULLIF(current_setting('manage.traceparent'::text, true), ''::text)
);

ALTER TABLE public.outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.packets (
    id uuid DEFAULT uuidv7() NOT NULL,
    gateway_id uuid NOT NULL,
    depot_id uuid NOT NULL,
    observed_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    document jsonb NOT NULL,
    answers jsonb NOT NULL,
    scenario_run_id uuid
)
PARTITION BY RANGE (received_at);

CREATE TABLE public.people (
    id uuid DEFAULT uuidv7() NOT NULL,
    issuer text NOT NULL,
    sub text NOT NULL,
    name text NOT NULL,
    email text,
    email_verified boolean NOT NULL,
    groups text[] NOT NULL,
    first_signed_in_at timestamp with time zone DEFAULT now() NOT NULL,
    signed_in_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT people_name CHECK (((btrim(name) <> ''::text) AND (char_length(name) <= 255))),
    CONSTRAINT people_sub CHECK (((btrim(sub) <> ''::text) AND (char_length(sub) <= 255)))
);

CREATE TABLE public.power_source_readings (
    power_source_id uuid NOT NULL,
    measurand text NOT NULL,
    value_number double precision,
    value_text text,
    observed_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    device_id uuid NOT NULL,
    released boolean DEFAULT false NOT NULL,
    scenario_run_id uuid,
    CONSTRAINT power_source_readings_value CHECK (((value_number IS NULL) <> (value_text IS NULL)))
)
WITH (fillfactor='70');

CREATE TABLE public.power_sources (
    id uuid DEFAULT uuidv7() NOT NULL,
    depot_id uuid NOT NULL,
    circuit_id uuid,
    kind text NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_by text NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT power_sources_kind CHECK ((kind = ANY (ARRAY['BATTERY'::text, 'SOLAR'::text, 'GENERATOR'::text]))),
    CONSTRAINT power_sources_name CHECK (((btrim(name) <> ''::text) AND (char_length(name) <= 200))),
    CONSTRAINT power_sources_version CHECK ((version >= 1))
);

CREATE TABLE public.reading_days (
    device_id uuid NOT NULL,
    begins_at timestamp with time zone NOT NULL,
    faults jsonb,
    current_least double precision,
    current_most double precision,
    current_weighted double precision,
    current_seconds double precision,
    current_last double precision,
    current_readings integer,
    current_delayed integer,
    current_simulated integer,
    current_first_at timestamp with time zone,
    current_last_at timestamp with time zone,
    frequency_least double precision,
    frequency_most double precision,
    frequency_weighted double precision,
    frequency_seconds double precision,
    frequency_last double precision,
    frequency_readings integer,
    frequency_delayed integer,
    frequency_simulated integer,
    frequency_first_at timestamp with time zone,
    frequency_last_at timestamp with time zone,
    voltage_least double precision,
    voltage_most double precision,
    voltage_weighted double precision,
    voltage_seconds double precision,
    voltage_last double precision,
    voltage_readings integer,
    voltage_delayed integer,
    voltage_simulated integer,
    voltage_first_at timestamp with time zone,
    voltage_last_at timestamp with time zone,
    line_voltage_least double precision,
    line_voltage_most double precision,
    line_voltage_weighted double precision,
    line_voltage_seconds double precision,
    line_voltage_last double precision,
    line_voltage_readings integer,
    line_voltage_delayed integer,
    line_voltage_simulated integer,
    line_voltage_first_at timestamp with time zone,
    line_voltage_last_at timestamp with time zone,
    total_power_load_least double precision,
    total_power_load_most double precision,
    total_power_load_weighted double precision,
    total_power_load_seconds double precision,
    total_power_load_last double precision,
    total_power_load_readings integer,
    total_power_load_delayed integer,
    total_power_load_simulated integer,
    total_power_load_first_at timestamp with time zone,
    total_power_load_last_at timestamp with time zone,
    total_reactive_power_least double precision,
    total_reactive_power_most double precision,
    total_reactive_power_weighted double precision,
    total_reactive_power_seconds double precision,
    total_reactive_power_last double precision,
    total_reactive_power_readings integer,
    total_reactive_power_delayed integer,
    total_reactive_power_simulated integer,
    total_reactive_power_first_at timestamp with time zone,
    total_reactive_power_last_at timestamp with time zone,
    total_apparent_power_least double precision,
    total_apparent_power_most double precision,
    total_apparent_power_weighted double precision,
    total_apparent_power_seconds double precision,
    total_apparent_power_last double precision,
    total_apparent_power_readings integer,
    total_apparent_power_delayed integer,
    total_apparent_power_simulated integer,
    total_apparent_power_first_at timestamp with time zone,
    total_apparent_power_last_at timestamp with time zone,
    total_power_factor_least double precision,
    total_power_factor_most double precision,
    total_power_factor_weighted double precision,
    total_power_factor_seconds double precision,
    total_power_factor_last double precision,
    total_power_factor_readings integer,
    total_power_factor_delayed integer,
    total_power_factor_simulated integer,
    total_power_factor_first_at timestamp with time zone,
    total_power_factor_last_at timestamp with time zone,
    phase_1n_voltage_thd_least double precision,
    phase_1n_voltage_thd_most double precision,
    phase_1n_voltage_thd_weighted double precision,
    phase_1n_voltage_thd_seconds double precision,
    phase_1n_voltage_thd_last double precision,
    phase_1n_voltage_thd_readings integer,
    phase_1n_voltage_thd_delayed integer,
    phase_1n_voltage_thd_simulated integer,
    phase_1n_voltage_thd_first_at timestamp with time zone,
    phase_1n_voltage_thd_last_at timestamp with time zone,
    phase_2n_voltage_thd_least double precision,
    phase_2n_voltage_thd_most double precision,
    phase_2n_voltage_thd_weighted double precision,
    phase_2n_voltage_thd_seconds double precision,
    phase_2n_voltage_thd_last double precision,
    phase_2n_voltage_thd_readings integer,
    phase_2n_voltage_thd_delayed integer,
    phase_2n_voltage_thd_simulated integer,
    phase_2n_voltage_thd_first_at timestamp with time zone,
    phase_2n_voltage_thd_last_at timestamp with time zone,
    phase_3n_voltage_thd_least double precision,
    phase_3n_voltage_thd_most double precision,
    phase_3n_voltage_thd_weighted double precision,
    phase_3n_voltage_thd_seconds double precision,
    phase_3n_voltage_thd_last double precision,
    phase_3n_voltage_thd_readings integer,
    phase_3n_voltage_thd_delayed integer,
    phase_3n_voltage_thd_simulated integer,
    phase_3n_voltage_thd_first_at timestamp with time zone,
    phase_3n_voltage_thd_last_at timestamp with time zone,
    available_charging_capacity_least double precision,
    available_charging_capacity_most double precision,
    available_charging_capacity_weighted double precision,
    available_charging_capacity_seconds double precision,
    available_charging_capacity_last double precision,
    available_charging_capacity_readings integer,
    available_charging_capacity_delayed integer,
    available_charging_capacity_simulated integer,
    available_charging_capacity_first_at timestamp with time zone,
    available_charging_capacity_last_at timestamp with time zone,
    fail_safe_capacity_least double precision,
    fail_safe_capacity_most double precision,
    fail_safe_capacity_weighted double precision,
    fail_safe_capacity_seconds double precision,
    fail_safe_capacity_last double precision,
    fail_safe_capacity_readings integer,
    fail_safe_capacity_delayed integer,
    fail_safe_capacity_simulated integer,
    fail_safe_capacity_first_at timestamp with time zone,
    fail_safe_capacity_last_at timestamp with time zone,
    heartbeat_status_last text,
    heartbeat_status_readings integer,
    heartbeat_status_delayed integer,
    heartbeat_status_simulated integer,
    heartbeat_status_first_at timestamp with time zone,
    heartbeat_status_last_at timestamp with time zone,
    limit_peak_shaving_least double precision,
    limit_peak_shaving_most double precision,
    limit_peak_shaving_weighted double precision,
    limit_peak_shaving_seconds double precision,
    limit_peak_shaving_last double precision,
    limit_peak_shaving_readings integer,
    limit_peak_shaving_delayed integer,
    limit_peak_shaving_simulated integer,
    limit_peak_shaving_first_at timestamp with time zone,
    limit_peak_shaving_last_at timestamp with time zone,
    limit_der_export_least double precision,
    limit_der_export_most double precision,
    limit_der_export_weighted double precision,
    limit_der_export_seconds double precision,
    limit_der_export_last double precision,
    limit_der_export_readings integer,
    limit_der_export_delayed integer,
    limit_der_export_simulated integer,
    limit_der_export_first_at timestamp with time zone,
    limit_der_export_last_at timestamp with time zone,
    soc_least double precision,
    soc_most double precision,
    soc_weighted double precision,
    soc_seconds double precision,
    soc_last double precision,
    soc_readings integer,
    soc_delayed integer,
    soc_simulated integer,
    soc_first_at timestamp with time zone,
    soc_last_at timestamp with time zone,
    device_power_state_last text,
    device_power_state_readings integer,
    device_power_state_delayed integer,
    device_power_state_simulated integer,
    device_power_state_first_at timestamp with time zone,
    device_power_state_last_at timestamp with time zone,
    bess_operational_mode_last text,
    bess_operational_mode_readings integer,
    bess_operational_mode_delayed integer,
    bess_operational_mode_simulated integer,
    bess_operational_mode_first_at timestamp with time zone,
    bess_operational_mode_last_at timestamp with time zone
)
PARTITION BY RANGE (begins_at);

CREATE TABLE public.reading_fills (
    gateway_id uuid NOT NULL,
    device_ids uuid[] NOT NULL,
    asked_at timestamp with time zone DEFAULT now() NOT NULL,
    after_observed_at timestamp with time zone,
    after_packet_id uuid,
    packets_read bigint DEFAULT 0 NOT NULL,
    finished_at timestamp with time zone
);

CREATE TABLE public.reading_minutes (
    device_id uuid NOT NULL,
    begins_at timestamp with time zone NOT NULL,
    faults jsonb,
    current_least double precision,
    current_most double precision,
    current_weighted double precision,
    current_seconds double precision,
    current_last double precision,
    current_readings integer,
    current_delayed integer,
    current_simulated integer,
    current_first_at timestamp with time zone,
    current_last_at timestamp with time zone,
    frequency_least double precision,
    frequency_most double precision,
    frequency_weighted double precision,
    frequency_seconds double precision,
    frequency_last double precision,
    frequency_readings integer,
    frequency_delayed integer,
    frequency_simulated integer,
    frequency_first_at timestamp with time zone,
    frequency_last_at timestamp with time zone,
    voltage_least double precision,
    voltage_most double precision,
    voltage_weighted double precision,
    voltage_seconds double precision,
    voltage_last double precision,
    voltage_readings integer,
    voltage_delayed integer,
    voltage_simulated integer,
    voltage_first_at timestamp with time zone,
    voltage_last_at timestamp with time zone,
    line_voltage_least double precision,
    line_voltage_most double precision,
    line_voltage_weighted double precision,
    line_voltage_seconds double precision,
    line_voltage_last double precision,
    line_voltage_readings integer,
    line_voltage_delayed integer,
    line_voltage_simulated integer,
    line_voltage_first_at timestamp with time zone,
    line_voltage_last_at timestamp with time zone,
    total_power_load_least double precision,
    total_power_load_most double precision,
    total_power_load_weighted double precision,
    total_power_load_seconds double precision,
    total_power_load_last double precision,
    total_power_load_readings integer,
    total_power_load_delayed integer,
    total_power_load_simulated integer,
    total_power_load_first_at timestamp with time zone,
    total_power_load_last_at timestamp with time zone,
    total_reactive_power_least double precision,
    total_reactive_power_most double precision,
    total_reactive_power_weighted double precision,
    total_reactive_power_seconds double precision,
    total_reactive_power_last double precision,
    total_reactive_power_readings integer,
    total_reactive_power_delayed integer,
    total_reactive_power_simulated integer,
    total_reactive_power_first_at timestamp with time zone,
    total_reactive_power_last_at timestamp with time zone,
    total_apparent_power_least double precision,
    total_apparent_power_most double precision,
    total_apparent_power_weighted double precision,
    total_apparent_power_seconds double precision,
    total_apparent_power_last double precision,
    total_apparent_power_readings integer,
    total_apparent_power_delayed integer,
    total_apparent_power_simulated integer,
    total_apparent_power_first_at timestamp with time zone,
    total_apparent_power_last_at timestamp with time zone,
    total_power_factor_least double precision,
    total_power_factor_most double precision,
    total_power_factor_weighted double precision,
    total_power_factor_seconds double precision,
    total_power_factor_last double precision,
    total_power_factor_readings integer,
    total_power_factor_delayed integer,
    total_power_factor_simulated integer,
    total_power_factor_first_at timestamp with time zone,
    total_power_factor_last_at timestamp with time zone,
    phase_1n_voltage_thd_least double precision,
    phase_1n_voltage_thd_most double precision,
    phase_1n_voltage_thd_weighted double precision,
    phase_1n_voltage_thd_seconds double precision,
    phase_1n_voltage_thd_last double precision,
    phase_1n_voltage_thd_readings integer,
    phase_1n_voltage_thd_delayed integer,
    phase_1n_voltage_thd_simulated integer,
    phase_1n_voltage_thd_first_at timestamp with time zone,
    phase_1n_voltage_thd_last_at timestamp with time zone,
    phase_2n_voltage_thd_least double precision,
    phase_2n_voltage_thd_most double precision,
    phase_2n_voltage_thd_weighted double precision,
    phase_2n_voltage_thd_seconds double precision,
    phase_2n_voltage_thd_last double precision,
    phase_2n_voltage_thd_readings integer,
    phase_2n_voltage_thd_delayed integer,
    phase_2n_voltage_thd_simulated integer,
    phase_2n_voltage_thd_first_at timestamp with time zone,
    phase_2n_voltage_thd_last_at timestamp with time zone,
    phase_3n_voltage_thd_least double precision,
    phase_3n_voltage_thd_most double precision,
    phase_3n_voltage_thd_weighted double precision,
    phase_3n_voltage_thd_seconds double precision,
    phase_3n_voltage_thd_last double precision,
    phase_3n_voltage_thd_readings integer,
    phase_3n_voltage_thd_delayed integer,
    phase_3n_voltage_thd_simulated integer,
    phase_3n_voltage_thd_first_at timestamp with time zone,
    phase_3n_voltage_thd_last_at timestamp with time zone,
    available_charging_capacity_least double precision,
    available_charging_capacity_most double precision,
    available_charging_capacity_weighted double precision,
    available_charging_capacity_seconds double precision,
    available_charging_capacity_last double precision,
    available_charging_capacity_readings integer,
    available_charging_capacity_delayed integer,
    available_charging_capacity_simulated integer,
    available_charging_capacity_first_at timestamp with time zone,
    available_charging_capacity_last_at timestamp with time zone,
    fail_safe_capacity_least double precision,
    fail_safe_capacity_most double precision,
    fail_safe_capacity_weighted double precision,
    fail_safe_capacity_seconds double precision,
    fail_safe_capacity_last double precision,
    fail_safe_capacity_readings integer,
    fail_safe_capacity_delayed integer,
    fail_safe_capacity_simulated integer,
    fail_safe_capacity_first_at timestamp with time zone,
    fail_safe_capacity_last_at timestamp with time zone,
    heartbeat_status_last text,
    heartbeat_status_readings integer,
    heartbeat_status_delayed integer,
    heartbeat_status_simulated integer,
    heartbeat_status_first_at timestamp with time zone,
    heartbeat_status_last_at timestamp with time zone,
    limit_peak_shaving_least double precision,
    limit_peak_shaving_most double precision,
    limit_peak_shaving_weighted double precision,
    limit_peak_shaving_seconds double precision,
    limit_peak_shaving_last double precision,
    limit_peak_shaving_readings integer,
    limit_peak_shaving_delayed integer,
    limit_peak_shaving_simulated integer,
    limit_peak_shaving_first_at timestamp with time zone,
    limit_peak_shaving_last_at timestamp with time zone,
    limit_der_export_least double precision,
    limit_der_export_most double precision,
    limit_der_export_weighted double precision,
    limit_der_export_seconds double precision,
    limit_der_export_last double precision,
    limit_der_export_readings integer,
    limit_der_export_delayed integer,
    limit_der_export_simulated integer,
    limit_der_export_first_at timestamp with time zone,
    limit_der_export_last_at timestamp with time zone,
    soc_least double precision,
    soc_most double precision,
    soc_weighted double precision,
    soc_seconds double precision,
    soc_last double precision,
    soc_readings integer,
    soc_delayed integer,
    soc_simulated integer,
    soc_first_at timestamp with time zone,
    soc_last_at timestamp with time zone,
    device_power_state_last text,
    device_power_state_readings integer,
    device_power_state_delayed integer,
    device_power_state_simulated integer,
    device_power_state_first_at timestamp with time zone,
    device_power_state_last_at timestamp with time zone,
    bess_operational_mode_last text,
    bess_operational_mode_readings integer,
    bess_operational_mode_delayed integer,
    bess_operational_mode_simulated integer,
    bess_operational_mode_first_at timestamp with time zone,
    bess_operational_mode_last_at timestamp with time zone
)
PARTITION BY RANGE (begins_at);

CREATE TABLE public.reading_quarters (
    device_id uuid NOT NULL,
    begins_at timestamp with time zone NOT NULL,
    faults jsonb,
    current_least double precision,
    current_most double precision,
    current_weighted double precision,
    current_seconds double precision,
    current_last double precision,
    current_readings integer,
    current_delayed integer,
    current_simulated integer,
    current_first_at timestamp with time zone,
    current_last_at timestamp with time zone,
    frequency_least double precision,
    frequency_most double precision,
    frequency_weighted double precision,
    frequency_seconds double precision,
    frequency_last double precision,
    frequency_readings integer,
    frequency_delayed integer,
    frequency_simulated integer,
    frequency_first_at timestamp with time zone,
    frequency_last_at timestamp with time zone,
    voltage_least double precision,
    voltage_most double precision,
    voltage_weighted double precision,
    voltage_seconds double precision,
    voltage_last double precision,
    voltage_readings integer,
    voltage_delayed integer,
    voltage_simulated integer,
    voltage_first_at timestamp with time zone,
    voltage_last_at timestamp with time zone,
    line_voltage_least double precision,
    line_voltage_most double precision,
    line_voltage_weighted double precision,
    line_voltage_seconds double precision,
    line_voltage_last double precision,
    line_voltage_readings integer,
    line_voltage_delayed integer,
    line_voltage_simulated integer,
    line_voltage_first_at timestamp with time zone,
    line_voltage_last_at timestamp with time zone,
    total_power_load_least double precision,
    total_power_load_most double precision,
    total_power_load_weighted double precision,
    total_power_load_seconds double precision,
    total_power_load_last double precision,
    total_power_load_readings integer,
    total_power_load_delayed integer,
    total_power_load_simulated integer,
    total_power_load_first_at timestamp with time zone,
    total_power_load_last_at timestamp with time zone,
    total_reactive_power_least double precision,
    total_reactive_power_most double precision,
    total_reactive_power_weighted double precision,
    total_reactive_power_seconds double precision,
    total_reactive_power_last double precision,
    total_reactive_power_readings integer,
    total_reactive_power_delayed integer,
    total_reactive_power_simulated integer,
    total_reactive_power_first_at timestamp with time zone,
    total_reactive_power_last_at timestamp with time zone,
    total_apparent_power_least double precision,
    total_apparent_power_most double precision,
    total_apparent_power_weighted double precision,
    total_apparent_power_seconds double precision,
    total_apparent_power_last double precision,
    total_apparent_power_readings integer,
    total_apparent_power_delayed integer,
    total_apparent_power_simulated integer,
    total_apparent_power_first_at timestamp with time zone,
    total_apparent_power_last_at timestamp with time zone,
    total_power_factor_least double precision,
    total_power_factor_most double precision,
    total_power_factor_weighted double precision,
    total_power_factor_seconds double precision,
    total_power_factor_last double precision,
    total_power_factor_readings integer,
    total_power_factor_delayed integer,
    total_power_factor_simulated integer,
    total_power_factor_first_at timestamp with time zone,
    total_power_factor_last_at timestamp with time zone,
    phase_1n_voltage_thd_least double precision,
    phase_1n_voltage_thd_most double precision,
    phase_1n_voltage_thd_weighted double precision,
    phase_1n_voltage_thd_seconds double precision,
    phase_1n_voltage_thd_last double precision,
    phase_1n_voltage_thd_readings integer,
    phase_1n_voltage_thd_delayed integer,
    phase_1n_voltage_thd_simulated integer,
    phase_1n_voltage_thd_first_at timestamp with time zone,
    phase_1n_voltage_thd_last_at timestamp with time zone,
    phase_2n_voltage_thd_least double precision,
    phase_2n_voltage_thd_most double precision,
    phase_2n_voltage_thd_weighted double precision,
    phase_2n_voltage_thd_seconds double precision,
    phase_2n_voltage_thd_last double precision,
    phase_2n_voltage_thd_readings integer,
    phase_2n_voltage_thd_delayed integer,
    phase_2n_voltage_thd_simulated integer,
    phase_2n_voltage_thd_first_at timestamp with time zone,
    phase_2n_voltage_thd_last_at timestamp with time zone,
    phase_3n_voltage_thd_least double precision,
    phase_3n_voltage_thd_most double precision,
    phase_3n_voltage_thd_weighted double precision,
    phase_3n_voltage_thd_seconds double precision,
    phase_3n_voltage_thd_last double precision,
    phase_3n_voltage_thd_readings integer,
    phase_3n_voltage_thd_delayed integer,
    phase_3n_voltage_thd_simulated integer,
    phase_3n_voltage_thd_first_at timestamp with time zone,
    phase_3n_voltage_thd_last_at timestamp with time zone,
    available_charging_capacity_least double precision,
    available_charging_capacity_most double precision,
    available_charging_capacity_weighted double precision,
    available_charging_capacity_seconds double precision,
    available_charging_capacity_last double precision,
    available_charging_capacity_readings integer,
    available_charging_capacity_delayed integer,
    available_charging_capacity_simulated integer,
    available_charging_capacity_first_at timestamp with time zone,
    available_charging_capacity_last_at timestamp with time zone,
    fail_safe_capacity_least double precision,
    fail_safe_capacity_most double precision,
    fail_safe_capacity_weighted double precision,
    fail_safe_capacity_seconds double precision,
    fail_safe_capacity_last double precision,
    fail_safe_capacity_readings integer,
    fail_safe_capacity_delayed integer,
    fail_safe_capacity_simulated integer,
    fail_safe_capacity_first_at timestamp with time zone,
    fail_safe_capacity_last_at timestamp with time zone,
    heartbeat_status_last text,
    heartbeat_status_readings integer,
    heartbeat_status_delayed integer,
    heartbeat_status_simulated integer,
    heartbeat_status_first_at timestamp with time zone,
    heartbeat_status_last_at timestamp with time zone,
    limit_peak_shaving_least double precision,
    limit_peak_shaving_most double precision,
    limit_peak_shaving_weighted double precision,
    limit_peak_shaving_seconds double precision,
    limit_peak_shaving_last double precision,
    limit_peak_shaving_readings integer,
    limit_peak_shaving_delayed integer,
    limit_peak_shaving_simulated integer,
    limit_peak_shaving_first_at timestamp with time zone,
    limit_peak_shaving_last_at timestamp with time zone,
    limit_der_export_least double precision,
    limit_der_export_most double precision,
    limit_der_export_weighted double precision,
    limit_der_export_seconds double precision,
    limit_der_export_last double precision,
    limit_der_export_readings integer,
    limit_der_export_delayed integer,
    limit_der_export_simulated integer,
    limit_der_export_first_at timestamp with time zone,
    limit_der_export_last_at timestamp with time zone,
    soc_least double precision,
    soc_most double precision,
    soc_weighted double precision,
    soc_seconds double precision,
    soc_last double precision,
    soc_readings integer,
    soc_delayed integer,
    soc_simulated integer,
    soc_first_at timestamp with time zone,
    soc_last_at timestamp with time zone,
    device_power_state_last text,
    device_power_state_readings integer,
    device_power_state_delayed integer,
    device_power_state_simulated integer,
    device_power_state_first_at timestamp with time zone,
    device_power_state_last_at timestamp with time zone,
    bess_operational_mode_last text,
    bess_operational_mode_readings integer,
    bess_operational_mode_delayed integer,
    bess_operational_mode_simulated integer,
    bess_operational_mode_first_at timestamp with time zone,
    bess_operational_mode_last_at timestamp with time zone
)
PARTITION BY RANGE (begins_at);

CREATE TABLE public.remediations (
    id uuid DEFAULT uuidv7() NOT NULL,
    depot_id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    device_id uuid NOT NULL,
    sensor_action_id uuid NOT NULL,
    action text NOT NULL,
    code text NOT NULL,
    candidates uuid[] NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone NOT NULL,
    times bigint NOT NULL,
    closed_at timestamp with time zone,
    closed_by text,
    scenario_run_id uuid,
    CONSTRAINT remediations_closed CHECK (((closed_at IS NULL) = (closed_by IS NULL)))
)
WITH (fillfactor='70');

CREATE TABLE public.replaced_rows (
    id bigint NOT NULL,
    depot_id uuid NOT NULL,
    source text NOT NULL,
    row_key text NOT NULL,
    replaced_at timestamp with time zone DEFAULT now() NOT NULL,
    content jsonb NOT NULL
);

ALTER TABLE public.replaced_rows ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.replaced_rows_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.replaced_rows_kept (
    since timestamp with time zone NOT NULL
);

CREATE TABLE public.retention_floors (
    name text NOT NULL,
    months integer NOT NULL,
    CONSTRAINT retention_floors_months CHECK (((months >= 2) AND (months <= 1200))),
    CONSTRAINT retention_floors_name CHECK ((name = ANY (ARRAY['history'::text, 'journal'::text])))
);

CREATE TABLE public.rollup_blocks (
    device_id uuid NOT NULL,
    block_at timestamp with time zone NOT NULL,
    since timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL
);

CREATE TABLE public.rollup_checks (
    id uuid DEFAULT uuidv7() NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamp with time zone DEFAULT now() NOT NULL,
    since timestamp with time zone,
    until timestamp with time zone,
    repair boolean NOT NULL,
    day timestamp with time zone,
    after_device uuid,
    compared bigint DEFAULT 0 NOT NULL,
    differences bigint DEFAULT 0 NOT NULL,
    finished_at timestamp with time zone
);

CREATE TABLE public.rollup_mark (
    is_only boolean DEFAULT true NOT NULL,
    mark bigint DEFAULT 0 NOT NULL,
    next_transaction bigint DEFAULT 0 NOT NULL,
    next_at timestamp with time zone,
    noted_at timestamp with time zone,
    complete_at timestamp with time zone,
    CONSTRAINT rollup_mark_one CHECK (is_only)
);

CREATE TABLE public.saved_views (
    id uuid DEFAULT uuidv7() NOT NULL,
    owner_id uuid,
    name text NOT NULL,
    filters jsonb NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT saved_views_name CHECK (((btrim(name) <> ''::text) AND (char_length(name) <= 200)))
);

CREATE TABLE public.scenario_run_steps (
    run_id uuid NOT NULL,
    step integer NOT NULL,
    stamp_ms bigint NOT NULL,
    record text,
    sent_at timestamp with time zone,
    CONSTRAINT scenario_run_steps_sent CHECK (((record IS NULL) = (sent_at IS NULL)))
);

CREATE TABLE public.scenario_runs (
    id uuid DEFAULT uuidv7() NOT NULL,
    scenario text NOT NULL,
    title text NOT NULL,
    document text NOT NULL,
    digest text NOT NULL,
    depot_id uuid NOT NULL,
    gateway_id uuid,
    seed bigint NOT NULL,
    time_scale double precision NOT NULL,
    bindings jsonb NOT NULL,
    targets jsonb NOT NULL,
    warnings jsonb NOT NULL,
    run_record text NOT NULL,
    state text NOT NULL,
    outcome text,
    steps_total integer NOT NULL,
    steps_done integer DEFAULT 0 NOT NULL,
    packets_sent bigint DEFAULT 0 NOT NULL,
    checks_passed integer DEFAULT 0 NOT NULL,
    checks_failed integer DEFAULT 0 NOT NULL,
    result_record text,
    evidence_sha256 text,
    requested_by text NOT NULL,
    requested_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    failure text,
    CONSTRAINT scenario_runs_finished CHECK ((((finished_at IS NULL) = (state = ANY (ARRAY['RUNNING'::text, 'PAUSED'::text]))) AND ((finished_at IS NULL) = (outcome IS NULL)))),
    CONSTRAINT scenario_runs_outcome CHECK ((outcome = ANY (ARRAY['PASSED'::text, 'FAILED'::text, 'INCOMPLETE'::text]))),
    CONSTRAINT scenario_runs_state CHECK ((state = ANY (ARRAY['RUNNING'::text, 'PAUSED'::text, 'COMPLETED'::text, 'CANCELLED'::text, 'FAILED'::text]))),
    CONSTRAINT scenario_runs_time_scale CHECK (((time_scale >= (0)::double precision) AND (time_scale <= (1)::double precision)))
);

CREATE TABLE public.sensor_actions (
    id uuid DEFAULT uuidv7() NOT NULL,
    depot_id uuid NOT NULL,
    device_id uuid NOT NULL,
    action text NOT NULL,
    measurands text[] NOT NULL,
    heartbeat_threshold_seconds double precision,
    fail_safe_capacity_w double precision,
    enabled boolean DEFAULT true NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_by text NOT NULL,
    CONSTRAINT sensor_actions_action CHECK ((action = ANY (ARRAY['UPDATE_MICROGRID_STATE'::text, 'UPDATE_POWER_SOURCE_STATE'::text, 'UPDATE_POWER_SOURCE_LOAD'::text, 'UPDATE_CIRCUIT_CAPACITY'::text]))),
    CONSTRAINT sensor_actions_fail_safe CHECK ((fail_safe_capacity_w >= (0)::double precision)),
    CONSTRAINT sensor_actions_measurands CHECK ((cardinality(measurands) > 0)),
    CONSTRAINT sensor_actions_threshold CHECK (((action = 'UPDATE_CIRCUIT_CAPACITY'::text) = (heartbeat_threshold_seconds IS NOT NULL)))
);

CREATE TABLE public.sensor_sightings (
    gateway_id uuid NOT NULL,
    sensor_id text NOT NULL,
    packet_id uuid NOT NULL,
    observed_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE public.sessions (
    id uuid DEFAULT uuidv7() NOT NULL,
    digest bytea NOT NULL,
    person_id uuid NOT NULL,
    csrf_token text NOT NULL,
    provider_sid text,
    id_token text NOT NULL,
    opened_at timestamp with time zone DEFAULT now() NOT NULL,
    used_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    client text DEFAULT NULLIF(current_setting('manage.client'::text, true), ''::text)
);

CREATE TABLE public.sign_ins (
    state_digest bytea NOT NULL,
    browser_digest bytea NOT NULL,
    nonce text NOT NULL,
    verifier text NOT NULL,
    return_to text NOT NULL,
    begun_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.worker_tokens (
    digest bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE VIEW reporting.capability_history AS
 SELECT m.depot_id,
    p.name AS depot,
    e.microgrid_id,
    e.capability,
    e.status,
    e.effect,
    e.observed_at,
    e.received_at,
    e.source_device_id AS device_id,
    d.name AS device,
    e.scenario_run_id
   FROM (((public.capability_events e
     JOIN public.microgrids m ON ((m.id = e.microgrid_id)))
     JOIN public.depots p ON ((p.id = m.depot_id)))
     LEFT JOIN public.devices d ON ((d.id = e.source_device_id)));

COMMENT ON VIEW reporting.capability_history IS 'Every status that was reported';

COMMENT ON COLUMN reporting.capability_history.depot_id IS 'The depot';

COMMENT ON COLUMN reporting.capability_history.depot IS 'Its name';

COMMENT ON COLUMN reporting.capability_history.microgrid_id IS 'Its microgrid';

COMMENT ON COLUMN reporting.capability_history.capability IS 'PEAK_SHAVING or DER';

COMMENT ON COLUMN reporting.capability_history.status IS 'ON or OFF; null: the sender had no value';

COMMENT ON COLUMN reporting.capability_history.effect IS 'What it did to the latest status: SHOWN, LATE, UNAVAILABLE, REPEATED or CONFLICTING';

COMMENT ON COLUMN reporting.capability_history.observed_at IS 'When it was seen, by the sender''s clock';

COMMENT ON COLUMN reporting.capability_history.received_at IS 'When it came';

COMMENT ON COLUMN reporting.capability_history.device_id IS 'The device that it came from; null: not known';

COMMENT ON COLUMN reporting.capability_history.device IS 'Its name';

COMMENT ON COLUMN reporting.capability_history.scenario_run_id IS 'The scenario run that sent it; null: it is real';

CREATE VIEW reporting.capability_status AS
 SELECT m.depot_id,
    p.name AS depot,
    l.microgrid_id,
    l.capability,
    l.status,
    l.observed_at,
    l.received_at,
    LEAST(l.observed_at, l.received_at) AS seen_at,
    ((o.sensor_action_id IS NOT NULL) AND ((LEAST(l.observed_at, l.received_at) + COALESCE(make_interval(secs => t.seconds), k.threshold)) >= clock_timestamp())) AS is_fresh,
    l.source_device_id AS device_id,
    d.name AS device,
    l.scenario_run_id
   FROM ((((((public.capability_latest l
     JOIN public.microgrids m ON (((m.id = l.microgrid_id) AND (m.retired_at IS NULL))))
     JOIN public.depots p ON ((p.id = m.depot_id)))
     JOIN public.known_capabilities() k(capability, measurand, threshold, is_expected) ON ((k.capability = l.capability)))
     LEFT JOIN public.freshness_thresholds t ON (((t.microgrid_id = m.id) AND (t.capability = l.capability))))
     LEFT JOIN public.capability_owners o ON (((o.depot_id = m.depot_id) AND (o.capability = l.capability))))
     LEFT JOIN public.devices d ON ((d.id = l.source_device_id)));

COMMENT ON VIEW reporting.capability_status IS 'The latest status of each capability';

COMMENT ON COLUMN reporting.capability_status.depot_id IS 'The depot';

COMMENT ON COLUMN reporting.capability_status.depot IS 'Its name';

COMMENT ON COLUMN reporting.capability_status.microgrid_id IS 'Its microgrid';

COMMENT ON COLUMN reporting.capability_status.capability IS 'PEAK_SHAVING or DER';

COMMENT ON COLUMN reporting.capability_status.status IS 'ON or OFF';

COMMENT ON COLUMN reporting.capability_status.observed_at IS 'When it was seen, by the sender''s clock';

COMMENT ON COLUMN reporting.capability_status.received_at IS 'When it came';

COMMENT ON COLUMN reporting.capability_status.seen_at IS 'When it counts as seen: the earlier of both times';

COMMENT ON COLUMN reporting.capability_status.is_fresh IS 'Whether a device updates it and it is not older than its threshold';

COMMENT ON COLUMN reporting.capability_status.device_id IS 'The device that it came from; null: not known';

COMMENT ON COLUMN reporting.capability_status.device IS 'Its name';

COMMENT ON COLUMN reporting.capability_status.scenario_run_id IS 'The scenario run that sent it; null: it is real';

CREATE VIEW reporting.capacity_history AS
 SELECT e.depot_id,
    p.name AS depot,
    e.circuit_id,
    c.name AS circuit,
    e.at,
    e.received_at,
    e.mode,
    e.reason,
    e.capacity_w,
    e.scenario_run_id
   FROM ((public.capacity_events e
     JOIN public.depots p ON ((p.id = e.depot_id)))
     LEFT JOIN public.circuits c ON ((c.id = e.circuit_id)));

COMMENT ON VIEW reporting.capacity_history IS 'Every change of what a circuit may draw';

COMMENT ON COLUMN reporting.capacity_history.depot_id IS 'The depot';

COMMENT ON COLUMN reporting.capacity_history.depot IS 'Its name';

COMMENT ON COLUMN reporting.capacity_history.circuit_id IS 'The circuit';

COMMENT ON COLUMN reporting.capacity_history.circuit IS 'Its name; null: it is gone';

COMMENT ON COLUMN reporting.capacity_history.at IS 'From when on it held';

COMMENT ON COLUMN reporting.capacity_history.received_at IS 'When the product took it';

COMMENT ON COLUMN reporting.capacity_history.mode IS 'AWAITING, CONTROLLER, FAIL_SAFE, or RELEASED where the rating held again';

COMMENT ON COLUMN reporting.capacity_history.reason IS 'Why the fail-safe held';

COMMENT ON COLUMN reporting.capacity_history.capacity_w IS 'What held, W; null: the rating';

COMMENT ON COLUMN reporting.capacity_history.scenario_run_id IS 'The scenario run that sent it; null: it is real';

CREATE VIEW reporting.circuits AS
 SELECT c.depot_id,
    p.name AS depot,
    c.id AS circuit_id,
    c.name AS circuit,
    c.parent_id,
    c.rated_power_w,
    k.mode,
    k.reason,
    k.capacity_w,
    k.since AS mode_since,
    k.scenario_run_id
   FROM ((public.circuits c
     JOIN public.depots p ON ((p.id = c.depot_id)))
     LEFT JOIN public.circuit_capacities k ON ((k.circuit_id = c.id)));

COMMENT ON VIEW reporting.circuits IS 'Circuits, with what holds for their capacity now';

COMMENT ON COLUMN reporting.circuits.depot_id IS 'The depot';

COMMENT ON COLUMN reporting.circuits.depot IS 'Its name';

COMMENT ON COLUMN reporting.circuits.circuit_id IS 'The circuit';

COMMENT ON COLUMN reporting.circuits.circuit IS 'Its name';

COMMENT ON COLUMN reporting.circuits.parent_id IS 'The circuit above it; null: it is at the top';

COMMENT ON COLUMN reporting.circuits.rated_power_w IS 'Its rating, W; null: not known';

COMMENT ON COLUMN reporting.circuits.mode IS 'AWAITING, CONTROLLER or FAIL_SAFE, as it was last noticed; null: it follows no controller';

COMMENT ON COLUMN reporting.circuits.reason IS 'Why the fail-safe holds';

COMMENT ON COLUMN reporting.circuits.capacity_w IS 'What holds, W; null: the rating';

COMMENT ON COLUMN reporting.circuits.mode_since IS 'When the mode or the reason last changed';

COMMENT ON COLUMN reporting.circuits.scenario_run_id IS 'The scenario run that sent it; null: it is real';

CREATE VIEW reporting.depots AS
 SELECT id AS depot_id,
    name AS depot,
    timezone,
    provisioning,
    provisioning_code,
    created_at,
    region,
    tags,
    retired_at
   FROM public.depots;

COMMENT ON VIEW reporting.depots IS 'Depots';

COMMENT ON COLUMN reporting.depots.depot_id IS 'The depot';

COMMENT ON COLUMN reporting.depots.depot IS 'Its name';

COMMENT ON COLUMN reporting.depots.timezone IS 'Its time zone, by its IANA name';

COMMENT ON COLUMN reporting.depots.provisioning IS 'Whether it has its microgrid: PENDING, PROVISIONED or FAILED';

COMMENT ON COLUMN reporting.depots.provisioning_code IS 'Why it failed; null: it did not';

COMMENT ON COLUMN reporting.depots.created_at IS 'When it was made';

COMMENT ON COLUMN reporting.depots.region IS 'The region that it is filed under; null: none';

COMMENT ON COLUMN reporting.depots.tags IS 'Its tags';

COMMENT ON COLUMN reporting.depots.retired_at IS 'When it was retired; null: it is in service';

CREATE VIEW reporting.readings AS
 SELECT LEAST(r.observed_at, r.received_at) AS "time",
    r.observed_at,
    r.received_at,
    d.depot_id,
    p.name AS depot,
    d.id AS device_id,
    d.name AS device,
    d.circuit_id,
    c.name AS circuit,
    r.current,
    r.frequency,
    r.voltage,
    r.line_voltage,
    r.total_power_load,
    r.total_reactive_power,
    r.total_apparent_power,
    r.total_power_factor,
    r.phase_1n_voltage_thd,
    r.phase_2n_voltage_thd,
    r.phase_3n_voltage_thd,
    r.available_charging_capacity,
    r.fail_safe_capacity,
    r.soc,
    r.heartbeat_status,
    r.limit_peak_shaving,
    r.limit_der_export,
    r.device_power_state,
    r.bess_operational_mode,
    r.faults,
    r.scenario_run_id
   FROM (((public.device_readings r
     JOIN public.devices d ON ((d.id = r.device_id)))
     JOIN public.depots p ON ((p.id = d.depot_id)))
     LEFT JOIN public.circuits c ON ((c.id = d.circuit_id)));

COMMENT ON VIEW reporting.readings IS 'What devices measured: a row for a device and time of measurement';

COMMENT ON COLUMN reporting.readings."time" IS 'When it counts as measured; ask for a window of observed_at, too: it has the index';

COMMENT ON COLUMN reporting.readings.observed_at IS 'When it was measured, by the gateway''s clock';

COMMENT ON COLUMN reporting.readings.received_at IS 'When it came';

COMMENT ON COLUMN reporting.readings.depot_id IS 'The depot';

COMMENT ON COLUMN reporting.readings.depot IS 'Its name';

COMMENT ON COLUMN reporting.readings.device_id IS 'The device';

COMMENT ON COLUMN reporting.readings.device IS 'Its name';

COMMENT ON COLUMN reporting.readings.circuit_id IS 'The circuit that the device is linked to now; null: none';

COMMENT ON COLUMN reporting.readings.circuit IS 'Its name';

COMMENT ON COLUMN reporting.readings.current IS 'Total RMS current, A';

COMMENT ON COLUMN reporting.readings.frequency IS 'Grid frequency, Hz';

COMMENT ON COLUMN reporting.readings.voltage IS 'RMS voltage, phase to neutral, V';

COMMENT ON COLUMN reporting.readings.line_voltage IS 'RMS voltage, line to line, V';

COMMENT ON COLUMN reporting.readings.total_power_load IS 'Total active power, W';

COMMENT ON COLUMN reporting.readings.total_reactive_power IS 'Total reactive power, var';

COMMENT ON COLUMN reporting.readings.total_apparent_power IS 'Total apparent power, VA';

COMMENT ON COLUMN reporting.readings.total_power_factor IS 'Total power factor';

COMMENT ON COLUMN reporting.readings.phase_1n_voltage_thd IS 'Total harmonic distortion of the voltage, phase 1, %';

COMMENT ON COLUMN reporting.readings.phase_2n_voltage_thd IS 'Total harmonic distortion of the voltage, phase 2, %';

COMMENT ON COLUMN reporting.readings.phase_3n_voltage_thd IS 'Total harmonic distortion of the voltage, phase 3, %';

COMMENT ON COLUMN reporting.readings.available_charging_capacity IS 'Power available for charging, W';

COMMENT ON COLUMN reporting.readings.fail_safe_capacity IS 'Power to fall back to when the controller is lost, W';

COMMENT ON COLUMN reporting.readings.soc IS 'State of charge of the battery, %';

COMMENT ON COLUMN reporting.readings.heartbeat_status IS 'The state of the controller''s heartbeat';

COMMENT ON COLUMN reporting.readings.limit_peak_shaving IS 'Whether peak shaving limits the site';

COMMENT ON COLUMN reporting.readings.limit_der_export IS 'Whether the export of distributed energy resources is limited';

COMMENT ON COLUMN reporting.readings.device_power_state IS 'Whether the device is switched on';

COMMENT ON COLUMN reporting.readings.bess_operational_mode IS 'What the battery is doing';

COMMENT ON COLUMN reporting.readings.faults IS 'Measurands that came without a value that can be used, with the code of each';

COMMENT ON COLUMN reporting.readings.scenario_run_id IS 'The scenario run that sent it; null: it is real';

CREATE VIEW reporting.readings_by_day AS
 SELECT r.begins_at AS "time",
    d.depot_id,
    p.name AS depot,
    d.id AS device_id,
    d.name AS device,
    d.circuit_id,
    c.name AS circuit,
    (r.current_weighted / NULLIF(r.current_seconds, (0)::double precision)) AS current_mean,
    r.current_least,
    r.current_most,
    r.current_last,
    r.current_readings,
    (r.frequency_weighted / NULLIF(r.frequency_seconds, (0)::double precision)) AS frequency_mean,
    r.frequency_least,
    r.frequency_most,
    r.frequency_last,
    r.frequency_readings,
    (r.voltage_weighted / NULLIF(r.voltage_seconds, (0)::double precision)) AS voltage_mean,
    r.voltage_least,
    r.voltage_most,
    r.voltage_last,
    r.voltage_readings,
    (r.line_voltage_weighted / NULLIF(r.line_voltage_seconds, (0)::double precision)) AS line_voltage_mean,
    r.line_voltage_least,
    r.line_voltage_most,
    r.line_voltage_last,
    r.line_voltage_readings,
    (r.total_power_load_weighted / NULLIF(r.total_power_load_seconds, (0)::double precision)) AS total_power_load_mean,
    r.total_power_load_least,
    r.total_power_load_most,
    r.total_power_load_last,
    r.total_power_load_readings,
    (r.total_reactive_power_weighted / NULLIF(r.total_reactive_power_seconds, (0)::double precision)) AS total_reactive_power_mean,
    r.total_reactive_power_least,
    r.total_reactive_power_most,
    r.total_reactive_power_last,
    r.total_reactive_power_readings,
    (r.total_apparent_power_weighted / NULLIF(r.total_apparent_power_seconds, (0)::double precision)) AS total_apparent_power_mean,
    r.total_apparent_power_least,
    r.total_apparent_power_most,
    r.total_apparent_power_last,
    r.total_apparent_power_readings,
    (r.total_power_factor_weighted / NULLIF(r.total_power_factor_seconds, (0)::double precision)) AS total_power_factor_mean,
    r.total_power_factor_least,
    r.total_power_factor_most,
    r.total_power_factor_last,
    r.total_power_factor_readings,
    (r.phase_1n_voltage_thd_weighted / NULLIF(r.phase_1n_voltage_thd_seconds, (0)::double precision)) AS phase_1n_voltage_thd_mean,
    r.phase_1n_voltage_thd_least,
    r.phase_1n_voltage_thd_most,
    r.phase_1n_voltage_thd_last,
    r.phase_1n_voltage_thd_readings,
    (r.phase_2n_voltage_thd_weighted / NULLIF(r.phase_2n_voltage_thd_seconds, (0)::double precision)) AS phase_2n_voltage_thd_mean,
    r.phase_2n_voltage_thd_least,
    r.phase_2n_voltage_thd_most,
    r.phase_2n_voltage_thd_last,
    r.phase_2n_voltage_thd_readings,
    (r.phase_3n_voltage_thd_weighted / NULLIF(r.phase_3n_voltage_thd_seconds, (0)::double precision)) AS phase_3n_voltage_thd_mean,
    r.phase_3n_voltage_thd_least,
    r.phase_3n_voltage_thd_most,
    r.phase_3n_voltage_thd_last,
    r.phase_3n_voltage_thd_readings,
    (r.available_charging_capacity_weighted / NULLIF(r.available_charging_capacity_seconds, (0)::double precision)) AS available_charging_capacity_mean,
    r.available_charging_capacity_least,
    r.available_charging_capacity_most,
    r.available_charging_capacity_last,
    r.available_charging_capacity_readings,
    (r.fail_safe_capacity_weighted / NULLIF(r.fail_safe_capacity_seconds, (0)::double precision)) AS fail_safe_capacity_mean,
    r.fail_safe_capacity_least,
    r.fail_safe_capacity_most,
    r.fail_safe_capacity_last,
    r.fail_safe_capacity_readings,
    (r.soc_weighted / NULLIF(r.soc_seconds, (0)::double precision)) AS soc_mean,
    r.soc_least,
    r.soc_most,
    r.soc_last,
    r.soc_readings,
    (r.total_power_load_weighted / (3600)::double precision) AS energy_wh,
    r.total_power_load_seconds AS covered_seconds
   FROM (((public.reading_days r
     JOIN public.devices d ON ((d.id = r.device_id)))
     JOIN public.depots p ON ((p.id = d.depot_id)))
     LEFT JOIN public.circuits c ON ((c.id = d.circuit_id)));

COMMENT ON VIEW reporting.readings_by_day IS 'Readings by day (UTC)';

COMMENT ON COLUMN reporting.readings_by_day."time" IS 'When the bucket begins';

COMMENT ON COLUMN reporting.readings_by_day.depot_id IS 'The depot';

COMMENT ON COLUMN reporting.readings_by_day.depot IS 'Its name';

COMMENT ON COLUMN reporting.readings_by_day.device_id IS 'The device';

COMMENT ON COLUMN reporting.readings_by_day.device IS 'Its name';

COMMENT ON COLUMN reporting.readings_by_day.circuit_id IS 'The circuit that the device is linked to now; null: none';

COMMENT ON COLUMN reporting.readings_by_day.circuit IS 'Its name';

COMMENT ON COLUMN reporting.readings_by_day.current_mean IS 'Total RMS current, A: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_day.current_least IS 'Total RMS current, A: least';

COMMENT ON COLUMN reporting.readings_by_day.current_most IS 'Total RMS current, A: most';

COMMENT ON COLUMN reporting.readings_by_day.current_last IS 'Total RMS current, A: last';

COMMENT ON COLUMN reporting.readings_by_day.current_readings IS 'Total RMS current, A: how many readings';

COMMENT ON COLUMN reporting.readings_by_day.frequency_mean IS 'Grid frequency, Hz: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_day.frequency_least IS 'Grid frequency, Hz: least';

COMMENT ON COLUMN reporting.readings_by_day.frequency_most IS 'Grid frequency, Hz: most';

COMMENT ON COLUMN reporting.readings_by_day.frequency_last IS 'Grid frequency, Hz: last';

COMMENT ON COLUMN reporting.readings_by_day.frequency_readings IS 'Grid frequency, Hz: how many readings';

COMMENT ON COLUMN reporting.readings_by_day.voltage_mean IS 'RMS voltage, phase to neutral, V: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_day.voltage_least IS 'RMS voltage, phase to neutral, V: least';

COMMENT ON COLUMN reporting.readings_by_day.voltage_most IS 'RMS voltage, phase to neutral, V: most';

COMMENT ON COLUMN reporting.readings_by_day.voltage_last IS 'RMS voltage, phase to neutral, V: last';

COMMENT ON COLUMN reporting.readings_by_day.voltage_readings IS 'RMS voltage, phase to neutral, V: how many readings';

COMMENT ON COLUMN reporting.readings_by_day.line_voltage_mean IS 'RMS voltage, line to line, V: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_day.line_voltage_least IS 'RMS voltage, line to line, V: least';

COMMENT ON COLUMN reporting.readings_by_day.line_voltage_most IS 'RMS voltage, line to line, V: most';

COMMENT ON COLUMN reporting.readings_by_day.line_voltage_last IS 'RMS voltage, line to line, V: last';

COMMENT ON COLUMN reporting.readings_by_day.line_voltage_readings IS 'RMS voltage, line to line, V: how many readings';

COMMENT ON COLUMN reporting.readings_by_day.total_power_load_mean IS 'Total active power, W: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_day.total_power_load_least IS 'Total active power, W: least';

COMMENT ON COLUMN reporting.readings_by_day.total_power_load_most IS 'Total active power, W: most';

COMMENT ON COLUMN reporting.readings_by_day.total_power_load_last IS 'Total active power, W: last';

COMMENT ON COLUMN reporting.readings_by_day.total_power_load_readings IS 'Total active power, W: how many readings';

COMMENT ON COLUMN reporting.readings_by_day.total_reactive_power_mean IS 'Total reactive power, var: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_day.total_reactive_power_least IS 'Total reactive power, var: least';

COMMENT ON COLUMN reporting.readings_by_day.total_reactive_power_most IS 'Total reactive power, var: most';

COMMENT ON COLUMN reporting.readings_by_day.total_reactive_power_last IS 'Total reactive power, var: last';

COMMENT ON COLUMN reporting.readings_by_day.total_reactive_power_readings IS 'Total reactive power, var: how many readings';

COMMENT ON COLUMN reporting.readings_by_day.total_apparent_power_mean IS 'Total apparent power, VA: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_day.total_apparent_power_least IS 'Total apparent power, VA: least';

COMMENT ON COLUMN reporting.readings_by_day.total_apparent_power_most IS 'Total apparent power, VA: most';

COMMENT ON COLUMN reporting.readings_by_day.total_apparent_power_last IS 'Total apparent power, VA: last';

COMMENT ON COLUMN reporting.readings_by_day.total_apparent_power_readings IS 'Total apparent power, VA: how many readings';

COMMENT ON COLUMN reporting.readings_by_day.total_power_factor_mean IS 'Total power factor: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_day.total_power_factor_least IS 'Total power factor: least';

COMMENT ON COLUMN reporting.readings_by_day.total_power_factor_most IS 'Total power factor: most';

COMMENT ON COLUMN reporting.readings_by_day.total_power_factor_last IS 'Total power factor: last';

COMMENT ON COLUMN reporting.readings_by_day.total_power_factor_readings IS 'Total power factor: how many readings';

COMMENT ON COLUMN reporting.readings_by_day.phase_1n_voltage_thd_mean IS 'Total harmonic distortion of the voltage, phase 1, %: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_day.phase_1n_voltage_thd_least IS 'Total harmonic distortion of the voltage, phase 1, %: least';

COMMENT ON COLUMN reporting.readings_by_day.phase_1n_voltage_thd_most IS 'Total harmonic distortion of the voltage, phase 1, %: most';

COMMENT ON COLUMN reporting.readings_by_day.phase_1n_voltage_thd_last IS 'Total harmonic distortion of the voltage, phase 1, %: last';

COMMENT ON COLUMN reporting.readings_by_day.phase_1n_voltage_thd_readings IS 'Total harmonic distortion of the voltage, phase 1, %: how many readings';

COMMENT ON COLUMN reporting.readings_by_day.phase_2n_voltage_thd_mean IS 'Total harmonic distortion of the voltage, phase 2, %: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_day.phase_2n_voltage_thd_least IS 'Total harmonic distortion of the voltage, phase 2, %: least';

COMMENT ON COLUMN reporting.readings_by_day.phase_2n_voltage_thd_most IS 'Total harmonic distortion of the voltage, phase 2, %: most';

COMMENT ON COLUMN reporting.readings_by_day.phase_2n_voltage_thd_last IS 'Total harmonic distortion of the voltage, phase 2, %: last';

COMMENT ON COLUMN reporting.readings_by_day.phase_2n_voltage_thd_readings IS 'Total harmonic distortion of the voltage, phase 2, %: how many readings';

COMMENT ON COLUMN reporting.readings_by_day.phase_3n_voltage_thd_mean IS 'Total harmonic distortion of the voltage, phase 3, %: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_day.phase_3n_voltage_thd_least IS 'Total harmonic distortion of the voltage, phase 3, %: least';

COMMENT ON COLUMN reporting.readings_by_day.phase_3n_voltage_thd_most IS 'Total harmonic distortion of the voltage, phase 3, %: most';

COMMENT ON COLUMN reporting.readings_by_day.phase_3n_voltage_thd_last IS 'Total harmonic distortion of the voltage, phase 3, %: last';

COMMENT ON COLUMN reporting.readings_by_day.phase_3n_voltage_thd_readings IS 'Total harmonic distortion of the voltage, phase 3, %: how many readings';

COMMENT ON COLUMN reporting.readings_by_day.available_charging_capacity_mean IS 'Power available for charging, W: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_day.available_charging_capacity_least IS 'Power available for charging, W: least';

COMMENT ON COLUMN reporting.readings_by_day.available_charging_capacity_most IS 'Power available for charging, W: most';

COMMENT ON COLUMN reporting.readings_by_day.available_charging_capacity_last IS 'Power available for charging, W: last';

COMMENT ON COLUMN reporting.readings_by_day.available_charging_capacity_readings IS 'Power available for charging, W: how many readings';

COMMENT ON COLUMN reporting.readings_by_day.fail_safe_capacity_mean IS 'Power to fall back to when the controller is lost, W: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_day.fail_safe_capacity_least IS 'Power to fall back to when the controller is lost, W: least';

COMMENT ON COLUMN reporting.readings_by_day.fail_safe_capacity_most IS 'Power to fall back to when the controller is lost, W: most';

COMMENT ON COLUMN reporting.readings_by_day.fail_safe_capacity_last IS 'Power to fall back to when the controller is lost, W: last';

COMMENT ON COLUMN reporting.readings_by_day.fail_safe_capacity_readings IS 'Power to fall back to when the controller is lost, W: how many readings';

COMMENT ON COLUMN reporting.readings_by_day.soc_mean IS 'State of charge of the battery, %: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_day.soc_least IS 'State of charge of the battery, %: least';

COMMENT ON COLUMN reporting.readings_by_day.soc_most IS 'State of charge of the battery, %: most';

COMMENT ON COLUMN reporting.readings_by_day.soc_last IS 'State of charge of the battery, %: last';

COMMENT ON COLUMN reporting.readings_by_day.soc_readings IS 'State of charge of the battery, %: how many readings';

COMMENT ON COLUMN reporting.readings_by_day.energy_wh IS 'Active energy over the time that readings cover, Wh';

COMMENT ON COLUMN reporting.readings_by_day.covered_seconds IS 'The time that readings of the active power cover, s';

CREATE VIEW reporting.readings_by_quarter AS
 SELECT r.begins_at AS "time",
    d.depot_id,
    p.name AS depot,
    d.id AS device_id,
    d.name AS device,
    d.circuit_id,
    c.name AS circuit,
    (r.current_weighted / NULLIF(r.current_seconds, (0)::double precision)) AS current_mean,
    r.current_least,
    r.current_most,
    r.current_last,
    r.current_readings,
    (r.frequency_weighted / NULLIF(r.frequency_seconds, (0)::double precision)) AS frequency_mean,
    r.frequency_least,
    r.frequency_most,
    r.frequency_last,
    r.frequency_readings,
    (r.voltage_weighted / NULLIF(r.voltage_seconds, (0)::double precision)) AS voltage_mean,
    r.voltage_least,
    r.voltage_most,
    r.voltage_last,
    r.voltage_readings,
    (r.line_voltage_weighted / NULLIF(r.line_voltage_seconds, (0)::double precision)) AS line_voltage_mean,
    r.line_voltage_least,
    r.line_voltage_most,
    r.line_voltage_last,
    r.line_voltage_readings,
    (r.total_power_load_weighted / NULLIF(r.total_power_load_seconds, (0)::double precision)) AS total_power_load_mean,
    r.total_power_load_least,
    r.total_power_load_most,
    r.total_power_load_last,
    r.total_power_load_readings,
    (r.total_reactive_power_weighted / NULLIF(r.total_reactive_power_seconds, (0)::double precision)) AS total_reactive_power_mean,
    r.total_reactive_power_least,
    r.total_reactive_power_most,
    r.total_reactive_power_last,
    r.total_reactive_power_readings,
    (r.total_apparent_power_weighted / NULLIF(r.total_apparent_power_seconds, (0)::double precision)) AS total_apparent_power_mean,
    r.total_apparent_power_least,
    r.total_apparent_power_most,
    r.total_apparent_power_last,
    r.total_apparent_power_readings,
    (r.total_power_factor_weighted / NULLIF(r.total_power_factor_seconds, (0)::double precision)) AS total_power_factor_mean,
    r.total_power_factor_least,
    r.total_power_factor_most,
    r.total_power_factor_last,
    r.total_power_factor_readings,
    (r.phase_1n_voltage_thd_weighted / NULLIF(r.phase_1n_voltage_thd_seconds, (0)::double precision)) AS phase_1n_voltage_thd_mean,
    r.phase_1n_voltage_thd_least,
    r.phase_1n_voltage_thd_most,
    r.phase_1n_voltage_thd_last,
    r.phase_1n_voltage_thd_readings,
    (r.phase_2n_voltage_thd_weighted / NULLIF(r.phase_2n_voltage_thd_seconds, (0)::double precision)) AS phase_2n_voltage_thd_mean,
    r.phase_2n_voltage_thd_least,
    r.phase_2n_voltage_thd_most,
    r.phase_2n_voltage_thd_last,
    r.phase_2n_voltage_thd_readings,
    (r.phase_3n_voltage_thd_weighted / NULLIF(r.phase_3n_voltage_thd_seconds, (0)::double precision)) AS phase_3n_voltage_thd_mean,
    r.phase_3n_voltage_thd_least,
    r.phase_3n_voltage_thd_most,
    r.phase_3n_voltage_thd_last,
    r.phase_3n_voltage_thd_readings,
    (r.available_charging_capacity_weighted / NULLIF(r.available_charging_capacity_seconds, (0)::double precision)) AS available_charging_capacity_mean,
    r.available_charging_capacity_least,
    r.available_charging_capacity_most,
    r.available_charging_capacity_last,
    r.available_charging_capacity_readings,
    (r.fail_safe_capacity_weighted / NULLIF(r.fail_safe_capacity_seconds, (0)::double precision)) AS fail_safe_capacity_mean,
    r.fail_safe_capacity_least,
    r.fail_safe_capacity_most,
    r.fail_safe_capacity_last,
    r.fail_safe_capacity_readings,
    (r.soc_weighted / NULLIF(r.soc_seconds, (0)::double precision)) AS soc_mean,
    r.soc_least,
    r.soc_most,
    r.soc_last,
    r.soc_readings,
    (r.total_power_load_weighted / (3600)::double precision) AS energy_wh,
    r.total_power_load_seconds AS covered_seconds
   FROM (((public.reading_quarters r
     JOIN public.devices d ON ((d.id = r.device_id)))
     JOIN public.depots p ON ((p.id = d.depot_id)))
     LEFT JOIN public.circuits c ON ((c.id = d.circuit_id)));

COMMENT ON VIEW reporting.readings_by_quarter IS 'Readings by quarter of an hour';

COMMENT ON COLUMN reporting.readings_by_quarter."time" IS 'When the bucket begins';

COMMENT ON COLUMN reporting.readings_by_quarter.depot_id IS 'The depot';

COMMENT ON COLUMN reporting.readings_by_quarter.depot IS 'Its name';

COMMENT ON COLUMN reporting.readings_by_quarter.device_id IS 'The device';

COMMENT ON COLUMN reporting.readings_by_quarter.device IS 'Its name';

COMMENT ON COLUMN reporting.readings_by_quarter.circuit_id IS 'The circuit that the device is linked to now; null: none';

COMMENT ON COLUMN reporting.readings_by_quarter.circuit IS 'Its name';

COMMENT ON COLUMN reporting.readings_by_quarter.current_mean IS 'Total RMS current, A: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_quarter.current_least IS 'Total RMS current, A: least';

COMMENT ON COLUMN reporting.readings_by_quarter.current_most IS 'Total RMS current, A: most';

COMMENT ON COLUMN reporting.readings_by_quarter.current_last IS 'Total RMS current, A: last';

COMMENT ON COLUMN reporting.readings_by_quarter.current_readings IS 'Total RMS current, A: how many readings';

COMMENT ON COLUMN reporting.readings_by_quarter.frequency_mean IS 'Grid frequency, Hz: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_quarter.frequency_least IS 'Grid frequency, Hz: least';

COMMENT ON COLUMN reporting.readings_by_quarter.frequency_most IS 'Grid frequency, Hz: most';

COMMENT ON COLUMN reporting.readings_by_quarter.frequency_last IS 'Grid frequency, Hz: last';

COMMENT ON COLUMN reporting.readings_by_quarter.frequency_readings IS 'Grid frequency, Hz: how many readings';

COMMENT ON COLUMN reporting.readings_by_quarter.voltage_mean IS 'RMS voltage, phase to neutral, V: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_quarter.voltage_least IS 'RMS voltage, phase to neutral, V: least';

COMMENT ON COLUMN reporting.readings_by_quarter.voltage_most IS 'RMS voltage, phase to neutral, V: most';

COMMENT ON COLUMN reporting.readings_by_quarter.voltage_last IS 'RMS voltage, phase to neutral, V: last';

COMMENT ON COLUMN reporting.readings_by_quarter.voltage_readings IS 'RMS voltage, phase to neutral, V: how many readings';

COMMENT ON COLUMN reporting.readings_by_quarter.line_voltage_mean IS 'RMS voltage, line to line, V: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_quarter.line_voltage_least IS 'RMS voltage, line to line, V: least';

COMMENT ON COLUMN reporting.readings_by_quarter.line_voltage_most IS 'RMS voltage, line to line, V: most';

COMMENT ON COLUMN reporting.readings_by_quarter.line_voltage_last IS 'RMS voltage, line to line, V: last';

COMMENT ON COLUMN reporting.readings_by_quarter.line_voltage_readings IS 'RMS voltage, line to line, V: how many readings';

COMMENT ON COLUMN reporting.readings_by_quarter.total_power_load_mean IS 'Total active power, W: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_quarter.total_power_load_least IS 'Total active power, W: least';

COMMENT ON COLUMN reporting.readings_by_quarter.total_power_load_most IS 'Total active power, W: most';

COMMENT ON COLUMN reporting.readings_by_quarter.total_power_load_last IS 'Total active power, W: last';

COMMENT ON COLUMN reporting.readings_by_quarter.total_power_load_readings IS 'Total active power, W: how many readings';

COMMENT ON COLUMN reporting.readings_by_quarter.total_reactive_power_mean IS 'Total reactive power, var: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_quarter.total_reactive_power_least IS 'Total reactive power, var: least';

COMMENT ON COLUMN reporting.readings_by_quarter.total_reactive_power_most IS 'Total reactive power, var: most';

COMMENT ON COLUMN reporting.readings_by_quarter.total_reactive_power_last IS 'Total reactive power, var: last';

COMMENT ON COLUMN reporting.readings_by_quarter.total_reactive_power_readings IS 'Total reactive power, var: how many readings';

COMMENT ON COLUMN reporting.readings_by_quarter.total_apparent_power_mean IS 'Total apparent power, VA: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_quarter.total_apparent_power_least IS 'Total apparent power, VA: least';

COMMENT ON COLUMN reporting.readings_by_quarter.total_apparent_power_most IS 'Total apparent power, VA: most';

COMMENT ON COLUMN reporting.readings_by_quarter.total_apparent_power_last IS 'Total apparent power, VA: last';

COMMENT ON COLUMN reporting.readings_by_quarter.total_apparent_power_readings IS 'Total apparent power, VA: how many readings';

COMMENT ON COLUMN reporting.readings_by_quarter.total_power_factor_mean IS 'Total power factor: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_quarter.total_power_factor_least IS 'Total power factor: least';

COMMENT ON COLUMN reporting.readings_by_quarter.total_power_factor_most IS 'Total power factor: most';

COMMENT ON COLUMN reporting.readings_by_quarter.total_power_factor_last IS 'Total power factor: last';

COMMENT ON COLUMN reporting.readings_by_quarter.total_power_factor_readings IS 'Total power factor: how many readings';

COMMENT ON COLUMN reporting.readings_by_quarter.phase_1n_voltage_thd_mean IS 'Total harmonic distortion of the voltage, phase 1, %: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_quarter.phase_1n_voltage_thd_least IS 'Total harmonic distortion of the voltage, phase 1, %: least';

COMMENT ON COLUMN reporting.readings_by_quarter.phase_1n_voltage_thd_most IS 'Total harmonic distortion of the voltage, phase 1, %: most';

COMMENT ON COLUMN reporting.readings_by_quarter.phase_1n_voltage_thd_last IS 'Total harmonic distortion of the voltage, phase 1, %: last';

COMMENT ON COLUMN reporting.readings_by_quarter.phase_1n_voltage_thd_readings IS 'Total harmonic distortion of the voltage, phase 1, %: how many readings';

COMMENT ON COLUMN reporting.readings_by_quarter.phase_2n_voltage_thd_mean IS 'Total harmonic distortion of the voltage, phase 2, %: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_quarter.phase_2n_voltage_thd_least IS 'Total harmonic distortion of the voltage, phase 2, %: least';

COMMENT ON COLUMN reporting.readings_by_quarter.phase_2n_voltage_thd_most IS 'Total harmonic distortion of the voltage, phase 2, %: most';

COMMENT ON COLUMN reporting.readings_by_quarter.phase_2n_voltage_thd_last IS 'Total harmonic distortion of the voltage, phase 2, %: last';

COMMENT ON COLUMN reporting.readings_by_quarter.phase_2n_voltage_thd_readings IS 'Total harmonic distortion of the voltage, phase 2, %: how many readings';

COMMENT ON COLUMN reporting.readings_by_quarter.phase_3n_voltage_thd_mean IS 'Total harmonic distortion of the voltage, phase 3, %: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_quarter.phase_3n_voltage_thd_least IS 'Total harmonic distortion of the voltage, phase 3, %: least';

COMMENT ON COLUMN reporting.readings_by_quarter.phase_3n_voltage_thd_most IS 'Total harmonic distortion of the voltage, phase 3, %: most';

COMMENT ON COLUMN reporting.readings_by_quarter.phase_3n_voltage_thd_last IS 'Total harmonic distortion of the voltage, phase 3, %: last';

COMMENT ON COLUMN reporting.readings_by_quarter.phase_3n_voltage_thd_readings IS 'Total harmonic distortion of the voltage, phase 3, %: how many readings';

COMMENT ON COLUMN reporting.readings_by_quarter.available_charging_capacity_mean IS 'Power available for charging, W: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_quarter.available_charging_capacity_least IS 'Power available for charging, W: least';

COMMENT ON COLUMN reporting.readings_by_quarter.available_charging_capacity_most IS 'Power available for charging, W: most';

COMMENT ON COLUMN reporting.readings_by_quarter.available_charging_capacity_last IS 'Power available for charging, W: last';

COMMENT ON COLUMN reporting.readings_by_quarter.available_charging_capacity_readings IS 'Power available for charging, W: how many readings';

COMMENT ON COLUMN reporting.readings_by_quarter.fail_safe_capacity_mean IS 'Power to fall back to when the controller is lost, W: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_quarter.fail_safe_capacity_least IS 'Power to fall back to when the controller is lost, W: least';

COMMENT ON COLUMN reporting.readings_by_quarter.fail_safe_capacity_most IS 'Power to fall back to when the controller is lost, W: most';

COMMENT ON COLUMN reporting.readings_by_quarter.fail_safe_capacity_last IS 'Power to fall back to when the controller is lost, W: last';

COMMENT ON COLUMN reporting.readings_by_quarter.fail_safe_capacity_readings IS 'Power to fall back to when the controller is lost, W: how many readings';

COMMENT ON COLUMN reporting.readings_by_quarter.soc_mean IS 'State of charge of the battery, %: mean, weighted by time';

COMMENT ON COLUMN reporting.readings_by_quarter.soc_least IS 'State of charge of the battery, %: least';

COMMENT ON COLUMN reporting.readings_by_quarter.soc_most IS 'State of charge of the battery, %: most';

COMMENT ON COLUMN reporting.readings_by_quarter.soc_last IS 'State of charge of the battery, %: last';

COMMENT ON COLUMN reporting.readings_by_quarter.soc_readings IS 'State of charge of the battery, %: how many readings';

COMMENT ON COLUMN reporting.readings_by_quarter.energy_wh IS 'Active energy over the time that readings cover, Wh';

COMMENT ON COLUMN reporting.readings_by_quarter.covered_seconds IS 'The time that readings of the active power cover, s';

CREATE VIEW reporting.remediations AS
 SELECT e.depot_id,
    p.name AS depot,
    e.id AS remediation_id,
    e.device_id,
    d.name AS device,
    e.code,
    e.action,
    e.opened_at,
    e.last_seen_at,
    e.times,
    e.closed_at,
    e.scenario_run_id
   FROM ((public.remediations e
     JOIN public.depots p ON ((p.id = e.depot_id)))
     LEFT JOIN public.devices d ON ((d.id = e.device_id)));

COMMENT ON VIEW reporting.remediations IS 'What stops updates, open and closed';

COMMENT ON COLUMN reporting.remediations.depot_id IS 'The depot';

COMMENT ON COLUMN reporting.remediations.depot IS 'Its name';

COMMENT ON COLUMN reporting.remediations.remediation_id IS 'The remediation';

COMMENT ON COLUMN reporting.remediations.device_id IS 'The device whose update is stopped';

COMMENT ON COLUMN reporting.remediations.device IS 'Its name; null: it is gone';

COMMENT ON COLUMN reporting.remediations.code IS 'Why, as the API names it';

COMMENT ON COLUMN reporting.remediations.action IS 'What cannot be done with its packets';

COMMENT ON COLUMN reporting.remediations.opened_at IS 'When the first packet was stopped';

COMMENT ON COLUMN reporting.remediations.last_seen_at IS 'When the last one was';

COMMENT ON COLUMN reporting.remediations.times IS 'How many packets were';

COMMENT ON COLUMN reporting.remediations.closed_at IS 'When it was closed; null: it is open';

COMMENT ON COLUMN reporting.remediations.scenario_run_id IS 'The scenario run that sent it; null: it is real';

ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT api_tokens_digest UNIQUE (digest);

ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT api_tokens_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.backfill_outcomes
    ADD CONSTRAINT backfill_outcomes_pkey PRIMARY KEY (backfill_id, depot_id);

ALTER TABLE ONLY public.backfill_pages
    ADD CONSTRAINT backfill_pages_pkey PRIMARY KEY (backfill_id, page);

ALTER TABLE ONLY public.backfills
    ADD CONSTRAINT backfills_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.band_blocks
    ADD CONSTRAINT band_blocks_pkey PRIMARY KEY (microgrid_id, block_at);

ALTER TABLE ONLY public.band_days
    ADD CONSTRAINT band_days_pkey PRIMARY KEY (microgrid_id, capability, begins_at, n);

ALTER TABLE ONLY public.band_mark
    ADD CONSTRAINT band_mark_pkey PRIMARY KEY (is_only);

ALTER TABLE ONLY public.band_quarters
    ADD CONSTRAINT band_quarters_pkey PRIMARY KEY (microgrid_id, capability, begins_at, n);

ALTER TABLE ONLY public.capability_events
    ADD CONSTRAINT capability_events_pkey PRIMARY KEY (microgrid_id, id, received_at);

ALTER TABLE ONLY public.capability_latest
    ADD CONSTRAINT capability_latest_pkey PRIMARY KEY (microgrid_id, capability);

ALTER TABLE ONLY public.capability_owners
    ADD CONSTRAINT capability_owners_one PRIMARY KEY (depot_id, capability);

ALTER TABLE ONLY public.capability_tenures
    ADD CONSTRAINT capability_tenures_one PRIMARY KEY (depot_id, capability);

ALTER TABLE ONLY public.capacity_events
    ADD CONSTRAINT capacity_events_pkey PRIMARY KEY (circuit_id, at, id, received_at);

ALTER TABLE ONLY public.changes
    ADD CONSTRAINT changes_pkey PRIMARY KEY (id, at);

ALTER TABLE ONLY public.circuit_capacities
    ADD CONSTRAINT circuit_capacities_pkey PRIMARY KEY (circuit_id);

ALTER TABLE ONLY public.circuits
    ADD CONSTRAINT circuits_id_depot UNIQUE (id, depot_id);

ALTER TABLE ONLY public.circuits
    ADD CONSTRAINT circuits_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.circuits
    ADD CONSTRAINT circuits_place UNIQUE NULLS NOT DISTINCT (depot_id, parent_id, "position") DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.depot_alarms
    ADD CONSTRAINT depot_alarms_pkey PRIMARY KEY (depot_id);

ALTER TABLE ONLY public.depot_counts
    ADD CONSTRAINT depot_counts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.depot_list
    ADD CONSTRAINT depot_list_pkey PRIMARY KEY (depot_id);

ALTER TABLE ONLY public.depot_ranks
    ADD CONSTRAINT depot_ranks_pkey PRIMARY KEY (depot_id);

ALTER TABLE ONLY public.depots
    ADD CONSTRAINT depots_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.device_readings
    ADD CONSTRAINT device_readings_pkey PRIMARY KEY (device_id, observed_at);

ALTER TABLE ONLY public.devices
    ADD CONSTRAINT devices_id_depot UNIQUE (id, depot_id);

ALTER TABLE ONLY public.devices
    ADD CONSTRAINT devices_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.devices
    ADD CONSTRAINT devices_sensor UNIQUE (gateway_id, sensor_id);

ALTER TABLE ONLY public.export_parts
    ADD CONSTRAINT export_parts_pkey PRIMARY KEY (export_id, starts_at);

ALTER TABLE ONLY public.exports
    ADD CONSTRAINT exports_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.fresh_depots
    ADD CONSTRAINT fresh_depots_pkey PRIMARY KEY (depot_id);

ALTER TABLE ONLY public.freshness_thresholds
    ADD CONSTRAINT freshness_thresholds_pkey PRIMARY KEY (microgrid_id, capability);

ALTER TABLE ONLY public.gateway_secrets
    ADD CONSTRAINT gateway_secrets_digest UNIQUE (digest);

ALTER TABLE ONLY public.gateway_secrets
    ADD CONSTRAINT gateway_secrets_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.gateway_secrets
    ADD CONSTRAINT gateway_secrets_two UNIQUE (gateway_id, slot);

ALTER TABLE ONLY public.gateways
    ADD CONSTRAINT gateways_id_depot UNIQUE (id, depot_id);

ALTER TABLE ONLY public.gateways
    ADD CONSTRAINT gateways_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.grants
    ADD CONSTRAINT grants_once UNIQUE NULLS NOT DISTINCT (kind, subject, role, depot_id);

ALTER TABLE ONLY public.grants
    ADD CONSTRAINT grants_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (actor, key);

ALTER TABLE ONLY public.import_parts
    ADD CONSTRAINT import_parts_pkey PRIMARY KEY (import_id, part);

ALTER TABLE ONLY public.import_refusals
    ADD CONSTRAINT import_refusals_pkey PRIMARY KEY (import_id, line);

ALTER TABLE ONLY public.imports
    ADD CONSTRAINT imports_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.load_settlement
    ADD CONSTRAINT load_settlement_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.microgrid_nodes
    ADD CONSTRAINT microgrid_nodes_circuit UNIQUE (microgrid_id, circuit_id);

ALTER TABLE ONLY public.microgrid_nodes
    ADD CONSTRAINT microgrid_nodes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.microgrid_nodes
    ADD CONSTRAINT microgrid_nodes_place UNIQUE (microgrid_id, "position") DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.microgrids
    ADD CONSTRAINT microgrids_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.packets
    ADD CONSTRAINT packets_pkey PRIMARY KEY (gateway_id, observed_at, id, received_at);

ALTER TABLE ONLY public.people
    ADD CONSTRAINT people_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.people
    ADD CONSTRAINT people_subject UNIQUE (issuer, sub);

ALTER TABLE ONLY public.power_source_readings
    ADD CONSTRAINT power_source_readings_pkey PRIMARY KEY (power_source_id, measurand);

ALTER TABLE ONLY public.power_sources
    ADD CONSTRAINT power_sources_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.reading_days
    ADD CONSTRAINT reading_days_pkey PRIMARY KEY (device_id, begins_at);

ALTER TABLE ONLY public.reading_fills
    ADD CONSTRAINT reading_fills_pkey PRIMARY KEY (gateway_id);

ALTER TABLE ONLY public.reading_minutes
    ADD CONSTRAINT reading_minutes_pkey PRIMARY KEY (device_id, begins_at);

ALTER TABLE ONLY public.reading_quarters
    ADD CONSTRAINT reading_quarters_pkey PRIMARY KEY (device_id, begins_at);

ALTER TABLE ONLY public.remediations
    ADD CONSTRAINT remediations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.replaced_rows
    ADD CONSTRAINT replaced_rows_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.retention_floors
    ADD CONSTRAINT retention_floors_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.rollup_blocks
    ADD CONSTRAINT rollup_blocks_pkey PRIMARY KEY (device_id, block_at);

ALTER TABLE ONLY public.rollup_checks
    ADD CONSTRAINT rollup_checks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.rollup_mark
    ADD CONSTRAINT rollup_mark_pkey PRIMARY KEY (is_only);

ALTER TABLE ONLY public.saved_views
    ADD CONSTRAINT saved_views_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.scenario_run_steps
    ADD CONSTRAINT scenario_run_steps_pkey PRIMARY KEY (run_id, step);

ALTER TABLE ONLY public.scenario_runs
    ADD CONSTRAINT scenario_runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.sensor_actions
    ADD CONSTRAINT sensor_actions_once UNIQUE (device_id, action);

ALTER TABLE ONLY public.sensor_actions
    ADD CONSTRAINT sensor_actions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.sensor_sightings
    ADD CONSTRAINT sensor_sightings_pkey PRIMARY KEY (gateway_id, sensor_id);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_digest UNIQUE (digest);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.sign_ins
    ADD CONSTRAINT sign_ins_pkey PRIMARY KEY (state_digest);

ALTER TABLE ONLY public.worker_tokens
    ADD CONSTRAINT worker_tokens_pkey PRIMARY KEY (digest);

CREATE INDEX api_tokens_owner_id ON public.api_tokens USING btree (owner_id, id);

CREATE INDEX band_blocks_newest ON public.band_blocks USING btree (block_at DESC, microgrid_id);

CREATE INDEX capability_events_ref ON ONLY public.capability_events USING btree (microgrid_id, capability, provider_event_ref);

CREATE INDEX capability_events_said ON ONLY public.capability_events USING btree (microgrid_id, capability, status, ((scenario_run_id IS NOT NULL)), tenure, LEAST(observed_at, received_at)) WHERE (effect = ANY (ARRAY['SHOWN'::text, 'LATE'::text]));

CREATE INDEX capability_events_written_in ON ONLY public.capability_events USING brin (written_in) WITH (pages_per_range='32');

CREATE INDEX capability_owners_sensor_action_id ON public.capability_owners USING btree (sensor_action_id);

CREATE INDEX capability_tenures_device_id ON public.capability_tenures USING btree (device_id);

CREATE INDEX changes_action ON ONLY public.changes USING btree (action, id);

CREATE INDEX changes_actor ON ONLY public.changes USING btree (actor, id);

CREATE INDEX changes_at ON ONLY public.changes USING btree (at);

CREATE INDEX changes_depot_id ON ONLY public.changes USING btree (depot_id, id);

CREATE INDEX circuit_capacities_depot_id ON public.circuit_capacities USING btree (depot_id);

CREATE INDEX circuit_capacities_sensor_action_id ON public.circuit_capacities USING btree (sensor_action_id);

CREATE INDEX circuits_parent_id ON public.circuits USING btree (parent_id);

CREATE INDEX depot_alarms_worst ON public.depot_alarms USING btree (priority, since, depot_id);

CREATE INDEX depot_list_both ON public.depot_list USING btree (provisioning, freshness, sort_key, depot_id) INCLUDE (name);

CREATE INDEX depot_list_freshness_name ON public.depot_list USING btree (freshness, sort_key, depot_id) INCLUDE (name);

CREATE INDEX depot_list_grams ON public.depot_list USING gin (grams);

CREATE INDEX depot_list_name ON public.depot_list USING btree (sort_key, depot_id) INCLUDE (name);

CREATE INDEX depot_list_provisioning ON public.depot_list USING btree (provisioning, sort_key, depot_id) INCLUDE (name);

CREATE INDEX depot_list_region ON public.depot_list USING btree (region, sort_key, depot_id) INCLUDE (name);

CREATE INDEX depot_list_tags ON public.depot_list USING gin (tags);

CREATE INDEX depot_ranks_fail_safe ON public.depot_ranks USING btree (fail_safe, sort_key, depot_id) INCLUDE (freshness, provisioning, alarms);

CREATE INDEX depot_ranks_load ON public.depot_ranks USING btree (load, sort_key, depot_id) INCLUDE (freshness, provisioning, alarms);

CREATE INDEX depot_ranks_load_share ON public.depot_ranks USING btree (load_share, sort_key, depot_id) INCLUDE (freshness, provisioning, alarms);

CREATE INDEX depot_ranks_provisioning ON public.depot_ranks USING btree (provisioning, sort_key, depot_id) INCLUDE (freshness, alarms);

CREATE INDEX depot_ranks_remediations ON public.depot_ranks USING btree (remediations, sort_key, depot_id) INCLUDE (freshness, provisioning, alarms);

CREATE INDEX depot_ranks_status ON public.depot_ranks USING btree (status, sort_key, depot_id) INCLUDE (freshness, provisioning, alarms);

CREATE INDEX depot_ranks_timezone ON public.depot_ranks USING btree (timezone, sort_key, depot_id) INCLUDE (freshness, provisioning, alarms);

CREATE INDEX depot_ranks_worst ON public.depot_ranks USING btree (worst, sort_key, depot_id) INCLUDE (freshness, provisioning, alarms);

CREATE INDEX depots_name_id ON public.depots USING btree (name, id);

CREATE INDEX depots_retired ON public.depots USING btree (name, id) WHERE (retired_at IS NOT NULL);

CREATE INDEX device_readings_simulated ON ONLY public.device_readings USING btree (device_id, observed_at) WHERE (scenario_run_id IS NOT NULL);

CREATE INDEX device_readings_written_in ON ONLY public.device_readings USING brin (written_in) WITH (pages_per_range='32');

CREATE INDEX devices_circuit_id ON public.devices USING btree (circuit_id);

CREATE INDEX devices_depot_id ON public.devices USING btree (depot_id);

CREATE INDEX devices_sensor_id ON public.devices USING btree (lower(sensor_id), depot_id);

CREATE INDEX exports_open ON public.exports USING btree (id) WHERE (finished_at IS NULL);

CREATE INDEX exports_requested_by ON public.exports USING btree (requested_by, id);

CREATE INDEX fresh_depots_fresh_until ON public.fresh_depots USING btree (fresh_until);

CREATE INDEX gateways_depot_id ON public.gateways USING btree (depot_id);

CREATE INDEX grants_depot_id ON public.grants USING btree (depot_id);

CREATE INDEX idempotency_keys_created_at ON public.idempotency_keys USING btree (created_at);

CREATE INDEX import_refusals_code ON public.import_refusals USING btree (import_id, code, line);

CREATE INDEX imports_open ON public.imports USING btree (id) WHERE (finished_at IS NULL);

CREATE UNIQUE INDEX microgrids_one_active ON public.microgrids USING btree (depot_id) WHERE (retired_at IS NULL);

CREATE INDEX people_by_email ON public.people USING btree (lower(email)) WHERE email_verified;

CREATE INDEX people_by_sub ON public.people USING btree (sub);

CREATE INDEX people_called ON public.people USING btree ((((issuer || '#'::text) || sub)));

CREATE INDEX power_source_readings_device_id ON public.power_source_readings USING btree (device_id);

CREATE INDEX power_sources_circuit_id ON public.power_sources USING btree (circuit_id);

CREATE INDEX power_sources_depot_id ON public.power_sources USING btree (depot_id);

CREATE INDEX reading_fills_open ON public.reading_fills USING btree (asked_at, gateway_id) WHERE (finished_at IS NULL);

CREATE INDEX remediations_depot_id ON public.remediations USING btree (depot_id, id);

CREATE UNIQUE INDEX remediations_one_open ON public.remediations USING btree (sensor_action_id) WHERE (closed_at IS NULL);

CREATE INDEX remediations_open ON public.remediations USING btree (depot_id) WHERE (closed_at IS NULL);

CREATE INDEX replaced_rows_depot_id ON public.replaced_rows USING btree (depot_id, replaced_at);

CREATE INDEX rollup_blocks_newest ON public.rollup_blocks USING btree (block_at DESC, device_id);

CREATE UNIQUE INDEX saved_views_once ON public.saved_views USING btree (owner_id, lower(name)) NULLS NOT DISTINCT;

CREATE INDEX scenario_runs_depot_id ON public.scenario_runs USING btree (depot_id, id);

CREATE UNIQUE INDEX scenario_runs_one_active ON public.scenario_runs USING btree (depot_id) WHERE (finished_at IS NULL);

CREATE INDEX sensor_actions_depot_id ON public.sensor_actions USING btree (depot_id);

CREATE INDEX sessions_person_id ON public.sessions USING btree (person_id);

CREATE INDEX sign_ins_begun_at ON public.sign_ins USING btree (begun_at);

CREATE TRIGGER alarm_ranks_deleted AFTER DELETE ON public.depot_alarms REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.alarm_ranks_changed();

CREATE TRIGGER alarm_ranks_inserted AFTER INSERT ON public.depot_alarms REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.alarm_ranks_changed();

CREATE TRIGGER alarm_ranks_updated AFTER UPDATE ON public.depot_alarms REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.alarm_ranks_changed();

CREATE TRIGGER api_tokens_changed AFTER DELETE ON public.api_tokens FOR EACH STATEMENT EXECUTE FUNCTION public.access_changed();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.capability_events FOR EACH ROW EXECUTE FUNCTION public.append_only();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.capacity_events FOR EACH ROW EXECUTE FUNCTION public.append_only();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.changes FOR EACH ROW EXECUTE FUNCTION public.append_only();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.packets FOR EACH ROW EXECUTE FUNCTION public.append_only();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.replaced_rows FOR EACH ROW EXECUTE FUNCTION public.append_only();

CREATE TRIGGER capacity_alarms_deleted AFTER DELETE ON public.circuit_capacities REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.capacity_alarms_deleted();

CREATE TRIGGER capacity_alarms_updated AFTER UPDATE ON public.circuit_capacities REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.capacity_alarms_updated();

CREATE TRIGGER circuits_deleted AFTER DELETE ON public.circuits REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.circuits_deleted();

CREATE TRIGGER circuits_gone AFTER DELETE ON public.circuits FOR EACH ROW EXECUTE FUNCTION public.keep_replaced_row();

CREATE TRIGGER circuits_inserted AFTER INSERT ON public.circuits REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.circuits_inserted();

CREATE TRIGGER circuits_inserted_no_cycle AFTER INSERT ON public.circuits REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.circuits_inserted_no_cycle();

CREATE TRIGGER circuits_no_cycle BEFORE UPDATE OF parent_id ON public.circuits FOR EACH ROW WHEN (((new.parent_id IS NOT NULL) AND (new.parent_id IS DISTINCT FROM old.parent_id))) EXECUTE FUNCTION public.circuits_no_cycle();

CREATE TRIGGER circuits_replaced AFTER UPDATE ON public.circuits FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.keep_replaced_row();

CREATE TRIGGER circuits_updated AFTER UPDATE ON public.circuits REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.circuits_updated();

CREATE TRIGGER circuits_version BEFORE UPDATE ON public.circuits FOR EACH ROW WHEN (((new.version = old.version) AND (((old.name IS DISTINCT FROM new.name) OR (old.parent_id IS DISTINCT FROM new.parent_id)) OR (old.rated_power_w IS DISTINCT FROM new.rated_power_w)))) EXECUTE FUNCTION public.count_version();

CREATE TRIGGER depot_list_deleted AFTER DELETE ON public.depot_list REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.depot_list_deleted();

CREATE TRIGGER depot_list_inserted AFTER INSERT ON public.depot_list REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.depot_list_inserted();

CREATE TRIGGER depot_list_updated AFTER UPDATE ON public.depot_list REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.depot_list_updated();

CREATE TRIGGER depots_inserted AFTER INSERT ON public.depots REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.depots_inserted();

CREATE TRIGGER depots_listed AFTER INSERT ON public.depots REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.depots_listed();

CREATE TRIGGER depots_relisted AFTER UPDATE ON public.depots REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.depots_relisted();

CREATE TRIGGER depots_retired AFTER UPDATE OF retired_at ON public.depots FOR EACH ROW WHEN (((old.retired_at IS NULL) <> (new.retired_at IS NULL))) EXECUTE FUNCTION public.depots_retired();

CREATE TRIGGER depots_version BEFORE UPDATE ON public.depots FOR EACH ROW WHEN (((new.version = old.version) AND ((((((old.name IS DISTINCT FROM new.name) OR (old.timezone IS DISTINCT FROM new.timezone)) OR (old.allows_simulation IS DISTINCT FROM new.allows_simulation)) OR (old.region IS DISTINCT FROM new.region)) OR (old.tags IS DISTINCT FROM new.tags)) OR (old.retired_at IS DISTINCT FROM new.retired_at)))) EXECUTE FUNCTION public.count_version();

CREATE TRIGGER devices_ask_for_fill AFTER INSERT ON public.devices REFERENCING NEW TABLE AS new_devices FOR EACH STATEMENT EXECUTE FUNCTION public.devices_ask_for_fill();

CREATE TRIGGER devices_change_source AFTER UPDATE ON public.devices FOR EACH ROW WHEN ((((new.gateway_id IS DISTINCT FROM old.gateway_id) OR (new.sensor_id IS DISTINCT FROM old.sensor_id)) OR (new.circuit_id IS DISTINCT FROM old.circuit_id))) EXECUTE FUNCTION public.devices_change_source();

CREATE TRIGGER devices_gone AFTER DELETE ON public.devices FOR EACH ROW EXECUTE FUNCTION public.keep_replaced_row();

CREATE TRIGGER devices_replaced AFTER UPDATE ON public.devices FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.keep_replaced_row();

CREATE TRIGGER devices_version BEFORE UPDATE ON public.devices FOR EACH ROW WHEN (((new.version = old.version) AND (((((old.gateway_id IS DISTINCT FROM new.gateway_id) OR (old.sensor_id IS DISTINCT FROM new.sensor_id)) OR (old.name IS DISTINCT FROM new.name)) OR (old.circuit_id IS DISTINCT FROM new.circuit_id)) OR (old.controller IS DISTINCT FROM new.controller)))) EXECUTE FUNCTION public.count_version();

CREATE TRIGGER freshness_thresholds_gone AFTER DELETE ON public.freshness_thresholds FOR EACH ROW EXECUTE FUNCTION public.keep_replaced_row();

CREATE TRIGGER freshness_thresholds_replaced AFTER UPDATE ON public.freshness_thresholds FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.keep_replaced_row();

CREATE TRIGGER gateway_secrets_changed AFTER INSERT OR DELETE OR UPDATE OF gateway_id, slot, digest, mqtt_hash ON public.gateway_secrets FOR EACH STATEMENT EXECUTE FUNCTION public.gateway_secrets_changed();

CREATE TRIGGER gateways_gone AFTER DELETE ON public.gateways FOR EACH ROW EXECUTE FUNCTION public.keep_replaced_row();

CREATE TRIGGER gateways_replaced AFTER UPDATE ON public.gateways FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.keep_replaced_row();

CREATE TRIGGER gateways_version BEFORE UPDATE ON public.gateways FOR EACH ROW WHEN (((new.version = old.version) AND (((old.name IS DISTINCT FROM new.name) OR (old.site_model_name IS DISTINCT FROM new.site_model_name)) OR (old.output_translation IS DISTINCT FROM new.output_translation)))) EXECUTE FUNCTION public.count_version();

CREATE TRIGGER grants_changed AFTER INSERT OR DELETE OR UPDATE ON public.grants FOR EACH STATEMENT EXECUTE FUNCTION public.access_changed();

CREATE TRIGGER list_alarms_inserted AFTER INSERT ON public.depot_list REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.list_alarms_inserted();

CREATE TRIGGER list_alarms_updated AFTER UPDATE ON public.depot_list REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.list_alarms_updated();

CREATE TRIGGER list_ranks_inserted AFTER INSERT ON public.depot_list REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.list_ranks_inserted();

CREATE TRIGGER list_ranks_updated AFTER UPDATE ON public.depot_list REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.list_ranks_updated();

CREATE TRIGGER microgrid_nodes_gone AFTER DELETE ON public.microgrid_nodes FOR EACH ROW EXECUTE FUNCTION public.keep_replaced_row();

CREATE TRIGGER microgrid_nodes_replaced AFTER UPDATE ON public.microgrid_nodes FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.keep_replaced_row();

CREATE TRIGGER microgrids_gone AFTER DELETE ON public.microgrids FOR EACH ROW EXECUTE FUNCTION public.keep_replaced_row();

CREATE TRIGGER microgrids_inserted AFTER INSERT ON public.microgrids REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.microgrids_changed();

CREATE TRIGGER microgrids_replaced AFTER UPDATE ON public.microgrids FOR EACH ROW WHEN (((old.version IS DISTINCT FROM new.version) OR (old.retired_at IS DISTINCT FROM new.retired_at))) EXECUTE FUNCTION public.keep_replaced_row();

CREATE TRIGGER microgrids_retired AFTER UPDATE OF retired_at ON public.microgrids FOR EACH ROW WHEN ((old.retired_at IS DISTINCT FROM new.retired_at)) EXECUTE FUNCTION public.owners_changed();

CREATE TRIGGER microgrids_updated AFTER UPDATE ON public.microgrids REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.microgrids_changed();

CREATE TRIGGER owners_changed AFTER INSERT OR DELETE OR UPDATE ON public.capability_owners FOR EACH ROW EXECUTE FUNCTION public.owners_changed();

CREATE TRIGGER packets_sight_sensors AFTER INSERT ON public.packets REFERENCING NEW TABLE AS new_packets FOR EACH STATEMENT EXECUTE FUNCTION public.packets_sight_sensors();

CREATE TRIGGER power_sources_gone AFTER DELETE ON public.power_sources FOR EACH ROW EXECUTE FUNCTION public.keep_replaced_row();

CREATE TRIGGER power_sources_replaced AFTER UPDATE ON public.power_sources FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.keep_replaced_row();

CREATE TRIGGER power_sources_version BEFORE UPDATE ON public.power_sources FOR EACH ROW WHEN (((new.version = old.version) AND (((old.kind IS DISTINCT FROM new.kind) OR (old.name IS DISTINCT FROM new.name)) OR (old.circuit_id IS DISTINCT FROM new.circuit_id)))) EXECUTE FUNCTION public.count_version();

CREATE TRIGGER readings_changed BEFORE UPDATE ON public.device_readings FOR EACH ROW EXECUTE FUNCTION public.readings_changed();

CREATE TRIGGER remediation_alarms_inserted AFTER INSERT ON public.remediations REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.remediation_alarms_inserted();

CREATE TRIGGER remediation_alarms_updated AFTER UPDATE ON public.remediations REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.remediation_alarms_updated();

CREATE TRIGGER scenario_run_steps_written_once BEFORE DELETE OR UPDATE ON public.scenario_run_steps FOR EACH ROW WHEN ((old.record IS NOT NULL)) EXECUTE FUNCTION public.scenario_run_steps_written_once();

CREATE TRIGGER sensor_actions_gone AFTER DELETE ON public.sensor_actions FOR EACH ROW EXECUTE FUNCTION public.keep_replaced_row();

CREATE TRIGGER sensor_actions_own_capabilities AFTER INSERT OR UPDATE ON public.sensor_actions FOR EACH ROW EXECUTE FUNCTION public.sensor_actions_own_capabilities();

CREATE TRIGGER sensor_actions_release_readings AFTER DELETE OR UPDATE ON public.sensor_actions FOR EACH ROW EXECUTE FUNCTION public.sensor_actions_release_readings();

CREATE TRIGGER sensor_actions_replaced AFTER UPDATE ON public.sensor_actions FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.keep_replaced_row();

CREATE TRIGGER sensor_actions_version BEFORE UPDATE ON public.sensor_actions FOR EACH ROW WHEN (((new.version = old.version) AND (((((old.device_id IS DISTINCT FROM new.device_id) OR (old.measurands IS DISTINCT FROM new.measurands)) OR (old.heartbeat_threshold_seconds IS DISTINCT FROM new.heartbeat_threshold_seconds)) OR (old.fail_safe_capacity_w IS DISTINCT FROM new.fail_safe_capacity_w)) OR (old.enabled IS DISTINCT FROM new.enabled)))) EXECUTE FUNCTION public.count_version();

CREATE TRIGGER sessions_ended AFTER DELETE ON public.sessions FOR EACH STATEMENT EXECUTE FUNCTION public.access_changed();

CREATE TRIGGER statuses_inserted AFTER INSERT ON public.capability_latest REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.statuses_changed();

CREATE TRIGGER statuses_updated AFTER UPDATE ON public.capability_latest REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.statuses_changed();

CREATE TRIGGER thresholds_changed AFTER INSERT OR DELETE OR UPDATE ON public.freshness_thresholds FOR EACH ROW EXECUTE FUNCTION public.thresholds_changed();

ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT api_tokens_owner FOREIGN KEY (owner_id) REFERENCES public.people(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.backfill_outcomes
    ADD CONSTRAINT backfill_outcomes_backfill FOREIGN KEY (backfill_id) REFERENCES public.backfills(id);

ALTER TABLE ONLY public.backfill_pages
    ADD CONSTRAINT backfill_pages_backfill FOREIGN KEY (backfill_id) REFERENCES public.backfills(id);

ALTER TABLE ONLY public.capability_latest
    ADD CONSTRAINT capability_latest_microgrid FOREIGN KEY (microgrid_id) REFERENCES public.microgrids(id);

ALTER TABLE ONLY public.capability_owners
    ADD CONSTRAINT capability_owners_action FOREIGN KEY (sensor_action_id) REFERENCES public.sensor_actions(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.circuit_capacities
    ADD CONSTRAINT circuit_capacities_action FOREIGN KEY (sensor_action_id) REFERENCES public.sensor_actions(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.circuit_capacities
    ADD CONSTRAINT circuit_capacities_circuit FOREIGN KEY (circuit_id) REFERENCES public.circuits(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.circuits
    ADD CONSTRAINT circuits_depot FOREIGN KEY (depot_id) REFERENCES public.depots(id);

ALTER TABLE ONLY public.circuits
    ADD CONSTRAINT circuits_parent FOREIGN KEY (parent_id, depot_id) REFERENCES public.circuits(id, depot_id);

ALTER TABLE ONLY public.depot_alarms
    ADD CONSTRAINT depot_alarms_depot FOREIGN KEY (depot_id) REFERENCES public.depot_list(depot_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.depot_list
    ADD CONSTRAINT depot_list_depot FOREIGN KEY (depot_id) REFERENCES public.depots(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.depot_ranks
    ADD CONSTRAINT depot_ranks_depot FOREIGN KEY (depot_id) REFERENCES public.depot_list(depot_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.devices
    ADD CONSTRAINT devices_circuit FOREIGN KEY (circuit_id, depot_id) REFERENCES public.circuits(id, depot_id) ON DELETE SET NULL (circuit_id);

ALTER TABLE ONLY public.devices
    ADD CONSTRAINT devices_gateway FOREIGN KEY (gateway_id, depot_id) REFERENCES public.gateways(id, depot_id);

ALTER TABLE ONLY public.export_parts
    ADD CONSTRAINT export_parts_export FOREIGN KEY (export_id) REFERENCES public.exports(id);

ALTER TABLE ONLY public.fresh_depots
    ADD CONSTRAINT fresh_depots_depot FOREIGN KEY (depot_id) REFERENCES public.depot_list(depot_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.freshness_thresholds
    ADD CONSTRAINT freshness_thresholds_microgrid FOREIGN KEY (microgrid_id) REFERENCES public.microgrids(id);

ALTER TABLE ONLY public.gateway_secrets
    ADD CONSTRAINT gateway_secrets_gateway FOREIGN KEY (gateway_id) REFERENCES public.gateways(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.gateways
    ADD CONSTRAINT gateways_depot FOREIGN KEY (depot_id) REFERENCES public.depots(id);

ALTER TABLE ONLY public.grants
    ADD CONSTRAINT grants_depot FOREIGN KEY (depot_id) REFERENCES public.depots(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.import_parts
    ADD CONSTRAINT import_parts_import FOREIGN KEY (import_id) REFERENCES public.imports(id);

ALTER TABLE ONLY public.import_refusals
    ADD CONSTRAINT import_refusals_import FOREIGN KEY (import_id) REFERENCES public.imports(id);

ALTER TABLE ONLY public.microgrid_nodes
    ADD CONSTRAINT microgrid_nodes_microgrid FOREIGN KEY (microgrid_id) REFERENCES public.microgrids(id);

ALTER TABLE ONLY public.microgrids
    ADD CONSTRAINT microgrids_depot FOREIGN KEY (depot_id) REFERENCES public.depots(id);

ALTER TABLE ONLY public.power_source_readings
    ADD CONSTRAINT power_source_readings_power_source FOREIGN KEY (power_source_id) REFERENCES public.power_sources(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.power_sources
    ADD CONSTRAINT power_sources_circuit FOREIGN KEY (circuit_id, depot_id) REFERENCES public.circuits(id, depot_id) ON DELETE SET NULL (circuit_id);

ALTER TABLE ONLY public.power_sources
    ADD CONSTRAINT power_sources_depot FOREIGN KEY (depot_id) REFERENCES public.depots(id);

ALTER TABLE ONLY public.reading_fills
    ADD CONSTRAINT reading_fills_gateway FOREIGN KEY (gateway_id) REFERENCES public.gateways(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.saved_views
    ADD CONSTRAINT saved_views_owner FOREIGN KEY (owner_id) REFERENCES public.people(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.scenario_run_steps
    ADD CONSTRAINT scenario_run_steps_run FOREIGN KEY (run_id) REFERENCES public.scenario_runs(id);

ALTER TABLE ONLY public.scenario_runs
    ADD CONSTRAINT scenario_runs_depot FOREIGN KEY (depot_id) REFERENCES public.depots(id);

ALTER TABLE ONLY public.sensor_actions
    ADD CONSTRAINT sensor_actions_device FOREIGN KEY (device_id, depot_id) REFERENCES public.devices(id, depot_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sensor_sightings
    ADD CONSTRAINT sensor_sightings_gateway FOREIGN KEY (gateway_id) REFERENCES public.gateways(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_person FOREIGN KEY (person_id) REFERENCES public.people(id) ON DELETE CASCADE;
