"""Reports of plans over HTTP."""

from typing import Any

from fastapi import Response

from app.auth import Caller, Planner, Reading, Writing
from app.db.session import ReadSession
from app.http.admission import HEAVY
from app.http.etags import IfNoneMatch, is_known
from app.http.routing import router
from app.jobs.schemas import RunView
from app.plans.endpoints import PlanId
from app.plans.plan_runs import request_run
from app.plans.report_files import FORMS, KIND, find_report

routes = router("plans")

NOT_CHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The report is still what `If-None-Match` names"}
}
# The file brings its style and pictures along, and may load and run nothing.
CONTENT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"
)


@routes.post("/plans/{plan_id}:report", status_code=202, openapi_extra=HEAVY)
async def make_plan_report(
    plan_id: PlanId, session: Writing, caller: Planner, response: Response
) -> RunView:
    """Make the report of a plan as PNG, PDF and HTML: follow the run, then get the files.

    It holds a map, the balance table with a chart, the certificate in plain words, what moves
    against the plan in force, and a fairness sheet. A report made before is replaced.
    """
    run = await request_run(session, KIND, plan_id, caller.acting.actor)
    response.headers["Location"] = f"/v1/runs/{run.id}"
    return RunView.of(run)


def _described(form: str) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "string"} if form == "html" else {"type": "string", "format": "binary"}
    content = {FORMS[form].partition(";")[0]: {"schema": schema}}
    return {200: {"description": "The report", "content": content}, **NOT_CHANGED}


@routes.get("/plans/{plan_id}/report.html", response_class=Response, responses=_described("html"))
async def get_plan_report_html(
    plan_id: PlanId, session: Reading, caller: Planner, if_none_match: IfNoneMatch = None
) -> Response:
    """Return the report of a plan as one HTML file that needs nothing else; 404 until it is made.

    It names reps and tells of each territory, however few its customers are: for planners only.
    """
    return await _answer(session, caller, plan_id, "html", if_none_match)


@routes.get("/plans/{plan_id}/report.pdf", response_class=Response, responses=_described("pdf"))
async def get_plan_report_pdf(
    plan_id: PlanId, session: Reading, caller: Planner, if_none_match: IfNoneMatch = None
) -> Response:
    """Return the report of a plan as a PDF on A4; 404 until it is made."""
    return await _answer(session, caller, plan_id, "pdf", if_none_match)


@routes.get("/plans/{plan_id}/report.png", response_class=Response, responses=_described("png"))
async def get_plan_report_png(
    plan_id: PlanId, session: Reading, caller: Planner, if_none_match: IfNoneMatch = None
) -> Response:
    """Return the report of a plan as one tall picture; 404 until it is made.

    Of long tables it has the rows that tell most.
    """
    return await _answer(session, caller, plan_id, "png", if_none_match)


async def _answer(
    session: ReadSession, caller: Caller, plan_id: int, form: str, if_none_match: str | None
) -> Response:
    file = await find_report(session, caller.scope, plan_id, form)
    headers = {"ETag": file.etag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    if is_known(if_none_match, file.etag):
        return Response(status_code=304, headers=headers)
    headers["Content-Disposition"] = f'inline; filename="plan-{plan_id}.{form}"'
    headers["Content-Security-Policy"] = CONTENT_POLICY
    return Response(file.data, media_type=FORMS[form], headers=headers)
