"""One of everything, twice: what is a rep's own, and what is another's."""

import gzip
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import orjson
from sqlalchemy import text, update

from app.auth import create_key
from app.auth.keys import list_keys
from app.db.alignment import pack
from app.db.session import Database, WriteSession
from app.db.tables import (
    Artifact,
    Geofence,
    GeofenceCell,
    Plan,
    PlanCertificate,
    PlanComment,
    PlanFront,
    PlanMove,
    Policy,
    PolicyFiring,
    PolicyVersion,
    Rebalance,
    Rep,
    Run,
    Schedule,
    ScheduleNight,
    Territory,
    TerritoryOwner,
)
from geo.cells import CUSTOMER_RESOLUTION, ancestors, cell_from_point
from tests.ground import ALWAYS, AREA, BEIJING, SHANGHAI, put_in_force

MISSING = 999_999
TODAY = date(2026, 6, 1)
# What each customer and each territory, which holds one, comes to: no other number of the world is
# like these, so whoever reads one of them, or their sum, was told of a few customers.
WORK, POTENTIAL, IMBALANCE, SHARE = 7133.25, 9157.5, 0.0734375, 0.6171875
MEASURES = {"customers": 1.0, "work_minutes": WORK, "potential": POTENTIAL, "revenue": 0.0}
DEMAND = {"customers": 2, "work_minutes": 2 * WORK, "potential": 2 * POTENTIAL}
TELLING = (WORK, 2 * WORK, POTENTIAL, 2 * POTENTIAL, IMBALANCE, SHARE)
TERRITORY_SCORES = {
    "n_cells": 1, "components": 1, "activity": MEASURES, "target": MEASURES,
    "imbalance": {"work_minutes": IMBALANCE}, "bbox": [121.0, 31.0, 122.0, 32.0],
}  # fmt: skip
PLAN_SCORES = {
    "max_imbalance": {"work_minutes": IMBALANCE}, "is_feasible": True,
    "bbox": [100.0, 20.0, 140.0, 50.0], "heaviest_cell_share_of_target": SHARE,
}  # fmt: skip
VIOLATIONS = [
    {"code": "unit_too_heavy", "message": f"a cell has {WORK}", "facts": {"ratio": SHARE}}
]
COMPONENTS = [
    {
        "n_cells": 1, "work_share": SHARE, "customers": 1, "n_territories": 1, "left_out": False,
        "reason": f"its work is {WORK}", "place": [121.0, 31.0],
    }
]  # fmt: skip
MODEL = {"lon": 121.0, "lat": 31.0, "expected": DEMAND}


@dataclass(slots=True)
class World:
    """Ids by kind of object: one's own, another's."""

    own: dict[str, Any] = field(default_factory=dict)
    foreign: dict[str, Any] = field(default_factory=dict)
    reps: dict[str, int] = field(default_factory=dict)

    def ids(self, whose: str) -> dict[str, Any]:
        """Return the ids to fill into an address."""
        missing = dict.fromkeys(self.own, MISSING) | {
            "prefix": "f" * 12, "external_id": "NEW", "local_date": "2025-12-31",
        }  # fmt: skip
        return {"own": self.own, "foreign": self.foreign, "missing": missing}[whose]


async def make_world(database: Database) -> World:
    """Fill an empty database: T01 around Shanghai is the rep's own, T02 around Beijing another's.

    Names of what is another's hold the word FOREIGN.
    """
    world = World()
    plan = await put_in_force(database, "sales")
    draft = await put_in_force(database, "service")
    async with database.writing() as session:
        head = Rep(external_id="HEAD", name="OWN head")
        session.add(head)
        await session.flush()
        rep = Rep(external_id="OWN", name="OWN rep", manager_id=head.id)
        other = Rep(external_id="FOREIGN", name="FOREIGN rep")
        session.add_all([rep, other])
        await session.flush()
        world.reps = {"rep": rep.id, "manager": head.id}
        for code, owner in (("T01", rep.id), ("T02", other.id)):
            territory_id = plan.territories[code]
            session.add(TerritoryOwner(territory_id=territory_id, rep_id=owner, during=ALWAYS))
        await session.execute(
            update(Territory).where(Territory.code == "T02").values(name="FOREIGN territory")
        )
        await session.execute(update(Territory).values(scores=TERRITORY_SCORES))
        # The second plan is a draft: nobody of limited scope knows of it.
        await session.execute(
            text("DELETE FROM publication WHERE plan_id = :p"), {"p": draft.plan_id}
        )
        await session.execute(text("SELECT drop_plan_partition(:p)"), {"p": draft.plan_id})
        alignment = _alignment()
        await session.execute(
            update(Plan).values(
                alignment=alignment, scores=PLAN_SCORES, violations=VIOLATIONS,
                components=COMPONENTS, manifest={"seed": 1, "input": DEMAND},
                parameters={"tolerances": {"work_minutes": 0.05}, "layer_id": plan.layer_id},
            )
        )  # fmt: skip
        await session.execute(
            update(Plan).where(Plan.id == draft.plan_id).values(name="FOREIGN plan", state="draft")
        )
        own_run, other_run = [
            Run(kind="import", state="succeeded", parameters={"upload_id": n}, requested_by="x")
            for n in range(2)
        ]
        session.add_all([own_run, other_run])
        comments: list[int] = []
        for plan_id in (plan.plan_id, draft.plan_id):
            session.add(
                PlanCertificate(plan_id=plan_id, sha256="a" * 64, n_bytes=2, document=GZIPPED)
            )
            session.add(PlanFront(plan_id=plan_id, facts=FRONT_FACTS))
            session.add(_move(plan_id))
            comment = PlanComment(plan_id=plan_id, author="somebody else", text="why")
            session.add(comment)
            await session.flush()
            comments.append(comment.id)
            drawing = Run(
                kind="pmtiles", state="succeeded", parameters={"plan_id": plan_id},
                requested_by="test", result={"sha256": "0" * 64},
            )  # fmt: skip
            session.add(drawing)
            await session.flush()
            session.add_all(
                Artifact(run_id=drawing.id, name=name, media_type="x", data=b"file")
                for name in (
                    f"plan-{plan_id}.pmtiles",
                    *(f"plan-{plan_id}-report.{form}" for form in ("html", "pdf", "png")),
                )
            )
        fences = [
            Geofence(name=name, geom=AREA.format(4326), kind="catchment", model=MODEL)
            for name in ("one", "two")
        ]
        session.add_all(fences)
        await session.flush()
        for fence, place in zip(fences, (SHANGHAI, BEIJING), strict=True):
            cell = int(ancestors([cell_from_point(*place, CUSTOMER_RESOLUTION)], 5)[0])
            session.add(GeofenceCell(geofence_id=fence.id, cell=cell))
        for whose, (lon, lat), name in (
            ("own", SHANGHAI, "OWN customer"), ("foreign", BEIJING, "FOREIGN customer")
        ):  # fmt: skip
            getattr(world, whose)["customer_id"] = await session.scalar(
                CUSTOMER, {"id": name.split()[0], "name": name, "lon": lon, "lat": lat,
                           "cell": int(cell_from_point(lon, lat, CUSTOMER_RESOLUTION)),
                           "work": WORK, "potential": POTENTIAL}
            )  # fmt: skip
        looks = [_rebalance(plan_id) for plan_id in (plan.plan_id, draft.plan_id)]
        session.add_all(looks)
        await session.flush()
        schedules = [
            Schedule(
                layer_id=layer_id, kind="rebalance", name="x", cron="0 2 * * *", timezone="UTC"
            )
            for layer_id in (plan.layer_id, draft.layer_id)
        ]
        session.add_all(schedules)
        await session.flush()
        nights = [
            ScheduleNight(schedule_id=schedule.id, local_date=NIGHT, due_at=datetime.now(UTC))
            for schedule in schedules
        ]
        session.add_all(nights)
        await session.flush()
        session.add_all(
            Artifact(run_id=own_run.id, name=f"night-{night.id}.html", media_type="x", data=b"page")
            for night in nights
        )
        policy_ids = [await _add_policy(session, at.layer_id) for at in (plan, draft)]
        alerts = [
            PolicyFiring(
                policy_id=policy_ids[0], policy_version=1, layer_id=plan.layer_id,
                plan_id=plan.plan_id, territory_code=code, fired_on=TODAY, seen_on=TODAY,
                evidence={"work_minutes": WORK}, sentence=f"{name} takes {WORK}", is_of_few=True,
                proposal="split",
            )
            for code, name in (("T01", "OWN"), ("T02", "FOREIGN"))
        ]  # fmt: skip
        session.add_all(alerts)
        await session.flush()
        for name in ("OWN key", "FOREIGN key"):
            await create_key(session, name, "viewer")
        own_key, other_key = await list_keys(session)
        world.own |= {
            "rep_id": rep.id, "plan_id": plan.plan_id, "other_id": plan.plan_id,
            "layer_id": plan.layer_id,
            "run_id": own_run.id, "geofence_id": fences[0].id, "prefix": own_key.prefix,
            "rebalance_id": looks[0].id, "schedule_id": schedules[0].id,
            "local_date": NIGHT, "position": 0,
            "comment_id": comments[0],
            "external_id": "OWN", "territory_id": plan.territories["T01"],
            "policy_id": policy_ids[0], "alert_id": alerts[0].id,
        }  # fmt: skip
        world.foreign |= {
            "rep_id": other.id, "plan_id": draft.plan_id, "other_id": draft.plan_id,
            "layer_id": draft.layer_id,
            "run_id": other_run.id, "geofence_id": fences[1].id, "prefix": other_key.prefix,
            "rebalance_id": looks[1].id, "schedule_id": schedules[1].id,
            "local_date": NIGHT, "position": 0,
            "comment_id": comments[1],
            "external_id": "FOREIGN", "territory_id": plan.territories["T02"],
            "policy_id": policy_ids[1], "alert_id": alerts[1].id,
        }  # fmt: skip
    return world


NIGHT = date(2026, 1, 1)


async def _add_policy(session: WriteSession, layer_id: int) -> int:
    content: dict[str, Any] = {
        "name": "Over 150 customers", "parameters": {"customers": 150}, "proposal": "split",
    }  # fmt: skip
    policy = Policy(layer_id=layer_id, kind="max_customers", **content)
    session.add(policy)
    await session.flush()
    session.add(
        PolicyVersion(policy_id=policy.id, version=1, enabled=True, made_by="test", **content)
    )
    await session.flush()
    return policy.id


CUSTOMER = text("""
    INSERT INTO customer (external_id, name, geom, cell, work_minutes, potential)
    VALUES (:id, :name, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326), :cell, :work, :potential)
    RETURNING id
""")
GZIPPED = gzip.compress(orjson.dumps({"activity": {"work_minutes": [WORK, WORK]}}), mtime=0)
FRONT_FACTS: dict[str, Any] = {
    "axes": [], "objective": "moment_of_inertia", "incumbent_plan_id": None, "demand": DEMAND,
    "is_demand_of_plan": True, "n_designed": 0, "n_dominated": 0,
}  # fmt: skip


def _move(plan_id: int) -> PlanMove:
    cell = int(ancestors([cell_from_point(*SHANGHAI, CUSTOMER_RESOLUTION)], 5)[0])
    return PlanMove(
        plan_id=plan_id, position=0, from_code="T01", to_code="T02", cells=[cell], customers=1,
        work_minutes=WORK, potential=POTENTIAL, revenue=0, reason="fills", text="x", evidence={},
    )  # fmt: skip


def _rebalance(plan_id: int) -> Rebalance:
    option = {
        "origin": "incumbent", "price": None, "moved": {}, "n_cells_moved": 0,
        "most_cells_per_territory": 0, "n_protected_moved": 0,
        "max_imbalance": {"work_minutes": 0.0}, "objective_ratio": None, "cut_edges": 1,
        "is_within_budget": True, "is_within_triggers": True, "is_balanced": True,
    }  # fmt: skip
    outcome = {
        "code": "within_triggers", "reason": "x", "has_plan": False, "picked": 0,
        "options": [option], "least_moved_work": 0.0, "has_freed_recent": False,
        "n_protected_cells": 0, "n_recent_cells": 0, "n_new_cells": 0, "new_customers": 0,
        "customers_outside": 0, "wanted": {},
    }  # fmt: skip
    return Rebalance(plan_id=plan_id, request={}, outcome=outcome)


def _alignment() -> bytes:
    cells = [
        int(ancestors([cell_from_point(lon, lat, CUSTOMER_RESOLUTION)], resolution)[0])
        for (lon, lat), resolution in ((SHANGHAI, 5), (BEIJING, 4))
    ]
    order = np.argsort(cells)
    return pack(np.array(cells, dtype=np.uint64)[order], np.array([0, 1], dtype=np.int32)[order])
