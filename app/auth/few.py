"""Which parts of a sum are of too few customers to be told, and which would give those away."""

from collections.abc import Sequence


def is_few(customers: float, fewest: int) -> bool:
    """Tell whether a number is of so few customers that they could be known by it."""
    return 0 < customers < fewest


def hidden_parts(customers: Sequence[float], fewest: int) -> list[bool]:
    """Return which parts of a known sum are hidden from who may see sums over `fewest` or more.

    All parts that are hidden can be told together from the sum and the others. So where they are of
    too few customers even together, the smallest of the others is hidden as well.
    """
    hidden = [is_few(count, fewest) for count in customers]
    by_size = iter(sorted(range(len(customers)), key=lambda part: customers[part]))
    while is_few(sum(count for count, h in zip(customers, hidden, strict=True) if h), fewest):
        part = next((part for part in by_size if customers[part] and not hidden[part]), None)
        if part is None:
            break
        hidden[part] = True
    return hidden
