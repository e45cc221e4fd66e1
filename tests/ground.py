"""A plan in force with two territories, as small as it can be, for tests of access and lists."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range

from app.db.session import Database
from app.db.tables import Layer, Plan, Publication, Territory
from geo.cells import ancestors, cell_from_point

SHANGHAI, BEIJING, TOKYO = (121.47, 31.23), (116.40, 39.90), (139.69, 35.68)
AREA = "SRID={};MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))"
ALWAYS = Range(datetime(2020, 1, 1, tzinfo=UTC), None, bounds="[)")
PAST = Range(datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC), bounds="[)")
TOMORROW = Range(datetime.now(UTC) + timedelta(days=1), None, bounds="[)")


@dataclass(frozen=True, slots=True)
class PlanInForce:
    """Ids of a layer, its plan and the territories by their codes."""

    layer_id: int
    plan_id: int
    territories: dict[str, int]


async def put_in_force(
    database: Database,
    layer: str = "all",
    customer_filter: dict[str, Any] | None = None,
    during: Range[datetime] = ALWAYS,
) -> PlanInForce:
    """Publish a plan of two territories: T01 around Shanghai, T02 around Beijing.

    T01 holds a cell of resolution 5, T02 one of resolution 4: plans may mix resolutions.
    """
    async with database.writing() as session:
        owner = Layer(name=layer, title=layer, customer_filter=customer_filter or {})
        session.add(owner)
        await session.flush()
        plan = Plan(
            layer_id=owner.id, name="plan", parameters={}, resolutions=[4, 5], n_territories=2,
            n_cells=2, alignment=b"", scores={}, manifest={}, state="published",
        )  # fmt: skip
        session.add(plan)
        await session.flush()
        territories = [_territory(plan.id, ordinal) for ordinal in range(2)]
        session.add_all(territories)
        session.add(
            Publication(layer_id=owner.id, plan_id=plan.id, during=during, published_by="me")
        )
        await session.flush()
        ids = {territory.code: territory.id for territory in territories}
        await session.execute(text("SELECT create_plan_partition(:plan)"), {"plan": plan.id})
        for code, (lon, lat), resolution in (("T01", SHANGHAI, 5), ("T02", BEIJING, 4)):
            await session.execute(
                text(f"INSERT INTO plan_cell_{plan.id} VALUES (:plan, :cell, :territory)"),
                {
                    "plan": plan.id,
                    "cell": int(ancestors([cell_from_point(lon, lat, 12)], resolution)[0]),
                    "territory": ids[code],
                },
            )
        await session.execute(text("SELECT attach_plan_partition(:plan)"), {"plan": plan.id})
    return PlanInForce(owner.id, plan.id, ids)


def _territory(plan_id: int, ordinal: int) -> Territory:
    code = f"T{ordinal + 1:02d}"
    return Territory(
        plan_id=plan_id, ordinal=ordinal, code=code, name=code, colour=ordinal, scores={},
        outline=AREA.format(4326), label_point="SRID=4326;POINT(0 0)",
        tile_outline=AREA.format(3857), tile_overview=AREA.format(3857),
    )  # fmt: skip
