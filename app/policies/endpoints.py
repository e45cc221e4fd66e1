"""Policies and alerts over HTTP."""

from typing import Annotated, Any

from fastapi import Path, Query, Response

from app.activity import local_date
from app.auth import Anyone, LateWriting, Planner, Reading, Writing
from app.auth.caller import Caller
from app.http.admission import HEAVY
from app.http.dependencies import AppDatabase, AppSettings
from app.http.etags import IfMatch, IfNoneMatch, entity_tag, require_match, tagged
from app.http.merge_patch import Patch, patch_document, patched, refuse_identity
from app.http.paging import Page, PagingParameters
from app.http.routing import router
from app.policies import alerts, repository, service
from app.policies.alerts import AlertFilter
from app.policies.schemas import (
    Acknowledgement,
    AlertView,
    BacktestRequest,
    BacktestView,
    EvaluationRequest,
    EvaluationView,
    NewPolicy,
    PolicyPatch,
    PolicyVersionView,
    PolicyView,
    State,
)

routes = router("policies")

PolicyId = Annotated[int, Path(ge=1, lt=2**63)]
AlertId = Annotated[int, Path(ge=1, lt=2**63)]
OfLayer = Annotated[int | None, Query(ge=1, lt=2**63)]
OfPolicy = Annotated[int | None, Query(ge=1, lt=2**63)]


@routes.post("/policies", status_code=201)
async def create_policy(
    body: NewPolicy, session: Writing, caller: Planner, response: Response
) -> PolicyView:
    """Create a policy; on its layer it stands in for the general ones of its kind."""
    policy_id = await repository.create_policy(session, body, caller.acting.actor)
    policy = await repository.get_policy(session, policy_id)
    response.headers["Location"] = f"/v1/policies/{policy.id}"
    response.headers["ETag"] = entity_tag(policy)
    return policy


@routes.get("/policies")
async def list_policies(
    session: Reading,
    caller: Anyone,
    page: PagingParameters,
    layer_id: Annotated[OfLayer, Query(description="Those of this layer and the general ones")] = (
        None
    ),
    archived: Annotated[bool, Query(description="Archived ones as well")] = False,
) -> Page[PolicyView]:
    """List policies."""
    found = await repository.list_policies(session, layer_id, archived, page.after, page.limit + 1)
    return Page(items=found[: page.limit], links=page.links([policy.id for policy in found]))


@routes.post("/policies:evaluate", openapi_extra=HEAVY)
async def evaluate_policies(
    body: EvaluationRequest,
    start: LateWriting,
    database: AppDatabase,
    settings: AppSettings,
    caller: Planner,
) -> EvaluationView:
    """Evaluate the policies of a layer now: store and return what fires, resolve what is over.

    What fired before and still holds does not fire again. What is not known neither fires nor
    resolves anything.
    """
    today = local_date(settings.work)
    # One connection at a time: nothing waits for a transaction that waits for facts.
    async with database.reading() as reader:
        seen, outcome = await service.look(reader, body.layer_id, today, settings.work.time_zone)
    session = await start(body.model_dump_json().encode())
    return await service.remember(session, body.layer_id, seen, outcome)


@routes.get("/policies/{policy_id:int}", response_model=PolicyView)
async def get_policy(
    policy_id: PolicyId,
    session: Reading,
    caller: Anyone,
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> Any:
    """Return one policy, also an archived one."""
    policy = await repository.get_policy(session, policy_id)
    return tagged(response, policy, if_none_match) or policy


@routes.get("/policies/{policy_id:int}/versions")
async def list_policy_versions(
    policy_id: PolicyId, session: Reading, caller: Anyone
) -> list[PolicyVersionView]:
    """List the versions of a policy, the first one first."""
    versions = await repository.get_versions(session, policy_id)
    if _is_planner(caller):
        return versions
    return [version.model_copy(update={"made_by": None}) for version in versions]


@routes.patch(
    "/policies/{policy_id:int}",
    openapi_extra=patch_document(PolicyPatch, {"parameters": {"customers": 180}}),
)
async def change_policy(
    policy_id: PolicyId,
    patch: Patch,
    session: Writing,
    settings: AppSettings,
    caller: Planner,
    response: Response,
    if_match: IfMatch = None,
) -> PolicyView:
    """Make a new version of a policy (JSON Merge Patch); its kind and its layer stay.

    Alerts keep the version under which they fired. Those of a policy that is turned off are
    resolved.
    """
    stored = await repository.lock_policy(session, policy_id)
    require_match(if_match, entity_tag(stored))
    repository.refuse_archived(stored)
    refuse_identity(patch, "id", "kind", "layer_id")
    body = patched(stored.body(), patch)
    await repository.change_policy(session, stored, body, caller.acting.actor)
    if not body.enabled:
        await alerts.resolve_all(session, policy_id, local_date(settings.work))
    policy = await repository.get_policy(session, policy_id)
    response.headers["ETag"] = entity_tag(policy)
    return policy


@routes.delete("/policies/{policy_id:int}", status_code=204)
async def archive_policy(
    policy_id: PolicyId,
    session: Writing,
    settings: AppSettings,
    caller: Planner,
    if_match: IfMatch = None,
) -> None:
    """Archive a policy: its versions and alerts stay, those that last are resolved."""
    stored = await repository.lock_policy(session, policy_id)
    require_match(if_match, entity_tag(stored))
    repository.refuse_archived(stored)
    await repository.archive_policy(session, policy_id)
    await alerts.resolve_all(session, policy_id, local_date(settings.work))


@routes.post("/policies/{policy_id:int}:backtest", openapi_extra=HEAVY)
async def backtest_policy(
    policy_id: PolicyId,
    body: BacktestRequest,
    session: Reading,
    settings: AppSettings,
    caller: Planner,
) -> BacktestView:
    """Return what the policy as it is now would have found at the ends of past months.

    From the snapshots, and for the plan in force at each end of a month. Nothing is stored.
    """
    today = local_date(settings.work)
    return await service.backtest(session, policy_id, body, today, settings.work.time_zone)


@routes.get("/alerts")
async def list_alerts(
    session: Reading,
    caller: Anyone,
    page: PagingParameters,
    layer_id: OfLayer = None,
    policy_id: OfPolicy = None,
    state: Annotated[list[State], Query(max_length=3)] = [],  # noqa: B006
) -> Page[AlertView]:
    """List alerts in the order in which they fired.

    Managers and reps see those of territories that are theirs now.
    """
    wanted = AlertFilter(layer_id, policy_id, tuple(state))
    found = await alerts.list_alerts(session, caller.scope, wanted, page.after, page.limit + 1)
    few = await alerts.of_few(session, found)
    items = alerts.shown_to(caller, found[: page.limit], few)
    return Page(items=items, links=page.links([alert.id for alert in found]))


@routes.get("/alerts/{alert_id:int}")
async def get_alert(alert_id: AlertId, session: Reading, caller: Anyone) -> AlertView:
    """Return one alert."""
    found = [await alerts.get_alert(session, caller.scope, alert_id)]
    return alerts.shown_to(caller, found, await alerts.of_few(session, found))[0]


@routes.post("/alerts/{alert_id:int}:acknowledge")
async def acknowledge_alert(
    alert_id: AlertId, body: Acknowledgement, session: Writing, caller: Planner
) -> AlertView:
    """Say that an alert has been seen; it stays until its condition no longer holds."""
    await alerts.acknowledge(session, alert_id, caller.acting.actor, body.note)
    (alert,) = await alerts.get_alerts(session, [alert_id])
    return alert


def _is_planner(caller: Caller) -> bool:
    return caller.role in ("admin", "planner")
