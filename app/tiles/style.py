"""A style that map clients open as it is (MapLibre Style Specification, version 8).

No glyphs, sprites or other hosts are named, so nothing is written on the map: it works without any
network but ours.
"""

from typing import Any

from app.tiles.schemas import TileJson

# The colours of the map page, in its order; `colour` of a territory counts on from the last.
TERRITORY_COLOURS = (
    "#77aadd", "#eedd88", "#44bb99", "#ee8866", "#ffaabb", "#bbcc33", "#99ddff", "#aaaa00",
)  # fmt: skip
HEAT_COLOURS = ("#ffffcc", "#fed976", "#fd8d3c", "#e31a1c", "#800026")
CLASS_COLOURS = {
    "S": "#4a0d45", "A": "#8a2a7f", "B": "#b964ad", "C": "#d6a1cf", "D": "#ecd3e8",
}  # fmt: skip
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
        "layers": [
            {"id": "background", "type": "background", "paint": {"background-color": "#f7f6f2"}},
            *_layers(),
        ],
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
        _layer("heat-fill", "fill", "heat", _heated(), is_visible=False),
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
        _layer("customers-circle", "circle", "customers", _circled()),
    ]  # fmt: skip


def _layer(name: str, kind: str, source: str, paint: Layer, *, is_visible: bool = True) -> Layer:
    visibility = "visible" if is_visible else "none"
    return {
        "id": name, "type": kind, "source": source, "source-layer": source,
        "layout": {"visibility": visibility}, "paint": paint,
    }  # fmt: skip


def _filled(opacity: float) -> Layer:
    n = len(TERRITORY_COLOURS)
    steps = [part for i, colour in enumerate(TERRITORY_COLOURS[:-1]) for part in (i, colour)]
    number = ["%", ["get", "colour"], n]
    return {
        "fill-color": ["match", number, *steps, TERRITORY_COLOURS[-1]],
        "fill-opacity": opacity,
    }


def _heated() -> Layer:
    """Colour by the order of magnitude: sums of cells span several, whatever the measure."""
    size = ["log10", ["max", ["to-number", ["get", "value"], 0], 1]]
    stops = [part for i, colour in enumerate(HEAT_COLOURS) for part in (i, colour)]
    return {"fill-color": ["interpolate", ["linear"], size, *stops], "fill-opacity": 0.7}


def _circled() -> Layer:
    classes = [part for pair in CLASS_COLOURS.items() for part in pair]
    n = ["to-number", ["get", "n"], 1]
    return {
        "circle-radius": ["interpolate", ["linear"], ["sqrt", n], 1, 3, 100, 24],
        "circle-color": ["match", ["to-string", ["get", "class"]], *classes, "#6b7683"],
        "circle-opacity": 0.85,
        "circle-stroke-color": "#3d1239",
        "circle-stroke-width": 0.75,
    }


def _wider(width: float) -> list[Any]:
    return ["interpolate", ["linear"], ["zoom"], 4, width / 2, 12, width * 2]
