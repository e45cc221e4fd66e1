"""Edits of drafts: each is one transaction, and can be undone."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text

from app.db.session import AnySession, WriteSession
from app.db.tables import Plan
from app.errors import Conflict, Fault
from app.plans.edit_log import codes_in_log, kept_state, log_edit, take_last, turn
from app.plans.edit_schemas import LockRequest, MergeRequest, MoveRequest, SplitRequest
from app.plans.edit_state import EditState, changed_codes
from app.plans.events import record
from app.plans.life_schemas import Action
from app.plans.repository import state as state_now
from app.settings import Settings

if TYPE_CHECKING:
    from app.plans.edit_ground import Ground
    from app.plans.edit_store import Draft, Outcome
    from app.plans.ground_demand import GroundDemand

WAIT_FOR_CHILD = text("""
    -- A transaction that waits for the solver is idle for longer than others may be.
    SET LOCAL idle_in_transaction_session_timeout = '150s'
""")
# What the solver is made of takes a second to import: whoever only reads need not wait for it.
Change = Callable[[EditState, "Ground"], EditState]


async def move_cells(session: WriteSession, plan: Plan, body: MoveRequest, actor: str) -> list[str]:
    """Give cells to other territories; return the codes of those that changed."""
    from app.plans.edit_changes import moved

    moves = [(move.cells, move.to) for move in body.moves]
    detail = {"moves": [{"n_cells": len(cells), "to": code} for cells, code in moves[:20]]}
    return await _edit(session, plan, actor, "moved", lambda state, _: moved(state, moves), detail)


async def merge(session: WriteSession, plan: Plan, body: MergeRequest, actor: str) -> list[str]:
    """Make one territory of several; return the codes of those that changed."""
    from app.plans.edit_changes import merged

    return await _edit(
        session, plan, actor, "merged",
        lambda state, ground: merged(state, ground, body.territories, body.into),
        {"territories": body.territories, "into": body.into},
    )  # fmt: skip


async def split(
    session: WriteSession, plan: Plan, body: SplitRequest, actor: str, settings: Settings
) -> list[str]:
    """Divide a territory; return the codes of those that changed."""
    from app.plans.edit_changes import split as split_state
    from app.plans.edit_ground import Ground
    from app.plans.edit_store import codes_of_parent
    from app.plans.splitting import divide

    await require_draft(session, plan)
    draft, demand = await _read(session, plan)
    taken = await codes_of_parent(session, plan) | await codes_in_log(session, plan.id)
    code = draft.state.codes[draft.state.place(body.territory, "/territory")]
    await session.execute(WAIT_FOR_CHILD)
    ground = await asyncio.to_thread(Ground.of, draft.state.cells, plan.parameters)
    labels = await divide(
        settings, draft.state, ground, demand.activity, plan.parameters, code, body.parts
    )
    return await _apply(
        session, draft, demand, actor, "split",
        lambda state, _: split_state(state, code, labels, draft.labels[code], taken),
        {"territory": code, "parts": body.parts},
    )  # fmt: skip


async def lock(
    session: WriteSession, plan: Plan, body: LockRequest, actor: str, *, is_locking: bool
) -> list[str]:
    """Lock territories and cells, or lift their locks."""
    from app.plans import edit_locks

    act = edit_locks.locked if is_locking else edit_locks.unlocked
    detail = {"territories": body.territories, "n_cells": len(body.cells or [])}
    return await _edit(
        session, plan, actor, "locked" if is_locking else "unlocked",
        lambda state, _: act(state, plan.id, body.territories, body.cells), detail,
    )  # fmt: skip


async def undo(session: WriteSession, plan: Plan, actor: str, *, is_redo: bool) -> list[str]:
    """Undo the last edit, or do again the one undone last; return the codes that changed.

    Raises
    ------
    Conflict
        When the plan is no draft, or there is nothing to undo.
    """
    from app.plans.edit_store import store_outcome

    await require_draft(session, plan)
    draft, demand = await _read(session, plan)
    edit = await take_last(session, plan.id, is_undone=is_redo)
    after = kept_state(edit, draft.state)
    outcome = await asyncio.to_thread(_compute, draft, demand, lambda *_: after, is_checked=False)
    await turn(session, edit, draft.state)
    await store_outcome(session, draft, outcome, demand)
    action: Action = "redone" if is_redo else "undone"
    await record(session, plan.id, actor, action, edit=edit.kind, by=edit.actor)
    return outcome.changed


async def refresh(session: WriteSession, plan: Plan, actor: str) -> None:
    """Count a draft anew with the customers of today.

    Raises
    ------
    Conflict
        When the plan is no draft, or the customers have no work.
    """
    from app.plans.edit_store import counted, store_outcome

    await require_draft(session, plan)
    draft, demand = await _read(session, plan)
    outcome = await asyncio.to_thread(
        _compute, draft, demand, lambda state, _: state, is_checked=False
    )
    await store_outcome(session, draft, outcome, demand)
    await record(session, plan.id, actor, "refreshed", **counted(demand))


async def require_draft(session: AnySession, plan: Plan) -> None:
    """Refuse to change what is no draft.

    Raises
    ------
    Conflict
        Saying how to get one.
    """
    now = await session.scalar(select(state_now()).where(Plan.id == plan.id))
    if now != "draft":
        raise Conflict(
            f"Plan {plan.id} is {now}: only drafts are edited. Copy it first.",
            [Fault("state", f"POST /v1/plans/{plan.id}:copy")],
        )


async def _edit(
    session: WriteSession,
    plan: Plan,
    actor: str,
    action: Action,
    change: Change,
    detail: dict[str, Any],
) -> list[str]:
    await require_draft(session, plan)
    draft, demand = await _read(session, plan)
    return await _apply(session, draft, demand, actor, action, change, detail)


async def _read(session: AnySession, plan: Plan) -> "tuple[Draft, GroundDemand]":
    from app.plans.edit_store import load_draft
    from app.plans.ground_demand import demand_on

    draft = await load_draft(session, plan)
    return draft, await demand_on(session, plan.layer_id, draft.state.cells)


async def _apply(
    session: WriteSession,
    draft: "Draft",
    demand: "GroundDemand",
    actor: str,
    action: Action,
    change: Change,
    detail: dict[str, Any],
) -> list[str]:
    """Compute an edit beside the event loop, then write it and how it is undone."""
    from app.plans.edit_store import is_same, store_outcome

    outcome = await asyncio.to_thread(_compute, draft, demand, change, is_checked=True)
    if is_same(draft.state, outcome.state):
        return []
    await log_edit(session, draft.plan.id, actor, action, draft.state)
    await store_outcome(session, draft, outcome, demand)
    await record(session, draft.plan.id, actor, action, **detail)
    return outcome.changed


def _compute(
    draft: "Draft", demand: "GroundDemand", change: Change, *, is_checked: bool
) -> "Outcome":
    """Return what a change comes to; where a lock or a torn territory forbids it, that is raised.

    A state that a draft had before needs no check.
    """
    from app.plans.edit_drawing import redraw
    from app.plans.edit_ground import Ground, refuse_torn
    from app.plans.edit_locks import refuse_locked
    from app.plans.edit_scores import rescore
    from app.plans.edit_store import Outcome

    ground = Ground.of(draft.state.cells, draft.plan.parameters)
    after = change(draft.state, ground)
    changed = changed_codes(draft.state, after)
    if is_checked:
        refuse_locked(draft.state, after)
        refuse_torn(after, ground, changed)
    return Outcome(
        state=after,
        changed=changed,
        rescored=rescore(after, ground, demand, draft.made),
        redrawn=redraw(after, ground, set(changed) & set(after.codes), draft.colours),
    )
