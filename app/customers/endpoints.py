"""Customers over HTTP."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Response
from fastapi.responses import JSONResponse

from app.auth import Admin, Detail, Planner, Reading, Writing
from app.customers import repository
from app.customers.privacy import Erasure, PersonalData, erase_customer, personal_data
from app.customers.schemas import CustomerBody, CustomerTerritories, CustomerView, NewCustomer
from app.db.customer_filter import CustomerFilter
from app.http.dependencies import AppSettings
from app.http.etags import NO_ENTITY, IfMatch, IfNoneMatch, entity_tag, require_match, tagged
from app.http.merge_patch import Patch, patch_document, patched, refuse_identity
from app.http.paging import Page, PagingParameters
from app.http.places import GEOJSON, InBox
from app.http.routing import router
from app.http.values import SafeText, ServiceClass, Status

routes = router("customers")

CustomerId = Annotated[int, Path(ge=1, lt=2**63)]
ExternalId = Annotated[str, Path(min_length=1, max_length=300, pattern=r"^[^\x00]+$")]


@routes.post("/customers", status_code=201)
async def create_customer(
    body: NewCustomer, session: Writing, settings: AppSettings, caller: Planner, response: Response
) -> CustomerView:
    """Create a customer; its H3 cell and its work are derived."""
    fields = CustomerBody.model_validate(body.model_dump(by_alias=True, exclude={"external_id"}))
    customer = await repository.create_customer(session, settings.work, body.external_id, fields)
    response.headers["Location"] = f"/v1/customers/{customer.id}"
    response.headers["ETag"] = entity_tag(customer)
    return customer


@routes.get(
    "/customers",
    response_model=Page[CustomerView],
    responses={200: {"content": {GEOJSON: {"schema": {"type": "object"}}}}},
)
async def list_customers(
    session: Reading,
    caller: Detail,
    page: PagingParameters,
    bbox: InBox,
    class_: Annotated[list[ServiceClass], Query(alias="class")] = [],  # noqa: B006
    segment: Annotated[list[SafeText], Query(max_length=50)] = [],  # noqa: B006
    tag: Annotated[list[SafeText], Query(description="All of these", max_length=50)] = [],  # noqa: B006
    status: Annotated[list[Status], Query()] = [],  # noqa: B006
    territory_id: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    external_id: Annotated[SafeText | None, Query(max_length=300)] = None,
    format: Annotated[Literal["json", "geojson"], Query()] = "json",
) -> Any:
    """List customers; every filter given must hold, values of one filter are alternatives."""
    wanted = CustomerFilter(
        classes=tuple(class_),
        segments=tuple(segment),
        tags=tuple(tag),
        statuses=tuple(status),
        bbox=bbox,
        territory_id=territory_id,
        external_id=external_id,
    )
    found = await repository.list_customers(
        session, caller.scope, wanted, page.after, page.limit + 1
    )
    links = page.links([customer.id for customer in found])
    shown = found[: page.limit]
    if format == "geojson":
        return JSONResponse(
            _feature_collection(shown, [link.model_dump() for link in links]),
            media_type=GEOJSON,
        )
    return Page[CustomerView](items=shown, links=links)


@routes.get("/customers/{customer_id:int}", response_model=CustomerView)
async def get_customer(
    customer_id: CustomerId,
    session: Reading,
    caller: Detail,
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> Any:
    """Return one customer."""
    customer = await repository.get_customer(session, caller.scope, customer_id)
    return tagged(response, customer, if_none_match) or customer


@routes.get("/customers/{customer_id:int}/territories")
async def get_customer_territories(
    customer_id: CustomerId, session: Reading, caller: Detail
) -> CustomerTerritories:
    """Return the territories in force that a customer belongs to, one per layer, and by what.

    A named account wins over the cell. Layers that do not accept the customer are left out.
    """
    found = await repository.territories_of(session, caller.scope, customer_id)
    return CustomerTerritories(items=found)


@routes.patch(
    "/customers/{customer_id:int}", openapi_extra=patch_document(CustomerBody, {"class": "B"})
)
async def change_customer(
    customer_id: CustomerId,
    patch: Patch,
    session: Writing,
    settings: AppSettings,
    caller: Planner,
    response: Response,
    if_match: IfMatch = None,
) -> CustomerView:
    """Change some members of a customer (JSON Merge Patch); null sets a member to its default."""
    stored = await repository.lock_customer(session, customer_id)
    require_match(if_match, entity_tag(stored))
    refuse_identity(patch, "id", "external_id")
    body = patched(stored.body, patch)
    customer, _ = await repository.upsert_customer(session, settings.work, stored.external_id, body)
    response.headers["ETag"] = entity_tag(customer)
    return customer


@routes.delete("/customers/{customer_id:int}", status_code=204)
async def delete_customer(
    customer_id: CustomerId, session: Writing, caller: Planner, if_match: IfMatch = None
) -> None:
    """Delete a customer; what it was stays in the audit, see `:erase`."""
    require_match(if_match, entity_tag(await repository.lock_customer(session, customer_id)))
    await repository.delete_customer(session, customer_id)


@routes.get("/customers/{customer_id:int}/personal-data")
async def get_personal_data(
    customer_id: CustomerId, session: Reading, caller: Planner
) -> PersonalData:
    """Return everything held about one customer, its history included; also one deleted before.

    Reports of imports are searched by name and external id, so they may be about another of the
    same name.
    """
    return await personal_data(session, customer_id)


@routes.post("/customers/{customer_id}:erase")
async def erase_personal_data(customer_id: CustomerId, session: Writing, caller: Admin) -> Erasure:
    """Remove a customer for good, with every copy of what it was; also one deleted before.

    Backups made before still hold it: see docs/security.md.
    """
    return await erase_customer(session, customer_id)


@routes.put(
    "/customers/by-external-id/{external_id:path}", responses={201: {"model": CustomerView}}
)
async def upsert_customer(
    external_id: ExternalId,
    body: CustomerBody,
    session: Writing,
    settings: AppSettings,
    caller: Planner,
    response: Response,
    if_match: IfMatch = None,
) -> CustomerView:
    """Create or overwrite the customer with this external id.

    The last write wins, unless `If-Match` names the version that is to be overwritten.
    """
    if if_match is not None:
        stored = await repository.find_for_upsert(session, external_id)
        require_match(if_match, NO_ENTITY if stored is None else entity_tag(stored))
    customer, is_new = await repository.upsert_customer(session, settings.work, external_id, body)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/customers/{customer.id}"
    response.headers["ETag"] = entity_tag(customer)
    return customer


def _feature_collection(customers: list[CustomerView], links: list[Any]) -> dict[str, Any]:
    features = []
    for customer in customers:
        properties = customer.model_dump(by_alias=True, mode="json", exclude={"lon", "lat"})
        geometry = {"type": "Point", "coordinates": [customer.lon, customer.lat]}
        feature = {"type": "Feature", "id": customer.id, "geometry": geometry}
        features.append({**feature, "properties": properties})
    return {"type": "FeatureCollection", "features": features, "links": links}
