-- Every change of what people own is written down by the database itself, so that no code path can
-- forget it: who, what, before and after. The rows are written by functions of the tables' owner; the
-- application's role may only read them.
--
-- Arguments of the trigger: the columns that are left out (secrets, derived values, bulky proofs).
CREATE FUNCTION record_audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    -- Without arguments TG_ARGV is null, and whatever is taken from null is null.
    left_out text[] := coalesce(TG_ARGV, '{}');
    was jsonb;
    becomes jsonb;
    changed text[];
BEGIN
    IF TG_OP <> 'INSERT' THEN was := to_jsonb(OLD) - left_out; END IF;
    IF TG_OP <> 'DELETE' THEN becomes := to_jsonb(NEW) - left_out; END IF;
    IF TG_OP = 'UPDATE' THEN
        SELECT array_agg(key) INTO changed FROM jsonb_each(becomes) AS member (key, value)
        WHERE was -> key IS DISTINCT FROM value;
        -- What only bookkeeping has touched is no change.
        IF changed IS NULL OR changed <@ ARRAY['version', 'updated_at'] THEN RETURN NULL; END IF;
        SELECT jsonb_object_agg(key, value) INTO was FROM jsonb_each(was) WHERE key = ANY(changed);
        SELECT jsonb_object_agg(key, value) INTO becomes FROM jsonb_each(becomes)
        WHERE key = ANY(changed);
    END IF;
    PERFORM write_audit(
        lower(TG_OP), TG_TABLE_NAME, CASE WHEN TG_OP = 'DELETE' THEN OLD.id ELSE NEW.id END, was, becomes
    );
    RETURN NULL;
END
$$;

-- Who acts is said by the transaction (`app.db.session.Acting`); a role that says nothing is named.
CREATE FUNCTION write_audit(action text, entity text, entity_id bigint, was jsonb, becomes jsonb)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO audit_event (actor, role, request_id, run_id, action, entity, entity_id, before, after)
    VALUES (
        coalesce(nullif(current_setting('bailiwick.actor', true), ''), 'database:' || session_user),
        nullif(current_setting('bailiwick.role', true), ''),
        nullif(current_setting('bailiwick.request_id', true), ''),
        nullif(current_setting('bailiwick.run_id', true), '')::bigint,
        action, entity, entity_id, was, becomes
    )
$$;
-- Triggers call it as the owner; nobody else may put words into another's mouth.
REVOKE EXECUTE ON FUNCTION write_audit(text, text, bigint, jsonb, jsonb) FROM PUBLIC;

-- New rows of an import are one event, by `record_bulk_audit`: what a row was when it came is found in
-- the row itself or in the first event that changed it. Changed rows are written down one by one.
CREATE FUNCTION is_bulk() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(current_setting('bailiwick.bulk', true), '') = 'on'
$$;

CREATE FUNCTION record_bulk_audit(entity text, facts jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT write_audit('import', entity, NULL, NULL, facts)
$$;

CREATE FUNCTION refuse_audit_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- Erasing a person's data is the one reason to touch what was written.
    IF coalesce(current_setting('bailiwick.erasing', true), '') <> 'on' THEN
        RAISE EXCEPTION 'audit events are never changed or removed' USING ERRCODE = '42501';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END
$$;

CREATE TRIGGER audit_event_lasts BEFORE UPDATE OR DELETE ON audit_event
FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_event_is_kept BEFORE TRUNCATE ON audit_event
FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

CREATE TRIGGER audit_created AFTER INSERT ON customer
FOR EACH ROW WHEN (NOT is_bulk())
EXECUTE FUNCTION record_audit('geog', 'work_minutes', 'rfm');
-- Derived columns change without a new version; a million of those are not even looked at.
CREATE TRIGGER audit_changed AFTER UPDATE ON customer
FOR EACH ROW WHEN (OLD.version IS DISTINCT FROM NEW.version)
EXECUTE FUNCTION record_audit('geog', 'work_minutes', 'rfm');
CREATE TRIGGER audit_deleted AFTER DELETE ON customer
FOR EACH ROW EXECUTE FUNCTION record_audit('geog', 'work_minutes', 'rfm');

CREATE TRIGGER audit_created AFTER INSERT ON rep
FOR EACH ROW WHEN (NOT is_bulk()) EXECUTE FUNCTION record_audit('capacity_minutes');
CREATE TRIGGER audit_changed AFTER UPDATE OR DELETE ON rep
FOR EACH ROW EXECUTE FUNCTION record_audit('capacity_minutes');

CREATE TRIGGER audit_changed AFTER INSERT OR UPDATE OR DELETE ON layer
FOR EACH ROW EXECUTE FUNCTION record_audit();
CREATE TRIGGER audit_changed AFTER INSERT OR UPDATE OR DELETE ON publication
FOR EACH ROW EXECUTE FUNCTION record_audit();
CREATE TRIGGER audit_changed AFTER INSERT OR UPDATE OR DELETE ON territory_owner
FOR EACH ROW EXECUTE FUNCTION record_audit();
CREATE TRIGGER audit_changed AFTER INSERT OR UPDATE OR DELETE ON customer_override
FOR EACH ROW EXECUTE FUNCTION record_audit();
CREATE TRIGGER audit_changed AFTER INSERT OR UPDATE OR DELETE ON geofence
FOR EACH ROW EXECUTE FUNCTION record_audit();
CREATE TRIGGER audit_changed AFTER INSERT OR UPDATE OR DELETE ON api_key
FOR EACH ROW EXECUTE FUNCTION record_audit('sha256', 'last_used_at');

-- What a plan is made of does not change after its design and is kept with it, not here.
CREATE TRIGGER audit_changed AFTER INSERT OR UPDATE OR DELETE ON plan
FOR EACH ROW EXECUTE FUNCTION record_audit(
    'alignment', 'parameters', 'scores', 'violations', 'components', 'manifest'
);
CREATE TRIGGER audit_changed AFTER UPDATE ON territory
FOR EACH ROW EXECUTE FUNCTION record_audit(
    'scores', 'outline', 'label_point', 'tile_outline', 'tile_overview'
);

-- Of a run: who asked for it, and who asked it to stop. Its progress is in `run_event`.
CREATE TRIGGER audit_created AFTER INSERT ON run
FOR EACH ROW EXECUTE FUNCTION record_audit(
    'parameters', 'result', 'error', 'progress', 'phase', 'attempts', 'fencing_token',
    'heartbeat_at', 'started_at', 'finished_at'
);
CREATE TRIGGER audit_cancelled AFTER UPDATE ON run
FOR EACH ROW WHEN (
    OLD.cancel_requested IS DISTINCT FROM NEW.cancel_requested
    OR (OLD.state = 'queued' AND NEW.state = 'cancelled')
)
EXECUTE FUNCTION record_audit(
    'parameters', 'result', 'error', 'progress', 'phase', 'attempts', 'fencing_token',
    'heartbeat_at', 'started_at', 'finished_at'
);

-- Remove what the audit holds of one customer; that it existed and was erased stays written.
CREATE FUNCTION erase_audit_of_customer(customer bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    erased bigint;
BEGIN
    PERFORM set_config('bailiwick.erasing', 'on', true);
    UPDATE audit_event SET before = NULL, after = NULL
    WHERE (entity = 'customer' AND entity_id = customer)
       OR (entity = 'customer_override' AND entity_id IN (
           -- A change of one holds only what changed: the customer stands in its first event.
           SELECT entity_id FROM audit_event WHERE entity = 'customer_override'
               AND coalesce(after ->> 'customer_id', before ->> 'customer_id') = customer::text));
    GET DIAGNOSTICS erased = ROW_COUNT;
    PERFORM set_config('bailiwick.erasing', '', true);
    PERFORM write_audit('erase', 'customer', customer, NULL, NULL);
    RETURN erased;
END
$$;

-- Processes keep for a moment what a key stands for; this tells them to ask again.
CREATE FUNCTION tell_access_changed() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('bailiwick_access', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER access_key_changed AFTER INSERT OR DELETE OR UPDATE OF
    role, rep_id, scopes, expires_at, revoked_at ON api_key
FOR EACH STATEMENT EXECUTE FUNCTION tell_access_changed();
-- A manager sees what the reps below them see.
CREATE TRIGGER access_team_changed AFTER INSERT OR DELETE OR UPDATE OF manager_id ON rep
FOR EACH STATEMENT EXECUTE FUNCTION tell_access_changed();
