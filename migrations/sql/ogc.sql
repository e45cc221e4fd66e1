-- What OGC clients see, and all that the role bailiwick_ogc can read: it is granted to that role by
-- `app/db/migrate.py`. A view reads as its owner, so the tables behind stay closed. No tags and no
-- attributes: whatever an import has left in them, a telephone number say, is for the application.

CREATE SCHEMA ogc;
COMMENT ON SCHEMA ogc IS 'Views for OGC clients';

CREATE VIEW ogc.customers AS
SELECT id, external_id, name, class, segment, status, work_minutes, potential, last_visit_at, geom
FROM public.customer;

CREATE VIEW ogc.territories AS
SELECT territory.id, territory.code, territory.name, publication.layer_id, territory.plan_id,
    rep.name AS rep_name,
    (activity ->> 'customers')::double precision AS customers,
    (activity ->> 'work_minutes')::double precision AS work_minutes,
    (activity ->> 'potential')::double precision AS potential,
    (activity ->> 'revenue')::double precision AS revenue,
    (imbalance ->> 'work_minutes')::double precision AS work_imbalance,
    territory.outline AS geom
FROM public.territory
-- Sums over fewer than five customers would tell of single ones, which not everybody here may see.
LEFT JOIN LATERAL (
    SELECT territory.scores -> 'activity' AS activity, territory.scores -> 'imbalance' AS imbalance
    WHERE (territory.scores -> 'activity' ->> 'customers')::double precision >= 5
) AS shown ON true
-- Ranges of one layer never overlap, and a plan is of one layer: each territory is here once.
JOIN public.publication ON publication.plan_id = territory.plan_id AND publication.during @> now()
LEFT JOIN public.territory_owner
    ON territory_owner.territory_id = territory.id AND territory_owner.during @> now()
LEFT JOIN public.rep ON rep.id = territory_owner.rep_id;

CREATE VIEW ogc.geofences AS
SELECT id, name, geom, created_at, updated_at FROM public.geofence;
