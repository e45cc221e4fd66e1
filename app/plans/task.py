"""From a request and the customers' activity to a task of the solver."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.errors import Fault, InvalidInput
from app.plans.links import Links, find_links
from app.plans.pieces import Pieces, keep_large_pieces, keep_pieces
from app.plans.places import Places
from app.plans.request import MEASURES, MOST_TERRITORIES, PlanRequest
from app.plans.units import Kept, choose_cells, given_units, largest_loads, split_cells
from app.plans.wishes import Rep, Sources, Wishes
from balancing import Graph, Instance, ParameterError, Parameters, connected_components
from geo.adjacency import Adjacency, build_adjacency
from geo.cells import points_from_cells
from geo.geojson import polygon_from_geojson
from geo.membership import activity_per_cell, units_of
from geo.projection import local_equal_area
from geo.region import are_inside
from geo.resolution import ResolutionChoice
from geo.splitting import Splitting

Cells = NDArray[np.uint64]
Floats = NDArray[np.float64]
T = TypeVar("T")
# What a measure that has a limit but no tolerance may be off by: the search then ignores it.
ANY_IMBALANCE = 1.0


@dataclass(frozen=True, slots=True)
class Sizing:
    """How the number of territories was found.

    `capacity_minutes` is that of all territories together, where capacities are known.
    """

    n_territories: int
    decided_by: str
    work_minutes: float
    capacity_minutes: float | None

    @property
    def utilisation(self) -> float | None:
        """Work over capacity."""
        return self.work_minutes / self.capacity_minutes if self.capacity_minutes else None

    def document(self) -> dict[str, Any]:
        """Return what a plan says of its size."""
        return {
            "n_territories": self.n_territories,
            "decided_by": self.decided_by,
            "work_minutes": self.work_minutes,
            "capacity_minutes": self.capacity_minutes,
            "utilisation": self.utilisation,
        }


@dataclass(frozen=True, slots=True)
class Task:
    """What is solved, and where it comes from.

    Attributes
    ----------
    cells : (n_units,) uint64
        Sorted, of several resolutions where heavy cells were split.
    adjacency
        Of the cells as they lie; bridges and barriers stand in the parameters.
    activity : (n_units, 4)
        In the order of `MEASURES`.
    instance, parameters
        As `balancing.design` takes them; the instance's measures are `sources.measures`.
    choice, splitting, pieces, sizing
        How units and territories were found.
    links
        Bridges, barriers and borders between the units.
    sources
        From the solver's numbers to fields of the request.
    notes
        Violations found while reading the wishes, in the solver's numbers.
    """

    request: PlanRequest
    cells: Cells
    adjacency: Adjacency
    activity: Floats
    instance: Instance
    parameters: Parameters
    choice: ResolutionChoice
    splitting: Splitting
    pieces: Pieces
    sizing: Sizing
    links: Links
    sources: Sources
    notes: tuple[dict[str, Any], ...]

    @property
    def n_territories(self) -> int:
        """Number of territories."""
        return self.parameters.n_territories


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A request as read, with what the database said of the reps and plans it names."""

    request: PlanRequest
    reps: tuple[Rep, ...]
    kept: Kept

    def size(self, work_minutes: float, kept_minutes: float) -> Sizing:
        """Return the number of territories for an amount of work, kept ones included."""
        capacity = sum(rep.capacity_minutes for rep in self.reps) or None
        number = self.request.stated_number
        each = self.request.capacity_minutes
        if each is not None:
            n_open = math.ceil(max(work_minutes - kept_minutes, 0.0) / each * (1 - 1e-12))
            n_kept = len(self.kept.numbers)
            number = n_kept + max(n_open, 0 if n_kept else 1)
            capacity = each * number
        assert number is not None
        if number > MOST_TERRITORIES:
            detail = f"{number} territories would be needed, at most {MOST_TERRITORIES} can be made"
            fault = Fault("too-many-territories", detail, "/capacity_minutes")
            raise InvalidInput("The capacity is too small for the work.", [fault])
        return Sizing(number, self.request.number_field, work_minutes, capacity)

    @property
    def shares(self) -> tuple[float, ...] | None:
        """Wanted part of each territory; summed to 1 as exactly as numbers can."""
        given = self.request.shares or [rep.capacity_minutes for rep in self.reps]
        total = math.fsum(given)
        return tuple(share / total for share in given) or None


def build_task(
    document: dict[str, Any],
    cells12: Cells,
    activity: Floats,
    cells: Cells | None = None,
    stays: Cells | None = None,
) -> Task:
    """Return the task that a plan request comes to.

    Parameters
    ----------
    document
        A `PlanRequest` as JSON; beside it under `resolved` what `app.plans.lookups` found.
    cells12 : (n_customers,) uint64
        Cells of resolution 12 with customers.
    activity : (n_customers, 4)
        In the order of `MEASURES`.
    cells : (n_units,) uint64
        The units, sorted, where they are those of another plan; by default they are found.
    stays
        Those of them that are in a plan, where the task is to change it: pieces that hold one stay
        whatever they carry, and no other is taken in.

    Raises
    ------
    InvalidInput
        For wishes that no plan can be made from; the fault points to the field.
    GeoError
        For a region without customers, or too fine a resolution.
    """
    wanted = _read(document)
    request, kept = wanted.request, wanted.kept
    work = float(activity[are_in_region(request, cells12), 0].sum())
    kept_work = _kept_work(kept, cells12, activity)
    first = wanted.size(work, kept_work)
    if cells is None:
        cells, choice, splitting = _find_units(wanted, first.n_territories, cells12, activity)
    else:
        choice, splitting = given_units(cells, first.n_territories, cells12, activity[:, 0])
    per_cell = activity_per_cell(cells12, activity, cells)
    adjacency = build_adjacency(cells)
    links = find_links(request, cells, adjacency)
    pieces, sizing = _pieces(wanted, first, cells, per_cell, adjacency, links, kept_work, stays)
    return _assemble(wanted, cells, per_cell, adjacency, links, choice, splitting, pieces, sizing)


def _find_units(
    wanted: _Wanted, n_territories: int, cells12: Cells, activity: Floats
) -> tuple[Cells, ResolutionChoice, Splitting]:
    """Choose cells and split heavy ones."""
    request = wanted.request
    choice = choose_cells(request, n_territories, cells12, activity[:, 0])
    smallest_share = min(wanted.shares or (1 / n_territories,))
    loads = largest_loads(request, activity.sum(axis=0), smallest_share)
    cells, splitting = split_cells(choice.region.cells, wanted.kept, cells12, activity, loads)
    return cells, choice, splitting


def _read(document: dict[str, Any]) -> _Wanted:
    resolved = document.get("resolved") or {}
    request = PlanRequest.model_validate(
        {name: value for name, value in document.items() if name != "resolved"}
    )
    reps = tuple(
        Rep(rep["id"], rep["capacity_minutes"], tuple(rep["home"]) if rep["home"] else None)
        for rep in resolved.get("reps", [])
    )
    locked = resolved.get("locked") or {"cells": [], "territories": []}
    kept = Kept(
        np.array(locked["cells"], dtype=np.uint64), np.array(locked["territories"], dtype=np.int32)
    )
    return _Wanted(request, reps, kept)


def are_in_region(request: PlanRequest, cells12: Cells) -> NDArray[np.bool_]:
    """Which customers count: those in the region that was given, or all."""
    if request.region is None:
        return np.ones(len(cells12), dtype=np.bool_)
    return are_inside(polygon_from_geojson(request.region), cells12)


def _kept_work(kept: Kept, cells12: Cells, activity: Floats) -> float:
    if not len(kept.cells):
        return 0.0
    return float(activity[units_of(cells12, kept.cells) >= 0, 0].sum())


def _pieces(
    wanted: _Wanted,
    sizing: Sizing,
    cells: Cells,
    activity: Floats,
    adjacency: Adjacency,
    links: Links,
    kept_work: float,
    stays: Cells | None,
) -> tuple[Pieces, Sizing]:
    """Return the pieces that are divided, and the number of territories their work needs.

    Leaving pieces out leaves less work, and that can need fewer territories, of which each asks
    for more: so again until both agree, which they do since the number only falls.
    """
    plain = _graph(adjacency)
    edited = plain.edited(links.bridges, links.forbidden)
    labels = connected_components(edited)
    before_barriers = connected_components(plain.edited(links.bridges, links.forbidden[:0]))
    if stays is not None:
        is_staying = np.isin(cells, stays)
        kept = (cells, activity, labels, before_barriers, sizing.n_territories, is_staying)
        return keep_pieces(*kept), sizing
    is_kept_ground = np.isin(cells, wanted.kept.cells)
    if is_kept_ground.any():
        labels = _without_splinters(labels, edited, is_kept_ground, activity[:, 0])
    n_closed = len(wanted.kept.numbers)
    pointer = f"/{wanted.request.number_field}"
    while True:
        n_open = sizing.n_territories - n_closed
        if n_open < 0:
            raise _too_few(sizing.n_territories, n_closed, pointer)
        pieces = keep_large_pieces(
            cells, activity, labels, before_barriers, n_open, is_kept_ground, pointer
        )
        again = wanted.size(float(activity[pieces.kept, 0].sum()), kept_work)
        if again.n_territories >= sizing.n_territories:
            return pieces, again
        sizing = again


def _without_splinters(
    labels: NDArray[np.int32], graph: Graph, is_kept_ground: NDArray[np.bool_], work: Floats
) -> NDArray[np.int32]:
    """Make pieces of their own of what locked territories cut off that carries nothing.

    Along the rim of the ground cells of two resolutions do not match; the splinters between them
    would be added to the locked territory, which is to stay as it is.
    """
    free = np.flatnonzero(~is_kept_ground).astype(np.int32)
    parts = connected_components(graph.restricted_to(free))
    is_splinter = np.bincount(parts, work[free]) == 0
    apart = labels.copy()
    apart[free] = np.where(is_splinter[parts], labels.max() + 1 + parts, labels[free])
    return np.unique(apart, return_inverse=True)[1].astype(np.int32)


def _too_few(n_territories: int, n_closed: int, pointer: str) -> InvalidInput:
    detail = f"{n_closed} locked territories, but {n_territories} in all"
    return InvalidInput(f"There are {detail}.", [Fault("too-few-territories", detail, pointer)])


def _assemble(
    wanted: _Wanted,
    all_cells: Cells,
    all_activity: Floats,
    all_adjacency: Adjacency,
    all_links: Links,
    choice: ResolutionChoice,
    splitting: Splitting,
    pieces: Pieces,
    sizing: Sizing,
) -> Task:
    units = pieces.kept
    cells, activity = all_cells[units], all_activity[units]
    graph = _graph(all_adjacency).restricted_to(units)
    links = all_links.among(units, len(all_cells))
    request = wanted.request
    sources = Sources.of(request)
    wishes = Wishes(request, wanted.reps, wanted.kept, Places(cells), sources, sizing.n_territories)
    edited = graph.edited(links.bridges, links.forbidden)
    parameters = pointing(
        sources,
        lambda: Parameters(
            n_territories=sizing.n_territories,
            tolerances=tuple(
                getattr(request.tolerances, name) or ANY_IMBALANCE for name in sources.measures
            ),
            weights=tuple(getattr(request.weights, name) for name in sources.measures),
            shares=wanted.shares,
            objective=request.objective,
            requirements=wishes.requirements(edited, links),
        ),
    )
    x_m, y_m = local_equal_area(*points_from_cells(cells))
    columns = [MEASURES.index(name) for name in sources.measures]
    return Task(
        request=request,
        cells=cells,
        adjacency=Adjacency(graph.indptr, graph.indices),
        activity=activity,
        instance=Instance(
            graph, x_m, y_m, np.ascontiguousarray(activity[:, columns]), sources.measures
        ),
        parameters=parameters,
        choice=choice,
        splitting=splitting,
        pieces=pieces,
        sizing=sizing,
        links=links,
        sources=sources,
        notes=tuple(wishes.notes),
    )


def pointing(sources: Sources, action: Callable[[], T]) -> T:
    """Return what an action of the solver returns; a refusal points to the request's field.

    Raises
    ------
    InvalidInput
        In place of a ParameterError.
    """
    try:
        return action()
    except ParameterError as error:
        index = error.facts.get("index")
        pointer = None
        if error.field is not None:
            pointer = sources.pointer(error.field, index if isinstance(index, int) else None)
        fault = Fault("cannot-be-held", error.message, pointer)
        raise InvalidInput(error.message, [fault]) from error


def _graph(adjacency: Adjacency) -> Graph:
    return Graph(adjacency.indptr, adjacency.indices, is_ring_ordered=True)
