"""The front run: read a plan and the customers of today, vary the plan, store what is good."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson

from app.db.session import AnySession
from app.db.tables import Plan
from app.errors import InvalidInput, NotFound
from app.jobs.child import run_child
from app.jobs.folders import work_folder
from app.jobs.runs import RunContext
from app.plans.front_store import ladder, plan_in_force, request_of, store_front, targets_of
from app.plans.job import make_manifest, read_demand, write_input
from app.plans.lookups import resolve
from app.plans.repository import load_alignment
from app.plans.snapshot import Given, make_source


async def run_front(context: RunContext) -> None:
    """Compute the front of a plan; nothing is stored until all of it is there."""
    plan_id = int(context.parameters["plan_id"])
    async with work_folder() as folder:
        async with context.database.reading() as session:
            plan = await session.get(Plan, plan_id)
            if plan is None:
                raise NotFound(f"There is no plan {plan_id}.")
            request = plan.parameters
            demand = await read_demand(session, plan.layer_id)
            resolved = await resolve(session, request_of(plan))
            incumbent = await plan_in_force(session, plan.layer_id)
            facts = {
                "ladder": ladder(
                    request_of(plan), demand.digest == plan.manifest["input"]["sha256"]
                ),
                "plan": await _write_plan(session, folder / "plan.npz", plan_id),
                "is_in_force": incumbent is not None and incumbent.id == plan_id,
                "incumbent": None
                if incumbent is None or incumbent.id == plan_id
                else await _write_plan(session, folder / "incumbent.npz", incumbent.id),
            }
        if demand.activity[:, 0].sum() <= 0:
            raise InvalidInput("The customers of this layer have no work to balance any more.")
        write_input(folder, {**request, "resolved": resolved}, demand)
        (folder / "front.json").write_bytes(orjson.dumps(facts))
        await run_child(context, "app.plans.front", folder, 0.05, 0.95)
        context.report("storing", 0.95)
        with np.load(folder / "plan.npz") as file:
            source = await make_source(demand, Given(resolved, file["cells"]))
        manifest = make_manifest(request, demand, resolved)
        incumbent_id = None if incumbent is None else incumbent.id
        async with context.writing() as session:
            plan = await session.get_one(Plan, plan_id)
            await store_front(session, folder, plan, incumbent_id, manifest, context.run_id, source)
            result = {"plan_id": plan_id, "href": f"/v1/plans/{plan_id}/front"}
            await context.succeed(session, result)


async def _write_plan(session: AnySession, path: Path, plan_id: int) -> dict[str, Any]:
    """Write the alignment of a plan for the child; return what else it must know."""
    cells, ordinals = await load_alignment(session, plan_id)
    np.savez(path, cells=cells, ordinals=ordinals)
    return {"targets": await targets_of(session, plan_id)}
