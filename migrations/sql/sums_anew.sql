-- A first import leaves no changes of sums behind, which were as many as its customers: it says that
-- the sums are to be made anew, and the next fold makes them from the customers themselves.
CREATE OR REPLACE FUNCTION set_indexes_aside() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    aside record;
BEGIN
    -- Nobody can use the table until the transaction ends, so this is for an empty one only.
    BEGIN
        LOCK TABLE customer IN ACCESS EXCLUSIVE MODE;
        IF EXISTS (SELECT FROM customer) THEN
            RAISE lock_not_available;
        END IF;
    EXCEPTION WHEN lock_not_available THEN
        RETURN false;
    END;
    FOR aside IN
        SELECT relname, conname, coalesce(
            'ALTER TABLE customer ADD CONSTRAINT ' || quote_ident(conname) || ' '
                || pg_get_constraintdef(pg_constraint.oid),
            pg_get_indexdef(indexrelid)) AS definition
        FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        LEFT JOIN pg_constraint ON conindid = indexrelid AND conrelid = indrelid
        -- The ids are given out in order, so that index costs little; other tables refer to it.
        WHERE indrelid = 'customer'::regclass AND NOT indisprimary
        ORDER BY relname
    LOOP
        INSERT INTO set_aside_index VALUES (aside.relname, aside.definition);
        IF aside.conname IS NULL THEN
            EXECUTE format('DROP INDEX %I', aside.relname);
        ELSE
            EXECUTE format('ALTER TABLE customer DROP CONSTRAINT %I', aside.conname);
        END IF;
    END LOOP;
    ALTER TABLE customer DISABLE TRIGGER customer_insert_delta;
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION build_next_index() RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET maintenance_work_mem = '256MB' AS $$
DECLARE
    aside set_aside_index;
BEGIN
    DELETE FROM set_aside_index
    WHERE name = (SELECT min(name) FROM set_aside_index) RETURNING * INTO aside;
    IF aside IS NULL THEN
        ALTER TABLE customer ENABLE TRIGGER customer_insert_delta;
        INSERT INTO heat_state (is_stale) VALUES (true)
        ON CONFLICT (id) DO UPDATE SET is_stale = true;
        -- Without it the first searches would be planned as for an empty table.
        ANALYZE customer;
    ELSE
        EXECUTE aside.definition;
    END IF;
    RETURN aside.name;
END
$$;
