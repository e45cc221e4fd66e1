"""Reports as files: what they hold, what they must not, and that nothing on a map overlaps."""

import base64
import io
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
import shapely
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from app.reports import (
    Area,
    BarPicture,
    MapPicture,
    Report,
    Section,
    Table,
    details_of,
    draw_map,
    fonts,
    render_html,
    render_pdf,
    render_png,
)
from app.reports.flow import Block, sheets, width_in, wrapped
from app.reports.labels import place_labels
from app.reports.palette import TERRITORY_COLOURS
from tests.conftest import REPOSITORY

EVIL = '<script>alert("1")</script> $x^{2$ & \n "\' \x07 名字 \u202e'


class Reader(HTMLParser):
    """What a browser would make of a page, as far as the tests ask."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        is_cell = self.tags and self.tags[-1][0] in ("td", "th") and self.rows
        if is_cell and data.strip():
            self.rows[-1][-1] += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def squares(n: int, lon: float = 113.0, lat: float = 30.0, size: float = 0.1) -> tuple[Area, ...]:
    """n × n areas side by side."""
    return tuple(
        Area(
            f"T{row * n + column + 1:03d}", row + column,
            shapely.box(lon + column * size, lat + row * size,
                        lon + (column + 1) * size, lat + (row + 1) * size),
            (lon + (column + 0.5) * size, lat + (row + 0.5) * size),
        )
        for row in range(n) for column in range(n)
    )  # fmt: skip


def a_report(name: str, n_rows: int = 3) -> Report:
    table = Table(
        f"Table of {name}", ("Name", "Number"),
        tuple((f"{name}{place}", f"{place:,}") for place in range(n_rows)), (True, False),
        tuple(float(place) for place in range(n_rows)),
    )  # fmt: skip
    bars = BarPicture("Bars", f"Bars of {name}", (name, "T02"), (-0.02, 0.09), 0.05)
    maps = tuple(MapPicture(word, f"{word} {name}", squares(3)) for word in ("Before", "After"))
    return Report(
        name, name, (("Plan", name), ("State", "draft"), ("Odd", "1")),
        (
            Section(name, (name,), ((name, (name,)),), (bars,), (table,)),
            Section("Maps", pictures=maps, shows_first=True),
        ),
    )  # fmt: skip


def test_a_page_keeps_every_name_as_text() -> None:
    page = render_html(a_report(EVIL))

    found = read(page)
    assert {tag for tag, _ in found.tags} == {
        "html", "head", "meta", "title", "style", "body", "header", "h1", "p", "main", "dl", "div",
        "dt", "dd", "section", "h2", "h3", "ul", "li", "figure", "img", "figcaption", "table",
        "caption", "thead", "tr", "th", "tbody", "td",
    }  # fmt: skip
    assert not [name for _, attrs in found.tags for name in attrs if name.startswith("on")]
    assert [attrs["alt"] for tag, attrs in found.tags if tag == "img"] == [
        f"Bars of {EVIL}", f"Before {EVIL}", f"After {EVIL}",
    ]  # fmt: skip
    assert '<script>alert("1")</script>' in "".join(found.text)


def test_a_page_loads_nothing_and_its_tables_have_headers() -> None:
    found = read(page := render_html(a_report("Plan")))

    addresses = [attrs.get(name) for _, attrs in found.tags for name in ("src", "href")]
    pictures = [address for address in addresses if address]
    assert len(pictures) == 3
    for picture in pictures:
        kind, data = picture.split(",", 1)
        assert kind == "data:image/svg+xml;base64"
        svg = base64.b64decode(data).decode()
        assert svg.startswith("<svg")
        # Names of formats are all that looks like an address.
        assert set(re.findall(r'"(https?://[^"]*)"', svg)) <= {
            "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink",
        }  # fmt: skip
        assert "<script" not in svg
    assert "url(" not in page.split("</style>")[0]
    scopes = [attrs.get("scope") for tag, attrs in found.tags if tag == "th"]
    assert scopes == ["col", "col", "row", "row", "row"]


def test_all_forms_are_the_same_bytes_each_time() -> None:
    for render in (render_html, render_pdf, render_png):
        assert render(a_report("Plan")) == render(a_report("Plan"))


@pytest.mark.parametrize("name", ["Plan", EVIL, "x" * 300, "计划", "$\\frac"])
def test_a_picture_is_as_tall_as_what_is_on_it(name: str) -> None:
    few = Image.open(io.BytesIO(render_png(a_report(name))))
    many = Image.open(io.BytesIO(render_png(a_report(name, 30))))

    assert few.format == "PNG"
    assert few.size[0] == many.size[0] == 1240
    assert many.size[1] > few.size[1] + 27 * 20


def test_a_pdf_goes_on_over_sheets_of_a4() -> None:
    short, long = render_pdf(a_report(EVIL)), render_pdf(a_report(EVIL, 400))

    assert short.startswith(b"%PDF-")
    assert short.rstrip().endswith(b"%%EOF")
    boxes = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", short)
    assert {(round(float(w)), round(float(h))) for w, h in boxes} == {(595, 842)}
    assert len(re.findall(rb"/Type /Page\b", long)) >= len(re.findall(rb"/Type /Page\b", short)) + 6
    assert b"CreationDate" not in short


def test_a_table_on_a_picture_keeps_the_rows_that_tell_most() -> None:
    table = Table(
        "T", ("a",), tuple((str(n),) for n in range(9)), (True,), (9, 1, 8, 1, 7, 1, 1, 1, 6)
    )

    short = table.shortened(4)

    assert [row[0] for row in short.rows] == ["0", "2", "4", "8"]
    assert "the 4 that tell most of 9" in short.caption
    assert table.shortened(9) is table


def test_the_head_of_a_table_stands_again_and_nothing_that_holds_ends_a_sheet() -> None:
    def nothing(*_: Any) -> None: ...

    head = Block(1.0, nothing, holds=True)
    rows = [Block(1.0, nothing, again=head) for _ in range(7)]

    found = list(sheets([Block(3.0, nothing), head, *rows], 5.0))

    assert [len(sheet) for sheet in found] == [3, 5, 3]
    assert found[1][0] is head
    assert found[2][0] is head
    assert not any(sheet[-1].holds for sheet in found)


def test_no_word_is_wider_than_its_line() -> None:
    for line in wrapped("a " + "W" * 200 + " 计划" * 30, 9.0, 2.0):
        assert width_in(line, 9.0) <= 2.0


@pytest.mark.parametrize("n", [1, 3, 8, 25])
def test_labels_never_touch_and_each_is_there_or_named(n: int) -> None:
    areas = squares(n)
    figure = Figure(figsize=(5, 4))
    canvas = FigureCanvasAgg(figure)
    missing = draw_map(axes := figure.add_axes((0, 0, 1, 1)), MapPicture("", "", areas))
    canvas.draw()

    renderer = canvas.get_renderer()
    codes = [text for text in axes.texts if text.get_text().startswith("T")]
    boxes = [text.get_window_extent(renderer) for text in codes]
    assert {text.get_text() for text in codes} | set(missing) == {area.code for area in areas}
    assert len(codes) + len(missing) == n * n
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:place])
    if n <= 8:
        assert missing == []


def test_a_crowded_place_gets_a_map_of_its_own() -> None:
    crowd = squares(30, 113.0, 30.0, 0.01)
    around = Area("FAR", 0, shapely.box(115.0, 30.0, 118.0, 33.0), (116.0, 31.0))
    picture = MapPicture("", "", (*crowd, around))

    detail, *_ = details_of(picture)
    left = draw_map(Figure(figsize=(7, 6)).add_axes((0, 0, 1, 1)), detail)
    before = draw_map(Figure(figsize=(7, 6)).add_axes((0, 0, 1, 1)), picture)

    assert "FAR" not in detail.focus
    assert len(left) < len(before) / 3
    assert details_of(MapPicture("", "", squares(2))) == ()


def test_a_label_leaves_its_place_before_it_gives_up() -> None:
    areas = [shapely.box(0, 0, 10, 10), shapely.box(0, 0, 100, 100) - shapely.box(0, 0, 10, 10)]

    placed, missing = place_labels(
        ["T1", "T2"], areas, np.array([[5.0, 5.0], [6.0, 6.0]]), (0, 0, 100, 100), 1.0
    )

    assert missing == []
    assert len({(label.x, label.y) for label in placed}) == 2


@pytest.mark.parametrize("lon", [179.9, -179.95])
def test_a_map_across_180_degrees_is_of_one_piece(lon: float) -> None:
    east, west = shapely.box(179.5, -17.5, 180, -17), shapely.box(-180, -17.5, -179.5, -17)
    area = Area("T01", 0, shapely.union_all([east, west]), (lon, -17.2))
    axes = (figure := Figure(figsize=(4, 4))).add_axes((0, 0, 1, 1))

    draw_map(axes, MapPicture("", "", (area,)))

    west_m, east_m = axes.get_xlim()
    assert east_m - west_m < 150_000
    assert figure.axes == [axes]


def test_land_is_land_and_water_is_water() -> None:
    # Off the coast of Zhejiang: land to the west, the sea to the east.
    area = Area("T01", 0, shapely.box(120.0, 29.0, 124.0, 29.2), (121.7, 29.1))
    figure = Figure(figsize=(4, 4), dpi=50)
    draw_map(figure.add_axes((0, 0, 1, 1)), MapPicture("", "", (area,)))
    file = io.BytesIO()
    figure.savefig(file, format="png")

    seen = Image.open(file).convert("RGB")
    assert seen.getpixel((40, 60)) == (0xF7, 0xF6, 0xF2)
    assert seen.getpixel((160, 60)) == (0xDB, 0xE4, 0xEA)


def test_the_colours_are_those_of_the_map_page() -> None:
    palette = (REPOSITORY / "web" / "src" / "lib" / "palette.ts").read_text()
    listed = palette.split("TERRITORY_COLOURS = [")[1].split("]")[0]

    assert tuple(re.findall(r"#[0-9a-f]{6}", listed)) == TERRITORY_COLOURS


def test_what_no_font_has_is_a_box_and_said_to_be() -> None:
    nobody_has = "\U0001f9ff"
    assert fonts.drawable(f"a{nobody_has}\n\x00b") == f"a{fonts.MISSING}  b"
    assert fonts.has_all("Zürich □") is True
    assert fonts.has_all(nobody_has) is False
