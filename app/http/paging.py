"""Keyset paging: a cursor names the last row seen, so depth costs nothing and no row is lost."""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar
from urllib.parse import urlencode

import orjson
from fastapi import Depends, Query, Request
from pydantic import BaseModel

from app.errors import Fault, MalformedRequest

T = TypeVar("T")


class Link(BaseModel):
    """A related address."""

    rel: str
    href: str
    type: str = "application/json"


class Page(BaseModel, Generic[T]):
    """One page of a list; follow the link `next` until there is none."""

    items: list[T]
    links: list[Link]


class Paging:
    """The page a caller asked for: up to `limit` rows with an id above `after`."""

    def __init__(self, request: Request, limit: int, after: int) -> None:
        self._request = request
        self.limit = limit
        self.after = after

    def links(self, ids: Sequence[int]) -> list[Link]:
        """Return the links of a page whose rows have `ids`; more than `limit` mean a next one."""
        # Pairs, not a dictionary: a filter may be given several times.
        query = self._request.query_params.multi_items()
        links = [Link(rel="self", href=self._address(query))]
        if len(ids) > self.limit:
            kept = [(name, value) for name, value in query if name != "cursor"]
            cursor = ("cursor", encode_cursor(ids[self.limit - 1]))
            links.append(Link(rel="next", href=self._address([*kept, cursor])))
        return links

    def _address(self, query: list[tuple[str, str]]) -> str:
        return self._request.url.path + (f"?{urlencode(query)}" if query else "")


async def paging(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000, description="Rows per page")] = 100,
    cursor: Annotated[str | None, Query(max_length=100, description="From the next link")] = None,
) -> Paging:
    """Read the paging parameters of a list."""
    return Paging(request, limit, decode_cursor(cursor) if cursor else 0)


PagingParameters = Annotated[Paging, Depends(paging)]


def encode_cursor(last_id: int) -> str:
    """Return an opaque cursor after the row `last_id`."""
    return base64.urlsafe_b64encode(orjson.dumps({"after": last_id})).decode().rstrip("=")


def decode_cursor(cursor: str) -> int:
    """Return the id that a cursor names.

    Raises
    ------
    MalformedRequest
        When the text is no cursor of ours.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        after = orjson.loads(base64.urlsafe_b64decode(padded))["after"]
    except (binascii.Error, ValueError, KeyError, TypeError):
        after = None
    # Not `isinstance`: true and false are integers as well.
    if type(after) is not int or not 0 <= after < 2**63:
        fault = Fault("cursor", "not a cursor that this service gave", "/query/cursor")
        raise MalformedRequest("The cursor cannot be read.", [fault])
    return after
