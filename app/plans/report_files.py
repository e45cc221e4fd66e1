"""The files of reports: their names, and reading one."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import undefer

from app.db.scope import Scope
from app.db.session import AnySession
from app.db.tables import Artifact, Plan
from app.errors import Fault, NotFound
from app.http.etags import entity_tag
from app.plans.plan_runs import active_run

KIND = "report"
FORMS = {"png": "image/png", "html": "text/html; charset=utf-8", "pdf": "application/pdf"}


@dataclass(frozen=True, slots=True)
class ReportFile:
    """One form of a report; `etag` with its quotes."""

    data: bytes
    etag: str


def file_name(plan_id: int, form: str) -> str:
    """Return the name of a form of the report of a plan."""
    return f"plan-{plan_id}-report.{form}"


async def find_report(session: AnySession, scope: Scope, plan_id: int, form: str) -> ReportFile:
    """Return the report of a plan in one form.

    Raises
    ------
    NotFound
        When there is no such plan, or its report was not made yet; the fault says how it is.
    """
    plan = select(Plan.id).where(Plan.id == plan_id)
    # It tells of all territories, so it is for those who may see all.
    if not scope.is_unlimited or await session.scalar(plan) is None:
        raise NotFound(f"There is no plan {plan_id}.")
    statement = (
        select(Artifact)
        .where(Artifact.name == file_name(plan_id, form))
        .order_by(Artifact.id.desc())
        .limit(1)
        .options(undefer(Artifact.data))
    )
    file: Artifact | None = await session.scalar(statement)
    if file is not None:
        return ReportFile(file.data, entity_tag(file.data))
    active = await active_run(session, KIND, plan_id)
    if active is not None:
        fault = Fault("run-active", f"/v1/runs/{active}")
        raise NotFound(f"The report of plan {plan_id} is being made by run {active}.", [fault])
    fault = Fault("not-made", f"POST /v1/plans/{plan_id}:report")
    raise NotFound(f"The report of plan {plan_id} was not made yet.", [fault])
