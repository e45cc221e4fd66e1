"""Many geofences out of one FeatureCollection: all of them, or none and what is wrong with each."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
import shapely
from pydantic import ValidationError
from sqlalchemy import text

from app.db.session import WriteSession
from app.errors import Fault, InvalidInput
from app.geofences.schemas import (
    GeofenceImport,
    ImportReport,
    NewGeofence,
    RepairView,
)
from app.geofences.shapes import Shape, shape_of
from app.http.problems import invalid_values

MOST_FAULTS = 100
# Properties that are members of a fence; all others are its attributes.
MEMBERS = ("name", "external_id", "group", "radius_m")

UPSERT = text("""
    -- What has an external id that is known overwrites that fence; a repetition changes nothing.
    INSERT INTO geofence AS known
        (kind, name, group_name, external_id, geom, centre, radius_m, attributes)
    SELECT kind, name, group_name, external_id, ST_Multi(ST_GeomFromWKB(wkb, 4326)),
        CASE WHEN radius_m IS NOT NULL THEN ST_SetSRID(ST_MakePoint(lon, lat), 4326) END,
        radius_m, CAST(attributes AS jsonb)
    FROM unnest(CAST(:kind AS text[]), CAST(:name AS text[]), CAST(:group AS text[]),
        CAST(:external_id AS text[]), CAST(:wkb AS bytea[]), CAST(:lon AS float[]),
        CAST(:lat AS float[]), CAST(:radius_m AS float[]), CAST(:attributes AS text[]))
        WITH ORDINALITY
        AS given (kind, name, group_name, external_id, wkb, lon, lat, radius_m, attributes, n)
    ORDER BY n
    ON CONFLICT (external_id) DO UPDATE SET
        kind = excluded.kind, name = excluded.name, group_name = excluded.group_name,
        geom = excluded.geom, centre = excluded.centre, radius_m = excluded.radius_m,
        attributes = excluded.attributes, model = NULL,
        version = known.version + 1, updated_at = now()
    WHERE (known.kind, known.name, known.group_name, known.geom, known.centre, known.radius_m,
        known.attributes) IS DISTINCT FROM (excluded.kind, excluded.name, excluded.group_name,
        excluded.geom, excluded.centre, excluded.radius_m, excluded.attributes)
    RETURNING id, version
""")
# A set of cells that became a polygon has no cells any more.
FORGET_CELLS = text("DELETE FROM geofence_cell WHERE geofence_id = ANY(:ids)")


@dataclass(frozen=True, slots=True)
class Given:
    """A fence as a feature gives it, checked."""

    kind: str
    body: NewGeofence
    shape: Shape


async def import_geofences(
    session: WriteSession, wanted: GeofenceImport, group: str | None, is_repairing: bool
) -> ImportReport:
    """Insert the fences of a collection, or overwrite those whose external ids are known.

    Raises
    ------
    InvalidInput
        With the faults of up to a hundred features; nothing is stored then.
    """
    fences, repaired = await asyncio.to_thread(_read, wanted, group, is_repairing)
    bodies, shapes = [fence.body for fence in fences], [fence.shape for fence in fences]
    centres = [shape.centre or (None, None) for shape in shapes]
    values = {
        "kind": [fence.kind for fence in fences],
        "name": [body.name for body in bodies],
        "group": [body.group for body in bodies],
        "external_id": [body.external_id for body in bodies],
        "wkb": shapely.to_wkb(np.array([shape.area for shape in shapes], dtype=object)).tolist(),
        "lon": [lon for lon, _ in centres],
        "lat": [lat for _, lat in centres],
        "radius_m": [shape.radius_m for shape in shapes],
        "attributes": [orjson.dumps(body.attributes).decode() for body in bodies],
    }
    rows = (await session.execute(UPSERT, values)).all()
    created = sum(row.version == 1 for row in rows)
    if created < len(rows):
        await session.execute(FORGET_CELLS, {"ids": [row.id for row in rows]})
    return ImportReport(
        created=created,
        changed=len(rows) - created,
        unchanged=len(fences) - len(rows),
        repaired=repaired,
    )


def _read(
    wanted: GeofenceImport, group: str | None, is_repairing: bool
) -> tuple[list[Given], list[RepairView]]:
    fences: list[Given] = []
    faults: list[Fault] = []
    repaired: list[RepairView] = []
    seen: dict[str, int] = {}
    for index, feature in enumerate(wanted.features):
        pointer = f"/features/{index}"
        try:
            fence = _fence(feature, wanted.crs, group, is_repairing, pointer)
        except InvalidInput as error:
            faults += error.faults
        else:
            fences.append(fence)
            repaired += [
                found.model_copy(update={"pointer": pointer + found.pointer})
                for found in fence.shape.repaired
            ]
            first = seen.setdefault(fence.body.external_id or f"/{index}", index)
            if first != index:
                detail = f"feature {first} has the same external id"
                faults.append(Fault("duplicate", detail, f"{pointer}/properties/external_id"))
        if len(faults) >= MOST_FAULTS:
            break
    if faults:
        raise InvalidInput("Nothing is imported: features cannot be used.", faults[:MOST_FAULTS])
    return fences, repaired


def _fence(
    feature: Mapping[str, Any], crs: Any, group: str | None, is_repairing: bool, pointer: str
) -> Given:
    properties = feature.get("properties") or {}
    geometry = feature.get("geometry")
    if feature.get("type") != "Feature" or not isinstance(properties, Mapping):
        raise _refused("bad-feature", "a Feature with properties is needed here", pointer)
    if not isinstance(geometry, Mapping):
        detail = "the feature has no geometry"
        raise _refused("no-geometry", detail, f"{pointer}/geometry")
    members: dict[str, Any] = {"group": group}
    members |= {name: properties[name] for name in MEMBERS if properties.get(name) is not None}
    rest = {name: value for name, value in properties.items() if name not in MEMBERS}
    members |= {"attributes": rest, "repair": is_repairing}
    kind = "circle" if geometry.get("type") == "Point" else "polygon"
    if kind == "circle":
        members |= _centre(geometry, f"{pointer}/geometry")
    else:
        members["geometry"] = {**geometry, **({} if crs is None else {"crs": crs})}
    try:
        body = NewGeofence.model_validate({"kind": kind, **members})
    except ValidationError as error:
        at = ("body", *pointer.strip("/").split("/"))
        places = [{**item, "loc": (*at, *_place(item["loc"]))} for item in error.errors()]
        raise invalid_values(places) from None
    try:
        return Given(kind, body, shape_of(kind, body, pointer))
    except InvalidInput as error:
        raise InvalidInput(str(error), [_moved(fault, pointer) for fault in error.faults]) from None


def _centre(geometry: Mapping[str, Any], pointer: str) -> dict[str, Any]:
    place = geometry.get("coordinates")
    if not isinstance(place, list) or len(place) < 2:
        raise _refused("bad-coordinates", "a position is two numbers", f"{pointer}/coordinates")
    return {"lon": place[0], "lat": place[1]}


def _place(loc: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return where in the feature a member of the fence stands; attributes are properties too."""
    if loc[0] in ("lon", "lat"):
        return ("geometry", "coordinates")
    if loc[0] == "geometry":
        return loc
    return ("properties", *(loc[1:] if loc[0] == "attributes" else loc))


def _moved(fault: Fault, pointer: str) -> Fault:
    """Return the fault of a fence as one of the feature at `pointer`."""
    place = _place(tuple((fault.pointer or pointer).removeprefix(f"{pointer}/").split("/")))
    return replace(fault, pointer="/".join((pointer, *place)))


def _refused(code: str, detail: str, pointer: str) -> InvalidInput:
    return InvalidInput("A feature cannot be used.", [Fault(code, detail, pointer)])
