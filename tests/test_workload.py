"""The workload model against arithmetic done by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings import WorkSettings
from app.workload import travel_minutes, visits_per_year, work_minutes

SETTINGS = WorkSettings()
NONE = float("nan")
DISTANCES = st.lists(st.floats(0, 2e7), min_size=1, max_size=20)


def _work(letter: str, distance_m: float, visits: float = NONE, service: float = NONE) -> float:
    due = visits_per_year(SETTINGS, [letter], np.array([visits]), np.array([False]))
    minutes = work_minutes(SETTINGS, [letter], due, np.array([service]), np.array([distance_m]))
    return float(minutes[0])


@pytest.mark.parametrize(
    ("letter", "distance_m", "minutes"),
    [
        # visits × (service + 5 administration + 3 fixed + 60 × 1.3 × km / speed)
        ("A", 500, 36 * (45 + 5 + 3 + 78 * 0.5 / 25)),
        ("B", 2_000, 12 * (30 + 5 + 3 + 78 * 2 / 40)),
        ("C", 10_000, 4 * (20 + 5 + 3 + 78 * 10 / 60)),
        ("S", 0, 130 * (45 + 5 + 3)),
        ("D", 10_000, 0),
        # Beyond the longest leg of 150 km the way counts no further.
        ("C", 9_000_000, 4 * (20 + 5 + 3 + 78 * 150 / 60)),
    ],
)
def test_work_is_visits_times_service_and_travel(
    letter: str, distance_m: float, minutes: float
) -> None:
    assert _work(letter, distance_m) == pytest.approx(minutes, abs=0.005)


@pytest.mark.parametrize(
    ("distance_km", "speed_kmh"), [(0.999, 25), (1.0, 40), (3.999, 40), (4.0, 60)]
)
def test_the_speed_follows_the_density_of_the_ground(distance_km: float, speed_kmh: float) -> None:
    minutes = travel_minutes(SETTINGS, np.array([distance_km * 1000]))

    assert minutes[0] == pytest.approx(3 + 78 * distance_km / speed_kmh)


def test_numbers_of_the_customer_win_over_those_of_its_class() -> None:
    assert _work("A", 0, visits=2) == 2 * (45 + 8)
    assert _work("A", 0, service=7) == 36 * (7 + 8)
    assert _work("A", 0, visits=0) == 0


def test_inactive_customers_are_not_visited() -> None:
    visits = visits_per_year(SETTINGS, ["A", "A"], np.array([NONE, 5.0]), np.array([True, True]))

    assert visits.tolist() == [0, 0]


def test_a_class_without_a_row_counts_as_the_default_class() -> None:
    visits = visits_per_year(SETTINGS, ["X", "C"], np.array([NONE, NONE]), np.zeros(2, dtype=bool))

    assert visits[0] == visits[1] == 4


def test_nobody_is_no_work() -> None:
    nothing = np.array([])

    assert len(visits_per_year(SETTINGS, [], nothing, nothing.astype(bool))) == 0
    assert len(work_minutes(SETTINGS, [], nothing, nothing, nothing)) == 0


@given(DISTANCES)
def test_work_is_finite_and_never_negative(distances_m: list[float]) -> None:
    n = len(distances_m)
    minutes = work_minutes(
        SETTINGS, ["A"] * n, np.full(n, 36.0), np.full(n, NONE), np.array(distances_m)
    )

    assert np.all(np.isfinite(minutes))
    assert np.all(minutes >= 0)


@given(DISTANCES)
def test_the_work_of_a_customer_does_not_depend_on_who_stands_beside_it(
    distances_m: list[float],
) -> None:
    together = travel_minutes(SETTINGS, np.array(distances_m))

    alone = [float(travel_minutes(SETTINGS, np.array([metres]))[0]) for metres in distances_m]
    assert together.tolist() == alone


@given(st.floats(0, 150_000), st.sampled_from("SABC"))
def test_work_is_kept_in_hundredths_of_a_minute(distance_m: float, letter: str) -> None:
    minutes = _work(letter, distance_m)

    assert round(minutes, 2) == minutes
