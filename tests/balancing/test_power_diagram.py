import numpy as np
import pytest

from balancing.bisection import bisect, centres_of
from balancing.coarsening import Points, coarsen
from balancing.conjugate_gradients import solve_symmetric
from balancing.dual import look
from balancing.power_diagram import Anchors, balanced_power_diagram, nearest_territory

FREE = Anchors(np.zeros((12, 2)), np.zeros(12))


@pytest.fixture
def points():
    generator = np.random.default_rng(7)
    mass = generator.pareto(1.5, 1500) + 0.01
    mass *= 12 / mass.sum()
    x, y = generator.normal(size=(2, 1500))
    return coarsen(x, y, np.minimum(mass, 1.0), 12)


@pytest.fixture
def targets(points):
    wanted = np.linspace(1, 2, 12)
    return wanted * points.mass.sum() / wanted.sum()


def start_centres(points, targets, seed=0):
    generator = np.random.default_rng(seed)
    guess = bisect(points.x, points.y, points.mass, targets, generator)
    return centres_of(points.x, points.y, points.mass, guess, len(targets))


def test_fractional_loads_meet_unequal_targets(points, targets):
    diagram = balanced_power_diagram(
        points, targets, start_centres(points, targets), FREE, lambda _: False
    )

    assert diagram.residual < 1e-3


def test_centres_improve_on_the_halving_they_start_from(points, targets):
    centres = start_centres(points, targets)
    guess = nearest_territory(points.x, points.y, centres, np.zeros(12))
    away = (points.x - centres[guess, 0]) ** 2 + (points.y - centres[guess, 1]) ** 2

    diagram = balanced_power_diagram(points, targets, centres, FREE, lambda _: False)

    assert diagram.cost < 1.2 * (points.mass @ away)


def test_a_diagram_told_to_stop_ends_after_one_step(points, targets):
    seen = []

    balanced_power_diagram(
        points,
        targets,
        start_centres(points, targets),
        FREE,
        lambda part: seen.append(part) or True,
    )

    assert len(seen) == 1


def test_slopes_of_the_dual_agree_with_differences(points, targets):
    centres = start_centres(points, targets)
    smoothing = np.full(len(points.x), 0.3)
    prices = np.random.default_rng(1).normal(0, 0.1, 12)

    seen = look(points, targets, centres, prices, smoothing)

    for territory in range(12):
        nudge = np.zeros(12)
        nudge[territory] = 1e-5
        above = look(points, targets, centres, prices + nudge, smoothing)
        below = look(points, targets, centres, prices - nudge, smoothing)
        slope = (above.value[0] - below.value[0]) / 2e-5
        assert slope == pytest.approx(seen.loads[territory] - targets[territory], abs=1e-4)
        curvature = (above.loads - below.loads) / 2e-5
        assert np.allclose(curvature, seen.hessian[territory], atol=1e-3)


def test_ruling_out_territories_for_runs_of_points_changes_nothing(points, targets):
    centres = start_centres(points, targets)
    smoothing = np.full(len(points.x), 0.02)
    prices = np.zeros(12)

    seen = look(points, targets, centres, prices, smoothing)

    nearest = nearest_territory(points.x, points.y, centres, prices)
    assert np.array_equal(seen.winner, nearest)
    assert seen.loads.sum() == pytest.approx(points.mass.sum())


def test_conjugate_gradients_agree_with_a_dense_solver():
    generator = np.random.default_rng(3)
    factor = generator.normal(size=(40, 40)) * (generator.random((40, 40)) < 0.2)
    matrix, right = factor @ factor.T + 0.1 * np.eye(40), generator.normal(size=40)

    solution = solve_symmetric(matrix, right)

    assert np.allclose(solution, np.linalg.solve(matrix, right), rtol=1e-3, atol=1e-4)


def test_coarsening_keeps_mass_and_centroid():
    generator = np.random.default_rng(5)
    x, y, mass = generator.normal(size=4000), generator.normal(size=4000), np.full(4000, 1e-3)

    points = coarsen(x, y, mass, 4)

    assert 8 * 4 <= len(points.x) < 1000
    assert points.mass.sum() == pytest.approx(mass.sum())
    assert points.mass @ points.x == pytest.approx(mass @ x)


def test_too_few_points_are_not_coarsened():
    ones = np.ones(20)

    points = coarsen(np.arange(20.0), np.zeros(20), ones * 1e-6, 10)

    assert isinstance(points, Points)
    assert sorted(points.x) == list(range(20))


@pytest.mark.parametrize("n_territories", [1, 2, 7, 20])
def test_halving_gives_every_territory_a_point(n_territories):
    generator = np.random.default_rng(11)
    mass = np.zeros(20)
    mass[3] = 1.0
    shares = np.full(n_territories, 1 / n_territories)

    alignment = bisect(np.arange(20.0), np.zeros(20), mass, shares, generator)

    assert set(alignment) == set(range(n_territories))


@pytest.mark.machine_code
@pytest.mark.parametrize("pull", [0.4, 1.0])
def test_given_centres_are_kept_and_balanced(points, targets, pull):
    places = np.random.default_rng(3).normal(size=(12, 2)) * 0.3
    anchors = Anchors(places, np.full(12, pull))

    diagram = balanced_power_diagram(points, targets, places, anchors, lambda _: False)

    assert diagram.residual < 1e-2
    if pull == 1:
        assert np.allclose(diagram.centres, places)


@pytest.mark.machine_code
def test_drawn_centres_cost_less_than_plain_ones_by_their_own_measure(points, targets):
    places = np.random.default_rng(3).normal(size=(12, 2)) * 0.3
    drawn = Anchors(places, np.full(12, 0.5))
    fixed = Anchors(places, np.ones(12))

    half = balanced_power_diagram(points, targets, places, drawn, lambda _: False)
    whole = balanced_power_diagram(points, targets, places, fixed, lambda _: False)

    assert half.cost < whole.cost


def test_prices_of_any_size_leave_no_point_without_a_territory(points, targets):
    centres = start_centres(points, targets)
    smoothing = np.full(len(points.x), 1e-6)
    prices = np.linspace(-1e12, 1e12, len(targets))

    seen = look(points, targets, centres, prices, smoothing)

    assert np.isfinite(seen.value).all()
    assert seen.loads.sum() == pytest.approx(points.mass.sum())
