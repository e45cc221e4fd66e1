"""Maps of territories: land, fills, borders, codes and a scale."""

from dataclasses import dataclass
from typing import Any

import matplotlib.patheffects as effects
import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.path import Path
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from app.reports.content import Area, MapPicture
from app.reports.labels import Label, place_labels
from app.reports.palette import COAST, INK, LAND, LINE, QUIET, WATER, territory_colour
from geo.land import land
from geo.projection import local_equal_area

Floats = NDArray[np.float64]
BORDER = 0.04
POINTS_PER_INCH = 72
# Corners below this part of a point are not seen.
UNSEEN_PT = 0.35
# Of the width of the whole map.
LEAST_DETAIL = 0.12
# Where scale and sources stand: parts of the map from its lower left, and from its lower right.
SCALE_PART, SOURCES_PART = (0.32, 0.065), (0.16, 0.03)
METRES_PER_DEGREE = 111_000
FARTHEST_DEG = 120.0
HALO = [effects.withStroke(linewidth=1.6, foreground="white")]


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The plane of one map: outlines in metres, and the box that is shown."""

    centre: tuple[float, float]
    areas: list[Area]
    outlines: list[BaseGeometry]
    view: tuple[float, float, float, float]
    units_per_pt: float


def draw_map(axes: Axes, picture: MapPicture) -> list[str]:
    """Draw a map into axes, which it fills; return the codes that have no room on it."""
    axes.set_facecolor(WATER)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=COAST, linewidth=0.6)
    if not picture.areas:
        return []
    sheet = _sheet(axes, picture)
    west, south, east, north = sheet.view
    axes.set_xlim(west, east)
    axes.set_ylim(south, north)
    _add(axes, _coast(sheet), [LAND], COAST, 0.5)
    fills = [territory_colour(area.colour) for area in sheet.areas]
    # A white casing keeps borders crisp on every fill.
    _add(axes, sheet.outlines, fills, "white", 1.5)
    _add(axes, sheet.outlines, ["none"], LINE, 0.6)
    placed, missing = place_labels(
        [area.code for area in sheet.areas], sheet.outlines, _label_points(sheet),
        sheet.view, sheet.units_per_pt, _reserved(sheet),
    )  # fmt: skip
    for label in placed:
        _write(axes, label)
    _add_scale(axes, sheet)
    return missing


def _sheet(axes: Axes, picture: MapPicture) -> _Sheet:
    areas = picture.areas
    centre = _middle(shapely.get_coordinates([area.outline for area in areas]))
    plain = [_projected(area.outline, centre) for area in areas]
    shown = [
        outline
        for area, outline in zip(areas, plain, strict=True)
        if not picture.focus or area.code in picture.focus
    ]
    west, south, east, north = shapely.total_bounds(shown)
    width_in, height_in = _inches(axes)
    width, height = (east - west) * (1 + 2 * BORDER), (north - south) * (1 + 2 * BORDER)
    if picture.focus:
        # Nearer than this one would not know where it is.
        whole = shapely.total_bounds(plain)
        width = max(width, LEAST_DETAIL * (whole[2] - whole[0]))
    # As much ground around as fills the axes.
    scale = max(width / width_in, height / height_in, 1.0)
    x, y = (west + east) / 2, (south + north) / 2
    half_x, half_y = scale * width_in / 2, scale * height_in / 2
    units = scale / POINTS_PER_INCH
    simple = shapely.coverage_simplify(np.array(plain, dtype=object), UNSEEN_PT * units)
    view = (x - half_x, y - half_y, x + half_x, y + half_y)
    seen = np.flatnonzero(shapely.intersects(simple, shapely.box(*view))).tolist()
    return _Sheet(
        centre, [areas[place] for place in seen], [simple[place] for place in seen], view, units
    )


def _inches(axes: Axes) -> tuple[float, float]:
    figure: Any = axes.figure
    box = axes.get_position()
    width, height = figure.get_size_inches()
    return float(width * box.width), float(height * box.height)


def _middle(corners: Floats) -> tuple[float, float]:
    """Return the middle of the ground, as directions have it: 180° is nothing special."""
    lon, lat = np.radians(corners[:, 0]), np.radians(corners[:, 1])
    east = np.arctan2(np.mean(np.cos(lat) * np.sin(lon)), np.mean(np.cos(lat) * np.cos(lon)))
    return float(np.degrees(east)), float((corners[:, 1].min() + corners[:, 1].max()) / 2)


def _projected(shape: BaseGeometry, centre: tuple[float, float]) -> BaseGeometry:
    def project(points: Floats) -> Floats:
        return np.stack(local_equal_area(points[:, 0], points[:, 1], centre), axis=1)

    return shapely.transform(shape, project)


def _coast(sheet: _Sheet) -> list[BaseGeometry]:
    """Return the land near the map, cut to what is shown of it.

    It is cut in degrees first: far from the middle the plane is turned inside out.
    """
    west, south, east, north = sheet.view
    lon, lat = sheet.centre
    reach = max(east - west, north - south) / METRES_PER_DEGREE
    low, high = max(lat - reach, -89.0), min(lat + reach, 89.0)
    aside = min(reach / np.cos(np.radians(max(abs(low), abs(high)))), FARTHEST_DEG)
    view, found = shapely.box(*sheet.view), []
    # The window may reach over 180°, where the land is cut.
    for turn in (-360.0, 0.0, 360.0):
        window = shapely.box(lon - aside + turn, low, lon + aside + turn, high)
        near = shapely.intersection(land(), window)
        if not near.is_empty:
            plain = shapely.make_valid(_projected(near, sheet.centre))
            found.append(shapely.intersection(plain, view))
    return found


def _add(
    axes: Axes, shapes: list[BaseGeometry], fills: list[str], edge: str, width_pt: float
) -> None:
    paths = [_path(shape) for shape in shapes]
    axes.add_collection(
        PathCollection(
            paths, facecolors=fills, edgecolors=edge, linewidths=width_pt, joinstyle="round"
        ),
        autolim=False,
    )


def _path(shape: BaseGeometry) -> Path:
    """Return polygons with their holes as one path."""
    polygons = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
    rings = [
        Path(shapely.get_coordinates(ring), closed=True)
        for polygon in shapely.normalize(polygons)
        for ring in (polygon.exterior, *polygon.interiors)
    ]
    return Path.make_compound_path(*rings) if rings else Path(np.empty((0, 2)))


def _label_points(sheet: _Sheet) -> Floats:
    """Where labels would rather stand: in the widest place, else where the plan says."""
    given = np.array([area.label_point for area in sheet.areas], dtype=float)
    view = shapely.box(*sheet.view)
    said = np.stack(local_equal_area(given[:, 0], given[:, 1], sheet.centre), axis=1)
    for number, outline in enumerate(sheet.outlines):
        visible = shapely.get_parts(shapely.intersection(outline, view))
        largest = max(visible, key=shapely.area)
        circle = shapely.maximum_inscribed_circle(largest, tolerance=sheet.units_per_pt)
        middle = shapely.get_coordinates(circle)
        if len(middle):
            said[number] = middle[0]
    return said


def _reserved(sheet: _Sheet) -> list[BaseGeometry]:
    west, south, east, north = sheet.view
    width, height = east - west, north - south
    return [
        shapely.box(west, south, west + SCALE_PART[0] * width, south + SCALE_PART[1] * height),
        shapely.box(east - SOURCES_PART[0] * width, south, east, south + SOURCES_PART[1] * height),
    ]


def _write(axes: Axes, label: Label) -> None:
    axes.text(
        label.x, label.y, label.code, fontsize=label.size_pt, color=INK, ha="center",
        va="center_baseline", path_effects=HALO, parse_math=False,
    )  # fmt: skip


def _add_scale(axes: Axes, sheet: _Sheet) -> None:
    west, south, east, north = sheet.view
    most = (east - west) / 4
    power = 10 ** np.floor(np.log10(most))
    length = max(step * power for step in (1, 2, 5) if step * power <= most)
    x, y = west + (east - west) * 0.03, south + (north - south) * 0.025
    axes.plot([x, x + length], [y, y], color=INK, linewidth=1.6, solid_capstyle="butt")
    said = f"{length / 1000:,.0f} km" if length >= 1000 else f"{length:,.0f} m"
    axes.text(
        x, y + (north - south) * 0.008, said, fontsize=6.5, color=INK, path_effects=HALO,
        va="bottom",
    )  # fmt: skip
    axes.text(
        east - (east - west) * 0.01, south + (north - south) * 0.01, "Land: Natural Earth",
        fontsize=5, color=QUIET, ha="right", va="bottom",
    )  # fmt: skip
