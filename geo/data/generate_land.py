"""Makes land.wkb.gz from a GeoJSON of the world's countries; see README.md in this folder.

python geo/data/generate_land.py ../shared/data/boundaries/world_countries_50m.geojson.gz
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import shapely


def dissolve(source: Path) -> bytes:
    """The union of all countries as well-known binary."""
    features = json.loads(gzip.decompress(source.read_bytes()))["features"]
    countries = [shapely.geometry.shape(feature["geometry"]) for feature in features]
    land = shapely.orient_polygons(shapely.union_all(shapely.make_valid(countries)))
    return bytes(shapely.to_wkb(land))


if __name__ == "__main__":
    target = Path(__file__).with_name("land.wkb.gz")
    # No time stamp, so that the same source gives the same bytes.
    target.write_bytes(gzip.compress(dissolve(Path(sys.argv[1])), compresslevel=9, mtime=0))
    sys.stdout.write(f"{target}: {target.stat().st_size:,} bytes\n")
