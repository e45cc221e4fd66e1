"""Parts of a sum: what is hidden tells nothing of a few customers, even all of it together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.auth.few import hidden_parts

COUNTS = st.lists(st.integers(0, 12), max_size=12)


@given(COUNTS)
def test_what_is_hidden_is_of_many_together_or_all_there_is(counts: list[int]) -> None:
    hidden = hidden_parts(counts, 5)

    together = sum(n for n, is_hidden in zip(counts, hidden, strict=True) if is_hidden)
    told = [n for n, is_hidden in zip(counts, hidden, strict=True) if not is_hidden]
    assert not any(0 < n < 5 for n in told)
    assert together == 0 or together >= 5 or not any(told)


@given(COUNTS)
def test_nothing_is_hidden_without_need(counts: list[int]) -> None:
    if not any(0 < n < 5 for n in counts):
        assert not any(hidden_parts(counts, 5))
    assert not any(hidden_parts(counts, 1))


@pytest.mark.parametrize(
    ("counts", "hidden"),
    [([3, 20, 7], [True, False, True]), ([1, 2, 9], [True] * 3), ([3, 4, 7], [True, True, False])],
)
def test_the_smallest_of_the_others_goes_with_what_is_hidden(
    counts: list[int], hidden: list[bool]
) -> None:
    assert hidden_parts(counts, 5) == hidden
