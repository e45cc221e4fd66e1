"""A style that map clients open as it is (MapLibre Style Specification, version 8).

No glyphs, sprites or other hosts are named, so nothing is written on the map: it works without any
network but ours.

Of expressions, QGIS 3.22 knows few: `match` with its labels in lists, comparisons in filters, and
`interpolate` by zoom alone; circles take no expression at all. So what depends on a property is a
layer of its own for each step, with a filter (`tests/gis` opens the style there).
"""

from itertools import pairwise
from typing import Any

from app.tiles.schemas import TileJson

# The colours of the map page, in its order; `colour` of a territory counts on from the last.
TERRITORY_COLOURS = (
    "#77aadd", "#eedd88", "#44bb99", "#ee8866", "#ffaabb", "#bbcc33", "#99ddff", "#aaaa00",
)  # fmt: skip
# ColorBrewer YlOrRd by half orders of magnitude: sums span several, whatever the measure.
HEAT_COLOURS = {
    0: "#ffffcc", 3: "#ffeda0", 10: "#fed976", 30: "#feb24c", 100: "#fd8d3c",
    300: "#fc4e2a", 1_000: "#e31a1c", 3_000: "#bd0026", 10_000: "#800026",
}  # fmt: skip
CLASS_COLOURS = {
    "S": "#4a0d45", "A": "#8a2a7f", "B": "#b964ad", "C": "#d6a1cf", "D": "#ecd3e8",
}  # fmt: skip
# Radius in pixels of a point that stands for at least so many customers.
SUM_RADII = {0: 3, 10: 4, 100: 6, 1_000: 10, 10_000: 20}
UNCLASSED = "#6b7683"
INK = "#1c2733"

Layer = dict[str, Any]


def style_of(tilesets: dict[str, TileJson], name: str, plan_id: int | None) -> dict[str, Any]:
    """Return the style of these tilesets by name, seen as a whole.

    Cells and heat would hide the territories: they are there, but not visible at first.
    """
    west, south, east, north = tilesets["territories"].bounds
    return {
        "version": 8,
        "name": name,
        "metadata": {"bailiwick:plan_id": plan_id},
        "center": [(west + east) / 2, (south + north) / 2],
        "zoom": _zoom_for(east - west),
        "sources": {key: _source(tilesets[key]) for key in tilesets},
        # No background: QGIS draws it with each tileset, over whatever lies below.
        "layers": _layers(),
    }


def _source(tileset: TileJson) -> dict[str, Any]:
    return {
        "type": "vector",
        "tiles": tileset.tiles,
        "minzoom": tileset.minzoom,
        "maxzoom": tileset.maxzoom,
        "bounds": list(tileset.bounds),
        "attribution": tileset.attribution,
    }


def _zoom_for(width_deg: float) -> float:
    """Return the zoom at which a width fills some 800 pixels of tiles of 512."""
    zoom = 0.0
    while zoom < 14 and 360 / 2**zoom * (800 / 512) > width_deg:
        zoom += 0.5
    return zoom


def _layers() -> list[Layer]:
    return [
        _layer("territories-fill", "fill", "territories", _filled(0.55)),
        _layer("cells-fill", "fill", "cells", _filled(0.7), is_visible=False),
        *_heat(),
        _layer(
            "territories-line", "line", "territories",
            {"line-color": INK, "line-width": _wider(1.5)},
        ),
        _layer(
            "geofences-fill", "fill", "geofences", {"fill-color": "#3366aa", "fill-opacity": 0.12}
        ),
        _layer(
            "geofences-line", "line", "geofences",
            {"line-color": "#3366aa", "line-width": _wider(1.2), "line-dasharray": [3, 2]},
        ),
        *_sums(),
        *_customers(),
    ]  # fmt: skip


def _layer(
    name: str,
    kind: str,
    source: str,
    paint: Layer,
    *,
    only: list[Any] | None = None,
    is_visible: bool = True,
) -> Layer:
    """Return a layer of the style, of the features that the filter `only` lets through."""
    visibility = "visible" if is_visible else "none"
    return {
        "id": name, "type": kind, "source": source, "source-layer": source,
        **({} if only is None else {"filter": only}),
        "layout": {"visibility": visibility}, "paint": paint,
    }  # fmt: skip


def _filled(opacity: float) -> Layer:
    n = len(TERRITORY_COLOURS)
    steps = [part for i, colour in enumerate(TERRITORY_COLOURS[:-1]) for part in ([i], colour)]
    number = ["%", ["get", "colour"], n]
    return {
        "fill-color": ["match", number, *steps, TERRITORY_COLOURS[-1]],
        "fill-opacity": opacity,
    }


def _heat() -> list[Layer]:
    return [
        _layer(
            f"heat-fill-{least}", "fill", "heat", {"fill-color": colour, "fill-opacity": 0.7},
            only=["all", *step], is_visible=False,
        )
        for (least, colour), step in zip(
            HEAT_COLOURS.items(), _steps("value", list(HEAT_COLOURS)), strict=True
        )
    ]  # fmt: skip


def _sums() -> list[Layer]:
    """Return the layers of points that stand for the customers of a cell."""
    steps = _steps("n", list(SUM_RADII))
    return [
        _layer(
            f"customers-sum-{least}", "circle", "customers", _circled(UNCLASSED, radius),
            only=["all", ["!", ["has", "id"]], *step],
        )
        for (least, radius), step in zip(SUM_RADII.items(), steps, strict=True)
    ]  # fmt: skip


def _customers() -> list[Layer]:
    """Return the layers of single customers, those with most visits above the others."""
    return [
        _layer(
            f"customers-{name}", "circle", "customers", _circled(CLASS_COLOURS[name], 3),
            only=["all", ["has", "id"], ["==", ["get", "class"], name]],
        )
        for name in reversed(CLASS_COLOURS)
    ]  # fmt: skip


def _steps(name: str, least: list[int]) -> list[list[Any]]:
    """Return the filters of a property that is at least one of these and less than the next."""
    number = ["get", name]
    steps = [[[">=", number, low], ["<", number, high]] for low, high in pairwise(least)]
    # Open at both ends, so that no value is drawn by none.
    return [steps[0][1:], *steps[1:], [[">=", number, least[-1]]]]


def _circled(colour: str, radius: float) -> Layer:
    return {
        "circle-radius": radius,
        "circle-color": colour,
        "circle-opacity": 0.85,
        "circle-stroke-color": "#3d1239",
        "circle-stroke-width": 0.75,
    }


def _wider(width: float) -> list[Any]:
    return ["interpolate", ["linear"], ["zoom"], 4, width / 2, 12, width * 2]
