"""Tables laid out row by row."""

from collections.abc import Iterator

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from app.reports.content import Table
from app.reports.flow import (
    BODY_IN,
    MARGIN_IN,
    POINTS_PER_INCH,
    Block,
    Drawing,
    fitted,
    lines_of,
    width_in,
    write,
)
from app.reports.fonts import drawable
from app.reports.palette import BAND, INK, QUIET

CELL_PT, SMALLEST_PT = 7.6, 5.4
BETWEEN_IN = 0.12
LONGEST_CELL_IN = 1.9


def table_blocks(table: Table) -> Iterator[Block]:
    """Yield a table row by row; its head stands again on each sheet."""
    yield from lines_of(table.caption, 8.0, weight="bold", holds=True)
    yield Block(0.04, lambda figure, top: None, holds=True)
    size, widths = _columns(table)
    # Numbers in the middle of a page need no more room between them than they take.
    spare = max(0.0, BODY_IN - sum(widths) - BETWEEN_IN * (len(widths) - 1))
    between = BETWEEN_IN + min(spare / max(1, len(widths) - 1), 0.35)
    edges, x = [], MARGIN_IN
    for width in widths:
        edges.append((x, width))
        x += width + between
    right = x - between
    height = size * 1.75 / POINTS_PER_INCH
    head = Block(
        height, _row(table.head, table, edges, size, "bold", height, right, "under"), holds=True
    )
    yield head
    for number, row in enumerate(table.rows):
        style = "band" if number % 2 else "plain"
        drawing = _row(row, table, edges, size, "normal", height, right, style)
        yield Block(height, drawing, again=head)


def _columns(table: Table) -> tuple[float, list[float]]:
    """Return a size of type, and widths that fit the page at it; words give way to numbers."""
    size = CELL_PT
    while True:
        widths = [
            max(
                width_in(drawable(table.head[place]), size, "bold"),
                min(
                    LONGEST_CELL_IN,
                    max((width_in(drawable(row[place]), size) for row in table.rows), default=0),
                ),
            )
            for place in range(len(table.head))
        ]
        room = BODY_IN - BETWEEN_IN * (len(widths) - 1)
        if sum(widths) <= room or size <= SMALLEST_PT:
            break
        size -= 0.2
    excess = sum(widths) - room
    texts = sum(width for width, is_text in zip(widths, table.is_text, strict=True) if is_text)
    if excess > 0 and texts > 0:
        share = max(0.1, 1 - excess / texts)
        widths = [
            width * share if is_text else width
            for width, is_text in zip(widths, table.is_text, strict=True)
        ]
    return size, widths


def _row(
    cells: tuple[str, ...],
    table: Table,
    edges: list[tuple[float, float]],
    size_pt: float,
    weight: str,
    height_in: float,
    right_in: float,
    style: str,
) -> Drawing:
    def draw(figure: Figure, top_in: float) -> None:
        width, height = figure.get_size_inches()
        left, bottom = MARGIN_IN - 0.05, top_in - height_in
        across = right_in + 0.05 - left
        if style == "band":
            figure.add_artist(
                Rectangle((left / width, bottom / height), across / width, height_in / height,
                          color=BAND, linewidth=0, transform=figure.transFigure)
            )  # fmt: skip
        if style == "under":
            figure.add_artist(
                Line2D([left / width, (left + across) / width], [bottom / height] * 2,
                       color=QUIET, linewidth=0.8)
            )  # fmt: skip
        for (x, room), cell, is_text in zip(edges, cells, table.is_text, strict=True):
            words = fitted(cell, size_pt, room, weight)
            place = (x, "left") if is_text else (x + room, "right")
            write(figure, place[0], bottom + height_in * 0.3, words, size_pt, weight, INK, place[1])

    return draw
