import pytest
from shapely.geometry import MultiPolygon, Polygon

from geo.errors import GeometryError
from geo.validity import refuse_invalid

SQUARE = [(0, 0), (8, 0), (8, 8), (0, 8)]
HOLE = [(1, 1), (1, 4), (4, 4), (4, 1)]
HOLE_IN_HOLE = [(2, 2), (2, 3), (3, 3), (3, 2)]


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        (Polygon([(0, 0), (2, 2), (2, 0), (0, 2)]), "self_intersection"),
        (Polygon(SQUARE, [[(9, 9), (9, 10), (10, 10)]]), "hole_outside_shell"),
        (Polygon(SQUARE, [HOLE, HOLE_IN_HOLE]), "nested_holes"),
        (MultiPolygon([Polygon(SQUARE), Polygon(HOLE)]), "nested_shells"),
        (Polygon(SQUARE, [[(0, 4), (4, 8), (8, 4), (4, 0)]]), "interior_disconnected"),
    ],
)
def test_what_makes_a_polygon_invalid_is_said_with_its_place(shape, code):
    with pytest.raises(GeometryError) as caught:
        refuse_invalid(shape, "/region")

    assert (caught.value.code, caught.value.pointer) == (code, "/region")
    assert -90 <= caught.value.facts["lat"] <= 90


def test_a_polygon_without_area_is_refused():
    with pytest.raises(GeometryError) as caught:
        refuse_invalid(Polygon())

    assert caught.value.code == "no_area"


def test_a_valid_polygon_passes():
    refuse_invalid(Polygon(SQUARE, [HOLE]))
