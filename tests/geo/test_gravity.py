"""Trade areas by gravity: laws of probabilities, and a twin that is as slow as it is plain."""

import csv
import time
from pathlib import Path

import h3
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.cells import area_km2, cells_from_points, distinct
from geo.circle import circle_outline
from geo.errors import TooManyCellsError
from geo.gravity import (
    cells_within,
    expected_demand,
    huff_probabilities,
    most_likely,
    refuse_too_many_pairs,
)
from geo.outlines import territory_outlines
from geo.sphere import FloatArray

CAP_M = 30_000.0
Anchors = tuple[FloatArray, FloatArray, FloatArray]


@st.composite
def anchor_sets(draw: st.DrawFn) -> Anchors:
    """Anchors within some kilometres of a place anywhere, two of them at one point at times."""
    lon, lat = draw(st.floats(-180, 180)), draw(st.floats(-85, 85))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_anchors = draw(st.integers(1, 6))
    lons = (lon + rng.uniform(-0.2, 0.2, n_anchors) + 180) % 360 - 180
    lats = lat + rng.uniform(-0.2, 0.2, n_anchors)
    if draw(st.booleans()):
        lons[-1], lats[-1] = lons[0], lats[0]
    return lons, lats, 10 ** rng.uniform(-3, 3, n_anchors)


@given(anchors=anchor_sets(), exponent=st.sampled_from([0.0, 1.0, 2.0, 10.0]))
@settings(max_examples=25, deadline=None)
def test_probabilities_are_those_of_the_formula_and_sum_to_one(
    anchors: Anchors, exponent: float
) -> None:
    lon, lat, attraction = anchors
    cells = cells_within(lon, lat, CAP_M, 6, 5000)
    found = huff_probabilities(cells, lon, lat, attraction, exponent, CAP_M)

    matrix = np.zeros((len(cells), len(lon)))
    matrix[found.cell, found.anchor] = found.probability
    pulls = np.array([_pulls(int(cell), anchors, exponent) for cell in cells])
    totals = pulls.sum(axis=1, keepdims=True)
    expected = np.divide(pulls, totals, out=np.zeros_like(pulls), where=totals > 0)
    assert matrix == pytest.approx(expected, rel=1e-6, abs=1e-9)
    is_reached = totals[:, 0] > 0
    assert matrix.sum(axis=1) == pytest.approx(is_reached.astype(float))
    winners = most_likely(found, len(cells))
    assert np.array_equal(winners >= 0, is_reached)
    best = matrix[is_reached, winners[is_reached]]
    assert np.array_equal(best, matrix.max(axis=1)[is_reached])


def _pulls(cell: int, anchors: Anchors, exponent: float) -> FloatArray:
    centre = h3.cell_to_latlng(f"{cell:x}")
    edge_m = np.sqrt(4 * np.pi * 6371007.180918475**2 / (2 + 120 * 7**6) / (1.5 * np.sqrt(3)))
    lon, lat, attraction = anchors
    distance = np.array([h3.great_circle_distance(centre, at, unit="m")
                         for at in zip(lat, lon, strict=True)])  # fmt: skip
    pull = attraction * (np.maximum(distance, edge_m / 2) / 1000) ** -exponent
    return np.where(distance <= CAP_M, pull, 0.0)


@given(anchors=anchor_sets(), factor=st.sampled_from([1e-6, 3.0, 1e9]))
@settings(max_examples=10, deadline=None)
def test_the_unit_of_attraction_does_not_matter(anchors: Anchors, factor: float) -> None:
    lon, lat, attraction = anchors
    cells = cells_within(lon, lat, CAP_M, 6, 5000)
    one = huff_probabilities(cells, lon, lat, attraction, 2.0, CAP_M)
    other = huff_probabilities(cells, lon, lat, attraction * factor, 2.0, CAP_M)
    assert np.array_equal(one.anchor, other.anchor)
    assert one.probability == pytest.approx(other.probability, rel=1e-9)


def test_a_single_anchor_gets_everything_within_its_cap() -> None:
    here = np.array([121.4]), np.array([31.2])
    cells = cells_within(*here, CAP_M, 7, 5000)
    found = huff_probabilities(cells, *here, np.array([7.0]), 2.0, CAP_M)
    assert np.array_equal(found.probability, np.ones(len(found.cell)))
    demand = np.arange(len(cells), dtype=np.float64)
    reached = most_likely(found, len(cells)) == 0
    assert expected_demand(found, demand, 1) == pytest.approx([demand[reached].sum()])
    assert area_km2(cells[reached]).sum() == pytest.approx(np.pi * 900, rel=0.03)


def test_of_equal_anchors_the_first_wins() -> None:
    lon, lat = np.array([121.4, 121.4]), np.array([31.2, 31.2])
    cells = cells_within(lon, lat, CAP_M, 7, 5000)
    found = huff_probabilities(cells, lon, lat, np.ones(2), 2.0, CAP_M)
    assert set(most_likely(found, len(cells)).tolist()) <= {0, -1}


def test_a_model_of_the_world_is_refused_before_a_cell_is_made() -> None:
    lon, lat = np.linspace(-179, 179, 300), np.linspace(-80, 80, 300)
    began = time.perf_counter()
    with pytest.raises(TooManyCellsError):
        cells_within(lon, lat, 100_000.0, 9, 300_000)
    with pytest.raises(TooManyCellsError):
        refuse_too_many_pairs(6000, 100_000.0, 7, 8_000_000)
    refuse_too_many_pairs(6000, 10_000.0, 7, 8_000_000)
    assert time.perf_counter() - began < 5


def test_business_districts_of_china_divide_the_ground_between_them(shared_data: Path) -> None:
    path = shared_data / "china_business_districts" / "business_districts.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lon = np.array([float(row["lon"]) for row in rows])
    lat = np.array([float(row["lat"]) for row in rows])

    cells = cells_within(lon, lat, 10_000.0, 7, 300_000)
    found = huff_probabilities(cells, lon, lat, np.ones(len(lon)), 2.0, 10_000.0)
    winners = most_likely(found, len(cells))

    assert len(rows) == 5339
    sums = np.bincount(found.cell, found.probability, len(cells))
    assert sums[winners >= 0] == pytest.approx(1)
    assert expected_demand(found, np.ones(len(cells)), len(lon)).sum() == pytest.approx(
        (winners >= 0).sum()
    )
    outlines = territory_outlines(cells, winners, len(lon))
    assert sum(not outline.is_empty for outline in outlines) == len(np.unique(winners)) - 1
    # Districts that stand alone in their cell win it, whoever else is near.
    own = cells_from_points(lon, lat, 7)
    _, first, counts = np.unique(own, return_index=True, return_counts=True)
    alone = first[counts == 1]
    nearest = winners[np.searchsorted(cells, own[alone])]
    assert (nearest == alone).mean() > 0.8


def test_a_circle_is_cut_at_the_edge_of_the_map_and_led_over_the_pole() -> None:
    for lon, lat, radius_m in (
        (180.0, 0.0, 5e5), (-180.0, -17.0, 5e3), (179.9, 10.0, 5e4), (0.0, 90.0, 5e5),
        (50.0, 89.0, 3e5), (50.0, -89.5, 5.5e4), (10.0, 60.0, 1.0),
    ):  # fmt: skip
        outline = circle_outline(lon, lat, radius_m)
        assert outline.is_valid
        west, south, east, north = outline.bounds
        assert (west >= -180, south >= -90, east <= 180, north <= 90) == (True,) * 4
        ring = distinct(cells_from_points(*np.array(outline.representative_point().coords).T, 0))
        assert len(ring) == 1
