"""The heavy part of a design, run in a child process: customers per cell in, a plan out.

Reads from its folder `cells12.npy`, `activity.npy` (n, 4: work, customers, potential, revenue) and
`request.json`; writes `cells.npy`, `alignment.npy`, `outlines.npz` and `plan.json`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from app.errors import Fault, InvalidInput
from app.jobs.child_main import report
from app.plans.pieces import Pieces, keep_large_pieces
from balancing import (
    BalancingError,
    Graph,
    Instance,
    Parameters,
    Progress,
    Result,
    Violation,
    design,
)
from geo.adjacency import Adjacency, build_adjacency
from geo.cells import cells_to_text, points_from_cells
from geo.colouring import colour_territories
from geo.errors import GeoError
from geo.geojson import polygon_from_geojson
from geo.membership import activity_per_cell
from geo.outlines import simplified_outlines, territory_outlines
from geo.projection import local_equal_area
from geo.region import Region, automatic_region, region_from_geometry
from geo.resolution import ResolutionChoice, choose_resolution, reachable_tolerance

Floats = NDArray[np.float64]

# The first two are balanced, in this order; the others are reported.
MEASURES = ("work_minutes", "customers", "potential", "revenue")
BALANCED = 2
# Corners smaller than a pixel of zoom 6 are dropped from the outlines of low zooms.
OVERVIEW_TOLERANCE_DEG = 0.02


def main(folder: Path) -> None:
    """Design the plan that `request.json` asks for."""
    request = orjson.loads((folder / "request.json").read_bytes())
    cells12 = np.load(folder / "cells12.npy")
    activity = np.load(folder / "activity.npy")
    try:
        _design(folder, request, cells12, activity)
    except GeoError as error:
        fault = Fault(error.code.replace("_", "-"), error.message)
        raise InvalidInput(error.message, [fault]) from error
    except BalancingError as error:
        raise InvalidInput(str(error), [Fault(type(error).__name__, str(error))]) from error


def _design(
    folder: Path, request: dict[str, Any], cells12: NDArray[np.uint64], activity: Floats
) -> None:
    report("choosing cells", 0.0)
    choice = choose_cells(request, cells12, activity[:, 0])
    per_cell = activity_per_cell(cells12, activity, choice.region.cells)
    pieces = keep_large_pieces(choice.region.cells, per_cell, request["n_territories"])
    instance, adjacency = _instance(pieces.cells, pieces.activity)
    parameters = Parameters(
        n_territories=request["n_territories"],
        tolerances=tuple(request["tolerances"][name] for name in MEASURES[:BALANCED]),
    )
    result = design(instance, parameters, request["seed"], _Reporter())
    report("drawing outlines", 0.9)
    order = _reading_order(pieces.cells, result)
    ordinals = order[result.alignment]
    np.save(folder / "cells.npy", pieces.cells)
    np.save(folder / "alignment.npy", ordinals)
    territories = _draw(folder, pieces.cells, ordinals, adjacency, result.n_territories)
    document = {
        "territories": _scored(territories, order, ordinals, result, pieces),
        "scores": _scores(result, choice),
        "violations": [describe_violation(v, order, pieces.cells) for v in result.violations],
        "components": pieces.document(result),
        "resolutions": [choice.resolution],
    }
    options = orjson.OPT_SERIALIZE_NUMPY
    (folder / "plan.json").write_bytes(orjson.dumps(document, option=options))


def choose_cells(
    request: dict[str, Any], cells12: NDArray[np.uint64], work: Floats
) -> ResolutionChoice:
    """Return the cells to divide: of the wanted region and resolution, or found."""
    n_territories = request["n_territories"]
    geometry = None if request["region"] is None else polygon_from_geojson(request["region"])
    resolution = request["resolution"]
    if resolution is None:
        return choose_resolution(cells12, work, n_territories, geometry)
    region: Region
    if geometry is None:
        region = automatic_region(cells12, work, n_territories, resolution)
    else:
        region = region_from_geometry(geometry, resolution, cells12)
    inside = activity_per_cell(cells12, work, region.cells)
    heaviest = float(inside.max() / max(inside.sum() / n_territories, 1e-300))
    return ResolutionChoice(
        resolution=resolution,
        heaviest_share_of_target=heaviest,
        n_cells=len(region.cells),
        reachable_tolerance=reachable_tolerance(heaviest),
        is_within_bounds=True,
        region=region,
    )


class _Reporter:
    """Passes the solver's progress on to the worker."""

    def __call__(self, progress: Progress) -> bool:
        report(progress.phase, 0.1 + 0.8 * progress.fraction)
        return False


def _instance(cells: NDArray[np.uint64], activity: Floats) -> tuple[Instance, Adjacency]:
    adjacency = build_adjacency(cells)
    x_m, y_m = local_equal_area(*points_from_cells(cells))
    graph = Graph(adjacency.indptr, adjacency.indices, is_ring_ordered=True)
    instance = Instance(
        graph, x_m, y_m, np.ascontiguousarray(activity[:, :BALANCED]), MEASURES[:BALANCED]
    )
    return instance, adjacency


def _reading_order(cells: NDArray[np.uint64], result: Result) -> NDArray[np.int32]:
    """Return the number of each of the solver's territories when read from north-west on.

    Codes that follow the map are easier to find than the solver's own numbers.
    """
    lon, lat = points_from_cells(cells)
    sizes = np.bincount(result.alignment, minlength=result.n_territories)
    mean_lat = np.bincount(result.alignment, lat, result.n_territories) / sizes
    first_lon = np.full(result.n_territories, np.inf)
    np.minimum.at(first_lon, result.alignment, lon)
    n_bands = max(1, round(np.sqrt(result.n_territories)))
    edges = np.linspace(mean_lat.min(), mean_lat.max(), n_bands + 1)[1:-1]
    band = n_bands - np.digitize(mean_lat, edges)
    rank = np.empty(result.n_territories, dtype=np.int32)
    rank[np.lexsort((first_lon, band))] = np.arange(result.n_territories, dtype=np.int32)
    return rank


def _draw(
    folder: Path,
    cells: NDArray[np.uint64],
    ordinals: NDArray[np.int32],
    adjacency: Adjacency,
    n_territories: int,
) -> list[dict[str, Any]]:
    """Write outlines as WKB and return what else is drawn of each territory."""
    outlines = territory_outlines(cells, ordinals, n_territories)
    overviews = simplified_outlines(outlines, OVERVIEW_TOLERANCE_DEG)
    _save_wkb(folder / "outlines.npz", outlines, overviews)
    colours = colour_territories(adjacency, ordinals)
    sizes = np.bincount(ordinals, minlength=n_territories)
    pieces = count_pieces(adjacency, ordinals, n_territories)
    labels = shapely.point_on_surface(np.array(outlines, dtype=object))
    return [
        {
            "code": territory_code(ordinal, n_territories),
            "n_cells": int(sizes[ordinal]),
            "components": int(pieces[ordinal]),
            "colour": int(colours[ordinal]),
            "label_point": [labels[ordinal].x, labels[ordinal].y],
            "bbox": list(outline.bounds),
        }
        for ordinal, outline in enumerate(outlines)
    ]


def count_pieces(
    adjacency: Adjacency, ordinals: NDArray[np.int32], n_territories: int
) -> NDArray[np.int64]:
    """Return the connected pieces of each territory (k,), by SciPy rather than by the solver."""
    tails, heads = adjacency.sources(), adjacency.indices
    is_inside = ordinals[tails] == ordinals[heads]
    links = (np.ones(is_inside.sum(), dtype=np.int8), (tails[is_inside], heads[is_inside]))
    n_units = len(ordinals)
    _, labels = connected_components(coo_array(links, shape=(n_units, n_units)))
    _, first_units = np.unique(labels, return_index=True)
    return np.bincount(ordinals[first_units], minlength=n_territories)


def _save_wkb(path: Path, outlines: list[Any], overviews: list[Any]) -> None:
    """Write geometries as one block of bytes with offsets: arrays of objects would need pickle."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, shapes in (("outline", outlines), ("overview", overviews)):
        blocks = [shapely.to_wkb(shape) for shape in shapes]
        arrays[name] = np.frombuffer(b"".join(blocks), np.uint8)
        arrays[f"{name}_ends"] = np.cumsum([len(block) for block in blocks])
    np.savez(path, **arrays)  # type: ignore[arg-type]


def _scored(
    territories: list[dict[str, Any]],
    order: NDArray[np.int32],
    ordinals: NDArray[np.int32],
    result: Result,
    pieces: Pieces,
) -> list[dict[str, Any]]:
    """Add activity, target and imbalance to each territory."""
    sums = [
        np.bincount(ordinals, pieces.activity[:, measure], result.n_territories)
        for measure in range(len(MEASURES))
    ]
    own = np.argsort(order)
    for ordinal, territory in enumerate(territories):
        territory["activity"] = {
            name: float(sums[measure][ordinal]) for measure, name in enumerate(MEASURES)
        }
        balanced = list(enumerate(MEASURES[:BALANCED]))
        row = own[ordinal]
        territory["target"] = {name: float(result.targets[row, m]) for m, name in balanced}
        territory["imbalance"] = {name: float(result.imbalance[row, m]) for m, name in balanced}
    return territories


def _scores(result: Result, choice: ResolutionChoice) -> dict[str, Any]:
    worst = np.abs(result.imbalance).max(axis=0)
    region = choice.region
    return {
        "max_imbalance": {name: float(worst[m]) for m, name in enumerate(MEASURES[:BALANCED])},
        "moment_of_inertia": float(result.total_moment_of_inertia),
        "cut_edges": int(result.cut_edges),
        "is_feasible": bool(result.is_feasible),
        "heaviest_cell_share_of_target": choice.heaviest_share_of_target,
        "reachable_tolerance": choice.reachable_tolerance,
        "region": {
            "distance_m": region.distance_m,
            "small_piece_share": region.small_piece_share,
            "n_pieces": region.n_pieces,
            "stopped_by": region.stopped_by,
            "first_cell": cells_to_text(region.cells[:1])[0],
        },
    }


def describe_violation(
    violation: Violation, order: NDArray[np.int32], cells: NDArray[np.uint64]
) -> dict[str, Any]:
    """Return a violation with the plan's codes and cells in place of the solver's numbers."""
    facts: dict[str, Any] = dict(violation.facts)
    message = violation.message
    if "territory" in facts:
        number = int(facts["territory"])
        facts["territory"] = territory_code(int(order[number]), len(order))
        message = message.replace(f"territory {number} ", f"{facts['territory']} ")
    if "unit" in facts:
        number = int(facts["unit"])
        facts["unit"] = cells_to_text(cells[number : number + 1])[0]
        message = message.replace(f"unit {number} ", f"cell {facts['unit']} ")
    return {"code": violation.code, "message": message, "facts": facts}


def territory_code(ordinal: int, n_territories: int) -> str:
    """Return the code of a territory: T01, T02, … with as many digits as the plan needs."""
    return f"T{ordinal + 1:0{max(2, len(str(n_territories)))}d}"
