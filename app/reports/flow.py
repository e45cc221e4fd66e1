"""Words laid out line by line, on sheets of A4 or on one tall picture."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D

from app.reports.fonts import drawable, families
from app.reports.palette import INK, RULE

WIDTH_IN, MARGIN_IN = 8.27, 0.65
BODY_IN = WIDTH_IN - 2 * MARGIN_IN
POINTS_PER_INCH = 72
# Fine enough that letters are not rounded to whole dots.
RULER_DPI = 600
LEADING = 1.42
GAP_IN = 0.14
BETWEEN_PICTURES_IN = 0.2

# Draws into a figure below a height, in inches from its lower edge.
Drawing = Callable[[Figure, float], None]


@dataclass(frozen=True, slots=True)
class Block:
    """Something of a height that is not torn apart.

    `again` is what stands above it anew where a sheet begins with it, and `holds` that it must not
    be the last on a sheet.
    """

    height_in: float
    draw: Drawing
    again: "Block | None" = None
    holds: bool = False


@lru_cache(maxsize=1)
def _ruler() -> RendererAgg:
    return RendererAgg(10, 10, RULER_DPI)


@lru_cache(maxsize=50_000)
def width_in(words: str, size_pt: float, weight: str = "normal") -> float:
    """Return how wide words are, in inches."""
    font = FontProperties(family=families(), size=size_pt, weight=weight)
    width, _, _ = _ruler().get_text_width_height_descent(words, font, ismath=False)
    return float(width) / RULER_DPI


def wrapped(words: str, size_pt: float, room_in: float, weight: str = "normal") -> list[str]:
    """Return the lines that words take; a word wider than a line is broken."""
    lines, line = [], ""
    for word in drawable(words).split():
        for piece in _pieces(word, size_pt, room_in, weight):
            longer = f"{line} {piece}" if line else piece
            if line and width_in(longer, size_pt, weight) > room_in:
                lines.append(line)
                longer = piece
            line = longer
    return [*lines, line] if line else lines


def fitted(words: str, size_pt: float, room_in: float, weight: str = "normal") -> str:
    """Return words cut off with an ellipsis where they are too wide."""
    words = drawable(words)
    if width_in(words, size_pt, weight) <= room_in:
        return words
    while words and width_in(f"{words}…", size_pt, weight) > room_in:
        words = words[:-1]
    return f"{words}…"


def _pieces(word: str, size_pt: float, room_in: float, weight: str) -> Iterator[str]:
    while width_in(word, size_pt, weight) > room_in and len(word) > 1:
        end = len(word) - 1
        while end > 1 and width_in(word[:end], size_pt, weight) > room_in:
            end -= 1
        yield word[:end]
        word = word[end:]
    yield word


def space(height_in: float) -> Block:
    """Return room without anything in it."""
    return Block(height_in, lambda figure, top: None)


def lines_of(
    words: str,
    size_pt: float = 8.5,
    *,
    weight: str = "normal",
    colour: str = INK,
    indent_in: float = 0.0,
    mark: str = "",
    holds: bool = False,
    room_in: float = BODY_IN,
) -> Iterator[Block]:
    """Yield a paragraph, a block for each of its lines; `mark` stands before the first."""
    height = size_pt * LEADING / POINTS_PER_INCH
    for number, line in enumerate(wrapped(words, size_pt, room_in - indent_in, weight)):
        said = [(MARGIN_IN + indent_in, line)]
        if mark and number == 0:
            said.append((MARGIN_IN + indent_in - 0.12, mark))
        yield Block(height, _writer(said, size_pt, weight, colour, height), holds=holds)


def _writer(
    said: list[tuple[float, str]], size_pt: float, weight: str, colour: str, height_in: float
) -> Drawing:
    def draw(figure: Figure, top_in: float) -> None:
        for x_in, words in said:
            write(figure, x_in, top_in - height_in * 0.74, words, size_pt, weight, colour)

    return draw


def write(
    figure: Figure,
    x_in: float,
    y_in: float,
    words: str,
    size_pt: float,
    weight: str = "normal",
    colour: str = INK,
    align: str = "left",
) -> None:
    """Write words on a base line; a dollar sign is a dollar sign."""
    width, height = figure.get_size_inches()
    figure.text(
        x_in / width, y_in / height, words, fontsize=size_pt, weight=weight, color=colour,
        ha=align, va="baseline", family=families(), parse_math=False,
    )  # fmt: skip


def rule() -> Block:
    """Return a line across the page."""

    def draw(figure: Figure, top_in: float) -> None:
        width, height = figure.get_size_inches()
        y = (top_in - 0.05) / height
        ends = [MARGIN_IN / width, (width - MARGIN_IN) / width]
        figure.add_artist(Line2D(ends, [y, y], color=RULE, linewidth=0.8))

    return Block(0.1, draw)


def sheets(blocks: Iterable[Block], room_in: float) -> Iterator[list[Block]]:
    """Yield the blocks of each sheet; what holds to the next block goes on with it."""
    sheet: list[Block] = []
    used = 0.0
    waiting: list[Block] = []
    for block in blocks:
        waiting.append(block)
        if block.holds:
            continue
        height = sum(part.height_in for part in waiting)
        if sheet and used + height > room_in:
            yield sheet
            sheet = []
            if waiting[0].again is not None:
                waiting.insert(0, waiting[0].again)
            used = 0.0
            height = sum(part.height_in for part in waiting)
        sheet += waiting
        used += height
        waiting = []
    if sheet or waiting:
        yield [*sheet, *waiting]
