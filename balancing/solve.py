"""`design`: from an instance and wishes to a verified plan."""

from __future__ import annotations

import numpy as np

from balancing.apportionment import place_shares
from balancing.arrays import FloatArray, IntArray
from balancing.component import ComponentSearch
from balancing.errors import ParameterError
from balancing.feasibility import find_violations
from balancing.graph import connected_components
from balancing.instance import Instance
from balancing.measures import cut_edges, imbalance, moments_of_inertia, territory_sums
from balancing.observer import Monitor, Observer
from balancing.parameters import Parameters
from balancing.problem import make_bands, make_problem
from balancing.result import ComponentSummary, Result, StopReason
from balancing.verify import verify

# Part of the run after which only scoring and checking remain; for progress only.
SEARCHED = 0.98


def design(
    instance: Instance, parameters: Parameters, seed: int, observer: Observer | None = None
) -> Result:
    """Divide the units into connected territories of equal (or shared-out) activity.

    Each connected component is solved by itself and gets at least one territory; none spans
    two. A plan comes back whatever the tolerances: what could not be held stands in
    `Result.violations`.

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
        If the wishes do not fit the instance: number of tolerances, more territories than
        units, fewer territories than components. Facts name the counts.
    VerificationError
        If the plan found fails its independent check; a defect.

    References
    ----------
    The method is that of research/solver.md, section 5: balanced centroidal power diagram
    (Cohen-Addad, Klein and Young 2018, arXiv:1710.03358), contiguity repair, priced boundary
    annealing, repair of balance by single and paired moves, polish.
    """
    _check_fit(instance, parameters, seed)
    monitor = Monitor(observer)
    labels = connected_components(instance.graph)
    shares = _shares(parameters)
    placed = place_shares(
        np.bincount(labels, weights=instance.activity[:, 0]), shares, np.bincount(labels)
    )
    targets = np.outer(shares, instance.activity.sum(axis=0))
    alignment = _solve_components(instance, parameters, labels, placed, targets, seed, monitor)
    if parameters.shares is None:
        alignment, placed = _number_by_lowest_unit(alignment, placed)
    monitor.focus(SEARCHED, 1.0)
    monitor.report("verifying", 0.0)
    result = _score(instance, parameters, labels, placed, targets, alignment, seed, monitor)
    verify(instance, result)
    monitor.report("verifying", 1.0)
    return result


def _check_fit(instance: Instance, parameters: Parameters, seed: int) -> None:
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ParameterError(f"seed is {seed!r}; a whole number from 0 is needed", field="seed")
    if len(parameters.tolerances) != instance.n_measures:
        raise ParameterError(
            f"{len(parameters.tolerances)} tolerances for {instance.n_measures} measures",
            field="tolerances",
            n_measures=instance.n_measures,
        )


def _shares(parameters: Parameters) -> FloatArray:
    if parameters.shares is None:
        return np.full(parameters.n_territories, 1 / parameters.n_territories)
    shares: FloatArray = np.array(parameters.shares)
    shares /= shares.sum()
    return shares


def _solve_components(
    instance: Instance,
    parameters: Parameters,
    labels: IntArray,
    placed: IntArray,
    targets: FloatArray,
    seed: int,
    monitor: Monitor,
) -> IntArray:
    """(n_units,) best alignment of every component, in the numbers of `placed`."""
    alignment = np.empty(instance.n_units, np.int32)
    members, allotted = _groups(labels), _groups(placed)
    seeds = np.random.SeedSequence(seed).spawn(len(members))
    n_done = 0
    for units, territories, component_seed in zip(members, allotted, seeds, strict=True):
        part = SEARCHED / instance.n_units
        monitor.focus(part * n_done, part * (n_done + len(units)))
        local = _solve_component(
            instance, parameters, units, targets[territories], component_seed, monitor
        )
        alignment[units] = territories[local]
        n_done += len(units)
    return alignment


def _groups(labels: IntArray) -> list[IntArray]:
    """Indices of each label from 0 on, ascending."""
    order = np.argsort(labels, kind="stable").astype(np.int32)
    return np.split(order, np.cumsum(np.bincount(labels))[:-1])


def _solve_component(
    instance: Instance,
    parameters: Parameters,
    units: IntArray,
    targets: FloatArray,
    seed: np.random.SeedSequence,
    monitor: Monitor,
) -> IntArray:
    """(len(units),) best alignment of one component, numbered from 0."""
    if len(targets) == 1:
        return np.zeros(len(units), np.int32)
    activity = instance.activity[units]
    shares = targets[:, 0] / targets[:, 0].sum()
    problem = make_problem(
        instance.graph.restricted_to(units),
        instance.x_m[units],
        instance.y_m[units],
        activity,
        shares,
    )
    bands = make_bands(
        np.outer(shares, activity.sum(axis=0)),
        targets,
        np.array(parameters.tolerances),
        np.array(parameters.weights),
    )
    search = ComponentSearch(problem, bands, np.random.default_rng(seed), monitor)
    return search.run(parameters.n_starts).alignment


def _number_by_lowest_unit(alignment: IntArray, placed: IntArray) -> tuple[IntArray, IntArray]:
    """Renumber territories in the order in which units first name them."""
    old, first = np.unique(alignment, return_index=True)
    order = old[np.argsort(first)]
    new = np.empty(len(order), np.int32)
    new[order] = np.arange(len(order), dtype=np.int32)
    return new[alignment], placed[order]


def _score(
    instance: Instance,
    parameters: Parameters,
    labels: IntArray,
    placed: IntArray,
    targets: FloatArray,
    alignment: IntArray,
    seed: int,
    monitor: Monitor,
) -> Result:
    n_territories = parameters.n_territories
    sums = territory_sums(instance.activity, alignment, n_territories)
    deviation = imbalance(sums, targets)
    components = _summaries(instance, labels, placed, targets)
    violations = find_violations(instance, parameters, targets, deviation, components)
    inertia = moments_of_inertia(
        instance.x_m, instance.y_m, instance.activity[:, 0], alignment, n_territories
    )
    return Result(
        alignment=alignment,
        n_territories=n_territories,
        measure_names=instance.measure_names,
        sums=sums,
        targets=targets,
        imbalance=deviation,
        territory_component=placed,
        moment_of_inertia=inertia,
        total_moment_of_inertia=float(inertia.sum()),
        cut_edges=cut_edges(instance.graph, alignment),
        components=components,
        violations=violations,
        seed=seed,
        stop_reason=_stop_reason(monitor.is_stopped, not violations),
    )


def _stop_reason(is_cancelled: bool, is_balanced: bool) -> StopReason:
    if is_cancelled:
        return "cancelled"
    return "balanced" if is_balanced else "budget_spent"


def _summaries(
    instance: Instance, labels: IntArray, placed: IntArray, targets: FloatArray
) -> tuple[ComponentSummary, ...]:
    n_components = int(labels.max()) + 1
    n_units = np.bincount(labels, minlength=n_components)
    n_territories = np.bincount(placed, minlength=n_components)
    activity = territory_sums(instance.activity, labels, n_components)
    forced = imbalance(activity, territory_sums(targets, placed, n_components))
    return tuple(
        ComponentSummary(
            component=component,
            n_units=int(n_units[component]),
            activity=tuple(activity[component].tolist()),
            n_territories=int(n_territories[component]),
            forced_imbalance=tuple(forced[component].tolist()),
        )
        for component in range(n_components)
    )
