"""Rates: what is counted, what is forgotten, and that counting costs no thread."""

import threading

from hypothesis import given
from hypothesis import strategies as st
from limits import parse

from app.http.rates import SlidingRate


class Clock:
    def __init__(self) -> None:
        self.now = 6_000_000.0

    def __call__(self) -> float:
        return self.now


def rate(text: str) -> tuple[SlidingRate, Clock]:
    clock = Clock()
    return SlidingRate(parse(text), clock), clock


def test_a_rate_is_per_caller_and_refusals_are_not_counted() -> None:
    rated, _ = rate("3/minute")

    assert [rated.take("a") for _ in range(5)] == [True, True, True, False, False]
    assert rated.take("b")


def test_the_last_window_counts_by_the_part_of_it_that_is_still_near() -> None:
    rated, clock = rate("10/minute")
    assert all(rated.take("a") for _ in range(10))

    clock.now += 60
    assert not rated.take("a")
    clock.now += 30
    assert sum(rated.take("a") for _ in range(10)) == 5


@given(st.lists(st.tuples(st.floats(0, 40), st.integers(1, 9)), min_size=1, max_size=12))
def test_after_the_wait_that_is_told_one_more_is_within_the_rate(
    steps: list[tuple[float, int]],
) -> None:
    rated, clock = rate("5/minute")
    for seconds, asked in steps:
        clock.now += seconds
        taken = [rated.take("a") for _ in range(asked)]
        if not taken[-1]:
            wait_s = rated.wait_s("a")
            assert 0 < wait_s <= 120
            clock.now += wait_s + 1e-6
            assert rated.take("a")


def test_a_window_that_was_left_out_counts_nothing() -> None:
    rated, clock = rate("2/minute")
    assert [rated.take("a"), rated.take("a")] == [True, True]

    clock.now += 120
    assert [rated.take("a") for _ in range(3)] == [True, True, False]


def test_whoever_stays_away_is_forgotten() -> None:
    rated, clock = rate("2/minute")
    for number in range(1000):
        rated.take(str(number))
    for _ in range(2):
        clock.now += 60
        rated.take("somebody")

    assert set(rated._now) | set(rated._before) == {"somebody"}


def test_counting_starts_no_thread() -> None:
    before = threading.active_count()
    rated, _ = rate("1000/minute")
    for _ in range(100):
        assert rated.take("a")

    assert threading.active_count() == before
