"""The committed sample data is what its generator writes, and is fit for the demo."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import shapely
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "sample_data"
GENERATED = ("yangtze_customers.csv", "yangtze_reps.csv", "us_places.csv")

CLASS_VISITS_PER_YEAR = {"S": 130, "A": 36, "B": 12, "C": 4, "D": 0}
CLASS_SERVICE_MINUTES = {"S": 45, "A": 45, "B": 30, "C": 20, "D": 0}
ADMIN_MINUTES = 5
TRAVEL_MINUTES = 12


@pytest.fixture(scope="module")
def customers() -> pl.DataFrame:
    return pl.read_csv(FOLDER / "yangtze_customers.csv", try_parse_dates=True)


@pytest.fixture(scope="module")
def reps() -> pl.DataFrame:
    return pl.read_csv(FOLDER / "yangtze_reps.csv")


@pytest.fixture(scope="module")
def us_places() -> pl.DataFrame:
    return pl.read_csv(FOLDER / "us_places.csv")


@pytest.fixture(scope="module")
def land() -> shapely.Geometry:
    return shapely.from_geojson(gzip.decompress((FOLDER / "land.geojson.gz").read_bytes()))


def test_generating_again_gives_the_committed_files_byte_for_byte(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sample_data.generate", "--out", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)

    differing = [
        name for name in GENERATED if (tmp_path / name).read_bytes() != (FOLDER / name).read_bytes()
    ]
    assert differing == []


def test_the_readme_explains_every_column(
    customers: pl.DataFrame, reps: pl.DataFrame, us_places: pl.DataFrame
) -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    columns = {*customers.columns, *reps.columns, *us_places.columns}

    assert {name for name in columns if f"`{name}`" not in readme} == set()


@pytest.mark.parametrize("name", GENERATED)
def test_every_file_stays_below_two_and_a_half_megabytes(name: str) -> None:
    assert (FOLDER / name).stat().st_size < 2_500_000


def test_files_have_the_promised_numbers_of_rows(
    customers: pl.DataFrame, reps: pl.DataFrame, us_places: pl.DataFrame
) -> None:
    assert (len(customers), len(reps), len(us_places)) == (20_000, 24, 17_341)


def test_external_ids_are_unique(
    customers: pl.DataFrame, reps: pl.DataFrame, us_places: pl.DataFrame
) -> None:
    for table in (customers, reps, us_places):
        assert table["external_id"].is_unique().all()


def test_everything_has_a_name(
    customers: pl.DataFrame, reps: pl.DataFrame, us_places: pl.DataFrame
) -> None:
    for table in (customers, reps, us_places):
        assert table["name"].null_count() == 0


def test_every_customer_stands_on_land_inside_the_box(
    customers: pl.DataFrame, land: shapely.Geometry
) -> None:
    assert customers["lon"].is_between(118.0, 122.5).all()
    assert customers["lat"].is_between(29.5, 33.0).all()
    assert shapely.contains_xy(land, customers.select("lon", "lat").to_numpy()).all()


def test_every_team_lives_on_land(reps: pl.DataFrame, land: shapely.Geometry) -> None:
    assert shapely.contains_xy(land, reps.select("home_lon", "home_lat").to_numpy()).all()


def test_neither_sea_nor_lake_tai_is_land(land: shapely.Geometry) -> None:
    lake_tai, hangzhou_bay, east_china_sea = (120.15, 31.2), (121.3, 30.4), (122.4, 31.5)

    assert not shapely.intersects_xy(land, [lake_tai, hangzhou_bay, east_china_sea]).any()


def test_us_places_lie_between_hawaii_alaska_and_maine(us_places: pl.DataFrame) -> None:
    assert us_places["lon"].is_between(-180.0, -66.0).all()
    assert us_places["lat"].is_between(18.0, 72.0).all()
    assert {"AK", "HI", "ME"} <= set(us_places["segment"])


def test_customers_are_classed_in_the_promised_shares(customers: pl.DataFrame) -> None:
    counts = dict(customers["class"].value_counts().iter_rows())

    assert counts == {"S": 100, "A": 4_000, "B": 6_000, "C": 9_300, "D": 600}


def test_no_us_place_is_larger_than_one_of_a_better_class(us_places: pl.DataFrame) -> None:
    best_first = us_places.sort("class", "potential", descending=[False, True])

    assert dict(us_places["class"].value_counts().iter_rows()) == {
        "A": 3_468,
        "B": 5_202,
        "C": 8_671,
    }
    assert best_first["potential"].is_sorted(descending=True)


def test_customers_are_mostly_active(customers: pl.DataFrame) -> None:
    assert set(customers["status"]) == {"active", "lead", "inactive"}
    assert (customers["status"] == "active").sum() > 0.9 * len(customers)


def test_only_active_customers_bring_revenue_and_never_beyond_their_potential(
    customers: pl.DataFrame,
) -> None:
    is_active = customers["status"] == "active"

    assert (customers["potential"] > 0).all()
    assert (customers["revenue"] <= customers["potential"]).all()
    assert customers.filter(~is_active)["revenue"].sum() == 0


def test_leads_were_never_visited_and_all_others_within_the_year(customers: pl.DataFrame) -> None:
    is_lead = customers["status"] == "lead"
    visited = customers.filter(~is_lead)["last_visit_at"]

    assert customers.filter(is_lead)["last_visit_at"].null_count() == is_lead.sum()
    assert visited.null_count() == 0
    assert (str(visited.min()), str(visited.max())) == ("2025-11-01", "2026-10-31")


def test_few_customers_override_the_visits_and_minutes_of_their_class(
    customers: pl.DataFrame,
) -> None:
    assert 800 < customers["visits_per_year"].count() < 1_200
    assert 400 < customers["service_minutes"].count() < 800


def test_every_team_has_capacity(reps: pl.DataFrame) -> None:
    assert (_capacity_hours(reps) > 0).all()


def test_every_segment_is_served_by_some_team(customers: pl.DataFrame, reps: pl.DataFrame) -> None:
    assert set(reps["skills"].str.split(";").explode()) == set(customers["segment"])


@pytest.mark.parametrize("statuses", [["active"], ["active", "lead", "inactive"]])
def test_the_work_of_the_customers_is_about_what_the_teams_can_do(
    customers: pl.DataFrame, reps: pl.DataFrame, statuses: list[str]
) -> None:
    visited = customers.filter(pl.col("status").is_in(statuses))

    utilisation = _work_hours(visited) / np.sum(_capacity_hours(reps))

    assert 0.9 <= utilisation <= 1.05


def _work_hours(customers: pl.DataFrame) -> float:
    visits = pl.coalesce("visits_per_year", pl.col("class").replace_strict(CLASS_VISITS_PER_YEAR))
    service = pl.coalesce("service_minutes", pl.col("class").replace_strict(CLASS_SERVICE_MINUTES))
    minutes = visits * (service + ADMIN_MINUTES + TRAVEL_MINUTES)
    return float(customers.select(minutes.sum()).item()) / 60


def _capacity_hours(reps: pl.DataFrame) -> NDArray[np.float64]:
    parts = reps.select("days_per_year", "hours_per_day", "field_share", "ability", "fte")
    hours: NDArray[np.float64] = np.prod(parts.to_numpy(), axis=1)
    return hours
