"""The audit over HTTP; for admins."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, literal_column, select

from app.auth import Admin, Reading
from app.db.tables import AuditEvent
from app.http.paging import Page, PagingParameters
from app.http.routing import router
from app.http.values import Instant, SafeText

routes = router("audit")

Entity = Literal[
    "api_key",
    "customer",
    "customer_override",
    "geofence",
    "layer",
    "plan",
    "policy",
    "policy_firing",
    "plan_comment",
    "publication",
    "rep",
    "run",
    "schedule",
    "territory",
    "territory_owner",
]
Action = Literal["insert", "update", "delete", "erase", "import"]


class AuditEventView(BaseModel):
    """One change. An import's new rows are one event; its changed rows have one each.

    The event of an import has no `entity_id` and is found by that of each row it brought. What such
    a row was is told by the row itself or by the first event that changed it.
    """

    id: int
    at: datetime
    actor: str = Field(examples=["key:0f3a9c1d2e4b (CRM map)"])
    role: str | None
    request_id: str | None = Field(description="X-Request-ID of the request, and its trace id")
    run_id: int | None = Field(description="The run that did it")
    action: Action
    entity: Entity
    entity_id: int | None
    before: dict[str, Any] | None = Field(description="Members that changed, as they were")
    after: dict[str, Any] | None = Field(description="Members that changed, as they became")

    @classmethod
    def of(cls, event: AuditEvent) -> "AuditEventView":
        """Return the view of an event."""
        return cls(**{name: getattr(event, name) for name in cls.model_fields})


@routes.get("/audit")
async def list_audit_events(
    session: Reading,
    caller: Admin,
    page: PagingParameters,
    entity: Annotated[Entity | None, Query()] = None,
    entity_id: Annotated[
        int | None, Query(ge=1, lt=2**63, description="The import that brought it among them")
    ] = None,
    actor: Annotated[SafeText | None, Query(max_length=700, description="Exactly")] = None,
    action: Annotated[Action | None, Query()] = None,
    since: Annotated[Instant | None, Query(description="At or after")] = None,
    until: Annotated[Instant | None, Query(description="Before")] = None,
) -> Page[AuditEventView]:
    """List changes, oldest first: who, when, what, before and after."""
    conditions: list[ColumnElement[bool]] = [AuditEvent.id > page.after]
    for column, word in ((AuditEvent.entity, entity), (AuditEvent.action, action)):
        if word is not None:
            # Written into the statement: a plan kept for any word reads all for a rare one.
            conditions.append(column == literal_column(f"'{word}'"))
    if entity_id is not None:
        conditions.append(AuditEvent.is_of(entity_id))
    if actor is not None:
        conditions.append(AuditEvent.actor == actor)
    if since is not None:
        conditions.append(AuditEvent.at >= since)
    if until is not None:
        conditions.append(AuditEvent.at < until)
    statement = select(AuditEvent).where(*conditions).order_by(AuditEvent.id)
    found = list(await session.scalars(statement.limit(page.limit + 1)))
    items = [AuditEventView.of(event) for event in found[: page.limit]]
    return Page(items=items, links=page.links([event.id for event in found]))
