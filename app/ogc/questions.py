"""What a client may ask of a collection, read from the query."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from app.errors import Fault, MalformedRequest
from app.http.values import Instant
from geo.bbox import BoundingBox
from geo.errors import CoordinateError

Interval = tuple[datetime | None, datetime | None]

OPEN_ENDS = ("", "..")
LONGEST_VALUE = 300
LARGEST_ID = 2**63 - 1

_instant: TypeAdapter[datetime] = TypeAdapter(Instant)


@dataclass(slots=True)
class Statement:
    """SQL and the values that are bound to it."""

    text: str
    values: list[Any]

    def bind(self, *values: Any) -> str:
        """Bind values and return the places that stand for them, separated by commas."""
        first = len(self.values) + 1
        self.values += values
        return ", ".join(f"${n}" for n in range(first, first + len(values)))


@dataclass(frozen=True, slots=True)
class Question:
    """Which features are wanted: `limit` of them with ids above `after`."""

    limit: int
    after: int | None
    box: BoundingBox | None
    interval: Interval | None
    values: Mapping[str, str | int]


def box_of(text: str | None) -> BoundingBox | None:
    """Read a bbox of four numbers, or of six, whose heights are not looked at.

    Raises
    ------
    MalformedRequest
        When it is none.
    """
    if text is None:
        return None
    fields = text.split(",", 6)
    try:
        if len(fields) != 6:
            return BoundingBox.parse(text)
        west, south, lowest, east, north, highest = fields
        if not all(map(_is_height, (lowest, highest))):
            raise _refusal("bbox", "height-not-a-number", "its third and sixth numbers are heights")
        return BoundingBox.parse(f"{west},{south},{east},{north}")
    except CoordinateError as error:
        raise _refusal("bbox", error.code.replace("_", "-"), error.message) from None


def interval_of(text: str | None) -> Interval | None:
    """Read a time, or two with a slash between, of which one may be open (`..` or nothing).

    Raises
    ------
    MalformedRequest
        When it is none, or ends before it begins.
    """
    if text is None:
        return None
    ends = [_time(end) for end in text.split("/", 2)]
    if len(ends) == 1:
        ends *= 2
    if len(ends) != 2 or ends == [None, None]:
        raise _refusal("datetime", "not-an-interval", "takes a time, or start/end with one given")
    start, end = ends
    if start is not None and end is not None and end < start:
        raise _refusal("datetime", "ends-before-it-begins", "the end lies before the start")
    return start, end


def value_of(name: str, text: str, *, is_number: bool) -> str | int:
    """Read the value that a property should have.

    Raises
    ------
    MalformedRequest
        When the property can have no such value.
    """
    if len(text) > LONGEST_VALUE or "\x00" in text or not text.isprintable():
        raise _refusal(name, "not-a-value", f"takes up to {LONGEST_VALUE} printable characters")
    if not is_number:
        return text
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1
    if not 0 <= number <= LARGEST_ID:
        raise _refusal(name, "not-a-number", "takes a whole number")
    return number


def _is_height(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _time(text: str) -> datetime | None:
    if text in OPEN_ENDS:
        return None
    try:
        # A space stands where the plus of a time zone was not encoded.
        return _instant.validate_python(text.replace(" ", "+"))
    except ValidationError as error:
        raise _refusal("datetime", "not-a-time", error.errors()[0]["msg"]) from None


def _refusal(name: str, code: str, detail: str) -> MalformedRequest:
    fault = Fault(code, detail, f"/query/{name}")
    return MalformedRequest(f"The parameter {name} cannot be used: {detail}.", [fault])
