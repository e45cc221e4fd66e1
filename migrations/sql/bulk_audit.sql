-- The event of an import names the rows that it brought, as ranges of ids: a million of them are one
-- range, and who brought a customer is found by its id.
DROP FUNCTION record_bulk_audit(text, jsonb);

CREATE FUNCTION record_bulk_audit(entity text, ids int8multirange, facts jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO audit_event (actor, role, request_id, run_id, action, entity, entity_ids, after)
    VALUES (
        coalesce(nullif(current_setting('bailiwick.actor', true), ''), 'database:' || session_user),
        nullif(current_setting('bailiwick.role', true), ''),
        nullif(current_setting('bailiwick.request_id', true), ''),
        nullif(current_setting('bailiwick.run_id', true), '')::bigint,
        'import', entity, ids, facts
    )
$$;
