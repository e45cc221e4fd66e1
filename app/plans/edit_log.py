"""The edits of a draft, so that each can be undone and done again."""

from dataclasses import replace

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import undefer

from app.db.alignment import pack, unpack
from app.db.session import AnySession, WriteSession
from app.db.tables import PlanEdit
from app.errors import Conflict, Fault
from app.plans.edit_state import EditState, Member


async def log_edit(
    session: WriteSession, plan_id: int, actor: str, kind: str, before: EditState
) -> None:
    """Keep how a draft was before an edit; what was undone before cannot be done again."""
    await session.execute(delete(PlanEdit).where(PlanEdit.plan_id == plan_id, PlanEdit.is_undone))
    values = {"plan_id": plan_id, "actor": actor, "kind": kind, **_document(before)}
    await session.execute(insert(PlanEdit).values(**values))


async def take_last(session: AnySession, plan_id: int, *, is_undone: bool) -> PlanEdit:
    """Return the edit to undo, or with `is_undone` the one to do again.

    Raises
    ------
    Conflict
        When there is none.
    """
    statement = (
        select(PlanEdit)
        .where(PlanEdit.plan_id == plan_id, PlanEdit.is_undone.is_(is_undone))
        .order_by(PlanEdit.id if is_undone else PlanEdit.id.desc())
        .limit(1)
        .options(undefer(PlanEdit.alignment))
    )
    found: PlanEdit | None = await session.scalar(statement)
    if found is None:
        what = "undone edit to do again" if is_undone else "edit to undo"
        raise Conflict(f"Plan {plan_id} has no {what}.", [Fault("nothing", f"there is no {what}")])
    return found


async def turn(session: WriteSession, edit: PlanEdit, now: EditState) -> None:
    """Mark an edit as undone or done again; from now on it keeps the state it was left in."""
    await session.execute(
        update(PlanEdit)
        .where(PlanEdit.id == edit.id)
        .values(is_undone=~PlanEdit.is_undone, **_document(now))
        .execution_options(synchronize_session=False)
    )


def kept_state(edit: PlanEdit, now: EditState) -> EditState:
    """Return the state on the other side of an edit; the cells of a draft stay the same."""
    _, ordinals = unpack(edit.alignment)
    members = tuple(Member(**member) for member in edit.territories)
    return replace(now, ordinals=ordinals, members=members, wishes=edit.parameters)


async def codes_in_log(session: AnySession, plan_id: int) -> set[str]:
    """Return every code that a draft had before one of its edits."""
    logged = await session.scalars(select(PlanEdit.territories).where(PlanEdit.plan_id == plan_id))
    return {member["code"] for members in logged for member in members}


def _document(state: EditState) -> dict[str, object]:
    return {
        "alignment": pack(state.cells, state.ordinals),
        "territories": [member.document() for member in state.members],
        "parameters": state.wishes,
    }
