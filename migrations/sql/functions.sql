-- H3 ids are 64-bit numbers: bits 52-55 hold the resolution, then three bits per resolution hold the
-- child digit (0-6), 7 below the cell's own resolution. Ancestors are therefore integer arithmetic.

-- The logical ancestor of a cell at a coarser resolution.
CREATE FUNCTION cell_parent(cell bigint, resolution integer) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (cell & ~(15::bigint << 52)) | (resolution::bigint << 52)
         | ((1::bigint << (3 * (15 - resolution))) - 1)
$$;

CREATE FUNCTION cell_resolution(cell bigint) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT ((cell >> 52) & 15)::integer
$$;

-- First and last possible id of the logical descendants at resolution 12, so that the customers of
-- a cell are one range of the index on customer.cell.
CREATE FUNCTION cell_first(cell bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (cell & ~(15::bigint << 52) & ~((1::bigint << (3 * (15 - cell_resolution(cell)))) - 512))
         | (12::bigint << 52)
$$;

CREATE FUNCTION cell_last(cell bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT cell_first(cell) | (((1::bigint << (3 * (15 - cell_resolution(cell)))) - 512) / 7 * 6)
$$;

-- Whether a layer's filter accepts a customer: each of its keys lists the accepted values, an absent
-- key accepts any. Inactive customers belong to nobody unless a layer asks for them.
CREATE FUNCTION layer_accepts(filter jsonb, class text, segment text, tags text[], status text)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (NOT filter ? 'class' OR filter -> 'class' ? class)
       AND (NOT filter ? 'segment' OR filter -> 'segment' ? segment)
       AND (NOT filter ? 'tag' OR tags && ARRAY(SELECT jsonb_array_elements_text(filter -> 'tag')))
       AND CASE WHEN filter ? 'status' THEN filter -> 'status' ? status
                ELSE status <> 'inactive' END
$$;

-- Every change of customers leaves one row per touched (cell, class, segment); the worker folds them
-- into activity_cell. Counters are never updated inside the edit: concurrent edits would queue up.
-- Statement triggers with transition tables make a million-row merge one grouped insert.
CREATE FUNCTION record_activity_delta() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO activity_delta (cell, class, segment, customers, work_minutes, potential, revenue)
        SELECT cell_parent(cell, 9), class, segment, count(*), sum(work_minutes), sum(potential),
               sum(revenue)
        FROM after_rows WHERE status <> 'inactive' GROUP BY 1, 2, 3;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO activity_delta (cell, class, segment, customers, work_minutes, potential, revenue)
        SELECT cell_parent(cell, 9), class, segment, -count(*), -sum(work_minutes), -sum(potential),
               -sum(revenue)
        FROM before_rows WHERE status <> 'inactive' GROUP BY 1, 2, 3;
    ELSE
        INSERT INTO activity_delta (cell, class, segment, customers, work_minutes, potential, revenue)
        SELECT cell_parent(cell, 9), class, segment, sum(side), sum(side * work_minutes),
               sum(side * potential), sum(side * revenue)
        FROM (
            SELECT 1 AS side, cell, class, segment, status, work_minutes, potential, revenue
            FROM after_rows
            UNION ALL
            SELECT -1, cell, class, segment, status, work_minutes, potential, revenue
            FROM before_rows
        ) AS sides
        WHERE status <> 'inactive'
        GROUP BY 1, 2, 3
        HAVING sum(side) <> 0 OR sum(side * work_minutes) <> 0 OR sum(side * potential) <> 0
            OR sum(side * revenue) <> 0;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER customer_insert_delta AFTER INSERT ON customer
REFERENCING NEW TABLE AS after_rows
FOR EACH STATEMENT EXECUTE FUNCTION record_activity_delta();

CREATE TRIGGER customer_update_delta AFTER UPDATE ON customer
REFERENCING OLD TABLE AS before_rows NEW TABLE AS after_rows
FOR EACH STATEMENT EXECUTE FUNCTION record_activity_delta();

CREATE TRIGGER customer_delete_delta AFTER DELETE ON customer
REFERENCING OLD TABLE AS before_rows
FOR EACH STATEMENT EXECUTE FUNCTION record_activity_delta();

-- The application's role owns no table, so partitions of plan_cell are made for it here. The table is
-- filled before it is attached: attaching takes a lock that readers do not notice, while
-- CREATE ... PARTITION OF would shut them out until the publishing transaction ends.
CREATE FUNCTION create_plan_partition(plan bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TABLE plan_cell_%s (LIKE plan_cell INCLUDING DEFAULTS)', plan);
    EXECUTE format('GRANT SELECT, INSERT ON plan_cell_%s TO %I', plan, session_user);
END
$$;

CREATE FUNCTION attach_plan_partition(plan bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- The check spares ATTACH a scan under lock; the keys are built before readers can see the table.
    EXECUTE format('ALTER TABLE plan_cell_%s ADD CHECK (plan_id = %s), ADD PRIMARY KEY (plan_id, cell)',
                   plan, plan);
    EXECUTE format('CREATE INDEX ON plan_cell_%s (territory_id)', plan);
    EXECUTE format('ALTER TABLE plan_cell ATTACH PARTITION plan_cell_%s FOR VALUES IN (%s)', plan, plan);
    EXECUTE format('ANALYZE plan_cell_%s', plan);
END
$$;

CREATE FUNCTION drop_plan_partition(plan bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS plan_cell_%s', plan);
END
$$;
