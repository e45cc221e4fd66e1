"""Every measure, filter and scope of the heatmap against sums over the customers one by one."""

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.activity import fold
from app.db.customer_filter import CustomerFilter
from app.db.scope import EVERYTHING, Scope
from app.db.session import Database
from app.heatmap.repository import Freshness, read_heat
from app.heatmap.request import HeatRequest
from app.heatmap.schemas import HeatCells
from app.settings import Settings
from geo.bbox import BoundingBox
from geo.cells import (
    CUSTOMER_RESOLUTION,
    CellArray,
    ancestors,
    area_km2,
    cells_from_points,
    cells_to_text,
    descendants,
)
from geo.outlines import territory_outlines
from tests.search.crowd import add_customers, clear
from tests.tiles.ground import add_owner, add_plan, patch, quarters

N = 300
HERE = (121.47, 31.23)
TODAY = "2026-11-20"
MEASURES = ("customers", "density", "work_minutes", "potential", "revenue", "visit_gap")
CHOICES = {
    "class": ["A", "B", "C"], "segment": ["retail", "education"],
    "status": ["active", "lead", "inactive"], "tags": ["", "key", "key,new"],
}  # fmt: skip


# The only rep, and its only territory.
LIN_MEI = T01 = 1
NOBODY = 99


class Crowd(dict[str, Any]):
    """Columns of customers, in a word: a report of all of them hides what has failed."""

    def __repr__(self) -> str:
        return f"{len(self)} columns of customers"


# Wherever they are: twenty customers are the rep's by name, twenty somebody else's.
NAMED = text("""
    INSERT INTO customer_override (layer_id, customer_id, territory_code, during, reason)
    SELECT layer.id, customer.id, CASE WHEN n < 20 THEN 'T01' ELSE 'T02' END,
        tstzrange('2020-01-01', NULL), 'Key account'
    FROM layer, generate_series(0, 39) AS n JOIN customer ON external_id = 'C' || n
""")


def mixed(cells: CellArray) -> CellArray:
    """The same ground with cells replaced by their children, and by some too fine to have sums."""
    nth = np.arange(len(cells))
    is_finest = nth % 40 == 1
    is_split = (nth % 3 == 0) & ~is_finest
    kept = cells[~(is_split | is_finest)]
    parts = [kept, descendants(cells[is_split], 8), descendants(cells[is_finest], 10)]
    return np.sort(np.concatenate(parts))


@pytest.fixture(scope="module")
async def ground(settings: Settings) -> AsyncIterator[tuple[Database, Crowd]]:
    """Customers round Shanghai, a plan whose first quarter is a rep's, rollups of a fixed day."""
    clear(settings)
    database = Database.of(settings)
    rng = np.random.default_rng(7)
    crowd = Crowd({name: rng.choice(values, N).tolist() for name, values in CHOICES.items()})
    crowd |= {
        "lon": rng.normal(HERE[0], 0.3, N),
        "lat": rng.normal(HERE[1], 0.3, N),
        "work_minutes": rng.uniform(0, 500, N).tolist(),
        "potential": rng.integers(0, 3, N).astype(float).tolist(),
        "revenue": rng.uniform(0, 1e6, N).tolist(),
    }
    async with database.writing() as session:
        await session.execute(
            text(f"INSERT INTO heat_state (day, folded_day) VALUES ('{TODAY}', '{TODAY}')")
        )
    await add_customers(database, **crowd)
    crowd["overdue"] = rng.random(N) < 0.4
    async with database.writing() as session:
        for number in np.flatnonzero(crowd["overdue"]).tolist():
            due = text(f"UPDATE customer SET due_on = '2026-11-01' WHERE external_id = 'C{number}'")
            await session.execute(due)
    cells = mixed(patch(*HERE, 0.8, 7))
    alignment = quarters(cells)
    _, territories = await add_plan(database, cells, alignment)
    await add_owner(database, territories[0], "Lin Mei")
    async with database.writing() as session:
        await session.execute(NAMED)
    await fold(database)
    fine = cells_from_points(crowd["lon"], crowd["lat"], CUSTOMER_RESOLUTION)
    own = cells[alignment == 0]
    crowd["is_own"] = np.any([np.isin(ancestors(fine, r), own) for r in (7, 8, 10)], axis=0)
    crowd["is_own"][:20], crowd["is_own"][20:40] = True, False
    yield database, crowd
    await database.close()
    clear(settings)


def brute_force(crowd: Crowd, wanted: HeatRequest, is_rep: bool, resolution: int) -> dict[str, Any]:
    """Values by cell, as the words of the documentation say."""
    keep = np.array(crowd["status"]) != "inactive"
    customers = wanted.customers
    for name, accepted in (("class", customers.classes), ("segment", customers.segments),
                           ("status", customers.statuses)):  # fmt: skip
        if accepted:
            keep &= np.isin(crowd[name], accepted)
    for tag in customers.tags:
        keep &= np.array([tag in tags.split(",") for tags in crowd["tags"]])
    if is_rep or customers.rep_id == LIN_MEI or customers.territory_id == T01:
        keep &= crowd["is_own"]
    if customers.rep_id == NOBODY or customers.territory_id == NOBODY:
        keep &= False
    fine = cells_from_points(crowd["lon"], crowd["lat"], CUSTOMER_RESOLUTION)
    cells = ancestors(fine, resolution)
    unique = np.unique(cells[keep])
    values = {}
    outlines = territory_outlines(unique, np.arange(len(unique)))
    for cell, name, outline in zip(unique, cells_to_text(unique), outlines, strict=True):
        here = keep & (cells == cell)
        is_seen = wanted.bbox is None or outline.intersects(wanted.bbox.polygon())
        if is_seen and here.sum() >= wanted.fewest:
            values[name] = _value(crowd, wanted.measure, here, cell)
    return values


def _value(crowd: Crowd, measure: str, here: Any, cell: Any) -> float:
    if measure == "customers":
        return float(here.sum())
    if measure == "density":
        return float(here.sum() / area_km2([cell])[0])
    if measure == "visit_gap":
        return float(crowd["overdue"][here].mean())
    return float(np.array(crowd[measure])[here].sum())


boxes = st.builds(
    lambda lon, lat, half: BoundingBox(lon - half, lat - half, lon + half, lat + half),
    st.floats(120.8, 122.1), st.floats(30.6, 31.9), st.floats(0.01, 1.0),
)  # fmt: skip
classes = st.sets(st.sampled_from(CHOICES["class"])).map(tuple)
segments = st.sets(st.sampled_from(CHOICES["segment"])).map(tuple)
# The rollups are kept by these two, so half of the questions are of them alone.
filters = st.builds(CustomerFilter, classes=classes, segments=segments) | st.builds(
    CustomerFilter,
    classes=classes,
    segments=segments,
    statuses=st.sets(st.sampled_from(CHOICES["status"])).map(tuple),
    tags=st.sets(st.sampled_from(["key", "new"])).map(tuple),
    territory_id=st.sampled_from([None, None, T01, NOBODY]),
    rep_id=st.sampled_from([None, None, LIN_MEI, NOBODY]),
)


@given(
    measure=st.sampled_from(MEASURES),
    customers=filters,
    resolution=st.integers(2, 9),
    bbox=st.none() | boxes,
    fewest=st.sampled_from([1, 5]),
    is_rep=st.booleans(),
)
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_heat_is_what_brute_force_says(
    ground: tuple[Database, Crowd],
    measure: Any,
    customers: CustomerFilter,
    resolution: int,
    bbox: BoundingBox | None,
    fewest: int,
    is_rep: bool,
) -> None:
    database, crowd = ground
    wanted = HeatRequest(measure, bbox, customers, "cells", fewest, of=measure)
    scope = Scope(frozenset({1})) if is_rep else EVERYTHING

    async with database.reading() as session:
        body = await read_heat(session, scope, wanted, resolution, Freshness())

    found = dict(HeatCells.model_validate_json(body or b"").cells)
    assert found == pytest.approx(brute_force(crowd, wanted, is_rep, resolution))
