"""Plans near the incumbent, component by component, at one price of moving after another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from balancing.arrays import FloatArray, IntArray
from balancing.incumbent import Homes, home_centres, homes_of, node_homes, start_from
from balancing.instance import Instance
from balancing.layout import Layout, components_of
from balancing.move_policy import MovePolicy
from balancing.moving import Moving, count_moved
from balancing.near_search import prices_at, search_near
from balancing.parameters import Parameters
from balancing.problem import Bands, Component, Problem, make_problem
from balancing.refinement import ShouldStop
from balancing.solve import bands_of
from balancing.state import make_state, total_breach

# Need of a component in which only a radius is exceeded.
LEAST_NEED = 1e-6


@dataclass(frozen=True, eq=False)
class _Part:
    """A component ready to be searched.

    Attributes
    ----------
    nodes, territories
        What it consists of, as numbers of the layout.
    problem, bands
        In the form of the kernels, protected nodes locked.
    prices
        (k,) of the power diagram at the incumbent's centres.
    moving
        Homes in local numbers; prices are those of a price of 1.
    start
        (n,) valid plan to begin with.
    start_moved
        (b,) parts of the limited weights that are away from home in it.
    need
        How far it is out of balance.
    """

    nodes: IntArray
    territories: IntArray
    problem: Problem
    bands: Bands
    prices: FloatArray
    moving: Moving
    start: IntArray
    start_moved: FloatArray
    need: float


class PriceSearch:
    """Everything that does not depend on the price, prepared once.

    Attributes
    ----------
    start
        (n_units,) the incumbent made valid: new units attached, torn territories mended.
    """

    def __init__(
        self,
        instance: Instance,
        parameters: Parameters,
        layout: Layout,
        past: IntArray,
        begin: IntArray,
        policy: MovePolicy,
    ) -> None:
        self._layout = layout
        homes = homes_of(layout, instance.activity[:, 0], past, policy)
        first = node_homes(layout, instance.activity[:, 0], begin)
        most = policy.most_units_per_territory
        self._parts = [
            _prepared(
                component,
                bands_of(component, parameters),
                homes,
                first,
                np.flatnonzero(layout.label == number).astype(np.int32),
                np.flatnonzero(layout.placed == number).astype(np.int32),
                np.inf if most is None else float(most),
            )
            for number, component in enumerate(components_of(instance, parameters, layout))
        ]
        shares = np.array([limit.share for limit in policy.limits])
        self._limits = shares - homes.forced - _abroad(layout, homes)
        self.start = self._assembled([part.start for part in self._parts])

    def run(
        self, price: float, generator: np.random.Generator, should_stop: ShouldStop
    ) -> IntArray:
        """Return (n_units,) the best plan found at the price, within all limits.

        A component in balance stays as it is. Each of the others may use a part of what is
        left that is in proportion to how far it is out; what it leaves goes to the next.
        """
        waiting = [part.need for part in self._parts]
        left = self._limits - sum(part.start_moved for part in self._parts)
        found = []
        for number, part in enumerate(self._parts):
            if part.need == 0.0 or should_stop(number / len(self._parts)):
                found.append(part.start)
                continue
            granted = part.start_moved + left * part.need / sum(waiting[number:])
            moving = part.moving._replace(caps=granted, price=price * part.moving.price)
            first, last = number / len(self._parts), (number + 1) / len(self._parts)
            alignment = search_near(
                part.problem, part.bands, part.start, part.prices, moving, generator,
                _within(should_stop, first, last),
            )  # fmt: skip
            moved = count_moved(moving, alignment, len(part.territories)).weight
            left = left - (moved - part.start_moved)
            found.append(alignment)
        return self._assembled(found)

    def _assembled(self, alignments: list[IntArray]) -> IntArray:
        """(n_units,) territories from those of the parts and of what is closed."""
        by_node = np.full(self._layout.merged.n_nodes, -1, np.int32)
        for part, alignment in zip(self._parts, alignments, strict=True):
            by_node[part.nodes] = part.territories[alignment]
        closed = self._layout.closed
        return np.where(closed >= 0, closed, by_node[self._layout.merged.node]).astype(np.int32)


def _prepared(
    component: Component,
    bands: Bands,
    homes: Homes,
    first: IntArray,
    nodes: IntArray,
    territories: IntArray,
    most_per_territory: float,
) -> _Part:
    problem = make_problem(component)
    highest = max(int(homes.home.max()), int(first.max()), int(territories.max()))
    local = np.full(highest + 2, -1, np.int32)
    local[territories] = np.arange(len(territories), dtype=np.int32)
    home = local[homes.home[nodes]]
    is_fixed = homes.is_fixed[nodes] & (home >= 0)
    begin = np.where(is_fixed, home, local[first[nodes]])
    centres = home_centres(problem, np.where(problem.lock >= 0, problem.lock, begin))
    is_single = len(territories) == 1
    prices = np.zeros(1) if is_single else prices_at(problem, centres)
    start = start_from(problem, begin, is_fixed, prices)
    held = is_fixed & (start == home)
    problem = problem._replace(lock=np.where(held, home, problem.lock).astype(np.int32))
    moving = Moving(
        home=home,
        # The floor of the mass makes a unit without work dear enough to stay where it is.
        price=homes.factor[nodes] * problem.mass,
        weight=np.ascontiguousarray(homes.weight[nodes]),
        caps=np.full(homes.weight.shape[1], np.inf),
        n_units=homes.n_units[nodes],
        most_per_territory=most_per_territory,
    )
    moved = count_moved(moving, start, len(territories)).weight
    need = 0.0 if is_single else _need(problem, bands, start)
    return _Part(nodes, territories, problem, bands, prices, moving, start, moved, need)


def _within(should_stop: ShouldStop, first: float, last: float) -> ShouldStop:
    """Report fractions of a part that lasts from `first` to `last` of the whole."""
    return lambda fraction: should_stop(first + (last - first) * fraction)


def _abroad(layout: Layout, homes: Homes) -> FloatArray:
    """(b,) parts of the limited weights whose home now lies in another component."""
    is_abroad = (homes.home >= 0) & (layout.label >= 0)
    is_abroad &= layout.placed[homes.home] != layout.label
    parts: FloatArray = homes.weight[is_abroad].sum(axis=0)
    return parts


def _need(problem: Problem, bands: Bands, alignment: IntArray) -> float:
    """How much activity is beyond the bands, in mean territories; 0 if nothing is amiss."""
    state = make_state(problem, alignment)
    loads = state.tally.loads
    deviation = np.where(problem.inverse_targets > 0, loads * problem.inverse_targets - 1, 0.0)
    beyond = np.maximum(deviation - bands.upper, bands.lower - deviation)
    need = float((np.maximum(beyond, 0.0) * problem.targets).sum())
    breach = total_breach(
        problem, bands, state.alignment, state.tally, state.centre_x, state.centre_y
    )
    # A breach of the radius alone has no activity to measure it by.
    return max(need, LEAST_NEED) if breach > 0 else 0.0
