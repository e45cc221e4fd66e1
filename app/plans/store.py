"""Writing what `app.plans.solve` left in its folder as a draft plan."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from sqlalchemy import insert, text

from app.db.alignment import pack
from app.db.session import WriteSession
from app.db.tables import Plan
from app.plans.certificate_store import store_certificate
from app.plans.snapshot import Source
from app.plans.source_store import store_source

# Web Mercator ends at 85.06°; beyond it the transformation goes to infinity.
INSERT_TERRITORY = text("""
    WITH drawn AS (
        SELECT ST_Multi(ST_GeomFromWKB(:outline, 4326)) AS outline,
            ST_Multi(ST_GeomFromWKB(:overview, 4326)) AS overview,
            ST_MakeEnvelope(-180, -85.06, 180, 85.06, 4326) AS world
    )
    INSERT INTO territory (plan_id, ordinal, code, name, colour, scores, label_point, outline,
        tile_outline, tile_overview)
    SELECT :plan_id, :ordinal, :code, :name, :colour, CAST(:scores AS jsonb),
        ST_SetSRID(ST_MakePoint(:lon, :lat), 4326), outline,
        ST_Transform(CASE WHEN ST_CoveredBy(outline, world) THEN outline
            ELSE ST_Multi(ST_Intersection(outline, world)) END, 3857),
        ST_Transform(CASE WHEN ST_CoveredBy(overview, world) THEN overview
            ELSE ST_Multi(ST_Intersection(overview, world)) END, 3857)
    FROM drawn
""")

SCORED = ("n_cells", "components", "activity", "target", "imbalance", "radius_km", "bbox")


@dataclass(frozen=True, slots=True)
class Origin:
    """How a plan came to be, and which plan it was made from."""

    kind: str
    parent_id: int | None = None


DESIGN = Origin("design")


async def store_plan(
    session: WriteSession,
    folder: Path,
    request: dict[str, Any],
    manifest: dict[str, Any],
    run_id: int | None,
    origin: Origin = DESIGN,
    *,
    source: Source,
) -> int:
    """Insert the plan, its territories, its certificate and its input; return the plan's id."""
    document = orjson.loads((folder / "plan.json").read_bytes())
    cells, ordinals = np.load(folder / "cells.npy"), np.load(folder / "alignment.npy")
    territories = document["territories"]
    statement = insert(Plan).values(
        layer_id=request["layer_id"],
        run_id=run_id,
        parent_id=origin.parent_id,
        origin=origin.kind,
        name=request["name"] or f"{len(territories)} territories",
        parameters=request,
        resolutions=document["resolutions"],
        n_territories=len(territories),
        n_cells=len(cells),
        alignment=pack(cells, ordinals),
        scores=scores_of_plan(document),
        violations=document["violations"],
        components=document["components"],
        manifest=manifest,
    )
    plan_id = (await session.execute(statement.returning(Plan.id))).scalar_one()
    await session.execute(INSERT_TERRITORY, _rows(plan_id, folder, territories))
    await store_certificate(session, plan_id, folder)
    await store_source(session, plan_id, source)
    return plan_id


def scores_of_plan(document: dict[str, Any]) -> dict[str, Any]:
    """Return what is stored as the scores of a plan, from what the child wrote of it."""
    boxes = [territory["bbox"] for territory in document["territories"]]
    return {**document["scores"], "bbox": box_around(boxes)}


def scores_of_territory(territory: dict[str, Any]) -> dict[str, Any]:
    """Return what is stored as the scores of a territory, from what the child wrote of it."""
    return {name: territory[name] for name in SCORED}


def _rows(plan_id: int, folder: Path, territories: list[dict[str, Any]]) -> list[dict[str, Any]]:
    drawn = np.load(folder / "outlines.npz")
    outlines, overviews = _split(drawn, "outline"), _split(drawn, "overview")
    rows = []
    for ordinal, territory in enumerate(territories):
        code = territory["code"]
        scores = scores_of_territory(territory)
        lon, lat = territory["label_point"]
        rows.append(
            {
                "plan_id": plan_id, "ordinal": ordinal, "code": code,
                "name": territory.get("name", f"Territory {code[1:]}"),
                "colour": territory["colour"],
                "lon": lon, "lat": lat,
                "scores": orjson.dumps(scores).decode(),
                "outline": outlines[ordinal], "overview": overviews[ordinal],
            }
        )  # fmt: skip
    return rows


def _split(drawn: Any, name: str) -> list[bytes]:
    data, ends = drawn[name].tobytes(), drawn[f"{name}_ends"].tolist()
    return [data[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def box_around(boxes: list[list[float]]) -> list[float]:
    """Return the box around all; outlines cut at 180° make it span the world, which is true."""
    edges = np.array(boxes)
    lows, highs = edges[:, :2].min(axis=0), edges[:, 2:].max(axis=0)
    return [float(value) for value in (*lows, *highs)]
