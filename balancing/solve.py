"""`design`: from an instance and wishes to a verified plan."""

from __future__ import annotations

import numpy as np

from balancing.arrays import IntArray
from balancing.component import ComponentSearch, Found
from balancing.errors import ParameterError
from balancing.instance import Instance
from balancing.layout import Layout, components_of, lay_out
from balancing.observer import Monitor, Observer
from balancing.parameters import Parameters
from balancing.problem import Bands, Component, make_bands, make_problem
from balancing.result import Result
from balancing.scoring import score
from balancing.verify import verify

# Part of the run after which only scoring and checking remain; for progress only.
SEARCHED = 0.98


def design(
    instance: Instance, parameters: Parameters, seed: int, observer: Observer | None = None
) -> Result:
    """Divide the units into connected territories of equal (or shared-out) activity.

    Each connected component is solved by itself and gets at least one territory; none spans
    two. A plan comes back whatever the wishes: what could not be held stands in
    `Result.violations`, with what would have to give way.

    Parameters
    ----------
    instance
        Units, places, activities.
    parameters
        Wishes.
    seed
        Not negative; the same instance, parameters and seed give the same alignment.
    observer
        Hears of progress and may ask to stop.

    Raises
    ------
    ParameterError
        If the wishes do not fit the instance: number of tolerances, units or territories that
        are not there, more territories than units, fewer territories than components. Facts
        name the counts.
    VerificationError
        If the plan found fails its independent check; a defect.

    References
    ----------
    Large fine grids: the method of research/solver.md, section 5: balanced centroidal power
    diagram (Cohen-Addad, Klein and Young 2018, arXiv:1710.03358), contiguity repair, priced
    boundary annealing, repair of balance by single and paired moves, polish. Few units, and
    graphs without ring order: research/published_instances.md, section 1.
    """
    check_fit(instance, parameters, seed)
    monitor = Monitor(observer)
    layout = lay_out(instance, parameters)
    alignment, found = search_layout(instance, parameters, layout, seed, monitor)
    if parameters.shares is None and not parameters.requirements.names_territories:
        alignment, layout = _numbered_by_lowest_unit(alignment, layout)
    monitor.focus(SEARCHED, 1.0)
    monitor.report("verifying", 0.0)
    result = score(instance, parameters, layout, alignment, seed, found, monitor.is_stopped)
    verify(instance, result, parameters)
    monitor.report("verifying", 1.0)
    return result


def check_fit(instance: Instance, parameters: Parameters, seed: int) -> None:
    """Refuse wishes that do not fit the instance, and what is no seed.

    Raises
    ------
    ParameterError
        With `field`.
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ParameterError(f"seed is {seed!r}; a whole number from 0 is needed", field="seed")
    if len(parameters.tolerances) != instance.n_measures:
        raise ParameterError(
            f"{len(parameters.tolerances)} tolerances for {instance.n_measures} measures",
            field="tolerances",
            n_measures=instance.n_measures,
        )
    parameters.requirements.check_fit(instance, parameters.n_territories)


def search_layout(
    instance: Instance, parameters: Parameters, layout: Layout, seed: int, monitor: Monitor
) -> tuple[IntArray, list[Found]]:
    """Return (n_units,) the best alignment from nothing, and how each component was found."""
    n_nodes = layout.merged.n_nodes
    by_node = np.full(n_nodes, -1, np.int32)
    components = components_of(instance, parameters, layout)
    seeds = np.random.SeedSequence(seed).spawn(len(components))
    found = []
    n_done = 0
    for number, (component, component_seed) in enumerate(zip(components, seeds, strict=True)):
        part = SEARCHED / n_nodes
        size = component.graph.n_units
        monitor.focus(part * n_done, part * (n_done + size))
        outcome = _solve_component(component, parameters, component_seed, monitor)
        territories = np.flatnonzero(layout.placed == number).astype(np.int32)
        by_node[layout.label == number] = territories[outcome.alignment]
        found.append(outcome)
        n_done += size
    alignment = np.where(layout.closed >= 0, layout.closed, by_node[layout.merged.node])
    return alignment.astype(np.int32), found


def _solve_component(
    component: Component, parameters: Parameters, seed: np.random.SeedSequence, monitor: Monitor
) -> Found:
    """Return the best alignment of one component, numbered from 0."""
    if len(component.targets) == 1:
        return Found(np.zeros(component.graph.n_units, np.int32), 1, None)
    generator = np.random.default_rng(seed)
    search = ComponentSearch(
        make_problem(component),
        bands_of(component, parameters),
        component.graph.is_ring_ordered,
        generator,
        monitor,
    )
    return search.run(parameters.n_starts)


def bands_of(component: Component, parameters: Parameters) -> Bands:
    """Return the bands that tolerances and limits leave a component's territories."""
    wishes, n_measures = parameters.requirements, component.activity.shape[1]
    least = [limit or 0.0 for limit in wishes.least] or [0.0] * n_measures
    most = [np.inf if limit is None else limit for limit in wishes.most] or [np.inf] * n_measures
    return make_bands(
        component,
        np.array(parameters.tolerances),
        np.array(parameters.weights),
        np.array(least),
        np.array(most),
    )


def _numbered_by_lowest_unit(alignment: IntArray, layout: Layout) -> tuple[IntArray, Layout]:
    """Renumber territories in the order in which units first name them."""
    old, first = np.unique(alignment, return_index=True)
    order = old[np.argsort(first)]
    new = np.empty(len(order), np.int32)
    new[order] = np.arange(len(order), dtype=np.int32)
    return new[alignment], layout.renumbered(order)
