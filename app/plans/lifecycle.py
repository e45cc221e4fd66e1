"""The steps of a plan's life between its design and its publication."""

from sqlalchemy import select

from app.db.session import AnySession, WriteSession
from app.db.tables import Plan
from app.errors import Conflict, Fault
from app.plans.approval import ApprovalRule, require_another
from app.plans.events import record
from app.plans.plan_cells import forget_cells, store_cells
from app.plans.repository import state

# The states from which each step may be taken.
STEPS: dict[str, tuple[str, ...]] = {
    "propose": ("draft",),
    "approve": ("proposed",),
    "reject": ("proposed", "approved"),
    "archive": ("draft", "proposed", "superseded"),
    "publish": ("draft", "proposed", "approved", "superseded"),
    "rollback": ("superseded",),
}


async def require_step(session: AnySession, plan_id: int, step: str) -> None:
    """Let a step through that the state of a plan allows.

    Raises
    ------
    Conflict
        Naming the state, and what it allows.
    """
    now = await session.scalar(select(state()).where(Plan.id == plan_id))
    if now in STEPS[step]:
        return
    allowed = [f":{name}" for name, states in STEPS.items() if now in states]
    needed = " or ".join(STEPS[step])
    raise Conflict(
        f"Plan {plan_id} is {now}: only what is {needed} can be taken to :{step}.",
        [Fault("state", f"allowed now: {', '.join(allowed) or 'nothing'}")],
    )


async def propose(session: WriteSession, plan: Plan, actor: str, note: str | None) -> None:
    """Put a draft before others; its cells are stored as those of a plan in force are.

    Raises
    ------
    Conflict
        When it is no draft.
    """
    await require_step(session, plan.id, "propose")
    await store_cells(session, plan)
    _enter(plan, "proposed")
    await record(session, plan.id, actor, "proposed", note=note)


async def approve(
    session: WriteSession, plan: Plan, actor: str, note: str | None, rule: ApprovalRule
) -> None:
    """Agree to a plan that another person made and proposed.

    Raises
    ------
    Conflict
        When it is not proposed, or the approver made or proposed it.
    """
    await require_step(session, plan.id, "approve")
    await require_another(session, plan, actor, rule)
    _enter(plan, "approved")
    await record(session, plan.id, actor, "approved", note=note)


async def reject(session: WriteSession, plan: Plan, actor: str, reason: str) -> None:
    """Make a proposed or approved plan a draft again.

    Raises
    ------
    Conflict
        When it is neither.
    """
    await require_step(session, plan.id, "reject")
    await forget_cells(session, plan.id)
    _enter(plan, "draft")
    await record(session, plan.id, actor, "rejected", reason=reason)


async def archive(session: WriteSession, plan: Plan, actor: str, note: str | None) -> None:
    """Put a plan away that is not in force and not to come.

    The past of one that was in force can be asked as before.

    Raises
    ------
    Conflict
        When it is approved, in force, to come, or archived.
    """
    await require_step(session, plan.id, "archive")
    if plan.state != "published":
        await forget_cells(session, plan.id)
    _enter(plan, "archived")
    await record(session, plan.id, actor, "archived", note=note)


def _enter(plan: Plan, state: str) -> None:
    plan.state = state
    plan.version += 1
