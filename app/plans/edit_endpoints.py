"""Edits of drafts over HTTP."""

from fastapi import Response

from app.auth import Planner, Writing
from app.db.session import WriteSession
from app.http.admission import HEAVY
from app.http.dependencies import AppSettings
from app.http.etags import IfMatch
from app.http.routing import router
from app.plans import copying, editing
from app.plans.edit_schemas import (
    CopyRequest,
    EditedPlan,
    LockRequest,
    MergeRequest,
    MoveRequest,
    SplitRequest,
)
from app.plans.endpoints import PlanId, changed, require_newest
from app.plans.schemas import PlanView

routes = router("plans")

UNNAMED = CopyRequest()


@routes.post("/plans/{plan_id}:copy", status_code=201)
async def copy_plan(
    plan_id: PlanId,
    session: Writing,
    caller: Planner,
    response: Response,
    body: CopyRequest = UNNAMED,
) -> PlanView:
    """Make a draft that is like a plan, whatever its state; territories keep their codes."""
    copy_id = await copying.copy_plan(session, plan_id, body.name, caller.acting.actor)
    response.headers["Location"] = f"/v1/plans/{copy_id}"
    return await changed(session, copy_id, response)


@routes.patch("/plans/{plan_id}/cells")
async def move_plan_cells(
    plan_id: PlanId,
    body: MoveRequest,
    session: Writing,
    caller: Planner,
    response: Response,
    if_match: IfMatch = None,
) -> EditedPlan:
    """Give cells of a draft to other territories; none may be torn apart by it."""
    plan = await require_newest(session, plan_id, if_match)
    codes = await editing.move_cells(session, plan, body, caller.acting.actor)
    return await _edited(session, plan_id, codes, response)


@routes.post("/plans/{plan_id}:merge")
async def merge_territories(
    plan_id: PlanId,
    body: MergeRequest,
    session: Writing,
    caller: Planner,
    response: Response,
    if_match: IfMatch = None,
) -> EditedPlan:
    """Make one territory of several of a draft that touch; the others keep their codes."""
    plan = await require_newest(session, plan_id, if_match)
    codes = await editing.merge(session, plan, body, caller.acting.actor)
    return await _edited(session, plan_id, codes, response)


@routes.post("/plans/{plan_id}:split", openapi_extra=HEAVY)
async def split_territory(
    plan_id: PlanId,
    body: SplitRequest,
    session: Writing,
    caller: Planner,
    settings: AppSettings,
    response: Response,
    if_match: IfMatch = None,
) -> EditedPlan:
    """Divide a territory of a draft evenly; the part with its label point keeps the code."""
    plan = await require_newest(session, plan_id, if_match)
    codes = await editing.split(session, plan, body, caller.acting.actor, settings)
    return await _edited(session, plan_id, codes, response)


@routes.post("/plans/{plan_id}:lock")
async def lock_in_plan(
    plan_id: PlanId,
    body: LockRequest,
    session: Writing,
    caller: Planner,
    response: Response,
    if_match: IfMatch = None,
) -> EditedPlan:
    """Keep territories of a draft as they are, or cells where they are, also in later designs."""
    plan = await require_newest(session, plan_id, if_match)
    codes = await editing.lock(session, plan, body, caller.acting.actor, is_locking=True)
    return await _edited(session, plan_id, codes, response)


@routes.post("/plans/{plan_id}:unlock")
async def unlock_in_plan(
    plan_id: PlanId,
    body: LockRequest,
    session: Writing,
    caller: Planner,
    response: Response,
    if_match: IfMatch = None,
) -> EditedPlan:
    """Lift locks of territories and cells of a draft."""
    plan = await require_newest(session, plan_id, if_match)
    codes = await editing.lock(session, plan, body, caller.acting.actor, is_locking=False)
    return await _edited(session, plan_id, codes, response)


@routes.post("/plans/{plan_id}:undo")
async def undo_edit(
    plan_id: PlanId,
    session: Writing,
    caller: Planner,
    response: Response,
    if_match: IfMatch = None,
) -> EditedPlan:
    """Undo the last edit of a draft, as far back as it was copied or designed."""
    plan = await require_newest(session, plan_id, if_match)
    codes = await editing.undo(session, plan, caller.acting.actor, is_redo=False)
    return await _edited(session, plan_id, codes, response)


@routes.post("/plans/{plan_id}:redo")
async def redo_edit(
    plan_id: PlanId,
    session: Writing,
    caller: Planner,
    response: Response,
    if_match: IfMatch = None,
) -> EditedPlan:
    """Do again what was undone last, until another edit is made."""
    plan = await require_newest(session, plan_id, if_match)
    codes = await editing.undo(session, plan, caller.acting.actor, is_redo=True)
    return await _edited(session, plan_id, codes, response)


@routes.post("/plans/{plan_id}:refresh")
async def refresh_plan(
    plan_id: PlanId,
    session: Writing,
    caller: Planner,
    response: Response,
    if_match: IfMatch = None,
) -> PlanView:
    """Count a draft anew with the customers of today."""
    plan = await require_newest(session, plan_id, if_match)
    await editing.refresh(session, plan, caller.acting.actor)
    return await changed(session, plan_id, response)


async def _edited(
    session: WriteSession, plan_id: int, codes: list[str], response: Response
) -> EditedPlan:
    return EditedPlan.of(await changed(session, plan_id, response), codes)
