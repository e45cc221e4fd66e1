"""Boxes of longitude and latitude, which may cross the antimeridian."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import MultiPolygon, Polygon

from geo.errors import CoordinateError

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class BoundingBox:
    """A box in degrees; ``west`` > ``east`` means that it crosses the antimeridian (RFC 7946 §5).

    Raises
    ------
    CoordinateError
        ``bbox_not_finite``, ``bbox_out_of_range`` or ``bbox_upside_down``.
    """

    west: float
    south: float
    east: float
    north: float

    def __post_init__(self) -> None:
        corners = np.array([self.west, self.south, self.east, self.north])
        if not np.all(np.isfinite(corners)):
            raise CoordinateError("bbox_not_finite", "a bbox needs four finite numbers")
        if np.any(np.abs(corners) > [180.0, 90.0, 180.0, 90.0]):
            swapped = not np.any(np.abs(corners) > [90.0, 180.0, 90.0, 180.0])
            hint = "; swapping longitude and latitude would fix it: west,south,east,north" * swapped
            raise CoordinateError(
                "bbox_out_of_range",
                f"bbox {corners.tolist()} leaves longitudes ±180 or latitudes ±90{hint}",
                would_swap=swapped,
            )
        if self.south > self.north:
            raise CoordinateError(
                "bbox_upside_down", f"bbox south {self.south} is above north {self.north}"
            )

    @classmethod
    def parse(cls, text: str) -> BoundingBox:
        """The box written as ``west,south,east,north``; else ``bbox_not_four_numbers``."""
        fields = [field.strip() for field in text.split(",", 6)]
        if len(fields) != 4 or not all(_NUMBER.fullmatch(field) for field in fields):
            raise CoordinateError(
                "bbox_not_four_numbers", "a bbox is four numbers: west,south,east,north"
            )
        return cls(*(float(field) for field in fields))

    @property
    def crosses_antimeridian(self) -> bool:
        return self.west > self.east

    def parts(self) -> tuple[BoundingBox, ...]:
        """The box as one or two boxes that do not cross the antimeridian, western half first."""
        if not self.crosses_antimeridian:
            return (self,)
        return (
            BoundingBox(self.west, self.south, 180.0, self.north),
            BoundingBox(-180.0, self.south, self.east, self.north),
        )

    def edges_elsewhere(self) -> tuple[BoundingBox, ...]:
        """What the box has of the map's edges, where the map has it again: boxes without width.

        ±180° is one meridian, and at a pole all longitudes are one point.
        """
        meridians = () if self.crosses_antimeridian else (-180.0, 180.0)
        return (
            *(
                BoundingBox(-lon, self.south, -lon, self.north)
                for lon in meridians
                if lon in (self.west, self.east)
            ),
            *(
                BoundingBox(-180.0, lat, 180.0, lat)
                for lat in (-90.0, 90.0)
                if lat in (self.south, self.north)
            ),
        )

    def contains(self, lon: npt.ArrayLike, lat: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which points lie in the box or on its edge, whatever longitude they are written with.

        ±180° is one meridian, and a pole is one point.
        """
        lon, lat = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
        is_on_meridian = (np.abs(lon) == 180.0) & self._spans(-lon)
        is_between = self._spans(lon) | is_on_meridian | (np.abs(lat) == 90.0)
        return np.asarray(is_between & (lat >= self.south) & (lat <= self.north))

    def _spans(self, lon: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        east_of_west, west_of_east = lon >= self.west, lon <= self.east
        if self.crosses_antimeridian:
            return np.asarray(east_of_west | west_of_east)
        return np.asarray(east_of_west & west_of_east)

    def polygon(self) -> Polygon | MultiPolygon:
        """The box as a polygon, two of them across the antimeridian."""
        boxes = [shapely.box(*part.as_tuple()) for part in self.parts()]
        return boxes[0] if len(boxes) == 1 else MultiPolygon(boxes)

    def as_tuple(self) -> tuple[float, float, float, float]:
        return self.west, self.south, self.east, self.north
