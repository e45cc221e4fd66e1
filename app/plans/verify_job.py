"""The run that makes a plan again from what was kept of it, and compares the two."""

from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import undefer

from app.db.session import AnySession
from app.db.tables import Plan, PlanCertificate, Territory
from app.errors import InvalidInput, NotFound
from app.jobs.child import ChildCrashed, run_child
from app.jobs.folders import work_folder
from app.jobs.runs import RunContext
from app.plans.demand import Demand
from app.plans.digest import GIVEN_CELLS_FILE
from app.plans.job import write_input
from app.plans.rebalance_folder import write_folder
from app.plans.reproduction import MADE_BY, why_not
from app.plans.snapshot import Given, Source, unpack_demand, unpack_given
from app.plans.source_store import load_source
from app.plans.verify_checks import (
    Stored,
    check_again,
    check_given,
    check_input,
    check_parameters,
    check_versions,
)
from app.plans.verify_schemas import Check, Verification

KIND = "verify"
NOT_KEPT = "the plan was made by a version that kept no input: it cannot be made again"


async def run_verify(context: RunContext) -> None:
    """Verify a plan; nothing of it is changed."""
    plan_id = int(context.parameters["plan_id"])
    async with context.database.reading() as session:
        stored = await read_stored(session, plan_id)
        source = await load_source(session, plan_id)
    checks = await _verify(context, stored, source)
    found = Verification(
        plan_id=plan_id,
        identical=all(check.ok for check in checks),
        origin=stored.origin,
        parent_id=stored.parent_id,
        checks=checks,
    )
    async with context.writing() as session:
        await context.succeed(session, found.model_dump())


async def read_stored(session: AnySession, plan_id: int) -> Stored:
    """Return a plan with all that is compared.

    Raises
    ------
    NotFound
        When there is none.
    """
    plan = await session.get(Plan, plan_id, options=[undefer(Plan.alignment)])
    if plan is None:
        raise NotFound(f"There is no plan {plan_id}.")
    territories = await session.execute(
        select(Territory.code, Territory.scores).where(Territory.plan_id == plan_id)
    )
    proof = (
        await session.execute(
            select(PlanCertificate.sha256, PlanCertificate.document).where(
                PlanCertificate.plan_id == plan_id
            )
        )
    ).one_or_none()
    document: dict[str, Any] = {
        "scores": plan.scores,
        "violations": plan.violations,
        "components": plan.components,
        "territories": {row.code: row.scores for row in territories},
    }
    return Stored(
        id=plan_id,
        origin=plan.origin,
        parent_id=plan.parent_id,
        version=plan.version,
        parameters=plan.parameters,
        manifest=plan.manifest,
        alignment=plan.alignment,
        document=document,
        certificate_sha256=None if proof is None else proof.sha256,
        certificate=None if proof is None else proof.document,
    )


async def _verify(context: RunContext, stored: Stored, source: Source | None) -> list[Check]:
    checks = [check_versions(stored.manifest)]
    module = MADE_BY.get(stored.origin)
    if module is None:
        detail = why_not(stored.origin, stored.parent_id)
        return [*checks, Check(name="origin", ok=False, detail=detail)]
    if source is None:
        return [*checks, Check(name="input", ok=False, detail=NOT_KEPT)]
    try:
        demand, given = unpack_demand(source.demand), unpack_given(source.given)
    except ValueError as error:
        return [*checks, Check(name="input", ok=False, detail=str(error))]
    checks += [
        check_input(stored.manifest, demand),
        check_given(stored.manifest, given),
        check_parameters(stored),
    ]
    if not all(check.ok for check in checks):
        detail = "not made again: what it would be made from is not what it was made from"
        return [*checks, Check(name="design", ok=False, detail=detail)]
    async with work_folder() as folder:
        _write(folder, stored, demand, given)
        try:
            await run_child(context, module, folder, 0.05, 0.95)
        except (InvalidInput, ChildCrashed) as error:
            return [*checks, Check(name="design", ok=False, detail=error.detail)]
        return [*checks, *check_again(stored, folder)]


def _write(folder: Path, stored: Stored, demand: Demand, given: Given) -> None:
    if given.rebalance is not None:
        write_folder(folder, given.rebalance, given.resolved, demand)
        return
    write_input(folder, {**stored.parameters, "resolved": given.resolved}, demand)
    if given.cells is not None:
        np.save(folder / GIVEN_CELLS_FILE, given.cells)
