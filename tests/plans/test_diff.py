"""What changes hands between two plans, against customers counted one by one."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest
import shapely
from sqlalchemy import text

from app.db.session import Database
from app.settings import Settings
from geo.cell_sets import owners_of, refined
from geo.cells import (
    CUSTOMER_RESOLUTION,
    CellArray,
    ancestors,
    cells_from_points,
    cells_from_text,
    descendants,
    points_from_cells,
)
from tests.auth.clients import ClientAs, clients_of
from tests.search.crowd import add_customers, clear
from tests.tiles.ground import add_owner, add_plan, patch, quarters

HERE = (121.47, 31.23)
N = 400
MEASURES = ("customers", "work_minutes", "potential", "revenue")
# Twenty customers are T01's by name and ten a territory's that only the second plan has.
NAMED = text("""
    INSERT INTO customer_override (layer_id, customer_id, territory_code, during, reason)
    SELECT :layer_id, customer.id, CASE WHEN n < 20 THEN 'T01' ELSE 'T05' END,
        tstzrange('2020-01-01', NULL), 'Key account'
    FROM generate_series(0, 29) AS n JOIN customer ON external_id = 'C' || n
""")


@dataclass
class Ground:
    client_as: ClientAs
    admin: httpx.AsyncClient
    plans: tuple[int, int]
    other_layer: int
    reps: dict[str, int]
    codes: tuple[list[str | None], list[str | None]]
    """The territory of each customer that is counted in each plan, as the documentation says."""
    counted: np.ndarray
    amounts: np.ndarray


def split(cells: CellArray, every: int, resolution: int) -> CellArray:
    """The same ground with some cells replaced by finer ones."""
    is_split = np.arange(len(cells)) % every == 0
    return np.sort(np.concatenate([cells[~is_split], descendants(cells[is_split], resolution)]))


def fifths(cells: CellArray) -> np.ndarray:
    """Quarters, moved eastward, and a fifth territory in the middle."""
    lon, lat = points_from_cells(cells)
    owners = (lon > HERE[0] + 0.05) * 1 + (lat > HERE[1]) * 2
    owners[np.hypot(lon - HERE[0], lat - HERE[1]) < 0.1] = 4
    return owners


@pytest.fixture(scope="module")
async def ground(settings: Settings) -> AsyncIterator[Ground]:
    clear(settings)
    database = Database.of(settings)
    rng = np.random.default_rng(5)
    lon, lat = (rng.normal(middle, 0.3, N) for middle in HERE)
    status = rng.choice(["active", "lead", "inactive"], N)
    amounts = np.column_stack([np.ones(N), rng.integers(1, 500, (N, 3))]).astype(float)
    await add_customers(
        database, lon, lat, status=status.tolist(), work_minutes=amounts[:, 1].tolist(),
        potential=amounts[:, 2].tolist(), revenue=amounts[:, 3].tolist(),
    )  # fmt: skip
    # The second plan leaves out the west and reaches farther east; each has finer cells of its own.
    first = split(patch(*HERE, 0.8, 7), 3, 8)
    second = split(patch(HERE[0] + 0.1, HERE[1], 0.8, 7), 4, 9)
    sides = [(first, quarters(first)), (second, fifths(second))]
    plans, territories = [], []
    for number, (cells, alignment) in enumerate(sides):
        plan_id, ids = await add_plan(database, cells, alignment, layer=f"layer {number}",
                                      is_published=number == 0)  # fmt: skip
        plans.append(plan_id)
        territories.append(ids)
    other, _ = await add_plan(database, first, quarters(first), layer="other", is_published=False)
    reps = {code: await add_owner(database, territories[0][i], code)
            for i, code in enumerate(("T01", "T02"))}  # fmt: skip
    async with database.writing() as session:
        layer = text("SELECT layer_id FROM plan WHERE id = :id")
        layer_id = await session.scalar(layer, {"id": plans[0]})
        moved = text("UPDATE plan SET layer_id = :layer_id WHERE id = :id")
        await session.execute(moved, {"layer_id": layer_id, "id": plans[1]})
        await session.execute(NAMED, {"layer_id": layer_id})
    fine = cells_from_points(lon, lat, CUSTOMER_RESOLUTION)
    codes = []
    for (cells, alignment), named in zip(sides, ({"T01"}, {"T01", "T05"}), strict=True):
        place = owners_of(cells, fine)
        side = [None if i < 0 else f"T{alignment[i] + 1:02d}" for i in place.tolist()]
        side[:20] = ["T01"] * 20
        side[20:30] = ["T05" if "T05" in named else None] * 10
        codes.append(side)
    async with clients_of(settings, database) as client_as:
        admin = await client_as("admin")
        yield Ground(client_as, admin, (plans[0], plans[1]), other, reps, (codes[0], codes[1]),
                     status != "inactive", amounts)  # fmt: skip
    await database.close()
    clear(settings)


def brute_force(ground: Ground, *, back: bool) -> dict[tuple[str | None, str | None], list[float]]:
    """The sums of what changes hands, by both territories."""
    before, after = ground.codes[::-1] if back else ground.codes
    found: dict[Any, Any] = {}
    for pair, is_counted, amounts in zip(
        zip(before, after, strict=True), ground.counted, ground.amounts, strict=True
    ):
        if is_counted and pair[0] != pair[1]:
            found[pair] = found.get(pair, np.zeros(4)) + amounts
    return {pair: sums.tolist() for pair, sums in found.items()}


async def difference(ground: Ground, *, back: bool = False, form: str = "json") -> httpx.Response:
    first, second = ground.plans[::-1] if back else ground.plans
    answer = await ground.admin.get(f"/v1/plans/{first}/diff/{second}?format={form}")
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize("back", [False, True])
async def test_moves_are_those_of_the_customers_one_by_one(ground: Ground, back: bool) -> None:
    document = (await difference(ground, back=back)).json()
    moves = {
        (move["from"]["code"], move["to"]["code"]): [move[name] for name in MEASURES]
        for move in document["moves"]
        if move["customers"]
    }

    expected = brute_force(ground, back=back)
    assert moves == expected
    is_held = np.array([a is not None or b is not None for a, b in zip(*ground.codes, strict=True)])
    totals = ground.amounts[is_held & ground.counted].sum(axis=0)
    moved = np.sum(list(expected.values()), axis=0)
    for name, part, whole in zip(MEASURES, moved, totals, strict=True):
        assert document[name] == pytest.approx(
            {"moved": part, "total": whole, "share": part / whole}
        )
    assert 0 < document["n_cells_moved"] < document["n_cells"]


async def test_a_rep_gains_and_loses_what_comes_and_goes(ground: Ground) -> None:
    document = (await difference(ground)).json()

    for change in document["reps"]:
        code = change["rep"]["name"]
        pairs = brute_force(ground, back=False).items()
        gained = sum((np.array(sums) for (_, to), sums in pairs if to == code), np.zeros(4))
        lost = sum((np.array(sums) for (of, _), sums in pairs if of == code), np.zeros(4))
        assert [change["gained"][name] for name in MEASURES] == pytest.approx(gained.tolist())
        assert [change["lost"][name] for name in MEASURES] == pytest.approx(lost.tolist())
    assert {change["rep"]["id"] for change in document["reps"]} == set(ground.reps.values())


async def test_the_table_holds_each_cell_that_moves_once(ground: Ground) -> None:
    document = (await difference(ground)).json()
    answer = await difference(ground, form="csv")
    header, *lines = csv.reader(io.StringIO(answer.text))

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert header == ["cell", "from", "to", *MEASURES]
    cells = np.sort(cells_from_text([line[0] for line in lines]))
    assert len(np.unique(cells)) == document["n_cells_moved"] == len(lines)
    assert all(line[1] != line[2] for line in lines)
    # Named accounts do not move with their cell.
    by_cell = sum(float(line[4]) for line in lines)
    named = [i for i in range(30) if ground.counted[i] and ground.codes[0][i] != ground.codes[1][i]]
    moved = document["work_minutes"]["moved"]
    assert by_cell == pytest.approx(moved - ground.amounts[named, 1].sum())


async def test_features_are_the_ground_between_two_territories(ground: Ground) -> None:
    answer = await difference(ground, form="geojson")
    features = answer.json()["features"]

    assert answer.headers["content-type"] == "application/geo+json"
    shapes = [shapely.geometry.shape(f["geometry"]) for f in features if f["geometry"]]
    assert all(shape.is_valid for shape in shapes)
    overlap = sum(shape.area for shape in shapes) - shapely.union_all(shapes).area
    assert overlap == pytest.approx(0, abs=1e-9)
    moves = (await difference(ground)).json()["moves"]
    for feature, move in zip(features, moves, strict=True):
        told = feature["properties"]
        assert {name: told[name] for name in MEASURES} == {name: move[name] for name in MEASURES}
        for side in ("from", "to"):
            rep = move[side]["rep"]
            assert told[side] == move[side]["code"]
            assert told[f"{side}_rep"] == (rep and rep["name"])
    assert {f["properties"]["n_cells"] > 0 for f in features if f["geometry"]} == {True}


async def test_a_plan_does_not_differ_from_itself(ground: Ground) -> None:
    plan_id = ground.plans[0]
    document = (await ground.admin.get(f"/v1/plans/{plan_id}/diff/{plan_id}")).json()

    assert document["n_cells_moved"] == 0
    assert document["moves"] == document["reps"] == []
    assert document["customers"]["share"] == 0 < document["customers"]["total"]


async def test_plans_of_two_layers_are_refused(ground: Ground) -> None:
    answer = await ground.admin.get(f"/v1/plans/{ground.plans[0]}/diff/{ground.other_layer}")

    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert (fault["code"], fault["pointer"]) == ("other-layer", "/path/other_id")


@pytest.mark.parametrize(("role", "status"), [("manager", 404), ("rep", 404), ("viewer", 403)])
async def test_who_does_not_see_all_does_not_see_what_moves(
    ground: Ground, role: str, status: int
) -> None:
    rep_id = ground.reps["T01"] if role != "viewer" else None
    client = await ground.client_as(role, rep_id)

    answer = await client.get(f"/v1/plans/{ground.plans[0]}/diff/{ground.plans[1]}")

    assert answer.status_code == status


def test_refined_cells_are_the_same_ground_in_one_cell_of_the_other_each() -> None:
    first = split(patch(*HERE, 0.3, 6), 3, 7)
    second = split(patch(HERE[0] + 0.1, HERE[1], 0.3, 5), 2, 8)

    cells = refined(first, second)

    assert np.array_equal(descendants(cells, 8), descendants(first, 8))
    theirs = owners_of(second, cells)
    assert (theirs >= -1).all()
    for resolution in (6, 7):
        coarse = cells[np.isin(cells, first)]
        assert np.isin(ancestors(descendants(coarse, 8), resolution), first).any()
