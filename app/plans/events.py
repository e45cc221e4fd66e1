"""Who did what with a plan, and what people say of it, in the database."""

from typing import Any

from sqlalchemy import delete, insert, select

from app.db.session import AnySession, WriteSession
from app.db.tables import Plan, PlanComment, PlanEvent, Territory
from app.errors import Fault, Forbidden, InvalidInput, NotFound
from app.plans.life_schemas import Action, CommentView, EventView, NewComment


async def record(
    session: WriteSession, plan_id: int, actor: str, action: Action, **detail: Any
) -> None:
    """Write down what was done with a plan, in the transaction that does it.

    Details that are None are left out.
    """
    told = {name: value for name, value in detail.items() if value is not None}
    values = {"plan_id": plan_id, "actor": actor, "action": action, "detail": told}
    await session.execute(insert(PlanEvent).values(**values))


async def list_events(session: AnySession, plan_id: int, after: int, limit: int) -> list[EventView]:
    """Return up to `limit` events of a plan, oldest first.

    Raises
    ------
    NotFound
        When there is no such plan.
    """
    await require_plan(session, plan_id)
    found = await session.scalars(
        select(PlanEvent)
        .where(PlanEvent.plan_id == plan_id, PlanEvent.id > after)
        .order_by(PlanEvent.id)
        .limit(limit)
    )
    return [
        EventView(id=e.id, at=e.at, actor=e.actor, action=e.action, detail=e.detail) for e in found
    ]


async def list_comments(
    session: AnySession, plan_id: int, after: int, limit: int
) -> list[CommentView]:
    """Return up to `limit` comments on a plan, oldest first.

    Raises
    ------
    NotFound
        When there is no such plan.
    """
    await require_plan(session, plan_id)
    found = await session.scalars(
        select(PlanComment)
        .where(PlanComment.plan_id == plan_id, PlanComment.id > after)
        .order_by(PlanComment.id)
        .limit(limit)
    )
    return [_comment(comment) for comment in found]


async def add_comment(
    session: WriteSession, plan_id: int, body: NewComment, author: str
) -> CommentView:
    """Store a comment.

    Raises
    ------
    NotFound
        When there is no such plan.
    InvalidInput
        When the plan has no such territory.
    """
    await require_plan(session, plan_id)
    if body.territory is not None:
        known = select(Territory.id).where(
            Territory.plan_id == plan_id, Territory.code == body.territory
        )
        if await session.scalar(known) is None:
            fault = Fault("unknown", f"plan {plan_id} has no {body.territory}", "/territory")
            raise InvalidInput("The comment is on a territory that is not there.", [fault])
    comment = PlanComment(
        plan_id=plan_id, author=author, territory_code=body.territory, text=body.text
    )
    session.add(comment)
    await session.flush()
    await session.refresh(comment)
    return _comment(comment)


async def delete_comment(session: WriteSession, plan_id: int, comment_id: int, caller: str) -> None:
    """Delete a comment of one's own.

    Raises
    ------
    NotFound
        When there is no such comment on the plan.
    Forbidden
        When it is another's.
    """
    comment = await session.get(PlanComment, comment_id)
    if comment is None or comment.plan_id != plan_id:
        raise NotFound(f"There is no comment {comment_id} on plan {plan_id}.")
    if comment.author != caller:
        raise Forbidden(f"The comment is that of {comment.author}, who alone may delete it.")
    await session.execute(delete(PlanComment).where(PlanComment.id == comment_id))


async def require_plan(session: AnySession, plan_id: int) -> None:
    """Refuse a plan that is not there.

    Raises
    ------
    NotFound
        When there is no such plan.
    """
    if await session.scalar(select(Plan.id).where(Plan.id == plan_id)) is None:
        raise NotFound(f"There is no plan {plan_id}.")


def _comment(comment: PlanComment) -> CommentView:
    return CommentView(
        id=comment.id,
        created_at=comment.created_at,
        author=comment.author,
        territory=comment.territory_code,
        text=comment.text,
    )
