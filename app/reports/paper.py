"""A report as a PDF on A4, and as one tall picture."""

import io
from collections.abc import Iterator
from itertools import zip_longest

import matplotlib
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from app.reports.content import Picture, Report, Section
from app.reports.flow import (
    BETWEEN_PICTURES_IN,
    BODY_IN,
    GAP_IN,
    MARGIN_IN,
    WIDTH_IN,
    Block,
    lines_of,
    rule,
    sheets,
    space,
    write,
)
from app.reports.fonts import drawable, has_all
from app.reports.palette import QUIET
from app.reports.pictures import PLAIN, draw_picture, height_in
from app.reports.tables import table_blocks

HEIGHT_IN, FOOT_IN = 11.69, 0.35
PICTURE_DPI = 150
# Rows of a table on the picture, and in the PDF; the HTML file has all.
ROWS_ON_PICTURE, ROWS_IN_PDF = 40, 1000
NO_FONT = (
    "Some names have characters that no font of this server has; they are drawn as □ here. "
    "The HTML report has them."
)


def render_pdf(report: Report) -> bytes:
    """Return a report on sheets of A4; long tables go on with their heads."""
    file = io.BytesIO()
    with matplotlib.rc_context(PLAIN):
        room = HEIGHT_IN - 2 * MARGIN_IN
        pages = list(sheets(_blocks(report, ROWS_IN_PDF), room))
        # Without the time of day: one plan, one file.
        about = {"Title": drawable(report.title), "Creator": "Bailiwick", "CreationDate": None}
        with PdfPages(file, metadata=about) as pdf:
            for number, blocks in enumerate(pages, start=1):
                figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN))
                _fill(figure, blocks, HEIGHT_IN - MARGIN_IN)
                foot = f"{drawable(report.title)[:80]}  ·  {number} / {len(pages)}"
                write(figure, WIDTH_IN / 2, FOOT_IN, foot, 6.5, colour=QUIET, align="center")
                pdf.savefig(figure)
    return file.getvalue()


def render_png(report: Report) -> bytes:
    """Return a report as one picture; of long tables the rows that tell most."""
    with matplotlib.rc_context(PLAIN):
        blocks = list(_blocks(report, ROWS_ON_PICTURE))
        height = sum(block.height_in for block in blocks) + 2 * MARGIN_IN
        figure = Figure(figsize=(WIDTH_IN, height), facecolor="white")
        _fill(figure, blocks, height - MARGIN_IN)
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=PICTURE_DPI, metadata={"Software": "Bailiwick"})
    return file.getvalue()


def _fill(figure: Figure, blocks: list[Block], top_in: float) -> None:
    for block in blocks:
        block.draw(figure, top_in)
        top_in -= block.height_in


def _blocks(report: Report, n_rows: int) -> Iterator[Block]:
    yield from lines_of(report.title, 17, weight="bold")
    yield from lines_of(report.subtitle, 9, colour=QUIET)
    yield rule()
    yield from _fact_blocks(report.facts)
    if not has_all("".join(_words(report))):
        yield space(GAP_IN / 2)
        yield from lines_of(NO_FONT, 7.5, colour=QUIET)
    for section in report.sections:
        yield from _section_blocks(section, n_rows)


def _fact_blocks(facts: tuple[tuple[str, str], ...]) -> Iterator[Block]:
    """Yield the facts in two columns, the first half on the left."""
    column = BODY_IN / 2
    half = (len(facts) + 1) // 2
    for left, right in zip_longest(facts[:half], facts[half:]):
        one = lines_of(": ".join(left), room_in=column - 0.1)
        other = lines_of(": ".join(right), indent_in=column) if right else ()
        for pair in zip_longest(one, other):
            yield _beside([block for block in pair if block is not None])


def _beside(blocks: list[Block]) -> Block:
    def draw(figure: Figure, top_in: float) -> None:
        for block in blocks:
            block.draw(figure, top_in)

    return Block(max(block.height_in for block in blocks), draw)


def _section_blocks(section: Section, n_rows: int) -> Iterator[Block]:
    yield space(GAP_IN * 1.6)
    yield from lines_of(section.heading, 12.5, weight="bold", holds=True)
    yield Block(0.04, lambda figure, top: None, holds=True)
    if section.shows_first:
        yield from _picture_blocks(section.pictures)
    for words in section.paragraphs:
        yield from lines_of(words)
        yield space(0.05)
    for heading, items in section.lists:
        yield from lines_of(heading, 8.5, weight="bold", holds=True)
        for item in items:
            yield from lines_of(item, indent_in=0.18, mark="–")
        yield space(0.06)
    if section.pictures and not section.shows_first:
        yield from _picture_blocks(section.pictures)
    for table in section.tables:
        yield space(0.08)
        yield from table_blocks(table.shortened(n_rows))
        yield space(0.08)


def _picture_blocks(pictures: tuple[Picture, ...]) -> Iterator[Block]:
    width = (BODY_IN - BETWEEN_PICTURES_IN * (len(pictures) - 1)) / len(pictures)
    height = max(height_in(picture, width, len(pictures)) for picture in pictures)
    caption = 0.36 if len(pictures) == 1 else 0.5

    def draw(figure: Figure, top_in: float) -> None:
        for place, picture in enumerate(pictures):
            left = MARGIN_IN + place * (width + BETWEEN_PICTURES_IN)
            notes = draw_picture(figure, picture, (left, top_in - height, width, height))
            words = " ".join([picture.title + ".", *notes])
            for number, block in enumerate(_caption(words, left, width)):
                block.draw(figure, top_in - height - 0.03 - number * block.height_in)

    yield Block(height + caption, draw)


def _caption(words: str, left_in: float, width_in: float) -> Iterator[Block]:
    indent = left_in - MARGIN_IN
    return lines_of(words, 7.0, colour=QUIET, indent_in=indent, room_in=indent + width_in)


def _words(report: Report) -> Iterator[str]:
    """Yield every word that is drawn."""
    yield from (report.title, report.subtitle)
    for fact in report.facts:
        yield from fact
    for section in report.sections:
        yield section.heading
        yield from section.paragraphs
        for heading, items in section.lists:
            yield from (heading, *items)
        for table in section.tables:
            yield table.caption
            for row in (table.head, *table.rows):
                yield from row
