import pytest

from balancing import ParameterError, Parameters


@pytest.mark.parametrize(
    ("change", "field", "index"),
    [
        ({"n_territories": 0}, "n_territories", None),
        ({"n_territories": 2.0}, "n_territories", None),
        ({"n_territories": True}, "n_territories", None),
        ({"tolerances": ()}, "tolerances", None),
        ({"tolerances": 0.05}, "tolerances", None),
        ({"tolerances": (0.05, 0.0)}, "tolerances", 1),
        ({"tolerances": (10.0,)}, "tolerances", 0),
        ({"tolerances": (float("nan"),)}, "tolerances", 0),
        ({"weights": (1.0, 1.0)}, "weights", None),
        ({"weights": (-1.0,)}, "weights", 0),
        ({"weights": (float("inf"),)}, "weights", 0),
        ({"shares": (0.5, 0.5)}, "shares", None),
        ({"shares": (0.5, 0.5, 0.0)}, "shares", 2),
        ({"shares": (0.5, 0.4, 0.3)}, "shares", None),
        ({"objective": "perimeter"}, "objective", None),
        ({"n_starts": 0}, "n_starts", None),
    ],
)
def test_a_bad_wish_is_refused_when_made(change, field, index):
    with pytest.raises(ParameterError) as caught:
        Parameters(**{"n_territories": 3, **change})

    assert caught.value.field == field
    assert caught.value.facts.get("index") == index


def test_weights_left_out_are_equal():
    parameters = Parameters(n_territories=3, tolerances=(0.05, 0.15))

    assert parameters.weights == (1.0, 1.0)


def test_lists_become_tuples():
    parameters = Parameters(n_territories=2, tolerances=[0.05], shares=[0.25, 0.75])

    assert parameters.shares == (0.25, 0.75)
    assert parameters.tolerances == (0.05,)
