"""GeoJSON FeatureCollections of points in batches of columns, read as a stream."""

import codecs
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import ijson
import numpy as np

from app.errors import InvalidInput
from app.imports.batches import (
    LONGEST_HEADER,
    MOST_CHARACTERS,
    MOST_COLUMNS,
    Batch,
    RowFault,
    is_full,
)
from app.imports.sniffing import refused_file
from app.imports.values import echo, is_encodable

# Columns that hold what is not a property; parentheses keep them apart from properties.
GEOMETRY_LON = "(geometry lon)"
GEOMETRY_LAT = "(geometry lat)"
FEATURE_ID = "(feature id)"

DEEPEST = 64
# The parser reads an unfinished string from its start at every block, so this bounds time as well.
LARGEST_FEATURE_BYTES = 2 * 2**20
BLOCK_BYTES = 2**16
# A string that the block does not finish matches too, without the closing quote in the group.
STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*("?)', re.DOTALL)
END_OF_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
# Text up to an escape that stands for no character, as half of a surrogate pair does.
CHARACTERS = re.compile(
    rb"(?:[^\\]++|\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u(?![dD][89a-fA-F])....|[^u]))*+",
    re.DOTALL,
)
LONGEST_ESCAPE = len(rb"\ud83d\ude00")
NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class GuardedFile:
    """A file for the JSON parser that ends the reading at deep nesting or an endless feature.

    Depth is counted here, in the bytes outside strings, before the parser builds anything.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._depth = 0
        self._is_in_string = False
        self._is_escaping = False
        self._since_feature = 0
        self._begun_escape = b""
        self.n_features = 0

    def read(self, size: int = -1) -> bytes:
        block = self._raw.read(size if 0 <= size <= BLOCK_BYTES else BLOCK_BYTES)
        self._since_feature += len(block)
        if self._since_feature > LARGEST_FEATURE_BYTES:
            detail = f"after feature {self.n_features} there are 2 MB without the end of the next"
            raise refused_file("too-long", f"The GeoJSON file cannot be read: {detail}.")
        self._count_depth(block)
        self._refuse_half_characters(block)
        return block

    def feature_read(self) -> None:
        """Note that the parser has come to the end of a feature."""
        self.n_features += 1
        self._since_feature = 0

    def _count_depth(self, block: bytes) -> None:
        code = self._outside_strings(block).translate(None, NOT_BRACKETS)
        if not code:
            return
        signs = np.frombuffer(code, dtype=np.uint8)
        steps = np.where((signs == ord("{")) | (signs == ord("[")), 1, -1)
        depths = self._depth + np.cumsum(steps)
        if depths.max() > DEEPEST:
            detail = f"The JSON is nested deeper than {DEEPEST} levels."
            raise refused_file("too-deep", f"{detail} (after feature {self.n_features})")
        self._depth = int(depths[-1])

    def _refuse_half_characters(self, block: bytes) -> None:
        """Refuse lone surrogates, for which the parser would put a question mark.

        What may go on in the next block waits for it.
        """
        if not self._begun_escape and b"\\" not in block:
            return
        text = self._begun_escape + block
        found = CHARACTERS.match(text)
        assert found is not None
        self._begun_escape = text[found.end() :]
        if len(self._begun_escape) >= LONGEST_ESCAPE or (self._begun_escape and not block):
            detail = f"after feature {self.n_features} a text holds half of a surrogate pair"
            raise refused_file("encoding", f"The GeoJSON file cannot be read: {detail}.")

    def _outside_strings(self, block: bytes) -> bytes:
        if self._is_in_string:
            block = (b"\\" if self._is_escaping else b"") + block
            end = END_OF_STRING.match(block)
            if end is None:
                self._is_escaping = _ends_in_escape(block)
                return b""
            block = block[end.end() :]
        # Each finished string leaves its closing quote; one without it is seen by counting.
        outside, n_strings = STRINGS.subn(rb"\1", block)
        self._is_in_string = n_strings > outside.count(b'"')
        self._is_escaping = self._is_in_string and _ends_in_escape(block)
        return outside


def read_geojson(path: Path) -> Iterator[Batch]:
    """Yield the features of a FeatureCollection; properties are columns.

    Raises
    ------
    InvalidInput
        When the file as a whole cannot be read.
    """
    size = max(path.stat().st_size, 1)
    with path.open("rb") as raw:
        _refuse_other_json(raw)
        guard = GuardedFile(raw)
        numbers: list[int] = []
        rows: list[dict[str, Any]] = []
        refused: list[RowFault] = []
        names: dict[str, None] = {}
        start = 0
        for feature in _features(guard):
            guard.feature_read()
            row = _row(guard.n_features, feature)
            if isinstance(row, RowFault):
                refused.append(row)
            else:
                numbers.append(guard.n_features)
                rows.append(row)
                names |= dict.fromkeys(row)
            n_rows, n_bytes = len(rows) + len(refused), raw.tell() - start
            if is_full(n_rows, len(names)) or n_bytes >= MOST_CHARACTERS:
                yield _batch(numbers, rows, refused, names, raw.tell() / size)
                numbers, rows, refused, names, start = [], [], [], {}, raw.tell()
        yield _batch(numbers, rows, refused, names, 1.0)


def _features(guard: GuardedFile) -> Iterator[Any]:
    try:
        yield from ijson.items(guard, "features.item", use_float=True, buf_size=BLOCK_BYTES)
    except InvalidInput:
        raise
    except (ijson.JSONError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        detail = f"The JSON is broken or cut off after feature {guard.n_features}: {reason}"
        raise refused_file("json", detail) from None


def _refuse_other_json(raw: IO[bytes]) -> None:
    """Look at the outermost members up to `features`, and leave the file at its start."""
    if raw.read(3) != codecs.BOM_UTF8:
        raw.seek(0)
    start, kind, has_features = raw.tell(), None, False
    try:
        for prefix, event, value in ijson.parse(GuardedFile(raw), buf_size=BLOCK_BYTES):
            if prefix == "" and event != "start_map" and event not in ("map_key", "end_map"):
                kind = "an array" if event == "start_array" else "a single value"
                break
            if prefix == "type" and event == "string":
                kind = value
            if prefix == "features" and event == "start_array":
                has_features = True
                break
    except InvalidInput:
        raise
    except (ijson.JSONError, ValueError):
        # A text sequence goes on after its first object; broken files are reported by the reader.
        has_features = kind in (None, "FeatureCollection")
    if not has_features or kind not in (None, "FeatureCollection"):
        what = kind or "an object without features"
        detail = f"The file is JSON but no GeoJSON FeatureCollection: it holds {what}."
        raise refused_file("file-type", detail)
    raw.seek(start)


def _row(number: int, feature: Any) -> dict[str, Any] | RowFault:
    if not isinstance(feature, dict) or not isinstance(feature.get("properties") or {}, dict):
        return RowFault(number, None, "feature", "this is not a GeoJSON Feature")
    row = dict(feature.get("properties") or {})
    if len(row) > MOST_COLUMNS or not all(map(_is_name, row)):
        detail = f"more than {MOST_COLUMNS} properties, or a name over {LONGEST_HEADER} characters"
        return RowFault(number, None, "columns", detail)
    if feature.get("id") is not None:
        row[FEATURE_ID] = feature["id"]
    geometry = feature.get("geometry")
    if geometry is None:
        return row
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind != "Point":
        detail = f"the geometry is {echo(str(kind))}; only Point is read"
        return RowFault(number, "geometry", "geometry", detail)
    place = geometry.get("coordinates")
    if not isinstance(place, list) or (place and not 2 <= len(place) <= 4):
        return RowFault(number, "geometry", "geometry", "a Point needs [lon, lat]")
    # An empty array is GeoJSON's empty point: no place, like a geometry of null.
    return {**row, GEOMETRY_LON: place[0], GEOMETRY_LAT: place[1]} if place else row


def _is_name(key: str) -> bool:
    return len(key) <= LONGEST_HEADER and "\0" not in key and is_encodable(key)


def _batch(
    numbers: list[int],
    rows: list[dict[str, Any]],
    refused: list[RowFault],
    names: dict[str, None],
    fraction: float,
) -> Batch:
    names = dict.fromkeys((GEOMETRY_LON, GEOMETRY_LAT)) | names
    columns: dict[str, Sequence[Any]] = {name: [row.get(name) for row in rows] for name in names}
    return Batch(numbers, columns, refused, True, False, fraction)


def _ends_in_escape(text: bytes) -> bool:
    return (len(text) - len(text.rstrip(b"\\"))) % 2 == 1
