"""Time limits, on one core: slow, since a busy machine would miss them for no reason of ours."""

import time

import numpy as np
import pytest
from planted import log, sometimes

from counterpoint.diagnose import diagnose, gradient_statistics, three_numbers
from counterpoint.diagnose.log import dense, distinct

pytestmark = pytest.mark.slow


def seconds(call, repeats=1):
    call()
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


@pytest.mark.parametrize(
    ("steps", "prompts", "rows", "limit"), [(20, 16, 5_000, 2), (200, 320, 1_000_000, 30)]
)
def test_a_log_of_five_thousand_rows_and_of_a_million(steps, prompts, rows, limit):
    decisions = log(0, steps=steps, prompts=prompts, acts=sometimes)
    assert len(decisions) > rows
    for scheme in ("mappo_pooled", "gdpo", "group_reward_decoupled"):
        assert (
            seconds(lambda s=scheme: diagnose(decisions, s, rng=np.random.default_rng(0))) < limit
        )


def test_an_update_of_ten_seeds_and_four_agents_takes_a_millisecond():
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(10, 8, 4, 160))
    rewards, agent = rng.normal(size=1280), rng.integers(0, 4, 1280)
    batch, group = np.repeat(np.arange(10), 128), np.zeros(1280, int)

    def update():
        gradient_statistics(gradients)
        three_numbers(rewards, group, agent, 1, 4, batch, 10)

    assert seconds(update, 200) < 1e-3


@pytest.mark.parametrize("size", [0, 1, 7, 1000])
def test_distinct_and_dense_ids_are_those_of_unique(size):
    ids = np.random.default_rng(size).integers(0, 50, size)
    np.testing.assert_array_equal(distinct(ids), np.unique(ids))
    values, first, numbered = np.unique(ids, return_index=True, return_inverse=True)
    found, rows = dense(ids, 50)
    np.testing.assert_array_equal(found, numbered)
    np.testing.assert_array_equal(rows, first)
    assert len(values) == len(rows)
