"""The transport bound: below every plan with the same loads, and the optimum where it is exact."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import eye_array, kron, vstack

from balancing import Centre, Parameters, Requirements, design
from balancing.bounds import dual_value, surcharges, transport_bound
from bench.instances import load_instance, shared_instances

OBJECTIVES = ("moment_of_inertia", "total_distance")


def _cost(x, y, centres, objective):
    away = np.hypot(x[:, None] - centres[:, 0], y[:, None] - centres[:, 1])
    return away**2 if objective == "moment_of_inertia" else away


def _oracle(x, y, weight, centres, loads, objective):
    """The optimum of the transport problem, by another method of HiGHS than the code's."""
    n, k = len(x), len(loads)
    rows = vstack([kron(eye_array(n), np.ones((1, k))), kron(np.ones((1, n)), eye_array(k))])
    found = linprog(
        _cost(x, y, centres, objective).ravel(),
        A_eq=rows.tocsr(),
        b_eq=np.concatenate([weight, loads]),
        method="highs-ipm",
    )
    assert found.status == 0, found.message
    return float(found.fun)


@st.composite
def plans(draw, most_units=60, most_territories=6):
    """Places, weights (some zero), centres anywhere, and an alignment, connected or not."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, most_units))
    k = draw(st.integers(1, min(n, most_territories)))
    spread = draw(st.sampled_from([1.0, 1e3, 1e6]))
    shift = draw(st.sampled_from([0.0, 1e6]))
    x, y = shift + spread * generator.normal(size=(2, n))
    weight = generator.pareto(1.2, n) * (generator.random(n) < 0.8)
    centres = shift + spread * generator.normal(size=(k, 2))
    alignment = generator.integers(0, k, n)
    return x, y, weight, centres, alignment


def _loads(weight, alignment, k):
    return np.bincount(alignment, weight, k).astype(float)


@pytest.mark.parametrize("objective", OBJECTIVES)
@settings(deadline=None)
@given(plan=plans())
def test_no_plan_with_the_same_loads_costs_less_than_the_bound(objective, plan):
    x, y, weight, centres, alignment = plan
    loads = _loads(weight, alignment, len(centres))

    bound = transport_bound(x, y, weight, *centres.T, loads, objective)

    cost = _cost(x, y, centres, objective)[np.arange(len(x)), alignment]
    assert 0 <= bound.value <= np.sum(weight * cost)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("seed", range(4))
def test_the_bound_of_few_units_is_the_optimum_of_the_linear_programme(objective, seed):
    generator = np.random.default_rng(seed)
    x, y = 1e5 * generator.random((2, 150))
    weight = generator.lognormal(size=150)
    centres = 1e5 * generator.random((5, 2))
    shares = generator.lognormal(0, 0.3, 5)
    loads = shares / shares.sum() * weight.sum()

    bound = transport_bound(x, y, weight, *centres.T, loads, objective)

    optimum = _oracle(x, y, weight, centres, loads, objective)
    assert bound.value <= optimum * (1 + 1e-9)
    assert bound.value == pytest.approx(optimum, rel=1e-6)


@pytest.mark.machine_code
@pytest.mark.parametrize(
    ("objective", "slack"), [("moment_of_inertia", 2e-3), ("total_distance", 4e-3)]
)
def test_the_bound_of_more_units_is_close_to_the_optimum(objective, slack):
    generator = np.random.default_rng(5)
    x, y = 1e5 * generator.random((2, 700))
    weight = generator.lognormal(size=700)
    centres = 1e5 * generator.random((8, 2))
    loads = np.full(8, weight.sum() / 8)

    bound = transport_bound(x, y, weight, *centres.T, loads, objective)

    optimum = _oracle(x, y, weight, centres, loads, objective)
    assert (1 - slack) * optimum <= bound.value <= optimum * (1 + 1e-9)


@settings(deadline=None)
@given(plan=plans(most_units=20, most_territories=4), seed=st.integers(0, 2**32 - 1))
def test_any_prices_give_a_bound(plan, seed):
    x, y, weight, centres, alignment = plan
    loads = _loads(weight, alignment, len(centres))
    cost = _cost(x, y, centres, "moment_of_inertia")
    prices = cost.max() * np.random.default_rng(seed).normal(size=len(centres))

    value = dual_value(x, y, weight, centres, loads, prices, True)

    assert value <= np.sum(weight * cost[np.arange(len(x)), alignment])


@settings(deadline=None)
@given(plan=plans(), pulls=st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_drawn_centres_cost_the_mixture_of_both_distances(plan, pulls):
    x, y, weight, places, alignment = plan
    k = len(places)
    pull = np.array(pulls[:k])
    own = places[::-1] + 1.0
    drawn, extra = surcharges(own, pull, places)

    mixture = (1 - pull) * _cost(x, y, own, "moment_of_inertia") + pull * _cost(
        x, y, places, "moment_of_inertia"
    )

    plain = _cost(x, y, drawn, "moment_of_inertia") + extra
    assert np.allclose(mixture, plain, rtol=1e-6, atol=1e-6 * mixture.max())
    loads = _loads(weight, alignment, k)
    bound = transport_bound(x, y, weight, *drawn.T, loads, "moment_of_inertia", extra)
    own_cost = float(np.sum(weight * mixture[np.arange(len(x)), alignment]))
    assert bound.value <= own_cost * (1 + 1e-9) + 1e-9


def test_cut_edges_have_no_transport_bound():
    one = np.ones(1)

    assert transport_bound(one, one, one, one, one, one, "cut_edges") is None


def test_territories_without_weight_and_units_without_weight_change_nothing():
    generator = np.random.default_rng(3)
    x, y = 1e4 * generator.random((2, 40))
    weight = generator.random(40)
    centres = 1e4 * generator.random((3, 2))
    loads = np.full(3, weight.sum() / 3)
    bound = transport_bound(x, y, weight, *centres.T, loads, "moment_of_inertia")

    more = transport_bound(
        np.append(x, 1e6), np.append(y, -1e6), np.append(weight, 0.0),
        np.append(centres[:, 0], 2e4), np.append(centres[:, 1], 0.0), np.append(loads, 0.0),
        "moment_of_inertia",
    )  # fmt: skip

    assert more.value == pytest.approx(bound.value, rel=1e-9)


def _ohio(name="oh28k"):
    path = shared_instances() / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"{path} is not there; BAILIWICK_SHARED_DATA names the folder above it")
    return load_instance(path)


def test_fixed_homes_with_unequal_shares_come_within_a_percent_of_the_bound():
    instance, k = _ohio("oh4k")
    generator = np.random.default_rng(1)
    root = np.sqrt(instance.activity[:, 0])
    homes = generator.choice(instance.n_units, k, replace=False, p=root / root.sum())
    shares = generator.lognormal(0, 0.3, k)
    places = zip(homes.tolist(), instance.x_m[homes], instance.y_m[homes], strict=True)
    centres = tuple(
        Centre(territory, float(x), float(y), 1.0) for territory, (_, x, y) in enumerate(places)
    )
    parameters = Parameters(
        n_territories=k,
        tolerances=(0.01,),
        shares=tuple(shares / shares.sum()),
        requirements=Requirements(centres=centres),
    )

    result = design(instance, parameters, seed=1)
    loads = np.bincount(result.alignment, instance.compactness_weight, k)
    bound = transport_bound(
        instance.x_m, instance.y_m, instance.compactness_weight, result.centre_x_m,
        result.centre_y_m, loads, "moment_of_inertia",
    )  # fmt: skip

    assert result.worst_imbalance[0] <= 0.01
    assert 0 <= bound.gap(result.objective_value) <= 0.01


@pytest.mark.machine_code
def test_the_bound_of_a_power_diagram_of_28_thousand_cells_is_tight_and_quick():
    instance, k = _ohio()
    weight = instance.compactness_weight
    generator = np.random.default_rng(2)
    homes = generator.choice(instance.n_units, k, replace=False, p=weight / weight.sum())
    centres = np.stack([instance.x_m[homes], instance.y_m[homes]], axis=1)
    # The cheapest alignment under some prices is the optimum for the loads it happens to have.
    prices = generator.normal(0, 2e7, k)
    cost = _cost(instance.x_m, instance.y_m, centres, "moment_of_inertia")
    alignment = np.argmin(cost - prices, axis=1)
    loads = _loads(weight, alignment, k)
    optimum = float(np.sum(weight * cost[np.arange(len(cost)), alignment]))
    places = (instance.x_m, instance.y_m, weight, *centres.T, loads)
    transport_bound(*places, "moment_of_inertia")

    started = time.process_time()
    bound = transport_bound(*places, "moment_of_inertia")
    spent_s = time.process_time() - started

    assert 0.999 * optimum <= bound.value <= optimum
    assert spent_s < 2.0
