"""The design run: read customers, solve in a child, store a draft plan."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from sqlalchemy import text

from app import __version__
from app.db.session import AnySession
from app.db.tables import Layer
from app.errors import InvalidInput, NotFound
from app.jobs.child import run_child
from app.jobs.folders import work_folder
from app.jobs.runs import RunContext
from app.plans.demand import Demand
from app.plans.lookups import resolve
from app.plans.request import PlanRequest
from app.plans.snapshot import Given, make_source
from app.plans.store import store_plan

ACTIVITY = text("""
    -- Customers of the layer, summed per cell: what a plan is made of. Summed in the order of the
    -- values, so that the last bit does not depend on the order in which customers came.
    SELECT cell, sum(work_minutes ORDER BY work_minutes), count(*),
        sum(potential ORDER BY potential), sum(revenue ORDER BY revenue)
    FROM customer
    WHERE layer_accepts(CAST(:filter AS jsonb), class, segment, tags, status)
    GROUP BY cell ORDER BY cell
""")
WITHOUT_NAMED = text(
    ACTIVITY.text.replace(
        "GROUP BY",
        """AND NOT EXISTS (
        SELECT FROM customer_override AS o
        WHERE o.customer_id = customer.id AND o.layer_id = :layer_id AND o.during @> now())
    GROUP BY""",
    )
)


async def run_design(context: RunContext) -> None:
    """Design a plan and store it as a draft."""
    request = context.parameters
    async with context.database.reading() as session:
        demand = await read_demand(session, request["layer_id"])
        resolved = await resolve(session, PlanRequest.model_validate(request))
    if demand.activity[:, 0].sum() <= 0:
        raise InvalidInput("The customers of this layer have no work: there is nothing to balance.")
    async with work_folder() as folder:
        write_input(folder, {**request, "resolved": resolved}, demand)
        await run_child(context, "app.plans.solve", folder, 0.05, 0.95)
        context.report("storing", 0.95)
        source = await make_source(demand, Given(resolved))
        manifest = make_manifest(request, demand, resolved)
        async with context.writing() as session:
            plan_id = await store_plan(
                session, folder, request, manifest, context.run_id, source=source
            )
            await context.succeed(session, {"plan_id": plan_id, "href": f"/v1/plans/{plan_id}"})


async def read_demand(session: AnySession, layer_id: int, *, has_named: bool = True) -> Demand:
    """Return the activity of a layer's customers per resolution-12 cell.

    Without `has_named` those who are named accounts of the layer now do not count.

    Raises
    ------
    NotFound
        When there is no such layer.
    InvalidInput
        When the layer has no customers.
    """
    layer = await session.get(Layer, layer_id)
    if layer is None:
        raise NotFound(f"There is no layer {layer_id}.")
    parameters: dict[str, Any] = {"filter": orjson.dumps(layer.customer_filter).decode()}
    if has_named:
        rows = (await session.execute(ACTIVITY, parameters)).all()
    else:
        rows = (await session.execute(WITHOUT_NAMED, {**parameters, "layer_id": layer_id})).all()
    if not rows:
        raise InvalidInput(f"The layer {layer.name!r} has no customers.")
    cells = np.fromiter((row[0] for row in rows), dtype=np.uint64, count=len(rows))
    activity = np.array([tuple(row)[1:] for row in rows], dtype=np.float64)
    return Demand(cells, activity)


def write_input(folder: Path, request: dict[str, Any], demand: Demand) -> None:
    """Write what `app.plans.solve` reads; the request has what was looked up for it beside."""
    np.save(folder / "cells12.npy", demand.cells12)
    np.save(folder / "activity.npy", demand.activity)
    (folder / "request.json").write_bytes(orjson.dumps(request))


def make_manifest(
    request: dict[str, Any], demand: Demand, resolved: dict[str, Any]
) -> dict[str, Any]:
    """Return what it takes to make the same plan again."""
    libraries = ("h3", "numpy", "numba", "polars-h3", "scipy", "shapely")
    return {
        "bailiwick": __version__,
        "libraries": {name: version(name) for name in libraries},
        "parameters": request,
        "seed": request["seed"],
        # As they were then; what was locked is kept beside the input.
        "reps": resolved["reps"],
        "input": {
            "sha256": demand.digest,
            "cells_with_customers": len(demand.cells12),
            "customers": int(demand.activity[:, 1].sum()),
            "work_minutes": float(demand.activity[:, 0].sum()),
        },
    }
