-- The box, in degrees, that surely holds all ground within so many metres of a shape's own box: what
-- the index is asked before a fence itself is. A degree of a meridian is nowhere shorter than at the
-- equator (radius of curvature 6,335,439 m on WGS 84); a box that reaches a pole or passes 180 degrees
-- is as wide as the map. The millionth is for rounding.
CREATE FUNCTION fence_extent(shape geometry, margin_m double precision) RETURNS geometry
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = public, pg_temp AS $$
    SELECT CASE
        WHEN margin_m = 0 THEN ST_Envelope(shape)
        WHEN is_wide OR west - wider < -180 OR east + wider > 180
            THEN ST_MakeEnvelope(-180, greatest(south - taller, -90), 180, least(north + taller, 90), 4326)
        ELSE ST_MakeEnvelope(west - wider, south - taller, east + wider, north + taller, 4326)
    END
    FROM (SELECT ST_XMin(shape) AS west, ST_XMax(shape) AS east, ST_YMin(shape) AS south,
                 ST_YMax(shape) AS north, margin_m / 6335439.0 * 1.000001 AS angle) AS box
    CROSS JOIN LATERAL (
        SELECT degrees(angle) AS taller,
               greatest(abs(south), abs(north)) + degrees(angle) AS farthest
    ) AS reach
    CROSS JOIN LATERAL (
        SELECT farthest >= 89.9 AS is_wide,
               CASE WHEN farthest >= 89.9 THEN 180
                    ELSE degrees(asin(least(1, sin(angle) / cos(radians(farthest))))) END AS wider
    ) AS width
$$;

-- Web Mercator ends at 85.06 degrees; what lies beyond is on no tile.
CREATE FUNCTION fence_tile_outline(shape geometry) RETURNS geometry
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = public, pg_temp AS $$
    SELECT ST_Transform(
        CASE WHEN ST_YMin(shape) >= -85.06 AND ST_YMax(shape) <= 85.06 THEN shape
             ELSE ST_Multi(ST_CollectionExtract(
                 ST_Intersection(shape, ST_MakeEnvelope(-180, -85.06, 180, 85.06, 4326)), 3)) END,
        3857)
$$;

-- A point at every place the map has for it: longitudes -180 and 180 are the same ground, and at a pole
-- all longitudes are.
CREATE FUNCTION everywhere_on_map(place geometry) RETURNS geometry
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE
        WHEN abs(ST_Y(place)) = 90 THEN ST_SetSRID(
            ST_MakeLine(ST_MakePoint(-180, ST_Y(place)), ST_MakePoint(180, ST_Y(place))), 4326)
        WHEN abs(ST_X(place)) = 180 THEN ST_SetSRID(
            ST_Collect(ST_MakePoint(-180, ST_Y(place)), ST_MakePoint(180, ST_Y(place))), 4326)
        ELSE place END
$$;
