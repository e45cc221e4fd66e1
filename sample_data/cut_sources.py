"""Cut `places.csv`, `us_cities.csv.gz` and `land.geojson.gz` out of the shared data sets.

Run once, by a maintainer who holds the full data sets; `sample_data.generate` needs only the
cuts: `python -m sample_data.cut_sources --shared ../shared/data`.
"""

import argparse
import gzip
import json
from pathlib import Path

import polars as pl
import shapely

from sample_data.sources import BOX_LON_LAT, LAND, PLACES, US_CITIES

DELTA_ADMIN1 = ("23", "04", "02", "01")
DELTA_PROVINCES = ("CN-SH", "CN-JS", "CN-ZJ", "CN-AH")

# Open water of Lake Tai, drawn by hand for this project (about 1,800 of 2,300 km²): Natural
# Earth's provinces do not hold the lake, and customers swimming in it would spoil the map.
LAKE_TAI_LON_LAT = (
    (119.95, 31.17), (119.97, 31.28), (120.02, 31.36), (120.08, 31.46), (120.13, 31.38),
    (120.19, 31.47), (120.22, 31.52), (120.26, 31.44), (120.36, 31.42), (120.32, 31.34),
    (120.35, 31.26), (120.42, 31.19), (120.38, 31.09), (120.34, 31.00), (120.20, 30.95),
    (120.05, 31.00),
)  # fmt: skip


def main() -> None:
    """Write the three cuts next to this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    shared: Path = parser.parse_args().shared
    cities = pl.read_csv(
        shared / "world_cities/cities1000.csv.gz",
        schema=dict.fromkeys(
            ("geonameid", "name", "country", "admin1", "lon", "lat", "population", "timezone"),
            pl.String,
        ),
    ).drop("timezone")
    PLACES.write_text(_delta_places(cities).write_csv(), encoding="utf-8")
    us_cities = cities.filter(pl.col("country") == "US").drop("country")
    _write_gzip(US_CITIES, us_cities.write_csv())
    _write_gzip(LAND, shapely.to_geojson(_land(shared / "boundaries/china_provinces.geojson.gz")))


def _delta_places(cities: pl.DataFrame) -> pl.DataFrame:
    west, south, east, north = BOX_LON_LAT
    return cities.filter(
        pl.col("country") == "CN",
        pl.col("admin1").is_in(DELTA_ADMIN1),
        pl.col("lon").cast(pl.Float64).is_between(west, east),
        pl.col("lat").cast(pl.Float64).is_between(south, north),
    )


def _land(provinces: Path) -> shapely.Geometry:
    features = json.loads(gzip.decompress(provinces.read_bytes()))["features"]
    shapes = [
        shapely.from_geojson(json.dumps(feature["geometry"]))
        for feature in features
        if feature["properties"]["iso_3166_2"] in DELTA_PROVINCES
    ]
    in_box = shapely.intersection(shapely.union_all(shapes), shapely.box(*BOX_LON_LAT))
    land = shapely.difference(in_box, shapely.Polygon(LAKE_TAI_LON_LAT))
    return shapely.set_precision(land, 1e-5)


def _write_gzip(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
