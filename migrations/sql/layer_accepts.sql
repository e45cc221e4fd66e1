-- As in functions.sql, but without a query inside: such a function is called anew for each row (6 µs),
-- any other becomes a part of the statement around it.
CREATE OR REPLACE FUNCTION layer_accepts(
    filter jsonb, class text, segment text, tags text[], status text
) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (NOT filter ? 'class' OR filter -> 'class' ? class)
       AND (NOT filter ? 'segment' OR filter -> 'segment' ? segment)
       AND (NOT filter ? 'tag' OR filter -> 'tag' ?| tags)
       AND CASE WHEN filter ? 'status' THEN filter -> 'status' ? status
                ELSE status <> 'inactive' END
$$;
