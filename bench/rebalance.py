"""Rebalance after drift: `python -m bench.rebalance --json`.

Regional drift as in research/solver.md, "Rebalance mode": work is multiplied by a smooth field
of 20 bumps, standard deviation 5 %, and by noise of half of that per cell. Per instance and
price: medians over seeds of the moved work and the inertia against a fresh design of the same
seed, CPU seconds and imbalance. CPU seconds of one price are those of a whole call that asks
for that price alone, less those of its fresh design; "all" is a call with every price and the
fresh design.

`--nights N` plays nights instead: the same field adds up, a part of it each night, with fresh
noise; each night the plan in force is rebalanced when a territory is beyond the trigger. What
moved in the last 14 nights is protected first, and only dearer if that leaves a territory beyond
the trigger.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from balancing import Instance, Parameters, design
from balancing.move_policy import MovePolicy
from balancing.rebalance import rebalance
from bench.instances import load_instance, shared_instances
from bench.solver import count_torn

Field = NDArray[np.float64]
Report = dict[str, Any]

PRICES = (0.1, 0.3, 1.0, 3.0)
NIGHTLY_PRICES = (1.0, 3.0, 10.0)
# Bumps are a twentieth to a fifth of the map wide; the note does not say, so this is a choice.
N_BUMPS, NARROW, WIDE = 20, 0.05, 0.2
# A cell's work never falls below a twentieth of what it was.
LEAST_FACTOR = 0.05
RECENT_NIGHTS, RECENT_FACTOR = 14, 30.0


def regional_field(instance: Instance, generator: np.random.Generator) -> Field:
    """(n_units,) smooth field of mean 0 and standard deviation 1, both weighted by work."""
    x, y, work = instance.x_m, instance.y_m, instance.activity[:, 0]
    span = max(float(np.ptp(x)), float(np.ptp(y)))
    field = np.zeros(len(x))
    for _ in range(N_BUMPS):
        middle_x, middle_y = (
            generator.uniform(x.min(), x.max()),
            generator.uniform(y.min(), y.max()),
        )
        width = span * generator.uniform(NARROW, WIDE)
        squares = (x - middle_x) ** 2 + (y - middle_y) ** 2
        field += generator.normal() * np.exp(-squares / (2 * width**2))
    field -= np.average(field, weights=work)
    scaled: Field = field / np.sqrt(np.average(field**2, weights=work))
    return scaled


def drifted(instance: Instance, part: float, generator: np.random.Generator) -> Instance:
    """Return the instance with its work multiplied by field and noise."""
    field = regional_field(instance, generator)
    noise = generator.normal(size=instance.n_units)
    factor = np.maximum(1 + part * field + part / 2 * noise, LEAST_FACTOR)
    return replace(instance, activity=instance.activity * factor[:, None])


def main() -> None:
    """Run what the command line asks for and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench.rebalance", description=__doc__)
    parser.add_argument("--instances", nargs="+", default=["oh28k", "yd135k"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--drift", type=float, default=0.05)
    parser.add_argument("--tolerance", type=float, default=0.01)
    parser.add_argument("--nights", type=int, default=0)
    parser.add_argument("--nightly-drift", type=float, default=0.003)
    parser.add_argument("--trigger", type=float, default=0.05, help="of the nights")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.instances:
        instance, n_territories = load_instance(shared_instances() / f"{name}.npz")
        parameters = Parameters(n_territories=n_territories, tolerances=(arguments.tolerance,))
        if arguments.nights:
            reports = [
                _nights(instance, parameters, arguments, seed) for seed in range(arguments.seeds)
            ]
        else:
            reports = _after_one_drift(instance, parameters, arguments)
        for report in reports:
            report = {"instance": name, **report}
            print(json.dumps(report) if arguments.json else report, flush=True)


def _after_one_drift(
    instance: Instance, parameters: Parameters, arguments: argparse.Namespace
) -> list[Report]:
    """One report per price: medians over seeds."""
    incumbent = design(instance, parameters, 0).alignment
    rows: dict[float, list[list[float]]] = {price: [] for price in PRICES}
    whole_cpu_s, fresh_cpu_s, picked = [], [], []
    for seed in range(arguments.seeds):
        changed = drifted(instance, arguments.drift, np.random.default_rng(seed))
        started = time.process_time()
        design(changed, parameters, seed)
        fresh_cpu_s.append(time.process_time() - started)
        started = time.process_time()
        found = rebalance(changed, parameters, incumbent, MovePolicy(prices=PRICES), seed)
        whole_cpu_s.append(time.process_time() - started)
        picked.append(None if found.plan is None else (found.plan.origin, found.plan.price))
        fresh = next(option for option in found.options if option.origin == "fresh")
        for option in found.options:
            if option.price is None:
                continue
            started = time.process_time()
            rebalance(changed, parameters, incumbent, MovePolicy(prices=(option.price,)), seed)
            cpu_s = time.process_time() - started - fresh_cpu_s[-1]
            rows[option.price].append([
                option.moved_work,
                option.moved_work / fresh.moved_work,
                option.objective_by_fresh or np.nan,
                option.result.cut_edges / fresh.result.cut_edges,
                cpu_s,
                float(option.result.worst_imbalance[0]),
                float(option.result.is_feasible),
                count_torn(changed.graph, option.result.alignment),
                found.least_moved_work,
                float(found.options[0].result.worst_imbalance[0]),
                fresh.moved_work,
            ])  # fmt: skip
    names = (
        "moved", "moved_by_fresh", "inertia_by_fresh", "cut_by_fresh", "cpu_s", "imbalance",
        "is_feasible", "n_torn", "least_moved", "imbalance_before", "fresh_moved",
    )  # fmt: skip
    reports = []
    for price, values in rows.items():
        table = np.array(values)
        report: Report = {"price": price, "seeds": len(table)}
        report |= dict(zip(names, np.median(table, axis=0).tolist(), strict=True))
        report["n_feasible"] = int(table[:, 6].sum())
        report["worst_moved_by_fresh"] = float(table[:, 1].max())
        report["worst_inertia_by_fresh"] = float(table[:, 2].max())
        report["worst_cpu_s"] = float(table[:, 4].max())
        report["all_prices_and_fresh_cpu_s"] = float(np.median(whole_cpu_s))
        report["n_picked"] = sum(choice == ("rebalanced", price) for choice in picked)
        reports.append(report)
    return reports


def _nights(
    instance: Instance, parameters: Parameters, arguments: argparse.Namespace, seed: int
) -> Report:
    """Play nights of drift in one direction, with the plan in force rebalanced each night."""
    generator = np.random.default_rng(seed)
    field = regional_field(instance, generator)
    start = design(instance, parameters, seed).alignment
    alignment, factor = start.copy(), np.ones(instance.n_units)
    last_moved = np.full(instance.n_units, -(10**6))
    came_from = np.full(instance.n_units, -1)
    moved_share, out, cpu_s, worst_after = [], [], [], []
    n_back, n_forced = 0, 0
    for night in range(arguments.nights):
        noise = generator.normal(size=instance.n_units)
        part = arguments.nightly_drift
        factor = np.maximum(factor * (1 + part * field + part / 2 * noise), LEAST_FACTOR)
        today = replace(instance, activity=instance.activity * factor[:, None])
        is_recent = night - last_moved < RECENT_NIGHTS
        dearer = MovePolicy(
            prices=NIGHTLY_PRICES,
            price_factors=np.where(is_recent, RECENT_FACTOR, 1.0),
            triggers=(arguments.trigger,),
        )
        policy = replace(dearer, is_protected=is_recent)
        started = time.process_time()
        found = rebalance(today, parameters, alignment, policy, seed)
        if found.plan is None or not found.plan.is_within_triggers:
            n_forced += 1
            found = rebalance(today, parameters, alignment, dearer, seed)
        cpu_s.append(time.process_time() - started)
        assert found.plan is not None
        after = found.plan.result.alignment
        out.append(bool(found.options[0].result.worst_imbalance[0] > arguments.trigger))
        worst_after.append(float(found.plan.result.worst_imbalance[0]))
        is_moved = after != alignment
        n_back += int(np.count_nonzero(is_moved & is_recent & (after == came_from)))
        came_from[is_moved], last_moved[is_moved] = alignment[is_moved], night
        moved_share.append(found.plan.moved_work)
        alignment = after
    still = [one and other for one, other in pairwise(out)]
    sums = np.bincount(start, today.activity[:, 0])
    return {
        "seed": seed,
        "nights": arguments.nights,
        "trigger": arguments.trigger,
        "tolerance": arguments.tolerance,
        "nights_out": sum(out),
        "nights_out_twice_running": sum(still),
        "nights_with_moves": int(np.count_nonzero(moved_share)),
        "moved_in_all": float(np.sum(moved_share)),
        "n_moved_back": n_back,
        "nights_that_moved_what_was_recent": n_forced,
        "worst_imbalance_after_a_night": max(worst_after),
        "imbalance_had_nothing_been_done": float(np.abs(sums / sums.mean() - 1).max()),
        "n_torn": count_torn(instance.graph, alignment),
        "cpu_s_of_a_quiet_night": float(np.min(cpu_s)),
        "cpu_s_in_all": float(np.sum(cpu_s)),
    }


if __name__ == "__main__":
    main()
