"""How much loud prompts leave to quiet ones, by hand and against deals drawn one by one."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.diagnose import evenness as module
from counterpoint.diagnose.evenness import CROWDED, evenness


def of_prompts(*prompts, step=None, agent=None, agents=1):
    """The evenness of deviations, prompt by prompt."""
    cell = np.repeat(np.arange(len(prompts)), [len(values) for values in prompts])
    none = np.zeros(len(prompts), dtype=np.int64)
    step, agent = (none if ids is None else np.array(ids) for ids in (step, agent))
    away = np.concatenate(prompts).astype(float)
    return evenness(away, cell, step[cell], agent[cell], agents)


def one_deal(prompts, rng):
    """The mean of min(1, v / V) after one deal, in plain Python."""
    order = rng.permutation(len(prompts))
    hands = [rng.permutation(prompts[i]).tolist() for i in order]
    pile = [hand[j] for j in range(max(map(len, hands))) for hand in hands if j < len(hand)]
    new = [[pile.pop(0) for _ in hand] for hand in hands]
    n, var = np.array([len(hand) for hand in new]), np.array([np.var(h, ddof=1) for h in new])
    return np.average(np.minimum(1.0, var / np.average(var, weights=n)), weights=n)


def test_two_prompts_of_two_by_hand():
    # v = 2 and 18 around V = 10: (.2 + 1) / 2. A deal gives each prompt one of both: v = V.
    even, crowded = of_prompts([-1, 1], [-3, 3])
    assert even == pytest.approx([0.6])
    assert crowded == pytest.approx([0.0])


def test_a_prompt_is_drowned_from_a_fiftieth_of_the_mean_variance_on():
    # v = 2 a^2 beside 2, and V = 1 + a^2: v / V = 1 / 50 where a^2 = 1 / 99.
    for a, share in ((np.sqrt(0.99 / 99), 0.5), (np.sqrt(1.01 / 99), 0.0)):
        assert of_prompts([-a, a], [-1, 1])[1] == pytest.approx([share])
    assert CROWDED == 50


def test_without_samples_with_one_prompt_a_step_and_with_agents_and_steps_apart():
    nobody = evenness(np.zeros(0), *(np.zeros(0, dtype=np.int64) for _ in range(3)), 2)
    assert [part.tolist() for part in nobody] == [[0, 0], [0, 0]]
    even, crowded = of_prompts([-1, 1], [-3, 3], step=[0, 1])
    assert (even.tolist(), crowded.tolist()) == ([1], [0])
    # Agent 0 has one prompt a step, agent 1 none, and agent 2 those of the first test twice.
    even, crowded = of_prompts(
        [-1, 1], [-3, 3], [-1, 1], [-3, 3], [-5, 5], [-15, 15],
        step=[0, 1, 0, 0, 1, 1], agent=[0, 0, 2, 2, 2, 2], agents=3,
    )  # fmt: skip
    assert even == pytest.approx([1, 0, 0.6])
    assert crowded == pytest.approx([0, 0, 0])


def test_equal_deviations_that_cancel_in_a_deal_are_even():
    """Deals of -1 and 1 leave prompts that do not vary at all: nobody is louder than another."""
    assert of_prompts([-1, 1], [-1, 1], [-1, 1])[0] == pytest.approx([1.0])


@pytest.mark.parametrize("sizes", [(4, 4, 4), (6, 12, 12), (3, 2, 7, 9, 4)])
def test_chance_is_the_mean_over_deals(sizes, monkeypatch):
    monkeypatch.setattr(module, "DEALT", 2**20)
    monkeypatch.setattr(module, "MOST_DEALS", 3000)
    rng = np.random.default_rng(len(sizes))
    prompts = [rng.normal(size=n) * 3.0**p for p, n in enumerate(sizes)]
    prompts = [values - values.mean() for values in prompts]
    n, var = np.array(sizes), np.array([values.var(ddof=1) for values in prompts])
    left = np.average(np.minimum(1.0, var / np.average(var, weights=n)), weights=n)
    by_chance = np.mean([one_deal(prompts, rng) for _ in range(3000)])
    assert of_prompts(*prompts)[0] == pytest.approx([left / by_chance], abs=0.02)


def test_a_planted_loud_prompt_in_each_step_and_its_clean_twin():
    rng = np.random.default_rng(0)
    prompts, step = [rng.normal(size=8) for _ in range(800)], np.repeat(np.arange(100), 8)
    even, crowded = of_prompts(*prompts, step=step)
    assert even[0] > 0.97
    assert crowded[0] == 0
    loud = [values * (30 if i % 8 == 0 else 1) for i, values in enumerate(prompts)]
    even, crowded = of_prompts(*loud, step=step)
    assert even[0] < 0.3
    assert crowded[0] > 0.6


def test_large_logs_are_dealt_in_parts_and_give_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    prompts = [rng.normal(size=8) * (1 + i % 4) for i in range(64)]
    whole = of_prompts(*prompts)[0]
    monkeypatch.setattr(module, "CHUNK", 1)
    assert of_prompts(*prompts)[0] == pytest.approx(whole)
