"""Copies of plans: drafts to be edited, whatever the plan they were made from has become."""

from sqlalchemy import text

from app.db.session import WriteSession
from app.errors import NotFound
from app.plans.certificate_store import HAS_OTHER_CELLS
from app.plans.events import record

PLAN = text("""
    -- Everything but what happened to the plan.
    INSERT INTO plan (layer_id, parent_id, origin, name, parameters, resolutions, n_territories,
        n_cells, alignment, scores, violations, components, manifest)
    SELECT layer_id, id, 'copy', coalesce(:name, left(name, 290) || ' (copy)'), parameters,
        resolutions, n_territories, n_cells, alignment, scores, violations, components, manifest
    FROM plan WHERE id = :plan_id
    RETURNING id
""")
OWN_LOCKS = text("""
    -- Territories that are locked as they are in the plan are so in the copy.
    UPDATE plan SET parameters = jsonb_set(
        parameters, '{locked_territories,plan_id}', to_jsonb(id))
    WHERE id = :copy_id
        AND parameters -> 'locked_territories' ->> 'plan_id' = CAST(:plan_id AS text)
""")
TERRITORIES = text("""
    INSERT INTO territory (plan_id, ordinal, code, name, tier, colour, scores, outline, label_point,
        tile_outline, tile_overview)
    SELECT :copy_id, ordinal, code, name, tier, colour, scores, outline, label_point, tile_outline,
        tile_overview
    FROM territory WHERE plan_id = :plan_id
""")
CERTIFICATE = text(f"""
    -- It is about the cells and the customers it was made with, which are the same.
    INSERT INTO plan_certificate (plan_id, sha256, n_bytes, document)
    SELECT :copy_id, sha256, n_bytes, document FROM plan_certificate
    WHERE plan_id = :plan_id AND NOT {HAS_OTHER_CELLS.format(plan_id=":plan_id")}
""")  # noqa: S608


async def copy_plan(session: WriteSession, plan_id: int, name: str | None, actor: str) -> int:
    """Make a draft that is like a plan; return its id.

    Raises
    ------
    NotFound
        When there is no such plan.
    """
    copy_id = await session.scalar(PLAN, {"plan_id": plan_id, "name": name})
    if copy_id is None:
        raise NotFound(f"There is no plan {plan_id}.")
    both = {"plan_id": plan_id, "copy_id": copy_id}
    for statement in (OWN_LOCKS, TERRITORIES, CERTIFICATE):
        await session.execute(statement, both)
    await record(session, copy_id, actor, "copied", from_plan_id=plan_id)
    return int(copy_id)
