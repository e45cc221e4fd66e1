"""Plans and their territories in the database."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select, text

from app.auth.few import is_few
from app.db import scope as scopes
from app.db.alignment import Cells, Ordinals, unpack
from app.db.scope import EVERYTHING, Scope
from app.db.session import AnySession
from app.db.tables import Plan, Publication, Rep, Territory, TerritoryOwner
from app.errors import NotFound
from app.plans.reticence import (
    hide_rows,
    largest_imbalance,
    manifest_without_few,
    without_facts,
    without_few,
)
from app.plans.schemas import (
    ComponentView,
    NamedAccounts,
    PlanSummary,
    PlanView,
    RepRef,
    TerritoryRow,
)
from geo.cells import cells_to_text

TERRITORY_FEATURES = text("""
    -- The territories of a plan as GeoJSON; the database writes the bytes, which are most of the
    -- work. Six decimals are 0.1 m.
    SELECT json_build_object(
        'type', 'FeatureCollection',
        'features', coalesce(json_agg(json_build_object(
            'type', 'Feature', 'id', t.id,
            'geometry', ST_AsGeoJSON(t.outline, 6)::json,
            'properties', p.properties) ORDER BY t.ordinal), '[]'::json),
        'links', json_build_array()
    )::text
    FROM territory AS t
    JOIN json_each(CAST(:properties AS json)) AS p (id, properties) ON p.id = t.id::text
    WHERE t.plan_id = :plan_id
""")
HAS_FEW = text("""
    -- Whether a territory of a plan is of so few customers that not everybody is told of it.
    SELECT EXISTS (
        SELECT FROM territory CROSS JOIN LATERAL
            (SELECT CAST(scores -> 'activity' ->> 'customers' AS float) AS customers) AS activity
        WHERE plan_id = :plan_id AND customers > 0 AND customers < :fewest)
""")
NAMED_ACCOUNTS = text("""
    -- Named accounts of a layer now, by whether the plan has the territory that they name.
    SELECT count(territory.id), count(*) - count(territory.id)
    FROM customer_override AS named
    JOIN layer ON layer.id = named.layer_id
    JOIN customer ON customer.id = named.customer_id
    LEFT JOIN territory
        ON territory.plan_id = :plan_id AND territory.code = named.territory_code
    WHERE named.layer_id = :layer_id AND named.during @> now()
        AND layer_accepts(layer.customer_filter, class, segment, tags, status)
""")


def state() -> ColumnElement[str]:
    """Return a plan's state now: a published plan that nothing keeps in force is superseded.

    The end of a publication is a fact of its time range, so no job has to write it down.
    """
    is_alive = exists().where(
        Publication.plan_id == Plan.id,
        or_(func.upper_inf(Publication.during), func.upper(Publication.during) > func.now()),
    )
    is_over = and_(Plan.state == "published", ~is_alive)
    return case((is_over, "superseded"), else_=Plan.state).label("state_now")


async def list_plans(
    session: AnySession,
    scope: Scope,
    layer_id: int | None,
    after: int,
    limit: int,
    *,
    fewest: int,
) -> list[PlanSummary]:
    """Return up to `limit` plans, newest first; `after` is the last id of the page before.

    Nothing tells of fewer than `fewest` customers.
    """
    statement = select(Plan, state()).where(scopes.plans(scope)).order_by(Plan.id.desc())
    if layer_id is not None:
        statement = statement.where(Plan.layer_id == layer_id)
    if after:
        statement = statement.where(Plan.id < after)
    rows = (await session.execute(statement.limit(limit))).all()
    summaries = [_summary(row.Plan, row.state_now) for row in rows]
    if not scope.is_unlimited:
        for number, summary in enumerate(summaries):
            balance = [row async for row in _balance(session, scope, summary["id"])]
            summaries[number] = _limited(summary, balance)
    views = [PlanSummary(**summary) for summary in summaries]
    if scope.is_unlimited and fewest > 1:
        pieces = {row.Plan.id: row.Plan.components for row in rows}
        return [await _without_few(session, view, pieces[view.id], fewest) for view in views]
    return views


async def get_plan(session: AnySession, scope: Scope, plan_id: int, *, fewest: int) -> PlanView:
    """Return a plan with its balance table; nothing tells of fewer than `fewest` customers.

    Raises
    ------
    NotFound
        When it does not exist or is out of scope.
    """
    statement = select(Plan, state()).where(Plan.id == plan_id, scopes.plans(scope))
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound(f"There is no plan {plan_id}.")
    plan: Plan = row.Plan
    balance = [territory async for territory in _balance(session, scope, plan_id)]
    summary = _summary(plan, row.state_now)
    if not scope.is_unlimited:
        return PlanView(**_limited(summary, balance), balance=balance)
    view = PlanView(
        **summary,
        parameters=plan.parameters,
        scores=plan.scores,
        balance=balance,
        components=[ComponentView(**component) for component in plan.components],
        named_accounts=await _named_accounts(session, plan, balance),
    )
    return without_few(view, fewest)


async def territories_geojson(
    session: AnySession, scope: Scope, plan_id: int, *, fewest: int
) -> bytes:
    """Return the plan's territories as a GeoJSON FeatureCollection, with what `get_plan` tells.

    Raises
    ------
    NotFound
        When the plan does not exist or is out of scope.
    """
    plan = await get_plan(session, scope, plan_id, fewest=fewest)
    rows = {str(row.territory_id): row for row in plan.balance}
    body = ",".join(f'"{key}":{row.model_dump_json()}' for key, row in rows.items())
    parameters = {"plan_id": plan_id, "properties": "{" + body + "}"}
    document: str = (await session.execute(TERRITORY_FEATURES, parameters)).scalar_one()
    return document.encode()


async def plan_cells(session: AnySession, scope: Scope, plan_id: int) -> Iterator[tuple[str, str]]:
    """Return every cell of a plan with the code of its territory.

    Raises
    ------
    NotFound
        When the plan does not exist or is out of scope.
    """
    plan = await get_plan(session, scope, plan_id, fewest=1)
    cells, ordinals = await load_alignment(session, plan_id)
    numbers = await session.execute(
        select(Territory.ordinal, Territory.code).where(
            Territory.id.in_([row.territory_id for row in plan.balance])
        )
    )
    codes = dict(numbers.all())
    seen = np.isin(ordinals, list(codes))
    owners = [codes[ordinal] for ordinal in ordinals[seen].tolist()]
    return zip(cells_to_text(cells[seen]), owners, strict=True)


async def get_manifest(
    session: AnySession, scope: Scope, plan_id: int, *, fewest: int
) -> dict[str, Any]:
    """Return what a plan was made from, and with.

    Raises
    ------
    NotFound
        When the plan does not exist or is out of scope.
    """
    statement = select(Plan.manifest).where(Plan.id == plan_id)
    manifest: dict[str, Any] | None = await session.scalar(statement)
    # It tells of all customers, so it is for those who may see all.
    if manifest is None or not scope.is_unlimited:
        raise NotFound(f"There is no plan {plan_id}.")
    return manifest_without_few(manifest, fewest)


async def load_alignment(session: AnySession, plan_id: int) -> tuple[Cells, Ordinals]:
    """Return the sorted cells of a plan and the territory ordinal of each."""
    data = await session.scalar(select(Plan.alignment).where(Plan.id == plan_id))
    if data is None:
        raise NotFound(f"There is no plan {plan_id}.")
    return unpack(data)


async def _named_accounts(
    session: AnySession, plan: Plan, balance: list[TerritoryRow]
) -> NamedAccounts:
    given = {"plan_id": plan.id, "layer_id": plan.layer_id}
    placed, unplaced = (await session.execute(NAMED_ACCOUNTS, given)).one()
    customers = sum(row.customers or 0.0 for row in balance)
    return NamedAccounts(
        customers=placed,
        share=min(placed / customers, 1.0) if customers else 0.0,
        without_territory=unplaced,
    )


async def _without_few(
    session: AnySession, view: PlanSummary, pieces: list[dict[str, Any]], fewest: int
) -> PlanSummary:
    """Return of a plan in a list what `get_plan` tells of it, without reading all territories."""
    told: dict[str, Any] = {"violations": without_facts(view.violations)}
    has_few = any(is_few(piece["customers"], fewest) for piece in pieces)
    if has_few or await session.scalar(HAS_FEW, {"plan_id": view.id, "fewest": fewest}):
        balance = [row async for row in _balance(session, EVERYTHING, view.id)]
        told["max_imbalance"] = largest_imbalance(hide_rows(balance, fewest))
    return view.model_copy(update=told)


async def _balance(session: AnySession, scope: Scope, plan_id: int) -> Any:
    owned_now = and_(
        TerritoryOwner.territory_id == Territory.id, TerritoryOwner.during.contains(func.now())
    )
    rows = await session.execute(
        select(
            Territory.id,
            Territory.code,
            Territory.name,
            Territory.colour,
            Territory.scores,
            func.ST_X(Territory.label_point).label("lon"),
            func.ST_Y(Territory.label_point).label("lat"),
            Rep.id.label("rep_id"),
            Rep.name.label("rep_name"),
        )
        .outerjoin(TerritoryOwner, owned_now)
        .outerjoin(Rep, Rep.id == TerritoryOwner.rep_id)
        .where(Territory.plan_id == plan_id, scopes.territories(scope))
        .order_by(Territory.ordinal)
    )
    for row in rows:
        yield _territory(row)


def _territory(row: Any) -> TerritoryRow:
    scores = row.scores
    return TerritoryRow(
        territory_id=row.id,
        code=row.code,
        name=row.name,
        colour=row.colour,
        rep=None if row.rep_id is None else RepRef(id=row.rep_id, name=row.rep_name),
        n_cells=scores["n_cells"],
        components=scores["components"],
        customers=scores["activity"]["customers"],
        work_minutes=scores["activity"]["work_minutes"],
        potential=scores["activity"]["potential"],
        target_work_minutes=scores["target"]["work_minutes"],
        imbalance=scores["imbalance"],
        radius_km=scores.get("radius_km"),
        label_point=(row.lon, row.lat),
        bbox=tuple(scores["bbox"]),
    )


def _summary(plan: Plan, state_now: str) -> dict[str, Any]:
    same = (
        "id", "layer_id", "name", "version", "origin", "parent_id", "created_at", "n_territories",
        "n_cells", "resolutions",
    )  # fmt: skip
    return {
        **{name: getattr(plan, name) for name in same},
        "state": state_now,
        "max_imbalance": plan.scores["max_imbalance"],
        "tolerances": _given(plan.parameters["tolerances"]),
        "is_feasible": plan.scores["is_feasible"],
        "violations": plan.violations,
        "bbox": tuple(plan.scores["bbox"]),
    }


def _given(tolerances: dict[str, float | None]) -> dict[str, float]:
    """Return the tolerances of the measures that are balanced."""
    return {name: value for name, value in tolerances.items() if value is not None}


def _limited(summary: dict[str, Any], balance: list[TerritoryRow]) -> dict[str, Any]:
    """Leave of a summary what the caller's own territories say; the rest is of other people."""
    boxes = np.array([row.bbox for row in balance])
    corners = [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]
    measures = balance[0].imbalance
    return {
        **summary,
        "parent_id": None,
        "n_territories": len(balance),
        "n_cells": sum(row.n_cells for row in balance),
        "max_imbalance": {m: max(abs(row.imbalance[m]) for row in balance) for m in measures},
        "violations": [],
        "bbox": tuple(corners),
    }
