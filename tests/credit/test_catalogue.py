"""Every entry of the catalogue, worked by hand.

The team: agents a and b act in both rollouts of prompt 0, a alone in those of prompt 1.

    row      0  1  2  3   4  5
    prompt   0  0  0  0   1  1
    rollout  0  0  1  1   0  1
    agent    a  b  a  b   a  a
    reward   4  4  0  0  10  6
"""

import re
from math import sqrt

import numpy as np
import pytest

from counterpoint.credit import advantages, catalogue, entries, scheme_named
from counterpoint.errors import UnknownNameError

LABELS = {
    "prompt": [0, 0, 0, 0, 1, 1],
    "rollout": [0, 0, 1, 1, 0, 1],
    "agent": ["a", "b", "a", "b", "a", "a"],
}
REWARDS = [4.0, 4.0, 0.0, 0.0, 10.0, 6.0]

R13, R4 = sqrt(13) + 1e-6, 2 + 1e-6


def by_rows(epsilon):
    """Centered rows over the deviation with n - 1 of four rows and of two."""
    four, two = sqrt(16 / 3) + epsilon, sqrt(8) + epsilon
    return [2 / four, 2 / four, -2 / four, -2 / four, 2 / two, -2 / two]


BY_HAND = {
    "none": [4, 4, 0, 0, 10, 6],
    # mean of the six rows 24 / 6 = 4
    "center": [0, 0, -4, -4, 6, 2],
    # variance (0 + 0 + 16 + 16 + 36 + 4) / 6 = 12
    "mappo_pooled": np.array([0, 0, -4, -4, 6, 2]) / sqrt(12),
    # rollouts 4, 0, 10, 6: mean 5, variance (1 + 25 + 25 + 1) / 4 = 13
    "reinforce_plus_plus": np.array([-1, -1, -5, -5, 5, 1]) / sqrt(13),
    # a: 4, 0, 10, 6 as above; b: 4, 0: mean 2, deviation 2
    "mappo_per_agent": [-1 / sqrt(13), 1, -5 / sqrt(13), -1, 5 / sqrt(13), 1 / sqrt(13)],
    # own means leave -1, 2, -5, -2, 5, 1: variance (1 + 4 + 25 + 4 + 25 + 1) / 6 = 10
    "agent_mean": np.array([-1, 2, -5, -2, 5, 1]) / sqrt(10),
    # nothing was seen before, so the call's own statistics serve: as mappo_per_agent
    "group_reward_decoupled": [-1 / sqrt(13), 1, -5 / sqrt(13), -1, 5 / sqrt(13), 1 / sqrt(13)],
    # prompt 0: rollouts 4, 0: mean 2, deviation 2; prompt 1: 10, 6: mean 8, deviation 2
    "grpo": [1, 1, -1, -1, 1, -1],
    "dr_grpo": [2, 2, -2, -2, 2, -2],
    # minus the other rollout: 4 - 0, 0 - 4, 10 - 6, 6 - 10
    "rloo": [4, 4, -4, -4, 4, -4],
    # centered as dr_grpo, divided by the deviation of rewards over the batch's rollouts
    "lite_ppo": np.array([2, 2, -2, -2, 2, -2]) / sqrt(13),
    # one component: grpo, whose rollouts 1, -1, 1, -1 are white already
    "gdpo": [1, 1, -1, -1, 1, -1],
    # (0, a): 4, 0; (0, b): 4, 0; (1, a): 10, 6: deviation 2 in each
    "agent_wise": [1, 1, -1, -1, 1, -1],
    # every row is its agent's first turn
    "at_grpo": [1, 1, -1, -1, 1, -1],
    # role means 5 and 2, no scale
    "spiral_rae": [-1, 2, -5, -2, 5, 1],
    "marshal_style": [-1 / sqrt(13), 1, -5 / sqrt(13), -1, 5 / sqrt(13), 1 / sqrt(13)],
    # prompt 0 by rows: 4, 4, 0, 0 as grpo
    "grpo_rows": [1, 1, -1, -1, 1, -1],
    # deviations with n - 1: sqrt(16 / 3) in prompt 0, sqrt(8) in prompt 1
    "trl": by_rows(1e-4),
    "verl": by_rows(1e-6),
    "slime": by_rows(1e-6),
    "openrlhf": by_rows(1e-9),
    "art": np.array([2, 2, -2, -2, 2, -2]) / (2 + 1e-6),
    "rllm": np.array([2, 2, -2, -2, 2, -2]) / (2 + 1e-6),
    # all six rows: mean 4, squares 0 + 0 + 16 + 16 + 36 + 4 = 72, over 5
    "trl_batch": np.array([2, 2, -2, -2, 2, -2]) / (sqrt(72 / 5) + 1e-4),
    # centered 2, -2, 2, -2 over rollouts: deviation 2
    "reinforce_plus_plus_baseline": [1, 1, -1, -1, 1, -1],
    "opo": [2, 2, -2, -2, 2, -2],
    # means 2 and 8
    "maxrl": [1, 1, -1, -1, 0.25, -0.25],
    # the means 2 and 8 are above the floor of .5
    "corpo": [2, 2, -2, -2, 2, -2],
    # one component: its share is 1, and nothing disagrees
    "dvao": [1, 1, -1, -1, 1, -1],
    "gd2po": [1, 1, -1, -1, 1, -1],
    "hierarchical_grpo": [1, 1, -1, -1, 1, -1],
    # by role, which is the agent: as mappo_per_agent, plus 1e-6
    "prpo": [-1 / R13, 2 / R4, -5 / R13, -2 / R4, 5 / R13, 1 / R13],
    # centered by rows 2, 2, -2, -2, 2, -2; each agent's first turns have deviation 2
    "magrpo": [1, 1, -1, -1, 1, -1],
    # episodes 2, 2, -2, -2, 2, -2; steps: one context, one row a rollout and agent: the same
    "gigpo": [4, 4, -4, -4, 4, -4],
    "agent_x_component": [-1 / sqrt(13), 1, -5 / sqrt(13), -1, 5 / sqrt(13), 1 / sqrt(13)],
    # ranks 2, 1 in each prompt: mean 1.5, deviation .5
    "rank": [1, 1, -1, -1, 1, -1],
}


@pytest.mark.parametrize("name", list(BY_HAND))
def test_advantages_are_those_worked_by_hand(name):
    values = advantages(REWARDS, LABELS, catalogue()[name]).values
    np.testing.assert_allclose(values, BY_HAND[name], rtol=1e-14, atol=1e-14)


def test_at_grpo_separates_turns():
    """a speaks twice in rollout 0 (rewards 1, 9) and once in rollout 1 (3).

    Turn 0: 1, 3: mean 2, deviation 1. Turn 1: 9 alone, a singleton.
    """
    labels = {"rollout": [0, 0, 1], "agent": ["a", "a", "a"]}
    done = advantages([1.0, 9.0, 3.0], labels, catalogue()["at_grpo"])
    np.testing.assert_allclose(done.values, [-1, 0, 1])
    assert done.tally.singletons == 1


def test_gdpo_normalizes_components_before_it_sums():
    """Components 1, 0, 0 and 0, 0, 3: z-scores (r2, -1/r2, -1/r2) and (-1/r2, -1/r2, r2).

    Their sum 1/r2, -r2, 1/r2 has mean 0 and variance (.5 + 2 + .5) / 3 = 1: white already.
    """
    rewards = [[1.0, 0.0], [0.0, 0.0], [0.0, 3.0]]
    values = advantages(rewards, {"rollout": [0, 1, 2]}, catalogue()["gdpo"]).values
    np.testing.assert_allclose(values, [1 / sqrt(2), -sqrt(2), 1 / sqrt(2)], rtol=1e-14)


def test_agent_x_component_normalizes_each_pair():
    """a: (1, 0), (3, 0): z -1, 1 and a constant; b: (0, 5), (0, 1): a constant and 1, -1."""
    rewards = [[1.0, 0.0], [3.0, 0.0], [0.0, 5.0], [0.0, 1.0]]
    done = advantages(rewards, {"agent": ["a", "a", "b", "b"]}, catalogue()["agent_x_component"])
    np.testing.assert_allclose(done.values, [-1, 1, 1, -1])
    assert done.tally.constants == 2


SECOND = [6.0, 2.0]
"""A second call: agent b alone, after it had mean 2 and variance 4 in the first."""


def second_call(name):
    first = advantages(REWARDS, LABELS, catalogue()[name])
    labels = {"prompt": [0, 0], "rollout": [0, 1], "agent": ["b", "b"]}
    return advantages(SECOND, labels, catalogue()[name], state=first.state)


def test_running_statistics_advance_after_use():
    """group_reward_decoupled: (6 - 2) / 2 = 2 and (2 - 2) / 2 = 0, then it learns.

    The debiased share of call 2 is .02 / (1 - .98^2) = 1 / 1.98, the new mean 2 + 2 / 1.98.
    """
    done = second_call("group_reward_decoupled")
    np.testing.assert_allclose(done.values, [2.0, 0.0], atol=1e-15)
    moments = done.state.center[0]
    row = moments.index[("b",)]
    share = 1 / 1.98
    np.testing.assert_allclose(moments.mean[row], 2 + 2 * share)
    np.testing.assert_allclose(moments.var[row], (1 - share) * (4 + share * 4) + share * 4)


def test_spiral_advances_before_use():
    """Share of call 2: .05 / (1 - .95^2) = 20 / 39; the mean moves from 2 to 2 + 40 / 39."""
    np.testing.assert_allclose(second_call("spiral_rae").values, [4 - 40 / 39, -40 / 39])


def test_marshal_pools_all_samples_so_far():
    """b has seen 4, 0, 6, 2: mean 3, variance (1 + 9 + 9 + 1) / 4 = 5."""
    np.testing.assert_allclose(second_call("marshal_style").values, [3 / sqrt(5), -1 / sqrt(5)])


def test_every_entry_cites_its_source():
    for name, entry in entries().items():
        assert entry.name == name
        assert entry.citation.startswith("ours") or re.search(r"\d", entry.citation)
        assert entry.title


def test_no_two_entries_are_the_same_scheme():
    schemes = list(catalogue().values())
    assert len(set(schemes)) == len(schemes)


def test_an_unknown_name_names_the_list_of_what_there_is():
    with pytest.raises(UnknownNameError, match=r"grpu.*grpo.*`counterpoint schemes` lists"):
        scheme_named("grpu")
