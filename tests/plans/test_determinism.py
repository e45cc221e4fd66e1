"""One seed, one plan: in another process, and with the customers in another order."""

import subprocess
import sys

import numpy as np
from sqlalchemy import text

from app.plans.job import read_demand
from geo.cells import cell_from_point

INSERT = text("""
    INSERT INTO customer (external_id, name, geom, cell, class, work_minutes, potential)
    VALUES (:id, :id, ST_SetSRID(ST_MakePoint(113, 30), 4326), :cell, 'B', :work, :work)
""")

DESIGN = """
import numpy as np
from balancing import Graph, Instance, Parameters, design
from tests.balancing.patches import hexagon_instance, parallelogram

activity = np.random.default_rng(1).lognormal(size={side} ** 2)
instance = hexagon_instance(parallelogram({side}, {side}), activity)
result = design(instance, Parameters(n_territories=6, tolerances=(0.05,)), 3)
print(result.alignment.tobytes().hex())
"""


async def test_the_input_of_a_plan_does_not_depend_on_the_order_of_customers(database):
    cell = cell_from_point(113.0, 30.0, 12)
    work = np.random.default_rng(2).lognormal(5, 2, 300)
    digests = set()
    for order in (np.arange(300), np.random.default_rng(3).permutation(300)):
        async with database.writing() as session:
            await session.execute(text("INSERT INTO layer (name, title) VALUES ('all', 'all')"))
            layer_id = await session.scalar(text("SELECT id FROM layer"))
            rows = [{"id": f"C{n}", "cell": cell, "work": float(work[n])} for n in order]
            await session.execute(INSERT, rows)
        async with database.reading() as session:
            digests.add((await read_demand(session, layer_id)).digest)
        async with database.writing() as session:
            await session.execute(text("DELETE FROM customer"))
            await session.execute(text("DELETE FROM layer"))

    assert len(digests) == 1


def test_two_processes_design_the_same_plan_with_either_engine():
    for side in (12, 45):
        command = [sys.executable, "-c", DESIGN.format(side=side)]
        plans = {subprocess.run(command, check=True, capture_output=True).stdout for _ in range(2)}
        assert len(plans) == 1
