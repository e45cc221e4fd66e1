"""Keyset paging: a cursor names the last row seen, so depth costs nothing and no row is lost."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Position:
    """The last row seen: its id, and its cell in a list that is by cell and id."""

    id: int = 0
    cell: int = 0


class Paging:
    """The page a caller asked for: up to `limit` rows behind a position, by id if not said else."""

    def __init__(self, request: Request, limit: int, position: Position) -> None:
        self._request = request
        self.limit = limit
        self.position = position

    @property
    def after(self) -> int:
        """The id of the last row seen."""
        return self.position.id

    def links(self, ids: Sequence[int], cells: Sequence[int] | None = None) -> list[Link]:
        """Return the links of a page whose rows have `ids`; more than `limit` mean a next one.

        Their `cells` where the list is by cell and id.
        """
        # Pairs, not a dictionary: a filter may be given several times.
        query = self._request.query_params.multi_items()
        links = [Link(rel="self", href=self._address(query))]
        if len(ids) > self.limit:
            kept = [(name, value) for name, value in query if name != "cursor"]
            last = self.limit - 1
            cursor = encode_cursor(ids[last], cells[last] if cells else 0)
            links.append(Link(rel="next", href=self._address([*kept, ("cursor", cursor)])))
        return links

    def _address(self, query: list[tuple[str, str]]) -> str:
        return self._request.url.path + (f"?{urlencode(query)}" if query else "")


async def paging(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000, description="Rows per page")] = 100,
    cursor: Annotated[str | None, Query(max_length=100, description="From the next link")] = None,
) -> Paging:
    """Read the paging parameters of a list."""
    return Paging(request, limit, decode_position(cursor) if cursor else Position())


PagingParameters = Annotated[Paging, Depends(paging)]


def encode_cursor(last_id: int, cell: int = 0) -> str:
    """Return an opaque cursor after the row `last_id`, of a cell where the list is by cell."""
    position = {"after": last_id} | ({"cell": cell} if cell else {})
    return base64.urlsafe_b64encode(orjson.dumps(position)).decode().rstrip("=")


def decode_cursor(cursor: str) -> int:
    """Return the id that a cursor names.

    Raises
    ------
    MalformedRequest
        When the text is no cursor of ours.
    """
    return decode_position(cursor).id


def decode_position(cursor: str) -> Position:
    """Return what a cursor names.

    Raises
    ------
    MalformedRequest
        When the text is no cursor of ours.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        named = orjson.loads(base64.urlsafe_b64decode(padded))
        position = Position(named["after"], named.get("cell", 0))
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError):
        position = Position(-1)
    # Not `isinstance`: true and false are integers as well.
    if not all(type(n) is int and 0 <= n < 2**63 for n in (position.id, position.cell)):
        fault = Fault("cursor", "not a cursor that this service gave", "/query/cursor")
        raise MalformedRequest("The cursor cannot be read.", [fault])
    return position
