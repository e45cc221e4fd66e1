"""Approval by another person, which a plan needs that moves many customers."""

from dataclasses import dataclass

from sqlalchemy import or_, select

from app.db.scope import EVERYTHING
from app.db.session import AnySession
from app.db.tables import Plan, PlanEvent, PlanFront, PlanFrontPoint, Run
from app.errors import Conflict, Fault
from app.plans.diff import compare
from app.settings import Settings

# Whoever did one of these has made the plan what it is.
MAKING = ("copied", "moved", "merged", "split", "locked", "unlocked", "undone", "redone")
NOT_NEEDED = 1.0


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """Plans that move more than this share of a layer's customers need another's approval."""

    above_share: float

    @classmethod
    def of(cls, settings: Settings) -> "ApprovalRule":
        """Return the rule of the settings.

        Without authentication all callers are one person, who could never publish.
        """
        return cls(NOT_NEEDED if settings.auth == "off" else settings.approval_above_share)

    @property
    def is_on(self) -> bool:
        """Whether any plan needs approval."""
        return self.above_share < NOT_NEEDED


FREELY = ApprovalRule(NOT_NEEDED)


async def require_another(
    session: AnySession, plan: Plan, approver: str, rule: ApprovalRule
) -> None:
    """Let an approval through that is by another person than those whose plan it is.

    Raises
    ------
    Conflict
        Naming those who must not approve it.
    """
    excluded = await involved(session, plan)
    if rule.is_on and approver in excluded:
        raise Conflict(
            f"Plan {plan.id} is to be approved by somebody who neither made nor proposed it.",
            [Fault("own-plan", f"not by {_named(excluded)}")],
        )


async def require_approval(
    session: AnySession, plan: Plan, incumbent_id: int, rule: ApprovalRule
) -> None:
    """Let a plan follow the one in force when it moves few customers, or is approved.

    Raises
    ------
    Conflict
        With the share it would move, and who must not approve it.
    """
    if not rule.is_on:
        return
    if plan.state == "published":
        # It was in force before, with the approval it needed then.
        return
    moved = (await compare(session, EVERYTHING, incumbent_id, plan.id)).view.customers
    if moved.share <= rule.above_share:
        return
    excluded = await involved(session, plan)
    approver = await _approver(session, plan)
    if plan.state == "approved" and approver is not None and approver not in excluded:
        return
    named = _named(excluded)
    raise Conflict(
        f"Plan {plan.id} would move {moved.moved:.0f} of {moved.total:.0f} customers "
        f"({moved.share:.1%}) against plan {incumbent_id}; above {rule.above_share:.1%} it needs "
        "the approval of another person.",
        [
            Fault("not-approved", f"POST /v1/plans/{plan.id}:propose, then :approve"),
            Fault("own-plan", f"not by {named}" if named else "by anyone"),
        ],
    )


async def involved(session: AnySession, plan: Plan) -> list[str]:
    """Return who made the plan, changed it, or proposed it last; those must not approve it."""
    designed = select(Run.requested_by).where(
        or_(
            Run.id == plan.run_id,
            Run.id.in_(
                select(PlanFront.run_id)
                .join(PlanFrontPoint, PlanFrontPoint.plan_id == PlanFront.plan_id)
                .where(PlanFrontPoint.member_plan_id == plan.id, PlanFrontPoint.kind == "member")
            ),
        )
    )
    did = select(PlanEvent.actor).where(
        PlanEvent.plan_id == plan.id, PlanEvent.action.in_((*MAKING, "proposed"))
    )
    return sorted({*await session.scalars(designed), *await session.scalars(did)})


async def _approver(session: AnySession, plan: Plan) -> str | None:
    statement = (
        select(PlanEvent.actor)
        .where(PlanEvent.plan_id == plan.id, PlanEvent.action == "approved")
        .order_by(PlanEvent.id.desc())
        .limit(1)
    )
    found: str | None = await session.scalar(statement)
    return found


def _named(people: list[str]) -> str:
    return ", ".join(people)
