"""What a layer looks like outside."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from app.http.values import Label, Name, ServiceClass, Status, StrictModel


class CustomerFilterBody(StrictModel):
    """Which customers a layer is about; an absent member accepts any value.

    Without `status`, inactive customers belong to no territory of the layer.
    """

    class_: Annotated[
        Annotated[list[ServiceClass], Field(min_length=1)] | None, Field(alias="class")
    ] = None
    segment: Annotated[list[Label], Field(min_length=1, max_length=200)] | None = None
    tag: Annotated[list[Label], Field(min_length=1, max_length=200)] | None = None
    status: Annotated[list[Status], Field(min_length=1)] | None = None

    def document(self) -> dict[str, Any]:
        """Return the filter as it is stored."""
        return self.model_dump(by_alias=True, exclude_none=True)


class NewLayer(StrictModel):
    """A layer to create."""

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "name": "education",
                    "title": "Education accounts",
                    "customer_filter": {"segment": ["education"]},
                }
            ]
        }
    }

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    title: Name | None = None
    customer_filter: CustomerFilterBody = CustomerFilterBody()


class PlanInForce(StrictModel):
    """The plan that counts on a layer now."""

    plan_id: int
    publication_id: int
    effective_from: datetime


class LayerView(StrictModel):
    """A layer as stored."""

    id: int
    name: str
    title: str
    customer_filter: dict[str, Any]
    plan_in_force: PlanInForce | None
    created_at: datetime
