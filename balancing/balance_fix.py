"""Repair of a nearly balanced plan: best single or paired border moves of the worst territory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from balancing.arrays import FloatArray, IntArray
from balancing.compiled import compiled
from balancing.contiguity import can_leave
from balancing.moving import is_affordable
from balancing.objective import cost_change
from balancing.problem import Bands, Problem
from balancing.state import State, breach, breach_change, move

# A breach repaired is worth any compactness a border move can cost; among repairs alike the
# cheaper one wins.
BREACH_PRICE = 1e4
# Less than this is rounding, not repair.
LEAST_GAIN = 1e-15
# First moves of a pair that are followed up, those that harm balance least.
MOST_FIRST_MOVES = 120
MOST_PAIR_SEARCHES = 30


class Moves(NamedTuple):
    """Border moves: (n_moves,) units, and the territories they would go to."""

    units: IntArray
    targets: IntArray


def fix_worst(problem: Problem, state: State, bands: Bands, unit_cost: float, n_steps: int) -> None:
    """Make up to `n_steps` repairs, each of what is worst and lowers the breach.

    A territory that no move helps is set aside for the rest of the call. Pairs are looked
    for at most `MOST_PAIR_SEARCHES` times: where many territories are far out, annealing
    does better.
    """
    n_pair_searches = 0
    is_movable = np.ones(len(problem.targets), bool)
    for _ in range(n_steps):
        breaches = np.where(is_movable, all_breaches(problem, bands, state.tally.loads), 0.0)
        worst = int(np.argmax(breaches))
        if breaches[worst] == 0.0:
            return
        near = border_near(problem, state, worst)
        moves = moves_about(problem, state, near, worst, worst)
        best = best_single(problem, state, bands, unit_cost, moves)
        if best >= 0:
            move(problem, state, moves.units[best], moves.targets[best])
            continue
        n_pair_searches += 1
        if n_pair_searches > MOST_PAIR_SEARCHES:
            return
        if not _make_best_pair(problem, state, bands, unit_cost, near, moves):
            is_movable[worst] = False


def _make_best_pair(
    problem: Problem,
    state: State,
    bands: Bands,
    unit_cost: float,
    near: IntArray,
    firsts: Moves,
) -> bool:
    """Make the two moves that together lower the breach most cheaply, if there are any."""
    rises = breach_changes(problem, state, bands, firsts)
    gentlest = np.argsort(rises, kind="stable")[:MOST_FIRST_MOVES]
    firsts = Moves(firsts.units[gentlest], firsts.targets[gentlest])
    pair = best_pair(problem, state, bands, unit_cost, near, firsts)
    if pair[0] < 0:
        return False
    move(problem, state, pair[0], pair[1])
    move(problem, state, pair[2], pair[3])
    return True


@compiled
def all_breaches(problem: Problem, bands: Bands, loads: FloatArray) -> FloatArray:
    """Return (k,) breach of each territory."""
    found = np.empty(len(loads))
    for territory in range(len(loads)):
        found[territory] = breach(problem, bands, loads[territory], territory)
    return found


@compiled
def border_near(problem: Problem, state: State, centre: int) -> IntArray:
    """Return the border units in or next to territory `centre` and its neighbours."""
    is_near = np.zeros(len(problem.targets), np.bool_)
    is_near[centre] = True
    border = state.border[: state.border_size[0]]
    for unit in border:
        for entry in range(problem.indptr[unit], problem.indptr[unit + 1]):
            if state.alignment[problem.indices[entry]] == centre:
                is_near[state.alignment[unit]] = True
    near = np.empty(len(border), np.int32)
    count = 0
    for unit in border:
        is_kept = is_near[state.alignment[unit]]
        for entry in range(problem.indptr[unit], problem.indptr[unit + 1]):
            is_kept = is_kept or is_near[state.alignment[problem.indices[entry]]]
        if is_kept:
            near[count] = unit
            count += 1
    return near[:count]


@compiled
def moves_about(problem: Problem, state: State, near: IntArray, one: int, other: int) -> Moves:
    """Return the moves of `near` units out of or into territories `one` and `other`."""
    most = 0
    for unit in near:
        most += problem.indptr[unit + 1] - problem.indptr[unit]
    units = np.empty(most, np.int32)
    targets = np.empty(most, np.int32)
    count = 0
    for unit in near:
        home = state.alignment[unit]
        is_inside = home in (one, other)
        first = count
        for entry in range(problem.indptr[unit], problem.indptr[unit + 1]):
            to = state.alignment[problem.indices[entry]]
            is_new = to != home and (is_inside or to in (one, other))
            for earlier in range(first, count):
                is_new = is_new and targets[earlier] != to
            if is_new:
                units[count] = unit
                targets[count] = to
                count += 1
    return Moves(units[:count], targets[:count])


@compiled
def breach_changes(problem: Problem, state: State, bands: Bands, moves: Moves) -> FloatArray:
    """Return (n_moves,) what each move alone does to the breach."""
    rises = np.empty(len(moves.units))
    for place in range(len(rises)):
        unit, to = moves.units[place], moves.targets[place]
        home = state.alignment[unit]
        rises[place] = breach_change(problem, bands, state, unit, home, to)
    return rises


@compiled
def best_single(
    problem: Problem, state: State, bands: Bands, unit_cost: float, moves: Moves
) -> int:
    """Return the index of the move that lowers the breach most cheaply, or -1."""
    return best_after(problem, state, bands, unit_cost, moves, -1, 0.0, 0.0)[0]


@compiled
def best_pair(
    problem: Problem,
    state: State,
    bands: Bands,
    unit_cost: float,
    near: IntArray,
    firsts: Moves,
) -> tuple[int, int, int, int]:
    """Return unit and territory of two moves that help best together; unit -1 if none do.

    The second move touches one of the two territories of the first, which is made on trial.
    """
    best = (-1, -1, -1, -1)
    least = 0.0
    for place in range(len(firsts.units)):
        unit, to = firsts.units[place], firsts.targets[place]
        home = state.alignment[unit]
        if not is_affordable(problem.moving, state.moved, unit, home, to) or not can_leave(
            problem, state.alignment, unit, state.mark, state.queue
        ):
            continue
        rise = breach_change(problem, bands, state, unit, home, to)
        spent = cost_change(problem, state, unit, home, to) / unit_cost
        move(problem, state, unit, to)
        seconds = moves_about(problem, state, near, home, to)
        second, price = best_after(problem, state, bands, unit_cost, seconds, unit, rise, spent)
        move(problem, state, unit, home)
        if second >= 0 and (best[0] < 0 or price < least):
            best = (unit, to, seconds.units[second], seconds.targets[second])
            least = price
    return best


@compiled
def best_after(
    problem: Problem,
    state: State,
    bands: Bands,
    unit_cost: float,
    moves: Moves,
    moved: int,
    rise: float,
    spent: float,
) -> tuple[int, float]:
    """Return index and joint price of the move that helps best after a first one, or -1.

    The first moved unit `moved`, raised the breach by `rise` and cost `spent`.
    """
    best, least = -1, 0.0
    for place in range(len(moves.units)):
        unit, to = moves.units[place], moves.targets[place]
        home = state.alignment[unit]
        if unit == moved:
            continue
        joint = rise + breach_change(problem, bands, state, unit, home, to)
        if joint >= -LEAST_GAIN:
            continue
        price = BREACH_PRICE * joint + spent
        price += cost_change(problem, state, unit, home, to) / unit_cost
        if (
            (best < 0 or price < least)
            and is_affordable(problem.moving, state.moved, unit, home, to)
            and can_leave(problem, state.alignment, unit, state.mark, state.queue)
        ):
            best, least = place, price
    return best, least
