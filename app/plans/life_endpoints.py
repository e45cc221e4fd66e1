"""The life of a plan over HTTP: proposing, approving, rolling back, and what is said of it."""

from typing import Annotated

from fastapi import Path, Response

from app.auth import Detail, Planner, Reading, Writing
from app.errors import NotFound
from app.http.dependencies import AppSettings
from app.http.etags import IfMatch
from app.http.paging import Page, PagingParameters
from app.http.routing import router
from app.plans import events, lifecycle, publishing
from app.plans.approval import ApprovalRule
from app.plans.endpoints import PlanId, changed, require_newest
from app.plans.life_schemas import (
    CommentView,
    EventView,
    NewComment,
    Note,
    Rejection,
    RollbackRequest,
)
from app.plans.schemas import PlanView, PublicationView

routes = router("plans")

NOTHING = Note()
NOW = RollbackRequest()


@routes.post("/plans/{plan_id}:propose")
async def propose_plan(
    plan_id: PlanId,
    session: Writing,
    caller: Planner,
    response: Response,
    body: Note = NOTHING,
    if_match: IfMatch = None,
) -> PlanView:
    """Put a draft before others; it is not edited any more until it is rejected."""
    plan = await require_newest(session, plan_id, if_match)
    await lifecycle.propose(session, plan, caller.acting.actor, body.note)
    return await changed(session, plan_id, response)


@routes.post("/plans/{plan_id}:approve")
async def approve_plan(
    plan_id: PlanId,
    session: Writing,
    caller: Planner,
    settings: AppSettings,
    response: Response,
    body: Note = NOTHING,
    if_match: IfMatch = None,
) -> PlanView:
    """Agree to a plan that another person made and proposed."""
    plan = await require_newest(session, plan_id, if_match)
    rule = ApprovalRule.of(settings)
    await lifecycle.approve(session, plan, caller.acting.actor, body.note, rule)
    return await changed(session, plan_id, response)


@routes.post("/plans/{plan_id}:reject")
async def reject_plan(
    plan_id: PlanId,
    session: Writing,
    caller: Planner,
    response: Response,
    body: Rejection,
    if_match: IfMatch = None,
) -> PlanView:
    """Make a proposed or approved plan a draft again, and say why."""
    plan = await require_newest(session, plan_id, if_match)
    await lifecycle.reject(session, plan, caller.acting.actor, body.reason)
    return await changed(session, plan_id, response)


@routes.post("/plans/{plan_id}:archive")
async def archive_plan(
    plan_id: PlanId,
    session: Writing,
    caller: Planner,
    response: Response,
    body: Note = NOTHING,
    if_match: IfMatch = None,
) -> PlanView:
    """Put away a plan that is not in force and not to come."""
    plan = await require_newest(session, plan_id, if_match)
    await lifecycle.archive(session, plan, caller.acting.actor, body.note)
    return await changed(session, plan_id, response)


@routes.post("/plans/{plan_id}:rollback", status_code=201)
async def roll_back_plan(
    plan_id: PlanId,
    session: Writing,
    caller: Planner,
    body: RollbackRequest = NOW,
    if_match: IfMatch = None,
) -> PublicationView:
    """Bring an earlier plan of the layer into force again, now or from a later instant on."""
    await require_newest(session, plan_id, if_match)
    return await publishing.roll_back(session, plan_id, body.effective_from, caller.acting.actor)


@routes.get("/plans/{plan_id}/events")
async def list_plan_events(
    plan_id: PlanId, session: Reading, caller: Detail, page: PagingParameters
) -> Page[EventView]:
    """List what happened to a plan, oldest first: who, when, what, why."""
    _for_those_who_see_all(caller, plan_id)
    found = await events.list_events(session, plan_id, page.after, page.limit + 1)
    return Page(items=found[: page.limit], links=page.links([event.id for event in found]))


@routes.get("/plans/{plan_id}/comments")
async def list_plan_comments(
    plan_id: PlanId, session: Reading, caller: Detail, page: PagingParameters
) -> Page[CommentView]:
    """List comments on a plan, oldest first."""
    _for_those_who_see_all(caller, plan_id)
    found = await events.list_comments(session, plan_id, page.after, page.limit + 1)
    return Page(items=found[: page.limit], links=page.links([comment.id for comment in found]))


@routes.post("/plans/{plan_id}/comments", status_code=201)
async def add_plan_comment(
    plan_id: PlanId, session: Writing, caller: Planner, body: NewComment
) -> CommentView:
    """Comment on a plan, or on one of its territories."""
    return await events.add_comment(session, plan_id, body, caller.acting.actor)


@routes.delete("/plans/{plan_id}/comments/{comment_id}", status_code=204, response_class=Response)
async def delete_plan_comment(
    plan_id: PlanId,
    comment_id: Annotated[int, Path(ge=1, lt=2**63)],
    session: Writing,
    caller: Planner,
) -> Response:
    """Delete a comment of one's own."""
    await events.delete_comment(session, plan_id, comment_id, caller.acting.actor)
    return Response(status_code=204)


def _for_those_who_see_all(caller: Detail, plan_id: int) -> None:
    # They tell of territories and customers of others.
    if not caller.scope.is_unlimited:
        raise NotFound(f"There is no plan {plan_id}.")
