"""Pictures of a report in a figure, and as files of their own."""

import io
import re
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from app.reports.charts import draw_bars
from app.reports.content import BarPicture, MapPicture, Picture
from app.reports.flow import BETWEEN_PICTURES_IN, BODY_IN
from app.reports.fonts import families
from app.reports.maps import draw_map

MAP_RATIO, TWO_MAPS_RATIO, CHART_RATIO = 0.86, 1.0, 0.30
CODES_NAMED = 12
# Matplotlib's own type names every setting there is.
PLAIN: Any = {
    "svg.fonttype": "path",
    "svg.hashsalt": "bailiwick",
    "pdf.fonttype": 42,
    "axes.unicode_minus": True,
    "text.usetex": False,
    # Letters as wide on a picture as they are measured.
    "text.hinting": "no_hinting",
}


def as_svg(picture: Picture, n_beside: int) -> tuple[bytes, list[str]]:
    """Return a picture as SVG, and what is to be said under it."""
    width = BODY_IN if n_beside == 1 else (BODY_IN - BETWEEN_PICTURES_IN) / 2
    height = height_in(picture, width, n_beside)
    with matplotlib.rc_context(PLAIN):
        figure = Figure(figsize=(width, height))
        notes = draw_picture(figure, picture, (0.0, 0.0, width, height))
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator")))
    # What viewers do not need, and the addresses in it.
    plain = re.sub(rb"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>", b"",
                   file.getvalue(), flags=re.DOTALL)  # fmt: skip
    return plain.strip(), notes


def height_in(picture: Picture, width_in: float, n_beside: int) -> float:
    """Return how high a picture of a width is, with others beside it or without."""
    if isinstance(picture, BarPicture):
        return width_in * CHART_RATIO
    return width_in * (MAP_RATIO if n_beside == 1 else TWO_MAPS_RATIO)


def draw_picture(
    figure: Figure, picture: Picture, place: tuple[float, float, float, float]
) -> list[str]:
    """Draw a picture at left, bottom, width, height in inches; return what to say under it."""
    left, bottom, width, height = place
    whole_width, whole_height = figure.get_size_inches()
    with matplotlib.rc_context({"font.family": families()}):
        if isinstance(picture, MapPicture):
            axes = figure.add_axes(
                (left / whole_width, bottom / whole_height, width / whole_width,
                 height / whole_height)
            )  # fmt: skip
            missing = draw_map(axes, picture)
            return [_without_room(missing)] if missing else []
        # Room for the numbers and names beside the chart.
        axes = figure.add_axes(
            ((left + 0.45) / whole_width, (bottom + 0.35) / whole_height,
             (width - 0.5) / whole_width, (height - 0.4) / whole_height)
        )  # fmt: skip
        draw_bars(axes, picture)
    return []


def _without_room(codes: list[str]) -> str:
    named = ", ".join(codes[:CODES_NAMED]) + (", …" if len(codes) > CODES_NAMED else "")
    if len(codes) == 1:
        return f"The code {named} has no room at this scale."
    return f"{len(codes)} codes have no room at this scale: {named}"
