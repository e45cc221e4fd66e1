-- A number that changes exactly when committed rows of a table changed: what is folded plus the rows
-- of data_change that are seen. A count and not the highest id, for transactions do not commit in the
-- order of their ids: a count of what a snapshot sees only grows from one snapshot to the next.
--
-- One row per statement, however many rows it changed; none when it changed none.
CREATE FUNCTION note_data_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT FROM before_rows) THEN RETURN NULL; END IF;
    ELSIF NOT EXISTS (SELECT FROM after_rows) THEN
        RETURN NULL;
    END IF;
    INSERT INTO data_change (subject) VALUES (TG_TABLE_NAME);
    RETURN NULL;
END
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'customer', 'activity_cell', 'geofence', 'rep', 'layer', 'publication', 'territory_owner',
        'customer_override', 'plan', 'territory'
    ] LOOP
        -- Nobody can have seen a tile of a plan that comes into being.
        IF name NOT IN ('plan', 'territory') THEN
            EXECUTE format(
                'CREATE TRIGGER data_insert AFTER INSERT ON %I REFERENCING NEW TABLE AS after_rows '
                'FOR EACH STATEMENT EXECUTE FUNCTION note_data_change()', name);
        END IF;
        EXECUTE format(
            'CREATE TRIGGER data_update AFTER UPDATE ON %I REFERENCING NEW TABLE AS after_rows '
            'FOR EACH STATEMENT EXECUTE FUNCTION note_data_change()', name);
        EXECUTE format(
            'CREATE TRIGGER data_delete AFTER DELETE ON %I REFERENCING OLD TABLE AS before_rows '
            'FOR EACH STATEMENT EXECUTE FUNCTION note_data_change()', name);
    END LOOP;
END
$$;
