"""Which territories a policy fires for: facts and rules in, findings out, nothing read or written.

All comparisons are strict and exact: who stands on a threshold is not over it. Numbers are compared
as the decimals they are written as, for 100 x 1.3 is not 130 in binary.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from statistics import median
from typing import Any

from app.policies.months import month_name, quarter_name
from app.policies.parameters import (
    EfficiencyGap,
    Growth,
    Kind,
    MaxCustomers,
    Parameters,
    Proposal,
    Utilisation,
    Vacancy,
)

WHAT_TO_DO: dict[Proposal, str] = {
    "split": "split it", "rebalance": "rebalance it", "assign": "assign a rep",
}  # fmt: skip
Evidence = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy as it is at one version."""

    policy_id: int
    version: int
    kind: Kind
    parameters: Parameters
    proposal: Proposal


@dataclass(frozen=True, slots=True)
class Owner:
    """The rep of a territory; `heads` is their full-time equivalent."""

    rep_id: int
    heads: float
    capacity_minutes: float


@dataclass(frozen=True, slots=True)
class TerritoryFacts:
    """What is known of a territory; None is what nobody knows.

    Attributes
    ----------
    customers, work_minutes
        With named accounts where their account is.
    residents, residents_before
        Customers on its ground now and in the same month of last year, named accounts where they
        live: snapshots do not know them.
    revenue
        Of the last but one full quarter, and of the last.
    """

    code: str
    customers: int | None = None
    work_minutes: float | None = None
    owner: Owner | None = None
    vacant_since: date | None = None
    residents: int | None = None
    residents_before: int | None = None
    revenue: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """The territories of the plan in force on a day, and what is not known of any of them.

    `missing` holds the reason by kind. `base_month` is what growth is measured from, `quarters` are
    those of `TerritoryFacts.revenue`.
    """

    on: date
    territories: Sequence[TerritoryFacts]
    base_month: date
    quarters: tuple[date, date]
    missing: dict[Kind, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that fires for a territory."""

    rule: Rule
    territory_code: str
    evidence: Evidence
    sentence: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A rule of which nobody can tell whether it would fire."""

    rule: Rule
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What fires; of all other territories and these rules it is known that they do not."""

    rules: tuple[Rule, ...]
    findings: tuple[Finding, ...]
    unknown: tuple[Unknown, ...]


def evaluate(rules: Iterable[Rule], facts: Facts) -> Outcome:
    """Return what rules find, each territory at most once for each rule, in the order given."""
    findings: list[Finding] = []
    unknown: list[Unknown] = []
    asked = tuple(rules)
    for rule in asked:
        reason = facts.missing.get(rule.kind)
        if reason is not None:
            unknown.append(Unknown(rule, reason))
            continue
        for code, (evidence, what) in CHECKS[rule.kind](rule.parameters, facts).items():
            sentence = f"{code} {what}: {WHAT_TO_DO[rule.proposal]}."
            findings.append(Finding(rule, code, evidence, sentence))
    return Outcome(asked, tuple(findings), tuple(unknown))


Found = dict[str, tuple[Evidence, str]]


def _many_customers(given: MaxCustomers, facts: Facts) -> Found:
    found: Found = {}
    for territory in facts.territories:
        count = territory.customers
        if count is not None and count > given.customers:
            evidence = {"customers": count, "threshold": given.customers, "on": str(facts.on)}
            found[territory.code] = evidence, f"has {count} customers; over {given.customers}"
    return found


def _growing(given: Growth, facts: Facts) -> Found:
    found: Found = {}
    for territory in facts.territories:
        now, base = territory.residents, territory.residents_before
        if now is None or base is None or base < given.min_base:
            continue
        if _exact(now) <= _exact(base) * (1 + _exact(given.growth)):
            continue
        growth = now / base - 1
        evidence = {
            "customers": now, "customers_before": base,
            "month_before": month_name(facts.base_month), "growth": _rounded(growth),
            "threshold": given.growth, "on": str(facts.on),
        }  # fmt: skip
        what = (
            f"grew by {_percent(growth)} from {base} customers in {month_name(facts.base_month)} "
            f"to {now}; over {_percent(given.growth)}"
        )
        found[territory.code] = evidence, what
    return found


def _apart(given: EfficiencyGap, facts: Facts) -> Found:
    outputs = [_outputs(facts, nth) for nth in (0, 1)]
    if not outputs[1]:
        return {}
    middles = [median(map(_exact, output.values())) for output in outputs]
    names = [quarter_name(quarter) for quarter in facts.quarters]
    found: Found = {}
    for code in outputs[1]:
        mine = [output[code] for output in outputs]
        sides = [_side(*pair, given.gap) for pair in zip(mine, middles, strict=True)]
        if sides[0] == 0 or sides[0] != sides[1]:
            continue
        gaps = [output / float(middle) - 1 for output, middle in zip(mine, middles, strict=True)]
        evidence = {
            "quarters": names, "output_per_head": [_rounded(value) for value in mine],
            "median": [_rounded(float(value)) for value in middles],
            "gap": [_rounded(gap) for gap in gaps], "threshold": given.gap, "on": str(facts.on),
        }  # fmt: skip
        word = "more" if sides[1] > 0 else "less"
        what = (
            f"brought {_percent(abs(gaps[0]))} {word} per head than the median in {names[0]} and "
            f"{_percent(abs(gaps[1]))} {word} in {names[1]}; apart by more than "
            f"{_percent(given.gap)} two quarters running"
        )
        found[code] = evidence, what
    return found


def _outputs(facts: Facts, quarter: int) -> dict[str, float]:
    """Return the output per head of each territory that has a rep, over all that this rep has."""
    revenues: dict[int, float] = {}
    held = [t for t in facts.territories if t.owner is not None and t.revenue is not None]
    for territory in held:
        assert territory.owner is not None
        assert territory.revenue is not None
        rep_id = territory.owner.rep_id
        revenues[rep_id] = revenues.get(rep_id, 0.0) + territory.revenue[quarter]
    return {
        t.code: round(revenues[t.owner.rep_id] / t.owner.heads, 6)
        for t in held
        if t.owner is not None
    }


def _side(value: float, middle: float | Fraction, share: float) -> int:
    """Return on which side of the middle a value is, 0 unless apart by more than a share."""
    apart = _exact(value) - _exact(middle)
    # Nothing is a share of a median of nothing.
    if middle == 0 or abs(apart) <= _exact(share) * _exact(middle):
        return 0
    return 1 if apart > 0 else -1


def _loaded(given: Utilisation, facts: Facts) -> Found:
    loads: dict[int, float] = {}
    n_held: dict[int, int] = {}
    for territory in facts.territories:
        if territory.owner is not None and territory.work_minutes is not None:
            rep_id = territory.owner.rep_id
            loads[rep_id] = loads.get(rep_id, 0.0) + territory.work_minutes
            n_held[rep_id] = n_held.get(rep_id, 0) + 1
    low, high = (_percent(1 - given.tolerance), _percent(1 + given.tolerance))
    found: Found = {}
    for territory in facts.territories:
        owner = territory.owner
        if owner is None or territory.work_minutes is None:
            continue
        work, capacity = round(loads[owner.rep_id], 2), owner.capacity_minutes
        if _side(work, capacity, given.tolerance) == 0:
            continue
        evidence = {
            "work_minutes": work, "capacity_minutes": capacity, "rep_id": owner.rep_id,
            "territories_of_rep": n_held[owner.rep_id], "utilisation": _rounded(work / capacity),
            "threshold": given.tolerance, "on": str(facts.on),
        }  # fmt: skip
        of_all = f" with {n_held[owner.rep_id]} territories" * (n_held[owner.rep_id] > 1)
        what = (
            f"takes {_percent(work / capacity)} of the capacity of its rep{of_all}; "
            f"outside {low} to {high}"
        )
        found[territory.code] = evidence, what
    return found


def _vacant(given: Vacancy, facts: Facts) -> Found:
    found: Found = {}
    for territory in facts.territories:
        if territory.owner is not None or territory.vacant_since is None:
            continue
        days = (facts.on - territory.vacant_since).days
        if days >= given.grace_days:
            evidence = {
                "vacant_since": str(territory.vacant_since), "days": max(days, 0),
                "threshold": given.grace_days, "on": str(facts.on),
            }  # fmt: skip
            found[territory.code] = evidence, f"has no rep since {territory.vacant_since}"
    return found


CHECKS: dict[Kind, Callable[[Any, Facts], Found]] = {
    "max_customers": _many_customers,
    "growth": _growing,
    "efficiency_gap": _apart,
    "utilisation": _loaded,
    "vacancy": _vacant,
}


def _exact(number: float | Fraction) -> Fraction:
    return Fraction(str(number))


def _rounded(number: float) -> float:
    return round(number, 4)


def _percent(share: float) -> str:
    """Return a share in per cent, to a tenth where it is none of a hundredth."""
    return f"{share * 100:.1f}".removesuffix(".0") + " %"
