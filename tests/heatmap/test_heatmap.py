"""The heatmap against sums over the customers themselves."""

from typing import Any

import httpx
import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from sqlalchemy import text

from app.activity import fold
from app.db.scope import EVERYTHING, Scope
from app.db.session import Database
from app.heatmap import repository
from app.heatmap.repository import Freshness, read_heat
from app.heatmap.request import HeatRequest
from app.heatmap.schemas import HeatCells, HeatCollection
from geo.bbox import BoundingBox
from geo.cells import CUSTOMER_RESOLUTION, ancestors, area_km2, cells_from_points, cells_to_text
from geo.outlines import territory_outlines
from tests.search.crowd import add_customers
from tests.tiles.ground import add_owner, add_plan, patch, quarters

N = 400
Crowd = dict[str, Any]


@pytest.fixture
async def crowd(database: Database) -> Crowd:
    """Customers round Shanghai and on both sides of 180°, some of them inactive."""
    rng = np.random.default_rng(4)
    lon = np.where(np.arange(N) < 300, rng.normal(121.47, 0.4, N), rng.normal(180, 1, N))
    columns: Crowd = {
        "lon": np.where(lon > 180, lon - 360, lon),
        "lat": np.where(np.arange(N) < 300, rng.normal(31.23, 0.4, N), rng.normal(-17, 1, N)),
        "class": rng.choice(["A", "B", "C"], N).tolist(),
        "segment": rng.choice(["retail", "education"], N).tolist(),
        "status": rng.choice(["active", "lead", "inactive"], N).tolist(),
        "work_minutes": rng.uniform(0, 500, N).tolist(),
        "potential": rng.integers(0, 3, N).astype(float).tolist(),
        "revenue": rng.uniform(0, 1e6, N).tolist(),
    }
    await add_customers(database, **columns)
    await fold(database)
    return columns


def brute_force(
    crowd: Crowd, resolution: int, bbox: BoundingBox | None, measure: str, keep: NDArray[np.bool_]
) -> dict[str, float]:
    """Sums over customers by logical ancestor, for the cells that touch the box."""
    fine = cells_from_points(crowd["lon"], crowd["lat"], CUSTOMER_RESOLUTION)
    cells = ancestors(fine, resolution)
    amounts = np.ones(N) if measure in ("customers", "density") else np.array(crowd[measure])
    keep = keep & (np.array(crowd["status"]) != "inactive")
    sums: dict[str, float] = {}
    unique = np.unique(cells[keep])
    outlines = territory_outlines(unique, np.arange(len(unique)))
    for cell, name, outline in zip(unique, cells_to_text(unique), outlines, strict=True):
        if bbox is None or outline.intersects(bbox.polygon()):
            value = float(amounts[keep & (cells == cell)].sum())
            sums[name] = value / float(area_km2([cell])[0]) if measure == "density" else value
    return sums


async def heat(client: httpx.AsyncClient, **query: Any) -> Any:
    answer = await client.get("/v1/heatmap", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_every_measure_is_the_sum_over_the_customers_of_a_cell(
    client: httpx.AsyncClient, crowd: Crowd
) -> None:
    query = {"bbox": "121.2,31.0,121.8,31.5", "resolution": 6, "format": "cells"}
    bbox, everyone = BoundingBox.parse("121.2,31.0,121.8,31.5"), np.ones(N, dtype=bool)
    for measure in ("customers", "work_minutes", "potential", "revenue"):
        expected = brute_force(crowd, 6, bbox, measure, everyone)
        found = await heat(client, **query, measure=measure)
        assert dict(found["cells"]) == pytest.approx(expected)
        assert found["total"] == pytest.approx(sum(expected.values()))
        assert 5 < len(expected) < 300


async def test_density_is_customers_per_square_kilometre(
    client: httpx.AsyncClient, crowd: Crowd
) -> None:
    query = {"bbox": "121.2,31.0,121.8,31.5", "resolution": 6, "format": "cells"}
    found = await heat(client, **query, measure="density")
    counted = await heat(client, **query)
    areas = area_km2([int(cell, 16) for cell, _ in counted["cells"]])
    for (cell, n), (same, density), area in zip(
        counted["cells"], found["cells"], areas, strict=True
    ):
        assert cell == same
        assert density == pytest.approx(n / area)
    assert found["total"] == pytest.approx(counted["total"] / areas.sum())


async def test_a_box_may_cross_the_antimeridian(client: httpx.AsyncClient, crowd: Crowd) -> None:
    everyone = np.ones(N, dtype=bool)
    for box in ("179.5,-18,-179.5,-16", "-180,-90,180,90", "120,30,123,32"):
        for resolution in (2, 5, 7):
            bbox = BoundingBox.parse(box)
            expected = brute_force(crowd, resolution, bbox, "work_minutes", everyone)
            found = await heat(client, bbox=box, resolution=resolution, measure="work_minutes")
            shown = {f["properties"]["cell"]: f["properties"]["value"] for f in found["features"]}
            assert shown == pytest.approx(expected)
            assert expected


async def test_filters_narrow_the_sums_and_no_box_means_everywhere(
    client: httpx.AsyncClient, crowd: Crowd
) -> None:
    chosen = np.isin(crowd["class"], ["A", "B"]) & (np.array(crowd["segment"]) == "retail")
    expected = brute_force(crowd, 4, None, "customers", chosen)
    query = {"class": ["A", "B"], "segment": "retail", "resolution": 4, "format": "cells"}
    found = await heat(client, **query)
    assert dict(found["cells"]) == expected
    assert found["total"] == sum(expected.values())


async def test_the_answers_are_the_documented_documents(
    client: httpx.AsyncClient, crowd: Crowd
) -> None:
    query: dict[str, Any] = {"bbox": "-180,-90,180,90", "zoom": 8, "measure": "revenue"}
    answer = await client.get("/v1/heatmap", params=query)
    table = await client.get("/v1/heatmap", params={**query, "format": "cells"})

    assert answer.headers["content-type"] == "application/geo+json"
    assert table.headers["content-type"] == "application/json"
    collection = HeatCollection.model_validate_json(answer.content)
    cells = HeatCells.model_validate_json(table.content)
    assert collection.resolution == cells.resolution == 6
    assert collection.breaks == cells.breaks
    assert collection.total == cells.total
    assert len(collection.features) == len(cells.cells)
    for feature, cell in zip(answer.json()["features"], cells.cells, strict=True):
        assert (feature["properties"]["cell"], feature["properties"]["value"]) == cell
        assert feature["id"] == cell[0]
        hexagon = shapely.geometry.shape(feature["geometry"])
        assert hexagon.is_valid
        assert hexagon.bounds[2] - hexagon.bounds[0] < 1 or hexagon.geom_type == "MultiPolygon"


async def test_breaks_make_up_to_seven_classes_and_none_is_empty(
    client: httpx.AsyncClient, crowd: Crowd
) -> None:
    for measure in ("customers", "potential", "revenue"):
        query = {"bbox": "120,30,123,32", "resolution": 5, "measure": measure}
        found = await heat(client, **query, format="cells")
        values = np.array([value for _, value in found["cells"]])
        breaks = found["breaks"]
        assert breaks == sorted(set(breaks))
        sizes = np.bincount(np.digitize(values, breaks), minlength=len(breaks) + 1)
        assert len(sizes) <= 7
        assert sizes.min() > 0


async def test_nothing_there_is_an_empty_document(client: httpx.AsyncClient) -> None:
    found = await heat(client, zoom=3)
    assert found == {
        "type": "FeatureCollection", "features": [], "breaks": [], "total": 0,
        "measure": "customers", "of": None, "resolution": 3,
        "as_of": None, "generation": None, "fresh_at": None,
    }  # fmt: skip


async def test_a_limited_caller_gets_the_same_answer_over_its_own_customers(
    client: httpx.AsyncClient, database: Database, crowd: Crowd
) -> None:
    ground = patch(121.47, 31.23, 1.2, 7)
    _, territories = await add_plan(database, ground, quarters(ground))
    rep_id = await add_owner(database, territories[0], "Lin Mei")
    wanted = HeatRequest(
        "work_minutes", BoundingBox.parse("120,30,123,32"), format="cells", of="work_minutes"
    )
    async with database.reading() as session:
        mine = await read_heat(session, Scope(frozenset({rep_id})), wanted, 6, Freshness())
        all_of_it = await read_heat(session, EVERYTHING, wanted, 6, Freshness())
        nobody = await read_heat(session, Scope(frozenset()), wanted, 6, Freshness())
        own = text(
            "SELECT sum(work_minutes) FROM customer WHERE status <> 'inactive' "
            "AND cell_parent(cell, 7) IN (SELECT cell FROM plan_cell WHERE territory_id = :id)"
        )
        expected = await session.scalar(own, {"id": territories[0]})
    assert HeatCells.model_validate_json(mine or b"").total == pytest.approx(expected)
    assert 0 < expected < HeatCells.model_validate_json(all_of_it or b"").total
    assert HeatCells.model_validate_json(nobody or b"").cells == []

    # With all territories the two ways to compute agree cell by cell, where the plan covers all.
    inside = HeatRequest(
        "work_minutes", BoundingBox(121.45, 31.2, 121.5, 31.25), format="cells", of="work_minutes"
    )
    for territory_id in territories[1:]:
        await add_owner(database, territory_id, f"Rep {territory_id}")
    async with database.reading() as session:
        whole_team = Scope(frozenset(range(1, 5)))
        counted = await read_heat(session, whole_team, inside, 7, Freshness())
        rolled_up = await read_heat(session, EVERYTHING, inside, 7, Freshness())
    one = HeatCells.model_validate_json(counted or b"")
    other = HeatCells.model_validate_json(rolled_up or b"")
    assert dict(one.cells) == pytest.approx(dict(other.cells))


async def test_too_many_cells_are_drawn_coarser_or_refused_with_the_finest_that_fits(
    client: httpx.AsyncClient, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    everywhere = "-180,-90,180,90"
    sizes = {
        r: len((await heat(client, bbox=everywhere, resolution=r, format="cells"))["cells"])
        for r in range(2, 10)
    }
    monkeypatch.setattr(repository, "MAX_CELLS", sizes[5])

    by_zoom = await heat(client, bbox=everywhere, zoom=13)
    fitting = await heat(client, bbox=everywhere, resolution=5)
    refused = await client.get("/v1/heatmap", params={"bbox": everywhere, "resolution": 8})

    assert by_zoom["resolution"] == fitting["resolution"] == 5
    assert refused.status_code == 422
    (fault,) = refused.json()["errors"]
    assert fault["pointer"] == "/query/resolution"
    assert "the finest that fits is 5" in fault["detail"]


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({}, 422, "/query/zoom"),
    ({"zoom": 3, "resolution": 3}, 422, "/query/zoom"),
    ({"zoom": 23}, 422, "/query/zoom"),
    ({"resolution": 10}, 422, "/query/resolution"),
    ({"resolution": 1}, 422, "/query/resolution"),
    ({"resolution": 5}, 422, "/query/bbox"),
    ({"zoom": 8}, 422, "/query/bbox"),
    ({"zoom": 3, "measure": "gap"}, 422, "/query/measure"),
    ({"zoom": 3, "class": "Z"}, 422, "/query/class/0"),
    ({"zoom": 3, "format": "csv"}, 422, "/query/format"),
    ({"zoom": 3, "bbox": "1,2,3"}, 422, "/query/bbox"),
    ({"zoom": 3, "bbox": "31,121,32,122"}, 422, "/query/bbox"),
    ({"zoom": 3, "colour": "red"}, 400, "/query/colour"),
    ({"zoom": 3, "bbox": "nan,31,122,32"}, 422, "/query/bbox"),
    ({"zoom": "nan"}, 422, "/query/zoom"),
    ({"zoom": 3, "status": "inactive"}, 422, "/query/status/0"),
    ({"zoom": 3, "not_visited_days": -1}, 422, "/query/not_visited_days"),
    ({"zoom": 3, "of": "revenue"}, 422, "/query/of"),
    ({"zoom": 3, "measure": "hot_spot", "of": "hot_spot"}, 422, "/query/of"),
    ({"zoom": 3, "measure": "hot_spot", "rings": 4}, 422, "/query/rings"),
    ({"zoom": 3, "measure": "change", "rings": 1}, 422, "/query/rings"),
    ({"zoom": 3, "from": "2026-01"}, 422, "/query/from"),
    ({"zoom": 3, "to": "2026-01"}, 422, "/query/to"),
    ({"zoom": 3, "measure": "change"}, 422, "/query/from"),
    ({"zoom": 3, "measure": "change", "from": "2026-01-01"}, 422, "/query/from"),
    ({"zoom": 3, "measure": "change", "from": "2026-13"}, 422, "/query/from"),
    ({"zoom": 3, "measure": "change", "from": "2026-01"}, 422, "/query/from"),
    ({"zoom": 3, "measure": "change", "from": "2026-02", "to": "2026-01"}, 422, "/query/to"),
    ({"resolution": 7, "measure": "change", "from": "2026-01"}, 422, "/query/resolution"),
]


async def test_a_wrong_request_is_refused_and_named(client: httpx.AsyncClient) -> None:
    for query, status, pointer in REFUSED:
        answer = await client.get("/v1/heatmap", params=query)
        assert answer.status_code == status, query
        assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
