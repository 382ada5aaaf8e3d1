"""Shares of the variance, by hand and by invariants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.errors import StatisticsError
from counterpoint.stats import variance_shares
from counterpoint.stats.variance import SOURCES


def shares(scores, **more):
    found = variance_shares(scores, np.random.default_rng(0), resamples=50, shuffles=50, **more)
    return {name: one.share.value for name, one in found.items()}


def two_way(table):
    """[T][P] cells as scores of two seeds that agree."""
    return [np.repeat(np.array(row, dtype=float)[:, None, None], 2, axis=2) for row in table]


def test_a_two_way_table_by_hand():
    # means of rows 1 and 3, of columns 1 and 3, grand 2: each factor 2 x 2 x (1 + 1) = 8 of 16
    assert shares(two_way([[0, 2], [2, 4]])) == {
        "topology": 0.5, "prompt": 0.5, "order": 0, "interaction": 0, "residual": 0
    }  # fmt: skip
    assert shares(two_way([[0, 1], [1, 0]]))["interaction"] == 1
    assert shares(two_way([[0, 0], [1, 1]]))["topology"] == 1


def test_orders_count_within_their_topology():
    # topology 0 has two orders that score 0 and 2 (mean 1), topology 1 one order that scores 1
    ordered = np.zeros((1, 2, 2))
    ordered[:, 1] = 2
    assert shares([ordered, np.ones((1, 1, 2))])["order"] == 1


def test_an_order_that_turns_with_the_prompt_is_an_interaction():
    crossed = np.repeat(np.array([[0.0, 2.0], [2.0, 0.0]])[..., None], 2, axis=2)
    assert shares([crossed, np.ones((2, 1, 2))])["interaction"] == 1


def test_seeds_are_the_residual():
    seeds = [np.array([[[0.0, 1.0]], [[0.0, 1.0]]])] * 2
    assert shares(seeds)["residual"] == 1


designs = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(2, 6), st.integers(0, 10**6))


@given(designs)
@settings(max_examples=20, deadline=None)
def test_shares_add_up_and_do_not_care_for_units(design):
    topologies, prompts, seeds, seed = design
    rng = np.random.default_rng(seed)
    scores = [rng.random((prompts, rng.integers(1, 4), seeds)) for _ in range(topologies)]
    found = shares(scores)
    assert sum(found.values()) == pytest.approx(1)
    assert all(-1e-12 <= value <= 1 + 1e-12 for value in found.values())
    again = shares([3 * one - 7 for one in scores])
    assert again == pytest.approx(found, abs=1e-9)
    assert shares(scores[::-1])["topology"] == pytest.approx(found["topology"], abs=1e-9)


def test_noise_alone_gives_what_chance_says():
    rng = np.random.default_rng(1)
    scores = [rng.random((3, 1, 40)) for _ in range(4)]
    found = variance_shares(scores, rng, resamples=200)
    for name in ("topology", "prompt", "interaction"):
        assert found[name].share.value < 4 * found[name].chance + 0.01
    assert found["topology"].chance == pytest.approx(3 / (4 * 3 * 40 - 1), rel=0.4)


def test_an_effect_that_is_there_is_far_above_chance_and_inside_its_interval():
    rng = np.random.default_rng(2)
    scores = [t + 0.5 * rng.standard_normal((3, 1, 30)) for t in range(3)]
    one = variance_shares(scores, rng)["topology"]
    assert one.share.low <= one.share.value <= one.share.high
    assert one.share.low > 10 * one.chance


@pytest.mark.parametrize(
    ("scores", "told"),
    [([], "no scores"), ([np.zeros((1, 1, 1))], "1 seed"), ([np.ones((2, 1, 3))], "never vary"),
     ([np.zeros((1, 1, 2)), np.zeros((2, 1, 2))], "balanced"),
     ([np.full((1, 1, 2), np.nan)], "finite")],
)  # fmt: skip
def test_what_has_no_shares(scores, told):
    with pytest.raises(StatisticsError, match=told):
        variance_shares(scores, np.random.default_rng(0))


def test_the_sources_are_these():
    assert SOURCES == ("topology", "prompt", "order", "interaction", "residual")
