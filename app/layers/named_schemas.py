"""What named accounts look like outside."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from app.http.paging import Page
from app.http.values import Instant, Name, StrictModel

Code = Annotated[str, Field(pattern=r"^T\d{1,5}$", examples=["T03"])]


class NamedAccountBody(StrictModel):
    """Where a customer belongs, against the cell it is in, and why."""

    model_config = {
        "json_schema_extra": {
            "examples": [{"territory": "T03", "reason": "Served from head office"}]
        }
    }

    territory: Code
    reason: Name
    # `from` is a word of Python.
    from_: Annotated[Instant | None, Field(alias="from", description="By default now")] = None
    to: Instant | None = Field(default=None, description="By default without an end")


class NamedAccountView(BaseModel):
    """A named account: it wins over the cell in lookup, scope, tiles, balance and difference."""

    customer_id: int
    external_id: str
    name: str
    territory: str
    reason: str
    from_: datetime = Field(serialization_alias="from")
    to: datetime | None
    is_in_force: bool


class NamedAccounts(Page[NamedAccountView]):
    """Named accounts of a layer in force and to come; the share is of those in force."""

    customers: int = Field(description="Customers that are named accounts now")
    layer_customers: int
    share: float = Field(description="Of the layer's customers; 0 where it has none")
