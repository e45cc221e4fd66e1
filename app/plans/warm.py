"""Compile the solver's kernels ahead of the first design: `python -m app.plans.warm`.

Designs a plan of few cells and one of many; numba keeps the machine code in NUMBA_CACHE_DIR, which
`make setup` and the image build point to BAILIWICK_HOME.
"""

import numpy as np

from balancing import Graph, Instance, Parameters, design
from balancing.certificate import certify
from geo.adjacency import build_adjacency
from geo.cells import cells_from_points, points_from_cells
from geo.projection import local_equal_area


def main() -> None:
    """Run a design with either engine and two measures, as the service runs them."""
    for resolution in (5, 7):
        _design(resolution)


def _design(resolution: int) -> None:
    """Divide about 150 cells at resolution 5, above 5,000 at resolution 7."""
    lon, lat = np.meshgrid(np.linspace(120, 122, 150), np.linspace(30, 32, 150))
    cells = np.unique(cells_from_points(lon.ravel(), lat.ravel(), resolution))
    adjacency = build_adjacency(cells)
    x_m, y_m = local_equal_area(*points_from_cells(cells))
    activity = np.random.default_rng(1).lognormal(size=(len(cells), 2))
    graph = Graph(adjacency.indptr, adjacency.indices, is_ring_ordered=True)
    instance = Instance(graph, x_m, y_m, activity, ("work_minutes", "customers"))
    parameters = Parameters(n_territories=4, tolerances=(0.05, 0.15))
    certify(instance, parameters, design(instance, parameters, 1))


if __name__ == "__main__":
    main()
