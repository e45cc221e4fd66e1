import numpy as np
import pytest
import shapely
import shapely.affinity
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import GeometryCollection, LineString, MultiPolygon, box

from geo.adjacency import build_adjacency
from geo.antimeridian import onto_one_map
from geo.barriers import crossed_links, links_across, region_of_cells
from geo.cells import base_cells, descendants, points_from_cells
from geo.errors import CellError
from tests.geo.instances import disk, law, mixed_neighbourhoods


def links_of(adjacency):
    sources = adjacency.sources()
    return {(int(a), int(b)) for a, b in zip(sources, adjacency.indices, strict=True) if a < b}


def as_set(pairs):
    assert pairs.shape[1:] == (2,)
    assert pairs.tolist() == sorted(pairs.tolist())
    return set(map(tuple, pairs.tolist()))


def crossed_one_by_one(cells, adjacency, lines):
    """Links that meet a line, tried on several turns of the globe."""
    lon, lat = points_from_cells(cells)
    found = set()
    for a, b in links_of(adjacency):
        step = (lon[b] - lon[a] + 180.0) % 360.0 - 180.0
        link = LineString([(lon[a], lat[a]), (lon[a] + step, lat[b])])
        for turn in (-720, -360, 0, 360, 720):
            if shapely.intersects(shapely.affinity.translate(link, turn), lines):
                found.add((a, b))
    return found


@law
@given(mixed_neighbourhoods(), st.integers(0, 99), st.sampled_from([-360, 0, 360]))
def test_links_a_line_crosses_are_those_found_one_by_one(cells, seed, turn):
    lon, lat = points_from_cells(cells)
    generator = np.random.default_rng(seed)
    ends = generator.choice(len(cells), 4)
    unrolled = lon[0] + (lon - lon[0] + 180.0) % 360.0 - 180.0
    jitter = generator.normal(0, 1e-3, (4, 2))
    line = LineString(np.column_stack([unrolled[ends] + turn, lat[ends]]) + jitter)
    adjacency = build_adjacency(cells)
    found = as_set(crossed_links(cells, adjacency, line))
    assert found == crossed_one_by_one(cells, adjacency, line)


def test_a_line_through_a_region_cuts_it_in_two():
    cells = disk(9.0, 50.0, 6, 8)
    lon, _ = points_from_cells(cells)
    adjacency = build_adjacency(cells)
    found = as_set(crossed_links(cells, adjacency, LineString([(9.01, 40.0), (9.01, 60.0)])))
    expected = {(a, b) for a, b in links_of(adjacency) if (lon[a] < 9.01) != (lon[b] < 9.01)}
    assert found == expected
    assert found


@pytest.mark.parametrize("place", [(9.0, 50.0), (180.0, -17.0), (-179.5, 66.0)])
def test_an_area_is_apart_from_its_surroundings_and_not_from_itself(place):
    cells = disk(*place, 5, 12)
    lon, lat = points_from_cells(cells)
    area = box(place[0] - 0.7, place[1] - 0.5, place[0] + 0.7, place[1] + 0.5)
    inside = shapely.contains_xy(onto_one_map(area), lon, lat)
    adjacency = build_adjacency(cells)
    expected = {(a, b) for a, b in links_of(adjacency) if inside[a] != inside[b]}
    assert inside.any()
    for drawn in (area, onto_one_map(area), GeometryCollection([area, MultiPolygon([area])])):
        found = as_set(crossed_links(cells, adjacency, drawn))
        assert expected <= found
        # Besides, links between two cells outside that cut a corner of it.
        assert all(not inside[a] and not inside[b] for a, b in found - expected)
        assert len(found - expected) <= 8


def test_a_band_round_the_globe_is_not_cut_at_the_antimeridian():
    cells = descendants(base_cells(), 2)
    adjacency = build_adjacency(cells)
    _, lat = points_from_cells(cells)
    found = crossed_links(cells, adjacency, box(-180, -20, 180, 20))
    inside = np.abs(lat) < 20
    assert np.all(inside[found].any(axis=1))
    assert not inside[found].all(axis=1).any()


def test_barriers_elsewhere_or_empty_cut_nothing():
    cells = disk(9.0, 50.0, 6, 3)
    adjacency = build_adjacency(cells)
    for barrier in (LineString(), box(100, 0, 101, 1), shapely.Point(9, 50)):
        assert crossed_links(cells, adjacency, barrier).shape == (0, 2)


def test_cells_belong_to_the_first_region_that_holds_their_centre():
    cells = disk(180.0, -17.0, 5, 10)
    lon, lat = points_from_cells(cells)
    west, overlapping = box(178.0, -18.0, 180.0, -16.0), box(179.5, -18.0, 181.0, -16.5)
    labels = region_of_cells(cells, [west, overlapping])
    in_west, in_other = (
        shapely.contains_xy(onto_one_map(region), lon, lat) for region in (west, overlapping)
    )
    assert np.array_equal(labels, np.select([in_west, in_other], [0, 1], default=-1))
    assert set(labels.tolist()) == {-1, 0, 1}
    assert region_of_cells(cells, []).tolist() == [-1] * len(cells)


def test_links_across_are_those_between_two_regions():
    cells = disk(9.0, 50.0, 6, 4)
    labels = np.random.default_rng(0).integers(-1, 3, len(cells))
    adjacency = build_adjacency(cells)
    expected = {
        (a, b)
        for a, b in links_of(adjacency)
        if labels[a] != labels[b] and labels[a] >= 0 and labels[b] >= 0
    }
    assert as_set(links_across(adjacency, labels)) == expected


def test_an_adjacency_of_other_cells_is_refused():
    cells = disk(9.0, 50.0, 6, 2)
    adjacency = build_adjacency(cells[1:])
    with pytest.raises(CellError) as crossed:
        crossed_links(cells, adjacency, LineString([(0, 0), (1, 1)]))
    with pytest.raises(CellError) as across:
        links_across(adjacency, np.zeros(len(cells)))
    assert crossed.value.code == across.value.code == "adjacency_mismatch"
