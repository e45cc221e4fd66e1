"""Bringing a plan into force: one transaction, effective-dated, for all readers at one instant."""

from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import ColumnElement, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import Range

from app.db.session import WriteSession
from app.db.tables import Layer, Plan, Publication, Rep, Territory, TerritoryOwner
from app.errors import Conflict, Fault, InvalidInput, NotFound
from app.plans.approval import ApprovalRule, require_approval
from app.plans.changes import find_changes, refuse_large
from app.plans.events import record
from app.plans.lifecycle import require_step
from app.plans.plan_cells import forget_cells, store_cells
from app.plans.schemas import PublicationView
from geo.distance import great_circle_m

KEEP_OWNERS = text("""
    -- Territories without an owner get that of the territory of the same code in the nearest of the
    -- plans that this one was made from, where it has one then. Members of a front are designed
    -- anew, and their codes mean nothing there.
    WITH RECURSIVE ancestor (id, parent_id, origin, nth) AS (
        SELECT id, parent_id, origin, 0 FROM plan WHERE id = :plan_id
        UNION ALL
        SELECT plan.id, plan.parent_id, plan.origin, nth + 1
        FROM ancestor JOIN plan ON plan.id = ancestor.parent_id
        WHERE ancestor.origin <> 'front'
    )
    INSERT INTO territory_owner (territory_id, rep_id, during)
    SELECT DISTINCT ON (own.id) own.id, owner.rep_id, tstzrange(:starts, NULL, '[)')
    FROM territory AS own
    JOIN ancestor ON nth > 0
    JOIN territory AS old ON old.plan_id = ancestor.id AND old.code = own.code
    JOIN territory_owner AS owner ON owner.territory_id = old.id AND owner.during @> :starts
    WHERE own.plan_id = :plan_id AND NOT EXISTS (
        SELECT FROM territory_owner AS known
        WHERE known.territory_id = own.id AND known.during && tstzrange(:starts, NULL, '[)'))
    ORDER BY own.id, nth
""")
# Between a caller's "now" and ours there may be a little time.
CLOCK_SLACK = timedelta(seconds=60)


async def publish(
    session: WriteSession,
    plan_id: int,
    effective_from: datetime | None,
    assign_reps: bool,
    published_by: str,
    rule: ApprovalRule,
    accepts_changes: bool = False,
) -> PublicationView:
    """Put a plan in force from an instant on, ending the one in force until then.

    Raises
    ------
    NotFound
        When there is no such plan.
    InvalidInput
        When the instant lies in the past.
    Conflict
        When the plan is in force already, archived, or lacks the approval it needs, when its
        customers have changed much since it was counted, unless that is accepted, or when another
        is published to start later.
    """
    plan = await take_turn(session, plan_id)
    starts = await _start(session, effective_from)
    incumbent = await _predecessor(session, plan, starts)
    await require_step(session, plan_id, "publish")
    if incumbent is not None:
        await require_approval(session, plan, incumbent.plan_id, rule)
    # One that was in force before comes back as it was.
    changes = None if plan.state == "published" else await find_changes(session, plan)
    if changes is not None and not accepts_changes:
        refuse_large(plan, changes)
    publication = await _bring_into_force(session, plan, starts, incumbent, published_by)
    planned = await _planned_reps(session, plan) if assign_reps else {}
    if planned:
        await _assign_planned_reps(session, plan_id, planned, starts)
    elif assign_reps:
        await _assign_near_reps(session, plan_id, starts)
    await record(
        session, plan_id, published_by, "published",
        effective_from=starts.isoformat(), after_plan_id=incumbent and incumbent.plan_id,
        accepted=changes.document() if changes is not None and changes.is_large else None,
    )  # fmt: skip
    return await _view(session, publication, starts)


async def roll_back(
    session: WriteSession, plan_id: int, effective_from: datetime | None, published_by: str
) -> PublicationView:
    """Bring an earlier plan of the layer into force again.

    What was in force before needs no new approval: a wrong plan is to be undone at once.

    Raises
    ------
    NotFound
        When there is no such plan.
    InvalidInput
        When the instant lies in the past.
    Conflict
        When the plan was never in force, is so still, or another is published to start later.
    """
    plan = await take_turn(session, plan_id)
    await require_step(session, plan_id, "rollback")
    starts = await _start(session, effective_from)
    incumbent = await _predecessor(session, plan, starts)
    publication = await _bring_into_force(session, plan, starts, incumbent, published_by)
    await record(
        session, plan_id, published_by, "rolled_back",
        effective_from=starts.isoformat(), after_plan_id=incumbent and incumbent.plan_id,
    )  # fmt: skip
    return await _view(session, publication, starts)


async def _bring_into_force(
    session: WriteSession,
    plan: Plan,
    starts: datetime,
    incumbent: Publication | None,
    published_by: str,
) -> Publication:
    if incumbent is not None:
        await session.execute(
            update(Publication)
            .where(Publication.id == incumbent.id)
            .values(during=func.tstzrange(func.lower(Publication.during), starts, "[)"))
        )
    await store_cells(session, plan)
    publication = Publication(
        layer_id=plan.layer_id,
        plan_id=plan.id,
        during=Range(starts, None, bounds="[)"),
        published_by=published_by,
    )
    session.add(publication)
    plan.state = "published"
    plan.version += 1
    await session.flush()
    await session.execute(KEEP_OWNERS, {"plan_id": plan.id, "starts": starts})
    return publication


async def _view(
    session: WriteSession, publication: Publication, starts: datetime
) -> PublicationView:
    owners = await session.scalar(
        select(func.count(TerritoryOwner.id))
        .join(Territory)
        .where(Territory.plan_id == publication.plan_id, TerritoryOwner.during.contains(starts))
    )
    return PublicationView(
        id=publication.id,
        layer_id=publication.layer_id,
        plan_id=publication.plan_id,
        effective_from=starts,
        effective_to=None,
        published_by=publication.published_by,
        owners=owners or 0,
    )


async def take_turn(session: WriteSession, plan_id: int) -> Plan:
    """Return a plan whose layer nobody else publishes on until this transaction ends.

    Readers of the layer do not wait.

    Raises
    ------
    NotFound
        When there is no such plan.
    """
    layer_id = await session.scalar(select(Plan.layer_id).where(Plan.id == plan_id))
    await session.execute(select(Layer.id).where(Layer.id == layer_id).with_for_update())
    plan = await session.get(Plan, plan_id, populate_existing=True)
    if plan is None:
        raise NotFound(f"There is no plan {plan_id}.")
    return plan


async def withdraw(session: WriteSession, plan_id: int, actor: str) -> None:
    """Take back a publication that has not begun; what it was to end goes on.

    A plan that was never in force is a draft again.

    Raises
    ------
    NotFound
        When there is no such plan.
    Conflict
        When the plan has no publication that is still to begin.
    """
    plan = await take_turn(session, plan_id)
    coming = await session.scalar(
        select(Publication).where(
            Publication.plan_id == plan_id, func.lower(Publication.during) > func.now()
        )
    )
    if coming is None:
        raise Conflict(f"Plan {plan_id} has no publication that is still to begin.")
    starts = coming.during.lower
    assert starts is not None
    await session.delete(coming)
    await session.flush()
    await session.execute(
        update(Publication)
        .where(Publication.layer_id == plan.layer_id, func.upper(Publication.during) == starts)
        .values(during=func.tstzrange(func.lower(Publication.during), None, "[)"))
    )
    own = select(Territory.id).where(Territory.plan_id == plan_id)
    owners = delete(TerritoryOwner).where(TerritoryOwner.territory_id.in_(own))
    past = select(Publication.id).where(Publication.plan_id == plan_id).limit(1)
    if await session.scalar(past) is None:
        await session.execute(owners)
        await forget_cells(session, plan_id)
        plan.state = "draft"
    else:
        # Whose its territories were while it was in force stays known.
        await session.execute(owners.where(func.lower(TerritoryOwner.during) >= starts))
    plan.version += 1
    await record(session, plan_id, actor, "withdrawn", effective_from=starts.isoformat())


async def _start(session: WriteSession, wanted: datetime | None) -> datetime:
    now: datetime = (await session.execute(select(func.now()))).scalar_one()
    if wanted is None or now - CLOCK_SLACK <= wanted <= now:
        return now
    if wanted < now:
        fault = Fault("past", "must not lie in the past", "/effective_from")
        raise InvalidInput("A plan cannot come into force in the past.", [fault])
    return wanted.astimezone(UTC)


async def _predecessor(session: WriteSession, plan: Plan, starts: datetime) -> Publication | None:
    """Return what is in force at `starts`; refuse when something is to start later."""
    later = await session.execute(
        select(Publication.plan_id, func.lower(Publication.during).label("starts"))
        .where(Publication.layer_id == plan.layer_id, func.lower(Publication.during) >= starts)
        .order_by(Publication.during)
    )
    successor = later.first()
    if successor is not None:
        raise Conflict(
            f"Plan {successor.plan_id} is published from {successor.starts.isoformat()} on; a plan "
            "cannot come into force before it.",
            [Fault("successor", f"/v1/plans/{successor.plan_id}", "/effective_from")],
        )
    current: Publication | None = await session.scalar(
        select(Publication).where(
            Publication.layer_id == plan.layer_id, Publication.during.contains(starts)
        )
    )
    if current is not None and current.plan_id == plan.id:
        raise Conflict(f"Plan {plan.id} is in force already.")
    return current


async def _planned_reps(session: WriteSession, plan: Plan) -> dict[int, int]:
    """Return the rep that each territory was designed for, by the territory's id.

    They stand in the parameters by number, and after edits that changed the numbers with the
    territories.
    """
    listed = plan.parameters.get("rep_ids")
    rows = await session.execute(
        select(Territory.id, Territory.ordinal, Territory.scores["rep_id"].as_integer()).where(
            Territory.plan_id == plan.id
        )
    )
    planned = {number: listed[place] if listed else rep_id for number, place, rep_id in rows}
    return {number: rep_id for number, rep_id in planned.items() if rep_id is not None}


async def _assign_planned_reps(
    session: WriteSession, plan_id: int, planned: dict[int, int], starts: datetime
) -> None:
    """Give each territory without an owner the rep it was designed for, if there still is one."""
    present = set(await session.scalars(select(Rep.id).where(Rep.id.in_(planned.values()))))
    during = Range(starts, None, bounds="[)")
    free = await session.scalars(
        select(Territory.id).where(Territory.plan_id == plan_id, ~_is_owned(during))
    )
    owners = [
        {"territory_id": number, "rep_id": planned[number], "during": during}
        for number in free
        if planned.get(number) in present
    ]
    if owners:
        await session.execute(insert(TerritoryOwner), owners)


def _is_owned(during: Range[datetime]) -> ColumnElement[bool]:
    owner = select(TerritoryOwner.id).where(
        TerritoryOwner.territory_id == Territory.id, TerritoryOwner.during.overlaps(during)
    )
    return owner.exists()


async def _assign_near_reps(session: WriteSession, plan_id: int, starts: datetime) -> None:
    """Give territories without an owner the reps whose homes are near, one territory each.

    The sum of the distances from home to territory is least (Kuhn 1955, as in SciPy).
    """
    # Here and not above: every command and every process would take longer to start.
    from scipy.optimize import linear_sum_assignment

    territories = (
        await session.execute(
            select(
                Territory.id,
                func.ST_X(Territory.label_point).label("lon"),
                func.ST_Y(Territory.label_point).label("lat"),
            )
            .where(Territory.plan_id == plan_id, ~_is_owned(Range(starts, None, bounds="[)")))
            .order_by(Territory.ordinal)
        )
    ).all()
    reps = (
        await session.execute(
            select(Rep.id, func.ST_X(Rep.home).label("lon"), func.ST_Y(Rep.home).label("lat"))
            .where(Rep.home.is_not(None))
            .order_by(Rep.id)
        )
    ).all()
    if not territories or not reps:
        return
    distance_m = great_circle_m(
        np.array([[row.lon] for row in territories]), np.array([[row.lat] for row in territories]),
        np.array([[row.lon for row in reps]]), np.array([[row.lat for row in reps]]),
    )  # fmt: skip
    pairs = zip(*linear_sum_assignment(distance_m), strict=True)
    await session.execute(
        insert(TerritoryOwner),
        [
            {
                "territory_id": territories[t].id,
                "rep_id": reps[r].id,
                "during": Range(starts, None, bounds="[)"),
            }
            for t, r in pairs
        ],
    )
