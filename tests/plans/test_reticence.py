"""What of a plan is told to callers who may see sums over five customers and more."""

from datetime import UTC, datetime
from typing import Any

from app.plans.reticence import manifest_without_few, without_few
from app.plans.schemas import ComponentView, PlanView, TerritoryRow, ViolationView

BBOX = (0.0, 0.0, 1.0, 1.0)


def _row(number: int, customers: int) -> TerritoryRow:
    return TerritoryRow(
        territory_id=number, code=f"T{number}", name=f"T{number}", colour=0, rep=None, n_cells=1,
        components=1, customers=customers, work_minutes=60.0 * customers, potential=0.0,
        target_work_minutes=600.0, imbalance={"work_minutes": customers / 10 - 1}, radius_km=1.0,
        label_point=(0.0, 0.0), bbox=BBOX,
    )  # fmt: skip


def _piece(customers: int) -> ComponentView:
    return ComponentView(
        n_cells=1, work_share=customers / 100, customers=customers, n_territories=0, left_out=True,
        reason="its work is 3% of a territory's", place=(0.0, 0.0),
    )  # fmt: skip


def _plan(customers: list[int], pieces: list[int]) -> PlanView:
    rows = [_row(number, n) for number, n in enumerate(customers)]
    heavy = ViolationView(code="unit_too_heavy", message="cell x has 60", facts={"ratio": 1.3})
    return PlanView(
        id=1, layer_id=1, name="p", state="draft", created_at=datetime.now(UTC), n_territories=3,
        n_cells=3, resolutions=[5], tolerances={"work_minutes": 0.1}, is_feasible=False,
        violations=[heavy], bbox=BBOX, parameters={"seed": 1}, balance=rows, version=1,
        origin="design", parent_id=None,
        max_imbalance={"work_minutes": max(abs(row.imbalance["work_minutes"]) for row in rows)},
        scores={"cut_edges": 3, "heaviest_cell_share_of_target": 0.3, "region": {"n_pieces": 1}},
        components=[_piece(n) for n in pieces],
    )  # fmt: skip


def test_a_territory_of_a_few_is_hidden_with_what_would_give_it_away() -> None:
    told = without_few(_plan([3, 20, 7], [30]), 5)

    assert [row.customers for row in told.balance] == [None, 20, None]
    hidden = told.balance[0].model_dump()
    assert {hidden[name] for name in ("work_minutes", "potential", "target_work_minutes")} == {None}
    assert hidden["imbalance"] == {}
    assert hidden["radius_km"] is None
    assert told.balance[0].code == "T0"
    # Of the plan, the largest imbalance was the hidden one's.
    assert told.max_imbalance == {"work_minutes": 1.0}
    assert told.scores == {}


def test_a_piece_of_a_few_is_hidden_with_the_reason_that_names_its_work() -> None:
    told = without_few(_plan([10, 20, 7], [30, 8, 2]), 5)

    pieces: list[Any] = [(p.customers, p.work_share, p.reason) for p in told.components[1:]]
    assert pieces == [(None, None, None)] * 2
    assert told.components[0].customers == 30
    assert told.scores == {}


def test_a_plan_of_many_keeps_all_but_what_tells_of_single_cells() -> None:
    plan = _plan([10, 20, 7], [37])

    told = without_few(plan, 5)

    assert told.balance == plan.balance
    assert told.max_imbalance == plan.max_imbalance
    assert told.parameters == plan.parameters
    assert told.scores == {"cut_edges": 3}
    (violation,) = told.violations
    assert (violation.code, violation.message) == ("unit_too_heavy", "unit too heavy")
    assert violation.facts == violation.relaxation == {}


def test_who_sees_detail_is_told_everything() -> None:
    plan = _plan([3, 20, 7], [30, 2])

    assert without_few(plan, 1) == plan


def test_a_manifest_does_not_tell_of_an_input_of_a_few() -> None:
    few, many = [{"seed": 1, "input": {"customers": n, "sha256": "x"}} for n in (4, 5)]

    assert manifest_without_few(few, 5) == {"seed": 1, "input": {}}
    assert manifest_without_few(few, 1) == few
    assert manifest_without_few(many, 5) == many
