"""Drafts as edits need them, read from and written to the database."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from sqlalchemy import delete, func, select, text, update

from app.db.alignment import pack
from app.db.session import AnySession, WriteSession
from app.db.tables import Artifact, Plan, PlanFront, PlanFrontPoint, Run, Territory
from app.plans.edit_drawing import Redrawn
from app.plans.edit_scores import Made, Rescored
from app.plans.edit_state import WISHES, EditState, Member
from app.plans.ground_demand import GroundDemand
from app.plans.plan_cells import forget_cells
from app.plans.repository import load_alignment
from app.plans.store import INSERT_TERRITORY, box_around

ASIDE = text("""
    -- Numbers are unique at each moment, so all leave before any takes its new place.
    UPDATE territory SET ordinal = -1 - ordinal WHERE plan_id = :plan_id
""")
NUMBER = text("UPDATE territory SET ordinal = :ordinal WHERE plan_id = :plan_id AND code = :code")
SCORE = text("""
    UPDATE territory SET scores = CAST(:scores AS jsonb)
    WHERE plan_id = :plan_id AND code = :code
""")
DRAW = text("""
    -- As `app.plans.store` draws: Web Mercator ends at 85.06°.
    WITH drawn AS (
        SELECT ST_Multi(ST_GeomFromWKB(:outline, 4326)) AS outline,
            ST_Multi(ST_GeomFromWKB(:overview, 4326)) AS overview,
            ST_MakeEnvelope(-180, -85.06, 180, 85.06, 4326) AS world
    )
    UPDATE territory SET colour = :colour, outline = drawn.outline,
        label_point = ST_SetSRID(ST_MakePoint(:lon, :lat), 4326),
        tile_outline = ST_Transform(CASE WHEN ST_CoveredBy(drawn.outline, world) THEN drawn.outline
            ELSE ST_Multi(ST_Intersection(drawn.outline, world)) END, 3857),
        tile_overview = ST_Transform(CASE WHEN ST_CoveredBy(overview, world) THEN overview
            ELSE ST_Multi(ST_Intersection(overview, world)) END, 3857)
    FROM drawn WHERE plan_id = :plan_id AND code = :code
""")


@dataclass(frozen=True)
class Draft:
    """A plan with its territories by code, and its state."""

    plan: Plan
    state: EditState
    made: Made
    labels: dict[str, tuple[float, float]]
    colours: dict[str, int]
    boxes: dict[str, list[float]]


@dataclass(frozen=True)
class Outcome:
    """What an edit comes to."""

    state: EditState
    changed: list[str]
    rescored: Rescored
    redrawn: dict[str, Redrawn]


async def load_draft(session: AnySession, plan: Plan) -> Draft:
    """Return a plan as edits see it."""
    cells, ordinals = await load_alignment(session, plan.id)
    rows = (
        await session.execute(
            select(
                Territory.code, Territory.name, Territory.colour, Territory.scores,
                func.ST_X(Territory.label_point).label("lon"),
                func.ST_Y(Territory.label_point).label("lat"),
            )
            .where(Territory.plan_id == plan.id)
            .order_by(Territory.ordinal)
        )
    ).all()  # fmt: skip
    shares = _shares([row.scores["target"] for row in rows])
    reps = plan.parameters.get("rep_ids") or [row.scores.get("rep_id") for row in rows]
    members = tuple(
        Member(row.code, row.name, share, rep_id)
        for row, share, rep_id in zip(rows, shares, reps, strict=True)
    )
    wishes = {name: plan.parameters[name] for name in WISHES if name in plan.parameters}
    return Draft(
        plan=plan,
        state=EditState(cells, ordinals, members, wishes),
        made=Made(plan.parameters, plan.manifest, plan.scores, plan.components),
        labels={row.code: (row.lon, row.lat) for row in rows},
        colours={row.code: row.colour for row in rows},
        boxes={row.code: row.scores["bbox"] for row in rows},
    )


async def codes_of_parent(session: AnySession, plan: Plan) -> set[str]:
    """Return the codes of the plan that a plan was made from."""
    found = await session.scalars(select(Territory.code).where(Territory.plan_id == plan.parent_id))
    return set(found)


async def store_outcome(
    session: WriteSession, draft: Draft, outcome: Outcome, demand: GroundDemand
) -> None:
    """Write what an edit comes to: the plan, its territories, and nothing that is true no more."""
    plan, state = draft.plan, outcome.state
    await forget_cells(session, plan.id)
    await _store_territories(session, draft, outcome)
    boxes = [*(_box(draft, outcome, code) for code in state.codes)]
    await session.execute(
        update(Plan)
        .where(Plan.id == plan.id)
        .values(
            parameters={**plan.parameters, **state.wishes},
            n_territories=len(state.members),
            alignment=pack(state.cells, state.ordinals),
            scores={**outcome.rescored.plan, "bbox": box_around(boxes)},
            violations=outcome.rescored.violations,
            components=outcome.rescored.components,
            manifest={**plan.manifest, "recounted": counted(demand)},
            version=Plan.version + 1,
        )
        .execution_options(synchronize_session=False)
    )
    if outcome.changed:
        # What was computed of the plan as it was.
        await session.execute(delete(PlanFront).where(PlanFront.plan_id == plan.id))
        await session.execute(
            delete(PlanFrontPoint).where(PlanFrontPoint.member_plan_id == plan.id)
        )
        drawn = select(Run.id).where(
            Run.kind == "pmtiles", Run.parameters["plan_id"].as_integer() == plan.id
        )
        await session.execute(delete(Artifact).where(Artifact.run_id.in_(drawn)))
    await session.refresh(plan)


def counted(demand: GroundDemand) -> dict[str, Any]:
    """Return the customers that a plan was counted with last, as its manifest keeps them."""
    return {"customers": int(demand.total[1]), "work_minutes": float(demand.total[0])}


def _shares(targets: list[dict[str, float]]) -> list[dict[str, float]]:
    """Return the part of each measure that each territory is to have."""
    totals = {name: sum(target[name] for target in targets) for name in targets[0]}
    even = 1 / len(targets)
    return [
        {name: part / totals[name] if totals[name] else even for name, part in target.items()}
        for target in targets
    ]


async def _store_territories(session: WriteSession, draft: Draft, outcome: Outcome) -> None:
    plan_id, state, before = draft.plan.id, outcome.state, draft.state
    gone = set(before.codes) - set(state.codes)
    if gone:
        await session.execute(
            delete(Territory).where(Territory.plan_id == plan_id, Territory.code.in_(gone))
        )
    known = [code for code in state.codes if code in set(before.codes)]
    if state.codes != before.codes:
        await session.execute(ASIDE, {"plan_id": plan_id})
        await session.execute(
            NUMBER,
            [{"plan_id": plan_id, "ordinal": state.codes.index(code), "code": code}
             for code in known],
        )  # fmt: skip
    scores = {
        code: orjson.dumps({**told, "bbox": _box(draft, outcome, code)}).decode()
        for code, told in zip(state.codes, outcome.rescored.territories, strict=True)
    }
    await session.execute(
        SCORE, [{"plan_id": plan_id, "code": code, "scores": scores[code]} for code in known]
    )
    drawn = {
        code: {
            "plan_id": plan_id, "code": code, "colour": anew.colour, "outline": anew.outline,
            "overview": anew.overview, "lon": anew.label_point[0], "lat": anew.label_point[1],
        }
        for code, anew in outcome.redrawn.items()
    }  # fmt: skip
    redrawn = [drawn[code] for code in known if code in drawn]
    if redrawn:
        await session.execute(DRAW, redrawn)
    new = [code for code in state.codes if code not in set(before.codes)]
    if new:
        await session.execute(
            INSERT_TERRITORY,
            [{**drawn[code], "ordinal": state.codes.index(code), "scores": scores[code],
              "name": state.members[state.codes.index(code)].name} for code in new],
        )  # fmt: skip


def _box(draft: Draft, outcome: Outcome, code: str) -> list[float]:
    anew = outcome.redrawn.get(code)
    return draft.boxes[code] if anew is None else anew.bbox


def unpacked(members: list[dict[str, Any]]) -> tuple[Member, ...]:
    """Return territories as they were stored with an edit."""
    return tuple(Member(**member) for member in members)


def is_same(one: EditState, other: EditState) -> bool:
    """Tell whether two states of a plan are the same in all that an edit changes."""
    return (
        one.members == other.members
        and one.wishes == other.wishes
        and np.array_equal(one.ordinals, other.ordinals)
    )
