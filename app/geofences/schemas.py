"""What a geofence looks like outside."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from app.http.values import Attributes, Name, StrictModel

Geometry = Annotated[
    dict[str, Any],
    Field(description="GeoJSON Polygon or MultiPolygon in WGS 84, up to 50,000 vertices"),
]


class NewGeofence(StrictModel):
    """A geofence to create."""

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "name": "Hongqiao yard",
                    "geometry": {
                        "type": "Polygon",
                        "coordinates": [
                            [[121.3, 31.18], [121.35, 31.18], [121.35, 31.22], [121.3, 31.18]]
                        ],
                    },
                    "attributes": {"kind": "depot"},
                }
            ]
        }
    }

    name: Name
    geometry: Geometry
    attributes: Attributes = {}


class GeofenceSummary(StrictModel):
    """A geofence in a list; its geometry can be large and is fetched by id."""

    id: int
    name: str
    attributes: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime


class GeofenceView(GeofenceSummary):
    """A geofence as stored: shells run counter-clockwise, what crosses 180° is cut there."""

    geometry: Geometry


class GeofencesAt(StrictModel):
    """The geofences that hold a point."""

    items: list[GeofenceSummary]
