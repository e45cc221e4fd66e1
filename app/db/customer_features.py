"""Customers as GeoJSON features that PostgreSQL writes."""

from typing import Any

from app.db.spatial import lon_lat
from app.db.tables import Customer

# A row of `feature_columns`, left open: more properties, or two brackets, follow.
PROPERTIES = """
    'id', id, 'external_id', external_id, 'name', name, 'class', class,
    'segment', segment, 'tags', tags, 'status', status, 'work_minutes', work_minutes,
    'potential', potential, 'last_visit_at', last_visit_at"""
FEATURE = f"""json_build_object(
    'type', 'Feature',
    'id', id,
    'geometry', json_build_object('type', 'Point', 'coordinates', json_build_array(lon, lat)),
    'properties', json_build_object({PROPERTIES}"""


def feature_columns() -> list[Any]:
    """Return the columns that a feature is written from."""
    lon, lat = lon_lat(Customer.geom)
    return [
        Customer.id,
        Customer.external_id,
        Customer.name,
        Customer.class_,
        Customer.segment,
        Customer.tags,
        Customer.status,
        Customer.work_minutes,
        Customer.potential,
        Customer.last_visit_at,
        lon.label("lon"),
        lat.label("lat"),
    ]
