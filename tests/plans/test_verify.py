"""Plans made again from what was kept of them: identical, or the check that says why not."""

import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

import app.cli
import app.cli.session
from app.db.alignment import pack, unpack
from app.db.session import Database
from app.plans import front_store
from app.plans.demand import Demand
from app.plans.reproduction import why_not
from app.plans.snapshot import Given, pack_demand, pack_given, unpack_demand, unpack_given
from app.settings import Settings
from tests.conftest import Drain
from tests.plans.conftest import DesignPlan, Designs, once_for_each_input

pytestmark = pytest.mark.usefixtures("designed_once", "verified_once")

Verify = Callable[[int], Awaitable[dict[str, Any]]]
CHECKS = [
    "versions", "input", "given", "parameters", "cells", "alignment", "scores", "certificate",
]  # fmt: skip


@pytest.fixture(scope="session")
def made_again() -> Designs:
    """What verifications left, apart from what designs left: the two are compared."""
    return {}


@pytest.fixture
def verified_once(made_again: Designs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a plan made again once for each input."""
    monkeypatch.setattr("app.plans.verify_job.run_child", once_for_each_input(made_again))


@pytest.fixture
async def plan_id(
    client: httpx.AsyncClient, customers: int, layer_id: int, design_plan: DesignPlan
) -> int:
    run = await design_plan(layer_id=layer_id, n_territories=5, name="Spring")
    assert run["state"] == "succeeded", run
    return int(run["result"]["plan_id"])


@pytest.fixture
def verify(client: httpx.AsyncClient, drain: Drain) -> Verify:
    async def again(plan_id: int) -> dict[str, Any]:
        answer = await client.post(f"/v1/plans/{plan_id}:verify")
        assert answer.status_code == 202, answer.text
        await drain()
        run = (await client.get(answer.headers["Location"])).json()
        assert (run["kind"], run["state"]) == ("verify", "succeeded"), run
        result: dict[str, Any] = run["result"]
        return result

    return again


async def change(database: Database, statement: str, **values: Any) -> None:
    async with database.writing() as session:
        await session.execute(text(statement), values)


def failed(found: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["detail"] for check in found["checks"] if not check["ok"]}


async def test_a_design_is_made_again_to_the_bit_when_its_customers_are_gone(
    database: Database, plan_id: int, verify: Verify
) -> None:
    await change(database, "DELETE FROM customer")

    found = await verify(plan_id)

    assert found["identical"] is True, found
    assert (found["origin"], found["parent_id"]) == ("design", None)
    assert [check["name"] for check in found["checks"]] == CHECKS


async def test_what_was_looked_up_is_kept_too(
    client: httpx.AsyncClient,
    database: Database,
    plan_id: int,
    layer_id: int,
    design_plan: DesignPlan,
    verify: Verify,
) -> None:
    for number, (lon, lat) in enumerate([(112.6, 30.2), (113.3, 30.9), (113.0, 30.5)]):
        body = {"external_id": f"r{number}", "name": "R", "home_lon": lon, "home_lat": lat}
        answer = await client.post("/v1/reps", json=body)
        assert answer.status_code == 201, answer.text
    run = await design_plan(
        layer_id=layer_id, rep_ids=[1, 2, 3], homes="preferred",
        locked_territories={"plan_id": plan_id, "codes": ["T02"]},
        tolerances={"work_minutes": 0.5, "customers": None},
    )  # fmt: skip
    assert run["state"] == "succeeded", run
    locked = run["result"]["plan_id"]
    # Other reps, and the plan with the locked territory is gone.
    await change(database, "DELETE FROM plan WHERE id = :id", id=plan_id)
    await change(database, "UPDATE rep SET fte = 0.1, home = NULL")

    found = await verify(locked)

    assert found["identical"] is True, found


async def test_members_of_a_front_are_made_again(
    client: httpx.AsyncClient,
    database: Database,
    plan_id: int,
    drain: Drain,
    verify: Verify,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(front_store, "LADDER", (0.4, 1.0, 3.0))
    await client.post(f"/v1/plans/{plan_id}:front")
    await drain()
    points = (await client.get(f"/v1/plans/{plan_id}/front")).json()["points"]
    members = [point["plan_id"] for point in points if point["kind"] == "member"]
    async with database.reading() as session:
        n_inputs = await session.scalar(text("SELECT count(*) FROM plan_input"))
    # The plan whose cells the members are made of is gone.
    await change(database, "DELETE FROM plan_front")
    await change(database, "DELETE FROM plan WHERE id = :id", id=plan_id)

    assert n_inputs == 1
    assert members
    for member in members:
        found = await verify(member)
        assert found["identical"] is True, found
        assert found["origin"] == "front"


async def test_a_cell_in_another_territory_is_found_by_the_alignment(
    database: Database, plan_id: int, verify: Verify
) -> None:
    async with database.reading() as session:
        cells, owners = unpack(await session.scalar(text("SELECT alignment FROM plan")))
    owners[3] = (owners[3] + 1) % 5
    await change(
        database, "UPDATE plan SET alignment = :data, version = 2", data=pack(cells, owners)
    )

    found = await verify(plan_id)

    assert found["identical"] is False
    assert failed(found) == {
        "alignment": f"1 of {len(cells)} cells are in another territory than in the design; the "
        "plan was changed since it was made (version 2)"
    }


async def test_cells_that_are_not_those_of_the_design_are_found(
    database: Database, plan_id: int, verify: Verify
) -> None:
    async with database.reading() as session:
        cells, owners = unpack(await session.scalar(text("SELECT alignment FROM plan")))
    await change(database, "UPDATE plan SET alignment = :data", data=pack(cells[1:], owners[1:]))

    found = failed(await verify(plan_id))

    assert found["cells"] == "1 cells of the design are not in the plan, 0 are there beside"
    assert set(found) == {"cells", "alignment"}


@pytest.mark.parametrize("part", ["one value", "bytes"])
async def test_a_changed_snapshot_is_found_by_the_input(
    database: Database, plan_id: int, verify: Verify, part: str
) -> None:
    async with database.reading() as session:
        data = await session.scalar(text("SELECT data FROM plan_input"))
    if part == "one value":
        demand = unpack_demand(data)
        demand.activity[7, 0] += 0.01
        data = pack_demand(demand)
    else:
        data = data[:-9]
    await change(database, "UPDATE plan_input SET data = :data", data=data)

    found = await verify(plan_id)

    assert found["identical"] is False
    assert "input" in failed(found)
    assert "cells" not in {check["name"] for check in found["checks"]}


@pytest.mark.parametrize(
    ("column", "path", "value", "names"),
    [
        ("parameters", "{tolerances,work_minutes}", "0.06", "/tolerances/work_minutes"),
        ("parameters", "{seed}", "2", "/seed"),
        ("manifest", "{parameters,n_territories}", "6", "/n_territories"),
        ("manifest", "{seed}", "2", "seed"),
    ],
)
async def test_a_changed_parameter_is_found_by_the_parameters(
    database: Database,
    plan_id: int,
    verify: Verify,
    column: str,
    path: str,
    value: str,
    names: str,
) -> None:
    await change(database, f"UPDATE plan SET {column} = jsonb_set({column}, '{path}', '{value}')")

    found = await verify(plan_id)

    assert failed(found)["parameters"] == f"plan and manifest differ in {names}"


async def test_a_parameter_changed_everywhere_gives_another_plan(
    database: Database, plan_id: int, verify: Verify
) -> None:
    await change(
        database,
        """UPDATE plan SET parameters = jsonb_set(parameters, '{n_territories}', '6'),
            manifest = jsonb_set(manifest, '{parameters,n_territories}', '6')""",
    )

    found = failed(await verify(plan_id))

    assert {"alignment", "scores", "certificate"} <= set(found)


@pytest.mark.parametrize(
    ("statement", "check", "words"),
    [
        ("UPDATE plan SET scores = jsonb_set(scores, '{cut_edges}', '1')", "scores",
         "differ in /scores/cut_edges"),
        ("UPDATE territory SET scores = jsonb_set(scores, '{radius_km}', '1') WHERE code = 'T03'",
         "scores", "differ in /territories/T03/radius_km"),
        ("UPDATE plan SET components = '[]'", "scores", "differ in /components"),
        ("UPDATE plan_certificate SET sha256 = 'f00'", "certificate", "the one named f00"),
        ("UPDATE plan_certificate SET document = 'x'", "certificate", "cannot be unpacked"),
        ("DELETE FROM plan_certificate", "certificate", "has none"),
        ("UPDATE plan SET manifest = jsonb_set(manifest, '{reps}', '[{}]')", "given",
         "not those of the manifest"),
        ("UPDATE plan_source SET given = 'x'", "input", "cannot be unpacked"),
        ("UPDATE plan SET alignment = 'x'", "alignment", "cannot be unpacked"),
    ],
)  # fmt: skip
async def test_whatever_else_was_changed_is_found_by_its_check(
    database: Database, plan_id: int, verify: Verify, statement: str, check: str, words: str
) -> None:
    await change(database, statement)

    found = await verify(plan_id)

    assert found["identical"] is False
    assert words in failed(found)[check]


async def test_other_versions_are_said_and_are_no_failure(
    database: Database, plan_id: int, verify: Verify
) -> None:
    await change(
        database,
        """UPDATE plan SET manifest = jsonb_set(manifest, '{libraries,numpy}', '"1.0"')""",
    )

    found = await verify(plan_id)

    assert found["identical"] is True
    assert found["checks"][0]["detail"] == f"numpy 1.0 then, {np.__version__} here"


@pytest.mark.parametrize("origin", ["copy", "split", "merge", "edit"])
async def test_a_plan_made_by_hand_names_the_one_it_stems_from(
    database: Database, plan_id: int, verify: Verify, design_plan: DesignPlan, origin: str
) -> None:
    await change(database, "UPDATE plan SET origin = :o, parent_id = id", o=origin)

    found = await verify(plan_id)

    assert found["identical"] is False
    assert f"it stems from plan {plan_id}" in failed(found)["origin"]
    assert "cannot be made again" in failed(found)["origin"]


def test_a_plan_made_by_hand_from_one_that_is_gone_says_so() -> None:
    assert "is gone" in why_not("edit", None)


async def test_a_plan_without_an_input_cannot_be_verified(
    database: Database, plan_id: int, verify: Verify
) -> None:
    await change(database, "DELETE FROM plan_source")

    assert "kept no input" in failed(await verify(plan_id))["input"]


async def test_one_verification_of_a_plan_at_a_time(
    client: httpx.AsyncClient, plan_id: int
) -> None:
    first = await client.post(f"/v1/plans/{plan_id}:verify")
    second = await client.post(f"/v1/plans/{plan_id}:verify")

    assert first.status_code == 202
    assert second.status_code == 409
    assert second.json()["errors"][0]["detail"] == first.headers["Location"]


async def test_an_input_goes_with_the_last_plan_made_from_it(
    database: Database, plan_id: int, layer_id: int, design_plan: DesignPlan, drain: Drain
) -> None:
    run = await design_plan(layer_id=layer_id, n_territories=4)
    counts = []
    for gone in (plan_id, run["result"]["plan_id"]):
        await change(database, "DELETE FROM plan WHERE id = :id", id=gone)
        await drain()
        await change(database, "UPDATE plan_input SET used_at = now() - interval '2 hours'")
        await drain()
        async with database.reading() as session:
            counts.append(await session.scalar(text("SELECT count(*) FROM plan_input")))

    assert counts == [1, 0]


def test_the_command_tells_by_its_status(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    empty_database: None,
) -> None:
    monkeypatch.setenv("BAILIWICK_HOME", str(settings.home))
    monkeypatch.setenv("BAILIWICK_AUTH", "off")
    monkeypatch.setattr(app.cli.session, "configure_logs", lambda _: None)

    def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["bailiwick", *words])
        with pytest.raises(SystemExit) as end:
            app.cli.main()
        return int(end.value.code or 0), capsys.readouterr().out

    csv = "\n".join(f"c{n},N,{113 + n % 8 / 20},{30 + n // 8 / 20},B" for n in range(64))
    file = settings.home / "customers.csv"
    file.write_text(f"external_id,name,lon,lat,class\n{csv}\n")
    run("import", "customers", str(file))
    made = run("design", "--territories", "3", "--tolerance", "0.2")
    listed = json.loads(run("plans", "--json")[1])
    status, said = run("plans", "verify", "1", "--json")
    table = run("plans", "verify", "1")
    unknown = run("plans", "verify", "77")
    usage = run("plans", "verify", "x")

    assert made[0] == 0
    assert [plan["id"] for plan in listed] == [1]
    assert status == 0
    assert json.loads(said)["identical"] is True
    assert table[0] == 0
    assert "is identical to" in table[1]
    assert unknown[0] == 2
    assert usage[0] == 2


numbers = st.floats(0, 1e9, allow_nan=False)


@given(
    st.lists(st.integers(0, 2**63), max_size=40, unique=True).map(sorted),
    st.data(),
)
def test_a_demand_survives_packing(ids: list[int], data: st.DataObject) -> None:
    rows = [data.draw(st.tuples(*[numbers] * 4)) for _ in ids]
    demand = Demand(np.array(ids, np.uint64), np.array(rows, float).reshape(len(ids), 4))

    again = unpack_demand(pack_demand(demand))

    assert again.digest == demand.digest
    assert np.array_equal(again.cells12, demand.cells12)


@given(st.binary(max_size=60))
def test_what_is_no_demand_is_refused(data: bytes) -> None:
    for packed in (
        data,
        b"BWI1" + data,
        pack_demand(Demand(np.empty(0, np.uint64), np.empty((0, 4))))[:-1],
    ):
        with pytest.raises(ValueError, match="input of"):
            unpack_demand(packed)


def test_what_was_given_survives_packing() -> None:
    cells = np.array([5, 2**62], dtype=np.uint64)
    resolved = {"reps": [{"id": 1}], "locked": {"cells": [2**62], "territories": [0]}}

    again = unpack_given(pack_given(Given(resolved, cells)))

    assert again.resolved == resolved
    assert again.cells is not None
    assert again.cells.tolist() == cells.tolist()
    assert unpack_given(pack_given(Given(resolved))).cells is None
