"""With `NUMBA_DISABLE_JIT=1` the laws are checked of the kernels as Python, on small budgets.

Machine code leaves no trace for coverage to count, and Python finds an index out of range where
machine code reads on. The same laws hold for any budget; how good a plan gets is asked of
compiled kernels only.
"""

from collections.abc import Iterator

import pytest

from tests.balancing.patches import IS_COMPILED

SMALL = {
    "population.N_PROPOSALS": 2400,
    "population.N_DISTANCE_PROPOSALS": 2400,
    "population.BUDGET_PER_UNIT": 0,
    "population.LEAST_RUN": 100,
    "population.MOST_RUN": 100,
    "short_run.BLOCK": 50,
    "component.N_SWEEPS": 8,
    "component.COLD_PROPOSALS_PER_UNIT": 4,
    "component.COLD_PROPOSALS": 4000,
    "component.HOT_PROPOSALS_PER_UNIT": 4,
    "component.HOT_PROPOSALS": 4000,
    "component.HOT_PROPOSALS_IN_ALL": 8000,
    "component.N_REPAIR_ROUNDS": 4,
    "component.MOST_REPAIR_ROUNDS": 8,
    "power_diagram.N_LLOYD_STEPS": 8,
    "near_search.N_SWEEPS": 8,
    "near_search.PROPOSALS_PER_BORDER_UNIT": 4,
    "near_search.LEAST_PROPOSALS": 2000,
    "near_search.N_MENDINGS": 1,
    "near_search.N_MENDING_SWEEPS": 4,
    "near_search.N_REPAIR_ROUNDS": 2,
}

# Random numbers wrap around; a pair of moves is first weighed roughly, as if the second unit left
# before the first came, and of a territory of one unit that is not a number.
QUIET = ("overflow encountered in scalar", "invalid value encountered in scalar")


@pytest.fixture(scope="session", autouse=True)
def _budgets() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SMALL.items() if not IS_COMPILED else ():
            patch.setattr(f"balancing.{name}", value)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what needs machine code; let numbers run over as quietly as there."""
    if IS_COMPILED:
        return
    for item in items:
        for what in QUIET:
            item.add_marker(pytest.mark.filterwarnings(f"ignore:{what}:RuntimeWarning"))
        if item.get_closest_marker("machine_code"):
            item.add_marker(pytest.mark.skip(reason="asks for what only compiled kernels reach"))
