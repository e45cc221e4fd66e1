"""Priced boundary annealing: single border moves under a growing price of imbalance."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from balancing.arrays import FloatArray
from balancing.compiled import compiled
from balancing.contiguity import can_leave
from balancing.moving import is_affordable
from balancing.objective import cost_change, cut_change
from balancing.problem import Bands, Problem
from balancing.state import State, breach_change, move, settle

RandomState = NDArray[np.uint64]


class Control(NamedTuple):
    """What governs one sweep.

    Attributes
    ----------
    unit_cost
        Cost that counts as 1: a territory's mean share of the objective at the start.
    temperature
        Of the Metropolis rule; 0 accepts improvements only.
    breach_price
        Price of a unit of breach.
    is_strict
        Refuse every move that raises the breach.
    """

    unit_cost: float
    temperature: float
    breach_price: float
    is_strict: bool


class Schedule(NamedTuple):
    """How control changes from sweep to sweep, geometrically; the last sweep is greedy.

    Attributes
    ----------
    hot, cold
        First and last temperature.
    cheap, dear
        First and last price of breach.
    n_sweeps, n_proposals
        Number of sweeps, proposals in each.
    """

    hot: float
    cold: float
    cheap: float
    dear: float
    n_sweeps: int
    n_proposals: int

    def control(self, sweep: int, unit_cost: float) -> Control:
        """Return the control of the given sweep, counted from 0."""
        part = sweep / max(self.n_sweeps - 1, 1)
        is_last = sweep == self.n_sweeps - 1
        return Control(
            unit_cost,
            0.0 if is_last else self.hot * (self.cold / self.hot) ** part,
            self.cheap * (self.dear / self.cheap) ** part,
            False,
        )


def random_state(generator: np.random.Generator) -> RandomState:
    """Draw the state of the kernels' own random numbers."""
    return generator.integers(1, 2**63, size=1, dtype=np.uint64)


def anneal(
    problem: Problem,
    state: State,
    bands: Bands,
    prices: FloatArray,
    schedule: Schedule,
    unit_cost: float,
    generator: np.random.Generator,
    should_stop: Callable[[float], bool] | None = None,
) -> None:
    """Run the schedule on `state`, in place; `should_stop(fraction)` can end it early."""
    random = random_state(generator)
    for number in range(schedule.n_sweeps):
        control = schedule.control(number, unit_cost)
        sweep(problem, state, bands, prices, control, random, schedule.n_proposals)
        settle(problem, state)
        if should_stop is not None and should_stop((number + 1) / schedule.n_sweeps):
            return


@compiled
def sweep(
    problem: Problem,
    state: State,
    bands: Bands,
    prices: FloatArray,
    control: Control,
    random: RandomState,
    n_proposals: int,
) -> int:
    """Propose border moves: draw, weigh, accept (Metropolis), check contiguity last.

    Returns the number of moves made. The energy is the objective less prices, in mean
    territory costs, plus priced breach, plus priced cut edges; prices (k,) are those of the
    power diagram and make moves across its borders free, so that annealing only has to round.
    """
    n_moves = 0
    for _ in range(n_proposals):
        if state.border_size[0] == 0:
            break
        unit = state.border[random_below(random, state.border_size[0])]
        first = problem.indptr[unit]
        neighbour = problem.indices[first + random_below(random, problem.indptr[unit + 1] - first)]
        home, to = state.alignment[unit], state.alignment[neighbour]
        if home == to or not state.is_open[to] or state.tally.n_units[home] == 1:
            continue
        breach_rise = breach_change(problem, bands, state, unit, home, to)
        if control.is_strict and breach_rise > 0:
            continue
        cost_rise = cost_change(problem, state, unit, home, to)
        cost_rise -= problem.mass[unit] * (prices[to] - prices[home])
        energy_rise = (
            cost_rise / control.unit_cost
            + control.breach_price * breach_rise
            + problem.cut_price * cut_change(problem, state.alignment, unit, home, to)
        )
        if energy_rise >= 0 and (
            control.temperature == 0
            or energy_rise >= -control.temperature * np.log(1.0 - random_part(random))
        ):
            continue
        if is_affordable(problem.moving, state.moved, unit, home, to) and can_leave(
            problem, state.alignment, unit, state.mark, state.queue
        ):
            move(problem, state, unit, to)
            n_moves += 1
    return n_moves


@compiled
def random_part(random: RandomState) -> float:
    """Return a number in [0, 1): xorshift64* (Vigna, ACM TOMS 42(4), 2016)."""
    bits = random[0]
    bits ^= bits >> np.uint64(12)
    bits ^= bits << np.uint64(25)
    bits ^= bits >> np.uint64(27)
    random[0] = bits
    mixed = bits * np.uint64(0x2545F4914F6CDD1D)
    return np.float64(mixed >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@compiled
def random_below(random: RandomState, limit: int) -> int:
    """Return a whole number in [0, limit)."""
    return int(random_part(random) * limit)
