import numpy as np
import pytest

from balancing import Parameters, design, verify
from tests.balancing.patches import hexagon_instance, parallelogram

PARAMETERS = Parameters(n_territories=6, tolerances=(0.001,), n_starts=1)


@pytest.fixture(autouse=True, params=["power diagram", "population"])
def engine(request, monkeypatch):
    """Either engine, whatever the number of units."""
    if request.param == "power diagram":
        monkeypatch.setattr("balancing.component.FEW_UNITS", 0)
        monkeypatch.setattr("balancing.component.MOST_POPULATION_UNITS", 0)
    return request.param


@pytest.fixture(scope="module")
def instance():
    activity = np.random.default_rng(4).uniform(0.5, 1.5, 150)
    hexagons = parallelogram(10, 10) + parallelogram(10, 5, left=20)
    return hexagon_instance(hexagons, activity)


@pytest.mark.machine_code
def test_progress_never_falls_and_ends_at_one(instance):
    seen = []

    design(instance, PARAMETERS, 0, seen.append)

    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert {type(fraction) for fraction in fractions} == {float}
    assert 0 <= fractions[0] < 0.1
    assert fractions[-1] == 1.0


@pytest.mark.machine_code
def test_the_phases_are_told_and_the_best_imbalance_once_there_is_a_plan(instance, engine):
    seen = []

    design(instance, PARAMETERS, 0, seen.append)

    phases = {"starting", "annealing", "polishing"}
    expected = phases if engine == "power diagram" else {"searching"}
    assert expected | {"verifying"} <= {p.phase for p in seen}
    assert seen[0].best_imbalance is None
    assert any(p.best_imbalance is not None for p in seen)


@pytest.mark.machine_code
def test_watching_does_not_change_the_plan(instance):
    watched = design(instance, PARAMETERS, 0, lambda progress: None)
    unwatched = design(instance, PARAMETERS, 0)

    assert np.array_equal(watched.alignment, unwatched.alignment)


# Forty steps are more than the small budget of the pass in Python may have.
@pytest.mark.parametrize("n_calls", [1, 2, 5, pytest.param(40, marks=pytest.mark.machine_code)])
def test_a_run_asked_to_stop_at_any_step_hands_back_a_valid_plan(instance, n_calls):
    calls = []

    def stop_after(progress):
        calls.append(progress)
        return len(calls) >= n_calls

    result = design(instance, PARAMETERS, 0, stop_after)

    verify(instance, result)
    assert result.stop_reason == "cancelled"
    assert len(calls) == n_calls


def test_an_exception_of_the_observer_leaves_unchanged(instance):
    def fail(progress):
        raise TimeoutError("lease lost")

    with pytest.raises(TimeoutError, match="lease lost"):
        design(instance, PARAMETERS, 0, fail)
