"""`rebalance`: from a plan in force to the plans near it that hold today's tolerances."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import ArrayLike

from balancing.arrays import IntArray
from balancing.component import Found
from balancing.errors import ParameterError
from balancing.feasibility import ROUNDING
from balancing.instance import Instance
from balancing.layout import Layout, lay_out
from balancing.move_bound import least_moved_work
from balancing.move_policy import MovePolicy
from balancing.move_pricing import PriceSearch
from balancing.numbering import matched_numbers
from balancing.observer import Monitor, Observer, Progress
from balancing.parameters import Parameters
from balancing.picking import pick
from balancing.rebalance_result import Option, Origin, PickCode, Rebalancing
from balancing.result import Result
from balancing.scoring import score
from balancing.solve import SEARCHED, check_fit, search_layout
from balancing.verify import verify

# Part of the run in which plans near the incumbent are searched for; for progress only.
NEAR = 0.6


def rebalance(
    instance: Instance,
    parameters: Parameters,
    incumbent: ArrayLike,
    policy: MovePolicy,
    seed: int,
    observer: Observer | None = None,
    start: ArrayLike | None = None,
) -> Rebalancing:
    """Return plans near the incumbent that restore the tolerances, and the pick among them.

    Nothing is done while every territory is within the triggers. Otherwise one plan is
    searched for at each price of moving, all under the hard budget, and one from nothing.
    Every territory of every plan is connected; the verifier checks it. What cannot be held
    stands in the violations of each plan.

    Parameters
    ----------
    instance
        Units, places and today's activities.
    parameters
        Wishes; the tolerances are what is returned to.
    incumbent
        (n_units,) whole numbers: territory of each unit so far, -1 for new ones.
    policy
        When to move, what moving costs, how much may move.
    seed
        Not negative; the same arguments give the same plans.
    observer
        Hears of progress and may ask to stop; the plans found until then are returned.
    start
        (n_units,) where the search begins, in the form of the incumbent, by default there: with
        ground of a territory that is new given to it already. What moves is counted against the
        incumbent all the same, and what is protected begins there.

    Raises
    ------
    ParameterError
        As `design` does, and if incumbent, start or policy do not fit the instance.
    VerificationError
        If a plan fails its independent check; a defect.

    References
    ----------
    research/solver.md, "Rebalance mode" and section 5.10: boundary annealing from the
    incumbent, under prices that share today's work out over its own centres, and a price for
    every unit away from home.
    """
    check_fit(instance, parameters, seed)
    policy.check_fit(instance, parameters.tolerances)
    size = instance.n_units, parameters.n_territories
    past = _as_incumbent(incumbent, *size, "incumbent")
    begin = past if start is None else _as_incumbent(start, *size, "start")
    monitor = Monitor(observer)
    run = _Run(instance, parameters, past, begin, policy, seed, monitor)
    return run.rebalancing()


def _as_incumbent(given: ArrayLike, n_units: int, n_territories: int, field: str) -> IntArray:
    past = np.asarray(given)
    if past.shape != (n_units,) or past.dtype.kind not in "iu":
        raise ParameterError(
            f"the {field} must be {n_units} whole numbers, one per unit", field=field
        )
    faults = np.flatnonzero((past < -1) | (past >= n_territories))
    if faults.size:
        index = int(faults[0])
        raise ParameterError(
            f"{field}[{index}] names territory {past[index]}; there are {n_territories}",
            field=field,
            index=index,
        )
    return past.astype(np.int32)


class _Run:
    """One rebalance from start to finish."""

    def __init__(
        self,
        instance: Instance,
        parameters: Parameters,
        past: IntArray,
        begin: IntArray,
        policy: MovePolicy,
        seed: int,
        monitor: Monitor,
    ) -> None:
        self._instance = instance
        self._parameters = parameters
        self._past = past
        self._begin = begin
        self._policy = policy
        self._seed = seed
        self._monitor = monitor
        self._layout = lay_out(instance, parameters, begin)
        self._fresh_objective: float | None = None

    def rebalancing(self) -> Rebalancing:
        search = PriceSearch(
            self._instance, self._parameters, self._layout, self._past, self._begin, self._policy
        )
        base = self._option("incumbent", None, self._layout, search.start)
        if base.is_within_triggers:
            self._monitor.report("verifying", 1.0)
            if base.is_within_budget:
                return self._ended((base,), 0, "within_triggers", "Nothing is beyond its trigger.")
            return self._ended((base,), *pick((base,), self._parameters.tolerances, np.inf))
        near = self._search_near(search)
        fresh = self._search_fresh()
        self._monitor.focus(SEARCHED, 1.0)
        options = [
            self._option("rebalanced", price, self._layout, alignment)
            for price, alignment in zip(self._policy.prices, near, strict=True)
        ]
        if fresh is not None:
            options.append(self._option("fresh", None, *fresh))
        base = self._option("incumbent", None, self._layout, search.start)
        options.sort(key=lambda option: option.moved_work)
        everything = (base, *options)
        picked = pick(everything, self._parameters.tolerances, self._policy.most_objective)
        self._monitor.report("verifying", 1.0)
        return self._ended(everything, *picked)

    def _ended(
        self, options: tuple[Option, ...], picked: int | None, code: PickCode, reason: str
    ) -> Rebalancing:
        bound = least_moved_work(self._instance, self._parameters, self._layout, self._past)
        return Rebalancing(options, picked, code, reason, bound, self._monitor.is_stopped)

    def _search_near(self, search: PriceSearch) -> list[IntArray]:
        """One alignment per price; prices are searched side by side, one to a core."""
        prices = self._policy.prices
        sequences = np.random.SeedSequence(self._seed).spawn(len(prices))
        self._monitor.focus(0.0, NEAR)

        def find(price: float, sequence: np.random.SeedSequence) -> IntArray:
            generator = np.random.default_rng(sequence)
            return search.run(
                price, generator, lambda fraction: self._monitor.report("searching", fraction)
            )

        with ThreadPoolExecutor(min(len(prices), os.cpu_count() or 1)) as pool:
            return list(pool.map(find, prices, sequences))

    def _search_fresh(self) -> tuple[Layout, IntArray] | None:
        """Layout and alignment of a design from nothing, numbered like the incumbent."""
        if self._monitor.is_stopped:
            return None
        layout = lay_out(self._instance, self._parameters)
        window = _Window(self._monitor, NEAR, SEARCHED)
        monitor = Monitor(window)
        alignment, _ = search_layout(self._instance, self._parameters, layout, self._seed, monitor)
        order = matched_numbers(self._instance, self._parameters, alignment, self._past)
        new = np.empty(len(order), np.int32)
        new[order] = np.arange(len(order), dtype=np.int32)
        alignment, layout = new[alignment], layout.renumbered(order)
        scored = self._scored(layout, alignment)
        self._fresh_objective = scored.objective_value
        return layout, alignment

    def _scored(self, layout: Layout, alignment: IntArray) -> Result:
        found = [Found(alignment, 1, None)]
        result = score(
            self._instance, self._parameters, layout, alignment, self._seed, found,
            self._monitor.is_stopped,
        )  # fmt: skip
        verify(self._instance, result, self._parameters)
        return result

    def _option(
        self, origin: Origin, price: float | None, layout: Layout, alignment: IntArray
    ) -> Option:
        result = self._scored(layout, alignment)
        past, policy = self._past, self._policy
        is_moved = (past >= 0) & (past != alignment)
        moved = {limit.name: float(limit.parts[is_moved].sum()) for limit in policy.limits}
        ends = np.concatenate((past[is_moved], alignment[is_moved]))
        most = int(np.bincount(ends, minlength=1).max())
        n_protected = (
            0
            if policy.is_protected is None
            else int(np.count_nonzero(policy.is_protected & is_moved))
        )
        is_within = n_protected == 0 and all(
            moved[limit.name] <= limit.share + ROUNDING for limit in policy.limits
        )
        if policy.most_units_per_territory is not None:
            is_within = is_within and most <= policy.most_units_per_territory
        work = self._instance.activity[:, 0]
        by_fresh = None
        if self._fresh_objective:
            by_fresh = result.objective_value / self._fresh_objective
        return Option(
            origin=origin,
            price=price,
            result=result,
            moved_work=float(work[is_moved].sum() / work.sum()),
            moved=moved,
            n_moved=int(np.count_nonzero(is_moved)),
            most_units_per_territory=most,
            n_protected_moved=n_protected,
            objective_by_fresh=by_fresh,
            is_within_budget=is_within,
            is_within_triggers=self._is_within_triggers(result),
        )

    def _is_within_triggers(self, result: Result) -> bool:
        triggers = np.array(self._policy.triggers or self._parameters.tolerances)
        codes = {violation.code for violation in result.violations}
        is_calm = not codes & {"limit_not_met", "radius_exceeded"}
        return is_calm and bool(np.all(result.worst_imbalance <= triggers + ROUNDING))


class _Window:
    """An observer that hands progress on as part of a longer run."""

    def __init__(self, monitor: Monitor, first: float, last: float) -> None:
        self._monitor = monitor
        monitor.focus(first, last)

    def __call__(self, progress: Progress) -> bool:
        return self._monitor.report(progress.phase, progress.fraction)
