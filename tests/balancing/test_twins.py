"""The kernels as machine code against the same kernels as Python."""

import os
import subprocess
import sys

import numpy as np
import orjson
import pytest

from balancing.annealing import Schedule, anneal
from balancing.growth import fresh_plan
from balancing.short_run import Control, Rates, short_run
from balancing.state import make_state
from balancing.working_plan import make_links
from tests.balancing.patches import hexagon_instance, one_component_problem, parallelogram
from tests.conftest import REPOSITORY

OBJECTIVES = ("moment_of_inertia", "total_distance", "cut_edges")


def alignments(objective):
    """What either search makes of one problem within a small budget."""
    activity = np.random.default_rng(1).uniform(0.5, 1.5, 60)
    instance = hexagon_instance(parallelogram(10, 6), activity)
    problem, bands = one_component_problem(instance, 4, objective=objective, max_radius_m=4000.0)
    start = fresh_plan(problem, np.array([7], np.uint64), True)
    state = make_state(problem, start)
    schedule = Schedule(0.05, 3e-6, 10.0, 1e5, 4, 500)
    anneal(problem, state, bands, np.zeros(4), schedule, 1.0, np.random.default_rng(2))
    outcome = short_run(
        problem,
        bands,
        make_links(problem),
        Rates(1.0, 0.3),
        Control(1.0, 0.1, 10.0, 0.0, 0.6, 3000),
        start,
        np.array([9], np.uint64),
        np.zeros(1, bool),
    )
    return [start.tolist(), state.alignment.tolist(), outcome.alignment.tolist()]


@pytest.mark.machine_code
def test_machine_code_makes_the_very_plans_that_python_makes():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.balancing.test_twins"],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        cwd=REPOSITORY, capture_output=True, check=True, timeout=240,
    )  # fmt: skip

    by_python = orjson.loads(done.stdout)

    assert by_python == {objective: alignments(objective) for objective in OBJECTIVES}


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps({name: alignments(name) for name in OBJECTIVES}))
