import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancing import ParameterError, Parameters, design
from balancing.move_reasons import explain_moves
from tests.balancing.patches import examples, hexagon_instance, parallelogram, path_instance
from tests.balancing.test_rebalance import grown_alignment

N_TERRITORIES = 5


def planned(generator, n_side=10):
    """An instance of two measures, a plan of it, and another plan that came before."""
    activity = generator.uniform(0, 1, (n_side**2, 2))
    instance = hexagon_instance(parallelogram(n_side, n_side), activity)
    parameters = Parameters(n_territories=N_TERRITORIES, tolerances=(0.2, 0.5), n_starts=1)
    past = grown_alignment(instance.graph, N_TERRITORIES, generator)
    return instance, parameters, past, design(instance, parameters, 1)


@pytest.mark.machine_code
def test_fifty_random_moves_are_recomputed_from_scratch():
    generator = np.random.default_rng(3)
    instance, parameters, past, result = planned(generator, n_side=24)
    blocks = explain_moves(instance, parameters, past, result)
    targets = instance.activity.sum(axis=0) / N_TERRITORIES

    for block in generator.choice(np.array(blocks, dtype=object), 50):
        stayed = result.alignment.copy()
        stayed[block.units] = past[block.units]
        for alignment, origin, destination in (
            (result.alignment, block.origin_now, block.destination_now),
            (stayed, block.origin_if_stayed, block.destination_if_stayed),
        ):
            for territory, said in ((block.origin, origin), (block.destination, destination)):
                sums = instance.activity[alignment == territory].sum(axis=0)
                assert said == pytest.approx(sums / targets - 1)


@settings(deadline=None, max_examples=examples(10))
@given(st.integers(0, 2**32 - 1))
def test_blocks_are_exactly_the_moved_units_each_of_one_kind(seed):
    generator = np.random.default_rng(seed)
    instance, parameters, past, result = planned(generator, n_side=6)
    past[generator.random(len(past)) < 0.1] = -1

    blocks = explain_moves(instance, parameters, past, result)

    listed = np.concatenate([block.units for block in blocks])
    assert sorted(listed) == list(np.flatnonzero((past >= 0) & (past != result.alignment)))
    for block in blocks:
        assert set(past[block.units]) == {block.origin}
        assert set(result.alignment[block.units]) == {block.destination}
        assert block.activity == pytest.approx(instance.activity[block.units].sum(axis=0))


def test_units_that_do_not_touch_are_blocks_of_their_own():
    instance = path_instance(np.ones(9))
    parameters = Parameters(n_territories=3, tolerances=(0.1,), n_starts=1)
    result = design(instance, parameters, 0)
    past = result.alignment.copy()
    past[0], past[2] = (past[0] + 1) % 3, (past[2] + 1) % 3

    blocks = explain_moves(instance, parameters, past, result)

    assert [list(block.units) for block in blocks] == [[0], [2]]


def test_a_plan_that_moves_nothing_has_nothing_to_explain():
    instance = path_instance(np.ones(6))
    parameters = Parameters(n_territories=2, tolerances=(0.1,), n_starts=1)
    result = design(instance, parameters, 0)

    assert explain_moves(instance, parameters, result.alignment, result) == ()


def test_an_incumbent_of_another_length_is_refused():
    instance = path_instance(np.ones(6))
    parameters = Parameters(n_territories=2, tolerances=(0.1,), n_starts=1)
    result = design(instance, parameters, 0)

    with pytest.raises(ParameterError) as refusal:
        explain_moves(instance, parameters, np.zeros(5, np.int32), result)

    assert refusal.value.field == "incumbent"
