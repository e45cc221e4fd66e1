"""What an API key looks like outside; its secret is seen once, when it is made."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from app.auth.keys import ALL_SCOPES, LIMITED_ROLES, KeyScope
from app.db.tables import ApiKey
from app.http.values import Name, RowId, StrictModel
from app.settings import Role

Days = Annotated[int, Field(ge=1, le=36_500)]


class NewApiKey(StrictModel):
    """A key to make."""

    model_config = {"json_schema_extra": {"examples": [{"name": "CRM map", "role": "viewer"}]}}

    name: Name
    role: Role
    rep_id: RowId | None = Field(default=None, description="For the roles rep and manager")
    days: Days | None = Field(default=None, description="Valid for so many days; else for ever")
    scopes: Annotated[list[KeyScope], Field(min_length=1, max_length=3)] = list(ALL_SCOPES)

    @model_validator(mode="after")
    def _rep_fits_role(self) -> "NewApiKey":
        if (self.role in LIMITED_ROLES) != (self.rep_id is not None):
            raise ValueError("rep_id is for the roles rep and manager, and those need it")
        return self


class Rotation(StrictModel):
    """How a key is replaced."""

    overlap_s: Annotated[int, Field(ge=0, le=30 * 86_400)] = Field(
        default=86_400, description="The old key works for so long still"
    )


class ApiKeyView(BaseModel):
    """A key, known by its prefix."""

    prefix: str
    name: str
    role: Role
    rep_id: int | None
    scopes: list[KeyScope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute")

    @classmethod
    def of(cls, key: ApiKey) -> "ApiKeyView":
        """Return the view of a key."""
        return cls(**{name: getattr(key, name) for name in cls.model_fields})


class MadeApiKey(BaseModel):
    """A key that was just made."""

    key: str = Field(description="Shown this once", examples=["bw_0f3a9c1d2e4b_…"])
    api_key: ApiKeyView
