"""A plan as it is shown to callers who may see sums over many customers only."""

from typing import Any

from app.auth.few import hidden_parts, is_few
from app.plans.schemas import ComponentView, PlanView, TerritoryRow, ViolationView

# The others tell of single cells: the heaviest one, those that were split, where a region begins.
SCORES_OF_MANY = ("max_imbalance", "moment_of_inertia", "cut_edges", "objective", "sizing", "bbox")
# With the target an imbalance is the work; the radius is that of a single customer.
HIDDEN_ROW: dict[str, Any] = {
    "customers": None,
    "work_minutes": None,
    "potential": None,
    "target_work_minutes": None,
    "imbalance": {},
    "radius_km": None,
}
# The reason names the work.
HIDDEN_PIECE: dict[str, Any] = {"customers": None, "work_share": None, "reason": None}


def without_few(plan: PlanView, fewest: int) -> PlanView:
    """Return a plan without what tells of fewer than `fewest` customers.

    Where a territory is hidden, so are the numbers of the plan as a whole that could be its own.
    """
    if fewest == 1:
        return plan
    balance = hide_rows(plan.balance, fewest)
    components = _hide_pieces(plan.components, fewest)
    is_whole = balance == plan.balance and components == plan.components
    scores = {name: plan.scores[name] for name in SCORES_OF_MANY if name in plan.scores}
    told: dict[str, Any] = {
        "balance": balance,
        "components": components,
        "scores": scores if is_whole else {},
        "violations": without_facts(plan.violations),
    }
    named = plan.named_accounts
    if named is not None and (
        is_few(named.customers, fewest) or is_few(named.without_territory, fewest)
    ):
        told["named_accounts"] = None
    if not is_whole:
        told["max_imbalance"] = largest_imbalance(balance)
    return plan.model_copy(update=told)


def hide_rows(rows: list[TerritoryRow], fewest: int) -> list[TerritoryRow]:
    """Return the rows of a balance table, those of few customers without their numbers."""
    hidden = hidden_parts([row.customers or 0 for row in rows], fewest)
    return [
        row.model_copy(update=HIDDEN_ROW) if is_hidden else row
        for row, is_hidden in zip(rows, hidden, strict=True)
    ]


def largest_imbalance(rows: list[TerritoryRow]) -> dict[str, float]:
    """Return the largest imbalance among the rows that tell theirs, by measure."""
    told = [row.imbalance for row in rows if row.imbalance]
    measures = told[0] if told else ()
    return {name: max(abs(imbalance[name]) for imbalance in told) for name in measures}


def without_facts(violations: list[ViolationView]) -> list[ViolationView]:
    """Return what a plan does not hold without numbers: some are the work of a single cell."""
    return [
        ViolationView(code=violation.code, message=violation.code.replace("_", " "))
        for violation in violations
    ]


def manifest_without_few(manifest: dict[str, Any], fewest: int) -> dict[str, Any]:
    """Return a manifest; of an input of few customers not even its digest, which could be tried."""
    told = dict(manifest)
    for name in ("input", "recounted"):
        if is_few(manifest.get(name, {}).get("customers", 0), fewest):
            told[name] = {}
    return told


def _hide_pieces(pieces: list[ComponentView], fewest: int) -> list[ComponentView]:
    hidden = hidden_parts([piece.customers or 0 for piece in pieces], fewest)
    return [
        piece.model_copy(update=HIDDEN_PIECE) if is_hidden else piece
        for piece, is_hidden in zip(pieces, hidden, strict=True)
    ]
