"""What can go wrong in geometry, as values a caller can turn into an answer."""

from __future__ import annotations

from typing import Any


class GeoError(Exception):
    """Root of the family: a stable code, a sentence for people, and the facts behind it.

    Facts are plain JSON values, so that they can be logged and answered as they are.
    """

    def __init__(self, code: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.facts = facts


class CoordinateError(GeoError):
    """Longitudes or latitudes that are not finite or not on Earth."""


class CellError(GeoError):
    """Ids that are not H3 cells, or cells of a resolution that cannot serve here."""


class TooManyCellsError(GeoError):
    """A request that would enumerate more cells than its caller allows."""


class RegionError(GeoError):
    """A region, or a resolution for it, that cannot be made from the customers given."""


class TileError(GeoError):
    """A tile address outside the pyramid."""


class GeometryError(GeoError):
    """A geometry that cannot be used, and where in the document it goes wrong.

    ``pointer`` is a JSON pointer (RFC 6901) into the object that was read, e.g.
    ``/coordinates/0/3``; it is empty when the whole object is meant.
    """

    def __init__(self, code: str, message: str, pointer: str = "", **facts: Any) -> None:
        super().__init__(code, message, **facts)
        self.pointer = pointer
