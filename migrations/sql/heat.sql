-- Each statement on customers leaves its changes per (cell, class, segment), overdue visits included.
-- A visit is overdue when it was due before the day that the rollups stand at. That day moves at
-- local midnight, in a transaction that holds the lock below alone and writes what became overdue
-- with it, so that no change is counted by two days or by none.
CREATE OR REPLACE FUNCTION record_activity_delta() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE today date;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7236444);
    -- Before the first day nothing is overdue.
    SELECT coalesce((SELECT day FROM heat_state), '-infinity') INTO today;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO activity_delta
            (cell, class, segment, customers, work_minutes, potential, revenue, overdue)
        SELECT cell_parent(cell, 9), class, segment, count(*), sum(work_minutes), sum(potential),
               sum(revenue), count(*) FILTER (WHERE due_on < today)
        FROM after_rows WHERE status <> 'inactive' GROUP BY 1, 2, 3;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO activity_delta
            (cell, class, segment, customers, work_minutes, potential, revenue, overdue)
        SELECT cell_parent(cell, 9), class, segment, -count(*), -sum(work_minutes), -sum(potential),
               -sum(revenue), -count(*) FILTER (WHERE due_on < today)
        FROM before_rows WHERE status <> 'inactive' GROUP BY 1, 2, 3;
    ELSE
        INSERT INTO activity_delta
            (cell, class, segment, customers, work_minutes, potential, revenue, overdue)
        SELECT cell_parent(cell, 9), class, segment, sum(side), sum(side * work_minutes),
               sum(side * potential), sum(side * revenue),
               coalesce(sum(side) FILTER (WHERE due_on < today), 0)
        FROM (
            SELECT 1 AS side, cell, class, segment, status, work_minutes, potential, revenue, due_on
            FROM after_rows
            UNION ALL
            SELECT -1, cell, class, segment, status, work_minutes, potential, revenue, due_on
            FROM before_rows
        ) AS sides
        WHERE status <> 'inactive'
        GROUP BY 1, 2, 3
        HAVING sum(side) <> 0 OR sum(side * work_minutes) <> 0 OR sum(side * potential) <> 0
            OR sum(side * revenue) <> 0
            OR coalesce(sum(side) FILTER (WHERE due_on < today), 0) <> 0;
    END IF;
    RETURN NULL;
END
$$;

-- Derived columns stay out of the audit.
DROP TRIGGER audit_created ON customer;
DROP TRIGGER audit_changed ON customer;
DROP TRIGGER audit_deleted ON customer;
CREATE TRIGGER audit_created AFTER INSERT ON customer
FOR EACH ROW WHEN (NOT is_bulk())
EXECUTE FUNCTION record_audit('geog', 'work_minutes', 'rfm', 'due_on');
CREATE TRIGGER audit_changed AFTER UPDATE ON customer
FOR EACH ROW WHEN (OLD.version IS DISTINCT FROM NEW.version)
EXECUTE FUNCTION record_audit('geog', 'work_minutes', 'rfm', 'due_on');
CREATE TRIGGER audit_deleted AFTER DELETE ON customer
FOR EACH ROW EXECUTE FUNCTION record_audit('geog', 'work_minutes', 'rfm', 'due_on');
