"""How evenly something is shared out: Gini coefficient, range, ratio and variation.

All are of amounts that are not negative, one for each person. Gini (1912) in the form for sorted
amounts: G = 2 Σ i x(i) / (n Σ x) - (n + 1) / n, which is half the mean difference between any two
over the mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, sqrt


@dataclass(frozen=True, slots=True)
class Evenness:
    """How evenly amounts are shared out; `ratio` is None where somebody has nothing."""

    n: int
    mean: float
    smallest: float
    largest: float
    range: float
    ratio: float | None
    variation: float
    gini: float


def evenness(amounts: Sequence[float]) -> Evenness:
    """Return how evenly amounts are shared out.

    Raises
    ------
    ValueError
        When there are none, or one is negative.
    """
    if not amounts or min(amounts) < 0:
        raise ValueError("evenness is of amounts that are not negative, one at least")
    mean = fsum(amounts) / len(amounts)
    smallest, largest = min(amounts), max(amounts)
    return Evenness(
        n=len(amounts),
        mean=mean,
        smallest=smallest,
        largest=largest,
        range=largest - smallest,
        ratio=largest / smallest if smallest > 0 else None,
        variation=variation(amounts),
        gini=gini(amounts),
    )


def gini(amounts: Sequence[float]) -> float:
    """Return the Gini coefficient: 0 where all have the same, near 1 where one of many has all."""
    largest = max(amounts)
    if largest == 0:
        return 0.0
    # Parts of the largest: sums of them neither overflow nor vanish.
    parts = sorted(amount / largest for amount in amounts)
    n, total = len(parts), fsum(parts)
    ranked = fsum(rank * part for rank, part in enumerate(parts, start=1))
    return max(0.0, 2 * ranked / (n * total) - (n + 1) / n)


def variation(amounts: Sequence[float]) -> float:
    """Return the coefficient of variation: standard deviation of all of them over the mean."""
    largest = max(amounts)
    if largest == 0:
        return 0.0
    parts = [amount / largest for amount in amounts]
    mean = fsum(parts) / len(parts)
    return sqrt(fsum((part - mean) ** 2 for part in parts) / len(parts)) / mean
