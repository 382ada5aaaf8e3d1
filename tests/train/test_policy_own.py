"""What a training in a user's own environment says."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="networks need torch")
pytest.importorskip("pettingzoo", reason="foreign worlds need pettingzoo")

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

from counterpoint.train.loop import train_to_end
from counterpoint.train.ppo.plan import TrainPlan
from counterpoint.train.session import note_unpaid

THIS = "test_policy_own"
SMALL = {"copies": 4, "steps": 6, "hidden": 8}


class Guesses(ParallelEnv):
    """Two agents that are paid `pay` for choosing 1, in three rounds; `copies` rounds if given."""

    metadata = {"name": "guesses"}  # noqa: RUF012
    possible_agents = ("ann", "bob")

    def __init__(self, pay=1.0, copies=3):
        self.pay, self.rounds = pay, copies

    def observation_space(self, agent):
        return spaces.Box(0, 1, (1,), np.float32)

    def action_space(self, agent):
        return spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        self.agents, self.round = list(self.possible_agents), 0
        return self._look(), {}

    def step(self, actions):
        self.round += 1
        paid = {name: self.pay * action for name, action in actions.items()}
        over = self.round == self.rounds
        flags = dict.fromkeys(actions, False), dict.fromkeys(actions, over)
        seen = self._look()
        self.agents = [] if over else self.agents
        return seen, paid, *flags, {}

    def _look(self):
        return {name: np.ones(1, np.float32) for name in self.agents}


def trained(**settings):
    plan = TrainPlan.of(f"{THIS}:Guesses", "mappo_pooled", 48, {**SMALL, **settings}, None)
    return train_to_end(plan)


def test_a_team_that_was_never_paid_is_told_so():
    # 48 steps of 4 copies in 3 rounds are 16 episodes
    (note,) = note_unpaid(trained(pay=0.0))
    assert note.startswith("every return was 0, in 16 episodes of training and in 100 fresh ones")
    assert note_unpaid(trained()) == ()


def test_a_setting_that_the_constructor_knows_as_well_is_named():
    plan = TrainPlan.of(f"{THIS}:Guesses", "mappo_pooled", 48, {**SMALL, "pay": 2.0}, None)
    (note,) = plan.notes
    assert note.startswith(f"copies=4 went to the training, and not to the constructor of {THIS}:G")
    assert plan.world_settings == {"pay": 2.0}
    assert TrainPlan.of("spread", "mappo_pooled", 48, SMALL, None).notes == ()
