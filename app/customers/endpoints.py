"""Customers over HTTP."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Response
from fastapi.responses import JSONResponse

from app.auth import Anyone, Planner
from app.customers import repository
from app.customers.schemas import CustomerBody, CustomerView, NewCustomer
from app.db.customer_filter import CustomerFilter
from app.http.dependencies import AppSettings, Reading, Writing
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
    return customer


@routes.get("/customers", response_model=Page[CustomerView])
async def list_customers(
    session: Reading,
    caller: Anyone,
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


@routes.get("/customers/{customer_id}")
async def get_customer(customer_id: CustomerId, session: Reading, caller: Anyone) -> CustomerView:
    """Return one customer."""
    return await repository.get_customer(session, caller.scope, customer_id)


@routes.delete("/customers/{customer_id}", status_code=204)
async def delete_customer(customer_id: CustomerId, session: Writing, caller: Planner) -> None:
    """Delete a customer."""
    await repository.delete_customer(session, customer_id)


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
) -> CustomerView:
    """Create or overwrite the customer with this external id; the last write wins."""
    customer, is_new = await repository.upsert_customer(session, settings.work, external_id, body)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/customers/{customer.id}"
    return customer


def _feature_collection(customers: list[CustomerView], links: list[Any]) -> dict[str, Any]:
    features = []
    for customer in customers:
        properties = customer.model_dump(by_alias=True, mode="json", exclude={"lon", "lat"})
        geometry = {"type": "Point", "coordinates": [customer.lon, customer.lat]}
        feature = {"type": "Feature", "id": customer.id, "geometry": geometry}
        features.append({**feature, "properties": properties})
    return {"type": "FeatureCollection", "features": features, "links": links}
