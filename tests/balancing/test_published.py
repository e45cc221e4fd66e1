"""The benches of published instances: their own check, their files, and a floor of quality."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from balancing import design
from bench import political_districting, published, territory_design

# How good a plan gets depends on how much of the search fits into its time.
pytestmark = pytest.mark.machine_code

TERRITORY_DESIGN = published.shared_data() / "territory_design"
DISTRICTING = published.shared_data() / "political_districting"


def write(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture
def folder(tmp_path) -> Path:
    """Twelve units in a row, as both families describe their instances."""
    units = [(unit, unit, 0, 10, 10, 10, 10, unit / 10, 40) for unit in range(12)]
    measures = ("activity_1", "activity_2", "activity_3", "population")
    write(tmp_path / "instances/ROW.units.csv", ("unit", "x", "y", *measures, "lon", "lat"), units)
    edges = [(unit, unit + 1) for unit in range(11)]
    write(tmp_path / "instances/ROW.edges.csv", ("u", "v"), edges)
    names = (
        "instance",
        "p",
        "k",
        "tolerance",
        "reference_total_distance",
        "population_min",
        "population_max",
        "best_cut_edges",
    )
    write(tmp_path / "index.csv", names, [("ROW", 3, 3, 0.05, 12, 40, 40, 2)])
    return tmp_path


def only_row(folder):
    (row,) = published.wanted_rows(folder, ["ROW"])
    return row


def test_a_row_is_divided_into_three_and_written_with_its_centres(folder, tmp_path):
    report = territory_design.run(folder, only_row(folder), [0, 1], tmp_path / "out")

    assert (report.n_feasible, report.values, report.ratio) == (2, [12.0, 12.0], 1.0)
    written = published.read_rows(tmp_path / "out" / "ROW.csv")
    assert [row["unit"] for row in written] == [str(unit) for unit in range(12)]
    assert all(abs(int(row["unit"]) - int(row["center"])) <= 2 for row in written)


def test_districts_are_written_without_centres(folder, tmp_path):
    report = political_districting.run(folder, only_row(folder), [0], tmp_path / "out")

    assert (report.n_feasible, report.values) == (1, [2.0])
    assert list(published.read_rows(tmp_path / "out" / "ROW.csv")[0]) == ["unit", "territory"]


@pytest.mark.parametrize(
    "alignment",
    [
        [0, 0, 0, 0, 1, 1, 1, 2, 1, 2, 2, 2],
        [0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2],
        [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1],
    ],
    ids=["torn", "unbalanced", "missing"],
)
def test_the_check_refuses_a_plan_that_is(folder, alignment):
    instance = territory_design.load(folder, "ROW")
    sound = design(instance, territory_design.make_parameters(3, 0.05), 0)
    states = political_districting.load(folder, "ROW")

    broken = replace(sound, alignment=np.array(alignment, np.int32))

    assert territory_design.check(instance, sound, 0.05)[0]
    assert not territory_design.check(instance, broken, 0.05)[0]
    assert not political_districting.check(states, broken, 40, 40)[0]


def test_the_check_refuses_a_centre_outside_its_territory(folder):
    instance = territory_design.load(folder, "ROW")
    sound = design(instance, territory_design.make_parameters(3, 0.05), 0)

    broken = replace(sound, centre_unit=sound.centre_unit[::-1].copy())

    assert not territory_design.check(instance, broken, 0.05)[0]


def test_reports_are_shown_as_json_and_as_tables(folder, capsys):
    report = political_districting.run(folder, only_row(folder), [0], None)

    published.show([report], is_json=True)
    document = json.loads(capsys.readouterr().out)
    published.show([report], is_json=False)
    table = capsys.readouterr().out

    assert document["instances"][0]["best"] == 2
    assert document["summary"]["n_at_most_reference"] == 1
    assert table.splitlines()[2].startswith("| ROW | 12 | 3 | 1/1 | 2 | 2 | 1.0000 | 2 | 2 |")


@pytest.mark.skipif(not TERRITORY_DESIGN.exists(), reason="BAILIWICK_SHARED_DATA is not there")
@pytest.mark.parametrize(
    ("name", "most"), [("2DU60-05-13", 0.9951), ("2DU100-05-13", 0.95), ("DU200-05-7", 0.955)]
)
def test_distances_stay_near_the_best_that_was_found(name, most):
    (row,) = published.wanted_rows(TERRITORY_DESIGN, [name])

    report = territory_design.run(TERRITORY_DESIGN, row, [0], None)

    assert report.n_feasible == 1
    assert report.ratio <= most


@pytest.mark.skipif(not DISTRICTING.exists(), reason="BAILIWICK_SHARED_DATA is not there")
@pytest.mark.parametrize(("name", "most"), [("AL_county", 57), ("NE_county", 19), ("UT_tract", 82)])
def test_cut_edges_stay_near_the_best_that_was_found(name, most):
    (row,) = published.wanted_rows(DISTRICTING, [name])

    report = political_districting.run(DISTRICTING, row, [0], None)

    assert report.n_feasible == 1
    assert report.best <= most
