"""Files that no import takes: what they hold, and the code by which they are refused."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.inputs.requests import BILLION_LAUGHS

HEADER = b"external_id,name,lon,lat\n"
GOOD = b"G1,Jinhai,121.4737,31.2304\n"
Pieces = Iterator[bytes]


@dataclass(frozen=True)
class BadFile:
    """A file that is refused at once, or else by its run, with `code` among the faults."""

    name: str
    code: str
    make: Callable[[], bytes | Pieces]
    filename: str = "customers.csv"
    is_seen_at_once: bool = False
    form: dict[str, str] = field(default_factory=dict)


def _blanks(megabytes: int, start: bytes = b"", end: bytes = b"") -> Pieces:
    yield start
    for _ in range(megabytes):
        yield b"x" * 2**20
    yield end


def _zip(name: str, content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return target.getvalue()


def _collection(*features: object) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def _feature(properties: dict[str, object], geometry: object = None) -> dict[str, object]:
    return {"type": "Feature", "id": 1, "properties": properties, "geometry": geometry or POINT}


def _nested(geometry: bytes, end: bytes, depth: int) -> bytes:
    feature = b'{"type": "Feature", "id": 1, "properties": {}, "geometry": %s}'
    return b'{"type": "FeatureCollection", "features": [%s]}' % (
        feature % (geometry * depth + end * depth)
    )


VRT = (
    b"<OGRVRTDataSource><OGRVRTLayer name='a'><SrcDataSource>/vsicurl/http://127.0.0.1/a"
    b"</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
)
START = b'{"type": "FeatureCollection", "features": '
POINT = {"type": "Point", "coordinates": [121.5, 31.2]}

SEEN_AT_ONCE = [
    BadFile("nothing", "empty", bytes, is_seen_at_once=True),
    BadFile("blanks only", "empty", lambda: b" \n" * 100, is_seen_at_once=True),
    BadFile("a zip", "file-type", lambda: _zip("a.csv", HEADER + GOOD), is_seen_at_once=True),
    BadFile("a zip of 1,000 to 1", "file-type", lambda: _zip("../a.csv", bytes(2**24)),
            is_seen_at_once=True),
    BadFile("a workbook", "file-type", lambda: _zip("[Content_Types].xml", b"<a/>"),
            "customers.xlsx", is_seen_at_once=True),
    BadFile("a gzip bomb", "file-type", lambda: gzip.compress(bytes(2**25)), is_seen_at_once=True),
    BadFile("VRT", "file-type", lambda: VRT, "a.geojson", is_seen_at_once=True),
    BadFile("XML entities as CSV", "file-type", lambda: BILLION_LAUGHS, is_seen_at_once=True),
    BadFile("XML entities as GeoJSON", "file-type", lambda: b" \r\n" + BILLION_LAUGHS, "a.geojson",
            is_seen_at_once=True),
    BadFile("a program", "file-type", lambda: b"\x7fELF" + bytes(1000), is_seen_at_once=True),
    BadFile("zeros", "file-type", lambda: bytes(1000), is_seen_at_once=True),
    BadFile("UTF-16", "encoding", lambda: (HEADER + GOOD).decode().encode("utf-16"),
            is_seen_at_once=True),
    BadFile("UTF-16 without its mark", "file-type",
            lambda: (HEADER + GOOD).decode().encode("utf-16-le"), is_seen_at_once=True),
    BadFile("an unknown kind", "literal_error", lambda: HEADER + GOOD, is_seen_at_once=True,
            form={"kind": "plans"}),
    BadFile("a mapping that is a list", "json", lambda: HEADER + GOOD, is_seen_at_once=True,
            form={"mapping": "[]"}),
    BadFile("a mapping nested 100,000 deep", "json", lambda: HEADER + GOOD, is_seen_at_once=True,
            form={"mapping": "[" * 100_000}),
    BadFile("a mapping with NaN", "json", lambda: HEADER + GOOD, is_seen_at_once=True,
            form={"mapping": '{"lon": NaN}'}),
]  # fmt: skip

SEEN_BY_THE_RUN = [
    BadFile("a header only", "empty", lambda: HEADER),
    BadFile("one line of 50 MB", "too-long", lambda: _blanks(50)),
    BadFile("a cell of 50 MB", "too-long", lambda: _blanks(50, HEADER + GOOD + b"G2,")),
    BadFile("a quote never closed over 50 MB", "quote",
            lambda: _blanks(0, HEADER + b'G2,"', (b"x" * 99 + b"\n") * 500_000)),
    BadFile("a quote never closed in the header", "header", lambda: b'external_id,"name\n' + GOOD),
    BadFile("100,000 columns", "too-many-columns", lambda: b"a," * 100_000 + b"b\n" + GOOD),
    BadFile("a million columns", "too-many-columns", lambda: b"a," * 500_000 + b"b\n" + GOOD),
    BadFile("rows of 100,000 cells", "columns", lambda: HEADER + (b"1," * 100_000 + b"\n") * 50),
    BadFile("two columns of one name", "header", lambda: b"name,name\n1,2\n"),
    BadFile("U+0000 in a cell", "nul", lambda: HEADER + GOOD + b"G2,a\0b,1,1\n" * 3),
    BadFile("U+0000 in the header", "header", lambda: b"na\0me,b,c,d,e\n" + GOOD),
    BadFile("Windows-1252 amid UTF-8", "encoding",
            lambda: HEADER + "G2,Größe,1,1\n".encode() * 5 + "G3,Größe,1,1\n".encode("cp1252")),
    BadFile("GBK", "encoding", lambda: HEADER + "G2,上海金海贸易,1,1\n".encode("gbk") * 9),
    BadFile("NaN for a place", "number", lambda: HEADER + GOOD + b"G2,a,NaN,1\n"),
    BadFile("Infinity for a place", "number", lambda: HEADER + b"G2,a,1,Infinity\n"),
    BadFile("1e999 for a place", "number", lambda: HEADER + b"G2,a,1e999,1\n"),
    BadFile("no place", "missing", lambda: HEADER + b"G2,a,,\n"),
    BadFile("swapped", "swapped", lambda: HEADER + b"G2,a,31.2,121.4\n"),
    BadFile("a name of 1,000 characters", "too-long",
            lambda: HEADER + b"G2,%s,1,1\n" % (b"n" * 1000)),
    BadFile("one id twice", "duplicate", lambda: HEADER + GOOD * 2),
    BadFile("cut in a quote", "quote", lambda: HEADER + GOOD + b'G2,"Jin'),
    BadFile("cut in a row", "columns", lambda: HEADER + GOOD + b"G2,Jin"),
    BadFile("a column that is not there", "unknown-column", lambda: HEADER + GOOD,
            form={"mapping": '{"segment": "colour"}'}),
    BadFile("prose", "missing-column", lambda: b"Dear Sir,\n\nplease find attached\n"),
    BadFile("GeoJSON cut off", "json", lambda: _collection({"type": "Feature"})[:-9], "a.geojson"),
    BadFile("GeoJSON cut in a text", "json", lambda: START + b'["a', "a.geojson"),
    BadFile("40,000 nested collections", "too-deep",
            lambda: _nested(b'{"type": "GeometryCollection", "geometries": [', b"]}", 40_000),
            "a.geojson"),
    BadFile("100,000 nested arrays", "too-deep", lambda: b"[" * 100_000, "a.geojson"),
    BadFile("100,000 nested objects", "too-deep", lambda: b'{"a":' * 100_000, "a.geojson"),
    BadFile("an array", "file-type", lambda: b"[1, 2]", "a.geojson"),
    BadFile("a lone geometry", "file-type", lambda: json.dumps(POINT).encode(), "a.geojson"),
    BadFile("no features", "empty", lambda: _collection(), "a.geojson"),
    BadFile("a feature of 50 MB", "too-long",
            lambda: _blanks(50, START + b'[{"a": "'), "a.geojson"),
    BadFile("blanks of 50 MB in GeoJSON", "too-long",
            lambda: (piece.replace(b"x", b" ") for piece in _blanks(50, b'{"type":')), "a.geojson"),
    BadFile("NaN in GeoJSON", "json",
            lambda: _nested(b'{"type": "Point", "coordinates": [NaN, 1]}', b"", 1), "a.geojson"),
    BadFile("1e999 in GeoJSON", "json",
            lambda: _nested(b'{"type": "Point", "coordinates": [1e999, 1]}', b"", 1), "a.geojson"),
    BadFile("texts for a place", "number",
            lambda: _collection(_feature({}, {**POINT, "coordinates": ["a", "b"]})), "a.geojson"),
    BadFile("U+0000 in GeoJSON", "nul",
            lambda: _collection(_feature({"name": "a\0"})), "a.geojson"),
    BadFile("a lone surrogate in GeoJSON", "encoding",
            lambda: _collection(_feature({"name": "\ud800"})), "a.geojson"),
    BadFile("features that are numbers", "feature", lambda: _collection(1, 2), "a.geojson"),
    BadFile("a feature of 10,000 properties", "columns",
            lambda: _collection(_feature({str(n): None for n in range(10_000)})), "a.geojson"),
    BadFile("a polygon", "geometry",
            lambda: _collection(_feature({}, {"type": "Polygon", "coordinates": []})), "a.geojson"),
]  # fmt: skip

# Takes a minute.
LARGEST = [BadFile("one line of 1 GB", "too-long", lambda: _blanks(1023))]
