"""Edits of drafts: moves, merges, splits, locks, undo; what they refuse, and what stays true."""

import asyncio
import random
from typing import Any

import h3
import httpx
import pytest
import shapely
from sqlalchemy import text

from app.db.session import Database
from tests.conftest import ANY_VERSION
from tests.plans.checks import cells_by_territory, is_contiguous_mixed
from tests.plans.conftest import DesignPlan

pytestmark = pytest.mark.usefixtures("designed_once")

ALIGNMENT = text("SELECT alignment FROM plan WHERE id = :plan")
Cells = dict[str, list[str]]


@pytest.fixture
async def draft(
    client: httpx.AsyncClient, customers: int, layer_id: int, design_plan: DesignPlan
) -> str:
    """The address of a draft with four territories."""
    run = await design_plan(layer_id=layer_id, n_territories=4)
    return str(run["result"]["href"])


async def get(client: httpx.AsyncClient, href: str) -> dict[str, Any]:
    answer = await client.get(href)
    assert answer.status_code == 200, answer.text
    view: dict[str, Any] = answer.json()
    return view


async def cells_of(client: httpx.AsyncClient, href: str) -> Cells:
    return cells_by_territory(await get(client, f"{href}/cells"))


async def post(
    client: httpx.AsyncClient, href: str, step: str, body: Any = None, **headers: str
) -> httpx.Response:
    content = {} if body is None else {"json": body}
    return await client.post(f"{href}:{step}", headers={**ANY_VERSION, **headers}, **content)


async def move(
    client: httpx.AsyncClient, href: str, cells: list[str], to: str, **headers: str
) -> httpx.Response:
    body = {"moves": [{"cells": cells, "to": to}]}
    return await client.patch(f"{href}/cells", json=body, headers={**ANY_VERSION, **headers})


def borders(cells: Cells) -> list[tuple[str, str, str]]:
    """Every cell with a neighbour in another territory: the cell, its owner, the other."""
    owner = {cell: code for code, mine in cells.items() for cell in mine}
    found = [
        (cell, code, owner[near])
        for cell, code in owner.items()
        for near in h3.grid_ring(cell, 1)
        if owner.get(near, code) != code
    ]
    return sorted(set(found))


def movable(cells: Cells) -> tuple[str, str, str]:
    """The first cell of a border that can go over and leave both territories in one piece."""
    for cell, giver, taker in borders(cells):
        left = [other for other in cells[giver] if other != cell]
        if left and is_contiguous_mixed(left):
            return cell, giver, taker
    raise AssertionError("no cell can move")


def bridge_cell(cells: Cells) -> tuple[list[str], str, str]:
    """Cells of one territory whose loss tears it: all that lies around a cell on a border."""
    for cell, giver, taker in borders(cells):
        ring = [near for near in h3.grid_ring(cell, 1) if near in cells[giver]]
        left = [other for other in cells[giver] if other not in ring]
        if len(ring) > 1 and len(left) > 1 and not is_contiguous_mixed(left):
            return ring, giver, taker
    raise AssertionError("nothing tears")


def require_whole(cells: Cells, everything: set[str]) -> None:
    listed = [cell for mine in cells.values() for cell in mine]
    assert len(listed) == len(set(listed))
    assert set(listed) == everything
    for code, mine in cells.items():
        assert is_contiguous_mixed(mine), code


async def require_true(client: httpx.AsyncClient, database: Database, href: str) -> None:
    """Everything that is told of a plan is what its cells and today's customers say."""
    view, cells = await get(client, href), await cells_of(client, href)
    owner = {cell: code for code, mine in cells.items() for cell in mine}
    async with database.reading() as session:
        rows = await session.execute(
            text("SELECT cell, work_minutes FROM customer WHERE status <> 'inactive'")
        )
        customers = [(h3.int_to_str(cell), work) for cell, work in rows]
    sums: dict[str, list[float]] = {code: [0, 0.0] for code in cells}
    for fine, work in customers:
        code = next(
            (owner[up] for r in view["resolutions"] if (up := h3.cell_to_parent(fine, r)) in owner),
            None,
        )
        if code is not None:
            sums[code][0] += 1
            sums[code][1] += work
    assert {row["code"] for row in view["balance"]} == set(cells)
    total = sum(work for _, work in sums.values())
    for row in view["balance"]:
        n, work = sums[row["code"]]
        assert (row["customers"], row["n_cells"], row["components"]) == (
            n, len(cells[row["code"]]), 1,
        )  # fmt: skip
        assert row["work_minutes"] == pytest.approx(work)
        target = row["target_work_minutes"]
        assert target == pytest.approx(total / len(cells)), "all are to be equal"
        assert row["imbalance"]["work_minutes"] == pytest.approx((work - target) / target)
    worst = max(abs(row["imbalance"]["work_minutes"]) for row in view["balance"])
    assert view["max_imbalance"]["work_minutes"] == pytest.approx(worst)
    assert view["is_feasible"] == (not view["violations"])
    misses = {v["facts"]["measure"] for v in view["violations"] if v["code"] == "tolerance_not_met"}
    assert ("work_minutes" in misses) == (worst > view["tolerances"]["work_minutes"])
    assert view["n_territories"] == len(cells)
    drawn = await get(client, f"{href}/territories")
    shapes = {f["properties"]["code"]: shapely.geometry.shape(f["geometry"])
              for f in drawn["features"]}  # fmt: skip
    for code, mine in cells.items():
        assert shapes[code].is_valid
        ground = sum(h3.cell_area(cell) for cell in mine)
        assert shapes[code].buffer(1e-9).contains(shapely.Point(_label(view, code)))
        for cell in mine:
            lat, lon = h3.cell_to_latlng(cell)
            assert shapes[code].contains(shapely.Point(lon, lat)), code
        assert ground > 0
    whole = sum(shape.area for shape in shapes.values())
    assert shapely.union_all(list(shapes.values())).area == pytest.approx(whole), "no overlap"
    async with database.reading() as session:
        for column in ("tile_outline", "tile_overview"):
            n_bad = await session.scalar(text(
                f"SELECT count(*) FROM territory WHERE plan_id = :plan AND NOT ST_IsValid({column})"
            ), {"plan": view["id"]})  # fmt: skip
            assert n_bad == 0
        apart = await session.scalar(
            text("""SELECT max(ST_Area(ST_SymDifference(tile_outline,
                ST_Transform(outline, 3857))) / ST_Area(tile_outline))
                FROM territory WHERE plan_id = :plan"""),
            {"plan": view["id"]},
        )
        assert apart < 1e-6


def _label(view: dict[str, Any], code: str) -> list[float]:
    return next(row["label_point"] for row in view["balance"] if row["code"] == code)


async def test_a_moved_cell_changes_hands_and_everything_told_stays_true(
    client: httpx.AsyncClient, database: Database, draft: str
) -> None:
    before = await cells_of(client, draft)
    cell, giver, taker = movable(before)

    answer = await move(client, draft, [cell], taker)

    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"] == (await client.get(draft)).headers["ETag"]
    edited = {row["code"]: row["is_connected"] for row in answer.json()["edited"]}
    assert edited == {giver: True, taker: True}
    after = await cells_of(client, draft)
    assert set(after[taker]) == {*before[taker], cell}
    assert set(after[giver]) == set(before[giver]) - {cell}
    await require_true(client, database, draft)


async def test_cells_may_be_named_coarser_or_finer_than_those_of_the_plan(
    client: httpx.AsyncClient, draft: str
) -> None:
    before = await cells_of(client, draft)
    cell, giver, taker = movable(before)
    fine = h3.cell_to_center_child(cell, h3.get_resolution(cell) + 2)

    assert (await move(client, draft, [fine], taker)).status_code == 200
    assert cell in (await cells_of(client, draft))[taker]
    assert (await move(client, draft, [cell], giver)).status_code == 200
    assert await cells_of(client, draft) == before


@pytest.mark.parametrize("case", ["torn", "empty", "outside", "nowhere", "no cell"])
async def test_a_move_that_cannot_be_is_refused_with_its_reason_and_changes_nothing(
    client: httpx.AsyncClient, draft: str, case: str
) -> None:
    cells = await cells_of(client, draft)
    ring, giver, taker = bridge_cell(cells)
    moves = {
        "torn": (ring, taker, 409, "torn", giver),
        "empty": (cells["T01"], "T02", 409, "empty", "T01"),
        "outside": (["870800000ffffff"], "T01", 422, "outside", "/moves/0/cells/0"),
        "nowhere": (ring, "T77", 422, "unknown", "T77"),
        "no cell": (["ffffffffffffffff"], "T01", 422, "not-a-cell", ""),
    }
    named, to, status, code, told = moves[case]
    before = (await client.get(draft)).content

    answer = await move(client, draft, named, to)

    assert answer.status_code == status, answer.text
    assert answer.json()["errors"][0]["code"] == code
    assert told in answer.text
    assert (await client.get(draft)).content == before
    assert await cells_of(client, draft) == cells


async def test_of_two_editors_with_one_version_one_wins(
    client: httpx.AsyncClient, draft: str
) -> None:
    cells = await cells_of(client, draft)
    cell, _, taker = movable(cells)
    etag = (await client.get(draft)).headers["ETag"]

    answers = await asyncio.gather(
        move(client, draft, [cell], taker, **{"If-Match": etag}),
        post(client, draft, "split", {"territory": "T01", "parts": 2}, **{"If-Match": etag}),
    )

    assert sorted(answer.status_code for answer in answers) == [200, 412]
    without = await client.patch(f"{draft}/cells", json={"moves": [{"cells": [cell], "to": taker}]})
    assert without.status_code == 428


async def test_named_accounts_count_for_the_territory_that_they_name(
    client: httpx.AsyncClient, database: Database, draft: str, layer_id: int
) -> None:
    rows = {row["code"]: row for row in (await get(client, draft))["balance"]}
    cells = await cells_of(client, draft)
    _, giver, taker = movable(cells)
    async with database.reading() as session:
        fine = await session.execute(text("SELECT id, cell FROM customer ORDER BY id"))
        levels = {h3.get_resolution(cell) for cell in cells[giver]}
        inside = [
            number
            for number, at in fine
            if any(h3.cell_to_parent(h3.int_to_str(at), r) in cells[giver] for r in levels)
        ]
    for number in inside[:3]:
        path = f"/v1/layers/{layer_id}/named-accounts/{number}"
        named = await client.put(path, json={"territory": taker, "reason": "Head office"})
        assert named.status_code == 201

    refreshed = await post(client, draft, "refresh")

    after = {row["code"]: row for row in refreshed.json()["balance"]}
    assert after[giver]["customers"] == rows[giver]["customers"] - 3
    assert after[taker]["customers"] == rows[taker]["customers"] + 3
    assert after[taker]["work_minutes"] == pytest.approx(rows[taker]["work_minutes"] + 300)
    assert refreshed.json()["named_accounts"]["customers"] == 3
    merged = await post(client, draft, "merge", {"territories": [giver, taker], "into": giver})
    assert merged.json()["named_accounts"] == {
        "customers": 0, "share": 0.0, "without_territory": 3,
    }  # fmt: skip


# --- merge and split -----------------------------------------------------------------------------


def touching(cells: Cells) -> tuple[tuple[str, str], tuple[str, str] | None]:
    """Two territories that touch, and two that do not, if there are such."""
    near = {tuple(sorted(pair[1:])) for pair in borders(cells)}
    every = [(a, b) for a in sorted(cells) for b in sorted(cells) if a < b]
    apart = next((pair for pair in every if pair not in near), None)
    return next(pair for pair in every if pair in near), apart


async def test_a_merge_leaves_the_codes_of_the_others(
    client: httpx.AsyncClient, database: Database, draft: str
) -> None:
    before = await cells_of(client, draft)
    (one, other), _ = touching(before)

    answer = await post(client, draft, "merge", {"territories": [one, other], "into": one})

    assert answer.status_code == 200, answer.text
    after = await cells_of(client, draft)
    assert set(after) == set(before) - {other}
    assert set(after[one]) == {*before[one], *before[other]}
    assert all(after[code] == before[code] for code in after if code != one)
    gone = next(row for row in answer.json()["edited"] if row["code"] == other)
    assert gone == {"code": other, "is_connected": None, "components": 0}
    assert answer.json()["parameters"]["n_territories"] == 3
    await require_true(client, database, draft)


async def test_a_split_makes_even_parts_of_which_one_keeps_the_code(
    client: httpx.AsyncClient, database: Database, draft: str
) -> None:
    before = await cells_of(client, draft)
    label = _label(await get(client, draft), "T01")

    answer = await post(client, draft, "split", {"territory": "T01", "parts": 3})

    assert answer.status_code == 200, answer.text
    after = await cells_of(client, draft)
    assert set(after) == {"T01", "T02", "T03", "T04", "T05", "T06"}
    parts = [*after["T01"], *after["T05"], *after["T06"]]
    assert sorted(parts) == sorted(before["T01"])
    assert all(after[code] == before[code] for code in ("T02", "T03", "T04"))
    work = [row["work_minutes"] for row in answer.json()["balance"]
            if row["code"] in ("T01", "T05", "T06")]  # fmt: skip
    assert max(work) / min(work) < 1.4
    fine = h3.latlng_to_cell(label[1], label[0], 12)
    home = {h3.cell_to_parent(fine, r) for r in answer.json()["resolutions"]}
    assert home & set(after["T01"])
    await require_true(client, database, draft)


async def test_a_code_is_not_given_to_other_ground(client: httpx.AsyncClient, draft: str) -> None:
    (one, other), _ = touching(await cells_of(client, draft))
    await post(client, draft, "merge", {"territories": [one, other], "into": one})

    await post(client, draft, "split", {"territory": one, "parts": 2})

    assert set(await cells_of(client, draft)) == ({"T01", "T02", "T03", "T04"} - {other}) | {"T05"}


async def test_territories_that_do_not_touch_are_not_merged(
    client: httpx.AsyncClient, draft: str
) -> None:
    await post(client, draft, "split", {"territory": "T01", "parts": 4})
    cells = await cells_of(client, draft)
    _, apart = touching(cells)
    assert apart is not None

    answer = await post(client, draft, "merge", {"territories": list(apart), "into": apart[0]})

    assert answer.status_code == 409
    assert answer.json()["errors"][0]["code"] == "not-touching"
    assert await cells_of(client, draft) == cells


@pytest.mark.parametrize(
    ("step", "body", "status", "code"),
    [
        ("split", {"territory": "T01", "parts": 4000}, 422, "more-parts-than-cells"),
        ("split", {"territory": "T77", "parts": 2}, 422, "unknown"),
        ("split", {"territory": "T01", "parts": 1}, 422, "greater_than_equal"),
        ("merge", {"territories": ["T01", "T01"], "into": "T01"}, 422, "too-few"),
        ("merge", {"territories": ["T01", "T02"], "into": "T03"}, 422, "not-among"),
        ("merge", {"territories": ["T01", "T77"], "into": "T01"}, 422, "unknown"),
        ("lock", {"territories": ["T77"]}, 422, "unknown"),
        ("lock", {"cells": ["870800000ffffff"]}, 422, "outside"),
        ("lock", {}, 422, "value_error"),
        ("undo", None, 409, "nothing"),
        ("redo", None, 409, "nothing"),
    ],
)
async def test_an_edit_that_cannot_be_is_refused_and_changes_nothing(
    client: httpx.AsyncClient, draft: str, step: str, body: Any, status: int, code: str
) -> None:
    before = (await client.get(draft)).content

    answer = await post(client, draft, step, body)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code), answer.text
    assert (await client.get(draft)).content == before


async def test_only_drafts_are_edited_and_a_copy_is_one(
    client: httpx.AsyncClient, draft: str
) -> None:
    await post(client, draft, "publish", {})
    before = (await client.get(draft)).content
    cells = await cells_of(client, draft)
    cell, _, taker = movable(cells)

    refused = await move(client, draft, [cell], taker)
    assert refused.status_code == 409
    assert "Copy it first" in refused.json()["detail"]
    copied = await post(client, draft, "copy", {"name": "What if"})

    assert copied.status_code == 201
    copy = copied.headers["Location"]
    assert copied.json() == await get(client, copy)
    assert (copied.json()["name"], copied.json()["origin"]) == ("What if", "copy")
    assert copied.json()["state"] == "draft"
    assert await cells_of(client, copy) == cells
    assert (await client.get(f"{copy}/certificate")).status_code == 200
    assert (await move(client, copy, [cell], taker)).status_code == 200
    assert (await client.get(draft)).content == before
    events = (await get(client, f"{copy}/events"))["items"]
    assert [event["action"] for event in events] == ["copied", "moved"]


async def test_an_edited_draft_is_published_as_it_is_now(
    client: httpx.AsyncClient, draft: str
) -> None:
    await post(client, draft, "propose")
    await post(client, draft, "reject", {"reason": "T02 is too large"})
    await post(client, draft, "split", {"territory": "T02", "parts": 2})
    assert (await post(client, draft, "publish", {})).status_code == 201

    view = await get(client, draft)
    for row in view["balance"]:
        lon, lat = row["label_point"]
        answer = await client.get("/v1/territories/at", params={"lon": lon, "lat": lat})
        (item,) = answer.json()["items"]
        assert item["territory"]["code"] == row["code"]


async def test_an_edited_plan_has_no_certificate_until_the_edit_is_undone(
    client: httpx.AsyncClient, draft: str
) -> None:
    known = (await client.get(f"{draft}/certificate")).content
    await post(client, draft, "split", {"territory": "T01", "parts": 2})

    answer = await client.get(f"{draft}/certificate")
    assert answer.status_code == 404
    assert "none is made for this edited plan" in answer.json()["detail"]
    await post(client, draft, "undo")

    assert (await client.get(f"{draft}/certificate")).content == known


# --- locks ---------------------------------------------------------------------------------------


async def test_what_is_locked_does_not_move_until_it_is_unlocked(
    client: httpx.AsyncClient, draft: str
) -> None:
    cells = await cells_of(client, draft)
    cell, giver, taker = movable(cells)
    locked = await post(client, draft, "lock", {"cells": [cell]})
    assert locked.json()["parameters"]["locks"] == [{"territory": giver, "cells": [cell]}]

    refused = await move(client, draft, [cell], taker)
    assert refused.status_code == 409
    assert (refused.json()["errors"][0]["code"], cell in refused.text) == ("locked", True)
    body = {"territories": [giver, taker], "into": taker}
    assert (await post(client, draft, "merge", body)).status_code == 409
    await post(client, draft, "unlock", {"cells": [cell]})

    assert (await move(client, draft, [cell], taker)).status_code == 200


async def test_a_locked_territory_neither_gains_nor_loses(
    client: httpx.AsyncClient, draft: str
) -> None:
    cells = await cells_of(client, draft)
    cell, giver, taker = movable(cells)
    plan_id = int(draft.rpartition("/")[2])
    locked = await post(client, draft, "lock", {"territories": [taker]})
    assert locked.json()["parameters"]["locked_territories"] == {
        "plan_id": plan_id, "codes": [taker],
    }  # fmt: skip

    assert (await move(client, draft, [cell], taker)).status_code == 409
    body = {"territories": [giver, taker], "into": giver}
    assert (await post(client, draft, "merge", body)).status_code == 409
    assert (await post(client, draft, "split", {"territory": taker})).status_code == 409
    await post(client, draft, "unlock", {"territories": [taker]})

    assert (await move(client, draft, [cell], taker)).status_code == 200


async def test_a_later_design_keeps_what_was_locked(
    client: httpx.AsyncClient, draft: str, design_plan: DesignPlan
) -> None:
    cells = await cells_of(client, draft)
    locked = await post(client, draft, "lock", {"territories": ["T02"]})

    run = await design_plan(**locked.json()["parameters"])

    assert run["state"] == "succeeded", run
    again = await cells_of(client, run["result"]["href"])
    assert set(again["T02"]) == set(cells["T02"])


async def test_a_split_keeps_locked_cells_in_the_part_with_the_code(
    client: httpx.AsyncClient, draft: str
) -> None:
    cells = await cells_of(client, draft)
    far = max(cells["T01"], key=lambda cell: h3.cell_to_latlng(cell))
    await post(client, draft, "lock", {"cells": [far]})

    answer = await post(client, draft, "split", {"territory": "T01", "parts": 2})

    assert answer.status_code == 200, answer.text
    assert far in (await cells_of(client, draft))["T01"]


# --- undo ----------------------------------------------------------------------------------------


async def test_undo_goes_back_to_the_very_first_state_and_redo_forward(
    client: httpx.AsyncClient, database: Database, draft: str
) -> None:
    plan = {"plan": int(draft.rpartition("/")[2])}
    first = await get(client, draft)
    async with database.reading() as session:
        aligned = await session.scalar(ALIGNMENT, plan)
    cells = await cells_of(client, draft)
    cell, _, taker = movable(cells)
    (one, other), _ = touching(cells)
    await move(client, draft, [cell], taker)
    await post(client, draft, "merge", {"territories": [one, other], "into": one})
    await post(client, draft, "split", {"territory": one, "parts": 3})
    await post(client, draft, "lock", {"territories": [one]})
    last = await get(client, draft)
    last_cells = await cells_of(client, draft)

    for _ in range(4):
        assert (await post(client, draft, "undo")).status_code == 200
    assert (await post(client, draft, "undo")).status_code == 409
    async with database.reading() as session:
        assert await session.scalar(ALIGNMENT, plan) == aligned
    back = await get(client, draft)
    assert await cells_of(client, draft) == cells
    assert back["parameters"] == first["parameters"]
    assert _told(back) == _told(first)

    for _ in range(4):
        assert (await post(client, draft, "redo")).status_code == 200
    assert (await post(client, draft, "redo")).status_code == 409
    assert await cells_of(client, draft) == last_cells
    assert _told(await get(client, draft)) == _told(last)
    await post(client, draft, "undo")
    await post(client, draft, "split", {"territory": "T04", "parts": 2})
    assert (await post(client, draft, "redo")).status_code == 409, "another edit was made"


def _told(view: dict[str, Any]) -> list[Any]:
    """What a balance table tells of the alignment; rows that were away have another id."""
    own = ("code", "name", "n_cells", "customers", "work_minutes", "target_work_minutes", "bbox")
    return [
        [
            round(value, 3) if isinstance(value, float) else value
            for value in (row[name] for name in own)
        ]
        for row in view["balance"]
    ]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_is_edited_every_cell_has_one_territory_and_each_is_in_one_piece(
    client: httpx.AsyncClient, database: Database, draft: str, seed: int
) -> None:
    chance = random.Random(seed)
    cells = await cells_of(client, draft)
    everything = {cell for mine in cells.values() for cell in mine}
    outcomes: list[int] = []
    for _ in range(40):
        kind = chance.choice(["move", "move", "move", "merge", "split", "undo", "redo"])
        codes = sorted(cells)
        if len(codes) == 1 and kind in ("move", "merge"):
            kind = "split"
        if kind == "move":
            edge = borders(cells)
            seed_cell, _, taker = chance.choice(edge)
            patch = [c for c in h3.grid_disk(seed_cell, chance.randint(0, 3)) if c in everything]
            answer = await move(client, draft, patch, taker)
        elif kind == "merge":
            pair = chance.sample(codes, 2)
            answer = await post(client, draft, "merge", {"territories": pair, "into": pair[1]})
        elif kind == "split":
            body = {"territory": chance.choice(codes), "parts": chance.randint(2, 3)}
            answer = await post(client, draft, "split", body)
        else:
            answer = await post(client, draft, kind)
        assert answer.status_code in (200, 409), answer.text
        outcomes.append(answer.status_code)
        cells = await cells_of(client, draft)
        require_whole(cells, everything)
    assert outcomes.count(200) > 15
    await require_true(client, database, draft)
