"""What a rebalance reads: the plan, chosen customers and ground, named accounts, recent moves."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import func, select, text

from app.db.session import AnySession
from app.db.tables import Layer, Plan, Publication, Rep, Territory
from app.errors import Fault, InvalidInput
from app.plans.checks import cell_faults
from app.plans.rebalance_request import RebalanceRequest, Selection
from app.plans.repository import load_alignment
from app.plans.request import territory_code, territory_number
from geo.cell_sets import owners_of, refined
from geo.cells import cells_from_text

# What is left of a target, in parts of it and of an average one, where named accounts take it all
# or none was given: with nothing at all the territory would be out by any factor, whatever is done.
LEAST_LEFT, LEAST_OF_MEAN = 0.05, 0.001

Cells = NDArray[np.uint64]
Floats = NDArray[np.float64]

CHOSEN = text("""
    -- Cells with customers that a selection speaks of, and the work of these.
    SELECT cell, sum(work_minutes ORDER BY work_minutes)
    FROM customer
    WHERE layer_accepts(CAST(:filter AS jsonb), class, segment, tags, status)
        AND (tags && CAST(:tags AS text[]) OR class = ANY(CAST(:classes AS text[]))
             OR last_visit_at >= now() - make_interval(days => CAST(:days AS int)))
    GROUP BY cell ORDER BY cell
""")
NAMED = text("""
    -- What the named accounts of a layer carry, by the code of their territory.
    SELECT o.territory_code, sum(work_minutes ORDER BY work_minutes), count(*),
        sum(potential ORDER BY potential), sum(revenue ORDER BY revenue)
    FROM customer_override AS o JOIN customer ON customer.id = o.customer_id
    WHERE o.layer_id = :layer_id AND o.during @> now()
        AND layer_accepts(CAST(:filter AS jsonb), class, segment, tags, status)
    GROUP BY 1 ORDER BY 1
""")


@dataclass(frozen=True, slots=True)
class KnownPlan:
    """A plan as it stands: cells (n,), the ordinal of each, and by ordinal what is said of each."""

    cells: Cells
    ordinals: NDArray[np.int32]
    codes: list[str]
    names: list[str]
    colours: list[int]
    target_minutes: list[float]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Ground that stays (protected, recent), and customers' work that rather stays.

    Cells of any resolution, in no order; `kept_cells12` are of resolution 12, with `kept_work`.
    """

    protected: Cells
    recent: Cells
    kept_ground: Cells
    kept_cells12: Cells
    kept_work: Floats

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all by name."""
        names = ("protected", "recent", "kept_ground", "kept_cells12", "kept_work")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Sharing:
    """Wanted part (k,) of each territory, and whether they are those of the plan's own reps."""

    shares: Floats
    has_reps: bool


async def read_plan(session: AnySession, plan_id: int) -> KnownPlan:
    """Return a plan with the names of its territories."""
    cells, ordinals = await load_alignment(session, plan_id)
    rows = (
        await session.execute(
            select(Territory.code, Territory.name, Territory.colour, Territory.scores)
            .where(Territory.plan_id == plan_id)
            .order_by(Territory.ordinal)
        )
    ).all()
    return KnownPlan(
        cells, ordinals, [row.code for row in rows], [row.name for row in rows],
        [row.colour for row in rows], [row.scores["target"]["work_minutes"] for row in rows],
    )  # fmt: skip


def refuse_unknown(request: RebalanceRequest, codes: list[str], at: str = "") -> None:
    """Refuse a request that names territories the plan has not, or cells that are none.

    `at` is the pointer to the request.

    Raises
    ------
    InvalidInput
        The fault points to each.
    """
    faults = [
        Fault("unknown", f"the plan has no {code}", f"{at}/{field}/territories/{index}")
        for field in ("protect", "prefer_to_keep")
        for index, code in enumerate(getattr(request, field).territories)
        if code not in codes
    ]
    if faults:
        raise InvalidInput("A territory is not in the plan.", faults)
    for field in ("protect", "prefer_to_keep"):
        cells = getattr(request, field).cells or []
        faults += cell_faults(cells, f"{at}/{field}/cells")
    if faults:
        raise InvalidInput("What is to stay is no ground.", faults)


async def read_chosen(session: AnySession, layer: Layer, request: RebalanceRequest) -> Chosen:
    """Return the ground and the customers that a rebalance is to leave where they are."""
    protected12, _ = await _chosen_customers(session, layer, request.protect)
    kept12, kept_work = await _chosen_customers(session, layer, request.prefer_to_keep)
    return Chosen(
        protected=np.concatenate([protected12, _ground(request.protect)]),
        recent=await _recently_moved(session, layer.id, request.recent_days),
        kept_ground=_ground(request.prefer_to_keep),
        kept_cells12=kept12,
        kept_work=kept_work,
    )


async def read_named(session: AnySession, layer: Layer) -> dict[str, list[float]]:
    """Return what named accounts carry, in the order of MEASURES, by the code of a territory."""
    parameters = {"layer_id": layer.id, "filter": _filter(layer)}
    rows = await session.execute(NAMED, parameters)
    return {code: [float(value) for value in sums] for code, *sums in rows}


async def read_sharing(session: AnySession, plan: Plan, known: KnownPlan) -> Sharing:
    """Return the shares of a plan's territories: of its reps as long as all of them are there."""
    shares = np.maximum(np.array(known.target_minutes), 0.0)
    rep_ids = plan.parameters.get("rep_ids") or []
    capacities = dict(
        (
            await session.execute(select(Rep.id, Rep.capacity_minutes).where(Rep.id.in_(rep_ids)))
        ).all()
    )
    has_reps = len(rep_ids) == len(known.codes) and all(r in capacities for r in rep_ids)
    if has_reps:
        shares = np.array([capacities[rep_id] for rep_id in rep_ids], dtype=np.float64)
    if shares.sum() <= 0:
        shares = np.ones(len(shares))
    return Sharing(shares / shares.sum(), has_reps)


def design_document(
    parameters: dict[str, Any], codes: list[str], sharing: Sharing, named: Floats, total: float
) -> dict[str, Any]:
    """Return a plan's request with the number, the shares and the codes of its territories.

    Of each share what named accounts carry, (k,) of the total, is taken off, since it does not
    move.
    """
    document = {**parameters, "n_territories": None, "capacity_minutes": None}
    if sharing.has_reps and not named.any():
        document["shares"] = None
    else:
        # Homes are those of the reps that a request names.
        document |= {"rep_ids": None, "homes": "ignore", "lock_homes": False}
        wanted = sharing.shares * total
        least = np.maximum(LEAST_LEFT * wanted, LEAST_OF_MEAN * total / len(wanted))
        left = np.maximum(wanted - named, least)
        document["shares"] = [float(share) for share in left / left.sum()]
    return _renamed(document, codes)


def _renamed(document: dict[str, Any], codes: list[str]) -> dict[str, Any]:
    """Return a request in which territories are named by their place in the plan."""
    n = len(codes)
    place = {territory_number(code): ordinal for ordinal, code in enumerate(codes)}

    def renamed(code: str) -> str:
        return territory_code(place[territory_number(code)], n)

    for field in ("locks", "centres"):
        wishes = document.get(field) or []
        document[field] = [
            {**wish, "territory": renamed(wish["territory"])}
            for wish in wishes
            if territory_number(wish["territory"]) in place
        ]
    return document


def rename_locked(document: dict[str, Any], resolved: dict[str, Any], codes: list[str]) -> None:
    """Have locked territories, too, named and numbered by their place in the plan.

    They were looked up by their codes, which after edits are not those of their places.
    """
    wish = document.get("locked_territories")
    if wish is None:
        return
    place = {territory_number(code): ordinal for ordinal, code in enumerate(codes)}
    kept = [code for code in wish["codes"] if territory_number(code) in place]
    ground = [
        (cell, place[number])
        for cell, number in zip(
            resolved["locked"]["cells"], resolved["locked"]["territories"], strict=True
        )
        if number in place
    ]
    named = [territory_code(place[territory_number(code)], len(codes)) for code in kept]
    document["locked_territories"] = {**wish, "codes": named} if kept else None
    resolved["locked"] = {
        "cells": [cell for cell, _ in ground],
        "territories": [ordinal for _, ordinal in ground],
    }


async def _chosen_customers(
    session: AnySession, layer: Layer, selection: Selection
) -> tuple[Cells, Floats]:
    if not selection.names_customers:
        return np.empty(0, dtype=np.uint64), np.empty(0)
    parameters = {
        "filter": _filter(layer), "tags": selection.tags, "classes": selection.classes,
        "days": selection.visited_within_days,
    }  # fmt: skip
    rows = (await session.execute(CHOSEN, parameters)).all()
    cells = np.fromiter((row[0] for row in rows), dtype=np.uint64, count=len(rows))
    return cells, np.array([row[1] for row in rows], dtype=np.float64)


async def _recently_moved(session: AnySession, layer_id: int, days: int) -> Cells:
    """Ground whose territory is another since some time in the last days."""
    since = func.now() - func.make_interval(0, 0, 0, days)
    rows = await session.execute(
        select(Publication.plan_id, (func.lower(Publication.during) > since).label("is_recent"))
        .where(
            Publication.layer_id == layer_id,
            func.lower(Publication.during) <= func.now(),
            func.coalesce(func.upper(Publication.during), func.now()) >= since,
        )
        .order_by(Publication.during)
    )
    followed = [
        (before.plan_id, after.plan_id) for before, after in pairwise(rows) if after.is_recent
    ]
    moved = [await _moved(session, *pair) for pair in followed]
    return np.concatenate([np.empty(0, dtype=np.uint64), *moved])


async def _moved(session: AnySession, before_id: int, after_id: int) -> Cells:
    before, after = await read_plan(session, before_id), await read_plan(session, after_id)
    shared = refined(after.cells, before.cells)
    past, present = owners_of(before.cells, shared), owners_of(after.cells, shared)
    known = past >= 0
    shared, past, present = shared[known], past[known], present[known]
    old = np.array(before.codes)[before.ordinals[past]]
    new = np.array(after.codes)[after.ordinals[present]]
    moved: Cells = shared[old != new]
    return moved


def _ground(selection: Selection) -> Cells:
    return cells_from_text(selection.cells or [])


def _filter(layer: Layer) -> str:
    return orjson.dumps(layer.customer_filter).decode()
