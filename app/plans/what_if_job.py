"""The what-if run: how things are and changes in, what would be out; nothing else is written."""

import asyncio
from pathlib import Path

import numpy as np
import orjson

from app.jobs.child import run_child
from app.jobs.folders import work_folder
from app.jobs.runs import RunContext
from app.plans.what_if_customers import MovedGround, read_affected
from app.plans.what_if_inputs import Inputs, make_inputs
from app.plans.what_if_reading import read_standing
from app.plans.what_if_request import WhatIfRequest
from app.plans.what_if_schemas import MOST_CUSTOMERS, WhatIfResult

CHILD = "app.plans.what_if"


async def run_what_if(context: RunContext) -> None:
    """Find what would be with some changes; the run's result is all that is stored."""
    plan_id = int(context.parameters["plan_id"])
    request = WhatIfRequest.model_validate(context.parameters["request"])
    async with context.database.reading() as session:
        standing = await read_standing(session, plan_id, request)
    inputs = await asyncio.to_thread(make_inputs, standing, request)
    async with work_folder() as folder:
        inputs.write(folder)
        await run_child(context, CHILD, folder, 0.05, 0.95)
        context.report("naming customers", 0.95)
        ground = await asyncio.to_thread(_moved_ground, folder, inputs)
        outcome = orjson.loads((folder / "outcome.json").read_bytes())
    async with context.database.reading() as session:
        known, n_named = await read_affected(session, inputs.standing.layer_id, ground)
    number = outcome.pop("affected_customers") + n_named
    affected = {"number": number, "customers": known, "left_out": max(number - len(known), 0)}
    result = WhatIfResult(plan_id=plan_id, **outcome, affected=affected)
    async with context.writing() as session:
        await context.succeed(session, result.model_dump(mode="json", by_alias=True))


def _moved_ground(folder: Path, inputs: Inputs) -> MovedGround:
    with np.load(folder / "moved.npz") as stored:
        moved = dict(stored)
    before, after = inputs.before.codes, inputs.after.codes
    return MovedGround(
        cells=moved["cells"],
        from_codes=[before[n] for n in moved["before"].tolist()],
        to_codes=[after[n] for n in moved["after"].tolist()],
        gone=[before[removal.ordinal] for removal in inputs.effect.removals],
        most=MOST_CUSTOMERS,
    )
