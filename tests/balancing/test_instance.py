import numpy as np
import pytest

from balancing import Instance, InstanceError
from tests.balancing.patches import hexagon_graph, parallelogram

GRAPH = hexagon_graph(parallelogram(3, 1))
GOOD = {
    "x_m": np.array([0.0, 1.0, 2.0]),
    "y_m": np.zeros(3),
    "activity": np.array([[1.0], [2.0], [3.0]]),
    "measure_names": ("work",),
}


@pytest.mark.parametrize(
    ("change", "field", "index"),
    [
        pytest.param({"x_m": np.array([0.0, np.nan, 2.0])}, "x_m", 1, id="NaN place"),
        pytest.param({"y_m": np.array([0.0, 0.0, np.inf])}, "y_m", 2, id="infinite place"),
        pytest.param({"x_m": np.zeros(2)}, "x_m", None, id="too few places"),
        pytest.param({"x_m": np.array(["a", "b", "c"])}, "x_m", None, id="words for places"),
        pytest.param({"activity": np.ones(3)}, "activity", None, id="flat activity"),
        pytest.param({"activity": np.ones((3, 0))}, "activity", None, id="no measure"),
        pytest.param({"activity": np.array([[1], [-1], [0]])}, "activity", 1, id="negative"),
        pytest.param({"activity": np.array([[1], [1], [np.nan]])}, "activity", 2, id="NaN"),
        pytest.param({"activity": np.zeros((3, 1))}, "activity", None, id="all zero"),
        pytest.param({"activity": np.full((3, 1), 1e308)}, "activity", None, id="sum overflows"),
        pytest.param({"measure_names": ()}, "measure_names", None, id="unnamed measure"),
        pytest.param({"measure_names": ("",)}, "measure_names", 0, id="empty name"),
        pytest.param(
            {"activity": np.ones((3, 2)), "measure_names": ("a", "a")},
            "measure_names",
            1,
            id="name twice",
        ),
    ],
)
def test_a_malformed_instance_is_refused_with_the_place(change, field, index):
    with pytest.raises(InstanceError) as caught:
        Instance(GRAPH, **{**GOOD, **change})

    assert caught.value.field == field
    assert caught.value.facts.get("index") == index


def test_whole_numbers_are_taken_as_activity():
    instance = Instance(GRAPH, **{**GOOD, "activity": np.array([[1], [2], [3]])})

    assert instance.activity.dtype == np.float64
    assert (instance.n_units, instance.n_measures) == (3, 1)


def test_a_secondary_measure_may_be_zero_everywhere():
    activity = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])

    instance = Instance(GRAPH, **{**GOOD, "activity": activity, "measure_names": ("a", "b")})

    assert instance.n_measures == 2
