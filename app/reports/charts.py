"""Charts of imbalances against what is allowed."""

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from app.reports.content import BarPicture
from app.reports.fonts import drawable
from app.reports.palette import BAND, INK, INSIDE, OUTSIDE, QUIET, RULE

# With more, a label for each would be too small to read.
MOST_LABELS = 64
ENDS_NAMED = 4


def draw_bars(axes: Axes, picture: BarPicture) -> None:
    """Draw a bar for each value; those beyond the limit are hatched, not only of another colour."""
    n, limit = len(picture.values), picture.limit
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["left"].set_color(RULE)
    axes.spines["bottom"].set_visible(False)
    if limit is not None:
        axes.axhspan(-limit, limit, color=BAND, zorder=0)
        for edge in (-limit, limit):
            axes.axhline(edge, color=QUIET, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
    is_out = [limit is not None and abs(value) > limit * (1 + 1e-9) for value in picture.values]
    bars = axes.bar(
        range(n), picture.values, width=0.8, zorder=2,
        color=[OUTSIDE if out else INSIDE for out in is_out],
    )  # fmt: skip
    for bar, out in zip(bars, is_out, strict=True):
        if out:
            bar.set(hatch="////", edgecolor="white", linewidth=0)
    axes.axhline(0, color=INK, linewidth=0.7, zorder=3)
    # Bars of a few parts in a million would fill the chart without a floor under its range.
    most = max([1e-3, *(abs(value) for value in picture.values), 1.1 * (limit or 0.0)]) * 1.08
    axes.set_ylim(-most, most)
    axes.set_xlim(-0.7, n - 0.3)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=" %"))
    axes.tick_params(axis="y", labelsize=7, colors=QUIET, length=0)
    axes.tick_params(axis="x", length=0)
    _name_bars(axes, picture, most)


def _name_bars(axes: Axes, picture: BarPicture, most: float) -> None:
    labels, n = [drawable(label) for label in picture.labels], len(picture.labels)
    if n <= MOST_LABELS:
        axes.set_xticks(
            range(n), labels, fontsize=7.5 if n <= 30 else 5.5, color=INK,
            rotation=90 if n > 16 else 0, parse_math=False,
        )  # fmt: skip
        return
    axes.set_xticks([])
    # The ends of a sorted row are what is looked for: the farthest below and above.
    first, last = " ".join(labels[:ENDS_NAMED]), " ".join(labels[-ENDS_NAMED:])
    for x, words, colour, align in (
        (0.0, first, INK, "left"),
        ((n - 1) / 2, f"{n} territories", QUIET, "center"),
        (n - 1.0, last, INK, "right"),
    ):
        axes.text(x, -most, words, fontsize=6.5, color=colour, va="top", ha=align, parse_math=False)
