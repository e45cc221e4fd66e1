"""When a policy fires, from facts alone: thresholds, gaps, and what is not known."""

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.policies.months import earlier, full_quarter, last_day, month_ends
from app.policies.parameters import (
    EfficiencyGap,
    Growth,
    MaxCustomers,
    Parameters,
    Utilisation,
    Vacancy,
)
from app.policies.rules import Facts, Owner, Rule, TerritoryFacts, evaluate
from app.policies.schemas import BODIES

ON = date(2026, 11, 28)
KINDS: dict[type, Any] = {
    MaxCustomers: "max_customers", Growth: "growth", EfficiencyGap: "efficiency_gap",
    Utilisation: "utilisation", Vacancy: "vacancy",
}  # fmt: skip
LIN = Owner(rep_id=1, heads=1.0, capacity_minutes=100.0)


def rule_of(parameters: Parameters) -> Rule:
    kind = KINDS[type(parameters)]
    proposal = BODIES[kind].model_fields["proposal"].default
    return Rule(policy_id=7, version=3, kind=kind, parameters=parameters, proposal=proposal)


def facts_of(*territories: TerritoryFacts, **missing: str) -> Facts:
    quarters = date(2026, 6, 1), date(2026, 9, 1)
    return Facts(ON, territories, date(2025, 11, 1), quarters, missing)  # type: ignore[arg-type]


def fires(parameters: Parameters, *territories: TerritoryFacts) -> list[str]:
    found = evaluate([rule_of(parameters)], facts_of(*territories))
    return [finding.territory_code for finding in found.findings]


def says(parameters: Parameters, *territories: TerritoryFacts) -> str:
    (finding,) = evaluate([rule_of(parameters)], facts_of(*territories)).findings
    return finding.sentence


T07 = TerritoryFacts("T07")


@pytest.mark.parametrize(
    ("customers", "is_over"), [(0, False), (149, False), (150, False), (151, True), (None, False)]
)
def test_over_150_customers_means_more_than_150(customers: int | None, is_over: bool) -> None:
    found = fires(MaxCustomers(), replace(T07, customers=customers))

    assert found == ["T07"] * is_over


@pytest.mark.parametrize(
    ("before", "now", "is_growing"),
    [
        (100, 130, False),
        (100, 131, True),
        # In binary 110 x 1.3 is a little more than 143, and 130 / 100 - 1 more than 0.3.
        (110, 143, False),
        (110, 144, True),
        (19, 1000, False),
        (20, 26, False),
        (20, 27, True),
        (0, 50, False),
        (None, 50, False),
        (100, 50, False),
    ],
)
def test_growth_is_over_30_per_cent_from_a_base_of_20(
    before: int | None, now: int, is_growing: bool
) -> None:
    found = fires(Growth(), replace(T07, residents=now, residents_before=before))

    assert found == ["T07"] * is_growing


@pytest.mark.parametrize(
    ("work", "is_outside"),
    [(85.0, False), (84.99, True), (100.0, False), (115.0, False), (115.01, True), (None, False)],
)
def test_utilisation_is_outside_of_the_tolerance_on_either_side(
    work: float | None, is_outside: bool
) -> None:
    found = fires(Utilisation(), replace(T07, work_minutes=work, owner=LIN))

    assert found == ["T07"] * is_outside


def test_a_territory_without_a_rep_has_no_utilisation() -> None:
    assert fires(Utilisation(), replace(T07, work_minutes=900.0)) == []


def test_a_rep_of_two_territories_is_loaded_by_both() -> None:
    each = [TerritoryFacts(code, work_minutes=60.0, owner=LIN) for code in ("T01", "T02")]

    assert fires(Utilisation(), each[0], each[1]) == ["T01", "T02"]
    assert fires(Utilisation(), replace(each[0], work_minutes=40.0), each[1]) == []


@pytest.mark.parametrize(
    ("grace", "since", "is_told"),
    [
        (0, ON, True),
        (0, None, False),
        (30, date(2026, 10, 30), False),
        (30, date(2026, 10, 29), True),
    ],
)
def test_a_vacancy_is_told_once_its_days_of_grace_are_over(
    grace: int, since: date | None, is_told: bool
) -> None:
    found = fires(Vacancy(grace_days=grace), replace(T07, vacant_since=since))

    assert found == ["T07"] * is_told


def gap_of(before: float, now: float, others: int = 4) -> list[str]:
    """What fires where the others bring 100 a head in both quarters."""
    rest = [
        TerritoryFacts(
            f"O{nth}", owner=Owner(nth + 10, 2.0, 1.0), revenue=(200.0, 200.0)
        )
        for nth in range(others)
    ]  # fmt: skip
    return fires(EfficiencyGap(), replace(T07, owner=LIN, revenue=(before, now)), *rest)


@pytest.mark.parametrize(
    ("before", "now", "is_apart"),
    [
        (121.0, 121.0, True),
        (79.0, 79.0, True),
        (120.0, 121.0, False),
        (121.0, 120.0, False),
        (80.0, 79.0, False),
        # Apart twice, but on the other side: no gap that lasts.
        (121.0, 79.0, False),
        (79.0, 121.0, False),
        (100.0, 300.0, False),
        (0.0, 0.0, True),
    ],
)
def test_a_gap_must_be_over_20_per_cent_on_one_side_in_both_quarters(
    before: float, now: float, is_apart: bool
) -> None:
    assert gap_of(before, now) == ["T07"] * is_apart


def test_output_is_per_head() -> None:
    pair = replace(T07, owner=replace(LIN, heads=2.0), revenue=(200.0, 200.0))
    rest = [TerritoryFacts(f"O{n}", owner=Owner(n, 1.0, 1.0), revenue=(100.0, 100.0))
            for n in (5, 6)]  # fmt: skip

    assert fires(EfficiencyGap(), pair, *rest) == []
    assert fires(EfficiencyGap(), replace(pair, owner=LIN), *rest) == ["T07"]


def test_nothing_is_apart_from_a_median_of_nothing() -> None:
    rest = [TerritoryFacts(f"O{n}", owner=Owner(n, 1.0, 1.0), revenue=(0.0, 0.0)) for n in (5, 6)]

    assert fires(EfficiencyGap(), replace(T07, owner=LIN, revenue=(9.0, 9.0)), *rest) == []
    assert fires(EfficiencyGap()) == []


def test_each_sentence_gives_the_numbers_the_threshold_and_what_to_do() -> None:
    owned = replace(T07, owner=LIN, work_minutes=129.0)
    rest = [TerritoryFacts(f"O{n}", owner=Owner(n, 1.0, 1.0), revenue=(100.0, 100.0))
            for n in (5, 6)]  # fmt: skip

    assert says(MaxCustomers(), replace(T07, customers=171)) == (
        "T07 has 171 customers; over 150: split it."
    )
    assert says(Growth(), replace(T07, residents=134, residents_before=100)) == (
        "T07 grew by 34 % from 100 customers in 2025-11 to 134; over 30 %: split it."
    )
    assert says(Utilisation(), owned) == (
        "T07 takes 129 % of the capacity of its rep; outside 85 % to 115 %: rebalance it."
    )
    assert says(Vacancy(), replace(T07, vacant_since=date(2026, 11, 1))) == (
        "T07 has no rep since 2026-11-01: assign a rep."
    )
    assert says(EfficiencyGap(), replace(owned, revenue=(69.0, 72.5)), *rest) == (
        "T07 brought 31 % less per head than the median in 2026-Q2 and 27.5 % less in 2026-Q3; "
        "apart by more than 20 % two quarters running: rebalance it."
    )


def test_what_is_missing_is_said_and_fires_nothing() -> None:
    growing = replace(T07, residents=500, residents_before=100, customers=500)
    facts = facts_of(growing, growth="no snapshot for 2025-11")

    found = evaluate([rule_of(Growth()), rule_of(MaxCustomers())], facts)

    assert [(item.rule.kind, item.reason) for item in found.unknown] == [
        ("growth", "no snapshot for 2025-11")
    ]
    assert [finding.rule.kind for finding in found.findings] == ["max_customers"]


counts = st.integers(0, 10_000)
shares = st.integers(1, 500).map(lambda per_cent: per_cent / 100)
# Cents, as money and minutes are rounded.
amounts = st.integers(0, 10**8).map(lambda cents: cents / 100)


@given(counts, st.integers(1, 10_000))
def test_any_number_of_customers_fires_exactly_beyond_the_threshold(n: int, limit: int) -> None:
    found = fires(MaxCustomers(customers=limit), replace(T07, customers=n))

    assert bool(found) == (n > limit)


@given(counts, counts, shares, st.integers(1, 100))
def test_any_growth_fires_exactly_beyond_its_share(
    before: int, now: int, share: float, base: int
) -> None:
    parameters = Growth(growth=share, min_base=base)
    found = fires(parameters, replace(T07, residents=now, residents_before=before))

    per_cent = round(share * 100)
    assert bool(found) == (before >= base and (now - before) * 100 > per_cent * before)


@given(amounts, st.integers(1, 10**8), shares)
def test_any_utilisation_fires_exactly_outside_its_tolerance(
    work: float, cents: int, share: float
) -> None:
    owner = replace(LIN, capacity_minutes=cents / 100)
    found = fires(Utilisation(tolerance=share), replace(T07, work_minutes=work, owner=owner))

    apart = abs(Fraction(round(work * 100), cents) - 1)
    assert bool(found) == (apart > Fraction(round(share * 100), 100))


@given(st.lists(st.tuples(amounts, amounts), min_size=1, max_size=8), shares)
def test_any_gap_that_fires_is_over_its_share_on_one_side_in_both_quarters(
    revenues: list[tuple[float, float]], share: float
) -> None:
    territories = [
        TerritoryFacts(f"T{n}", owner=Owner(n, 1.0, 1.0), revenue=revenue)
        for n, revenue in enumerate(revenues)
    ]
    found = set(fires(EfficiencyGap(gap=share), *territories))

    exact = [[Fraction(str(value)) for value in quarter] for quarter in zip(*revenues, strict=True)]
    middles = [median(quarter) for quarter in exact]
    limit = Fraction(round(share * 100), 100)
    for nth, territory in enumerate(territories):
        gaps = [q[nth] - middle for q, middle in zip(exact, middles, strict=True)]
        over = [abs(gap) > limit * middle > 0 for gap, middle in zip(gaps, middles, strict=True)]
        is_apart = all(over) and (gaps[0] > 0) == (gaps[1] > 0)
        assert (territory.code in found) == is_apart


@pytest.mark.parametrize(
    ("day", "last_month"),
    [
        (date(2026, 11, 28), date(2026, 9, 1)),
        (date(2026, 9, 29), date(2026, 6, 1)),
        (date(2026, 9, 30), date(2026, 9, 1)),
        (date(2026, 12, 31), date(2026, 12, 1)),
        (date(2026, 2, 28), date(2025, 12, 1)),
        (date(2026, 1, 1), date(2025, 12, 1)),
        (date(2024, 3, 31), date(2024, 3, 1)),
    ],
)
def test_a_quarter_counts_from_its_last_day_on(day: date, last_month: date) -> None:
    assert full_quarter(day) == last_month


@given(st.dates(date(1901, 1, 1), date(2199, 1, 1)), st.integers(0, 300))
def test_months_before_each_other_are_months_apart(day: date, months: int) -> None:
    month = day.replace(day=1)
    before = earlier(month, months)

    assert (month.year - before.year) * 12 + month.month - before.month == months
    assert before.day == 1


@given(st.dates(date(2000, 1, 1), date(2030, 1, 1)), st.integers(0, 800))
def test_ends_of_months_between_days_are_all_there_and_nothing_else(day: date, days: int) -> None:
    until = day + timedelta(days=days)
    each = [day + timedelta(days=n) for n in range(days + 1)]

    assert list(month_ends(day, until)) == [d for d in each if d == last_day(d.replace(day=1))]
