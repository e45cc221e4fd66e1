"""The validation cases of JTS for points and areas, at a size that fits on the globe."""

import csv
from dataclasses import dataclass
from pathlib import Path

import shapely

COVERING = ("covers", "coveredby")


@dataclass(frozen=True, slots=True)
class Published:
    """What the suite says of points (lon, lat) and an area: whether it covers all, or meets any."""

    case: str
    points: tuple[tuple[float, float], ...]
    area: shapely.Polygon | shapely.MultiPolygon
    is_of_all: bool
    expected: bool

    def agrees_with(self, held: list[bool]) -> bool:
        """Tell whether the suite is right where these of the points are held."""
        return (all if self.is_of_all else any)(held) == self.expected


def published_predicates(shared_data: Path) -> list[Published]:
    """Return the rows for `intersects`, `covers` and `coveredby` of points and an area.

    In all of them the border belongs to the area, as it does to fences and to searched areas.
    """
    with (shared_data / "geometry_predicates" / "predicates.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["op"] in ("intersects", *COVERING)]
    found = []
    for row in rows:
        first, second = (shapely.from_wkt(row[row[side].lower()]) for side in ("arg1", "arg2"))
        if row["op"] == "coveredby" or (row["op"] == "intersects" and not _is_area(first)):
            first, second = second, first
        if _is_area(first) and second.geom_type in ("Point", "MultiPoint"):
            # A fourth of the size is the same picture, to the last bit.
            area = shapely.union_all([shapely.transform(first, lambda xy: xy / 4)])
            points = shapely.get_coordinates(second) / 4
            found.append(
                Published(
                    f"{row['op']}: {row['case']}",
                    tuple((float(lon), float(lat)) for lon, lat in points),
                    area,
                    row["op"] in COVERING,
                    row["expected"] == "true",
                )
            )
    return found


def _is_area(shape: shapely.Geometry) -> bool:
    return shape.geom_type in ("Polygon", "MultiPolygon")
