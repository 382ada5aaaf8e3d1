"""What a team learns does not depend on the order in which a world lists its agents."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from step_worlds import SaysWhatIsOnTape, played, random_tape, small

from counterpoint.credit import entries
from counterpoint.train.loop import one_update, train_to_end
from counterpoint.train.ppo.critics import generalized_advantages, rewards_by_decision
from counterpoint.train.ppo.learner import Crediting, Learner, credit_batch
from counterpoint.train.ppo.plan import PolicyTrainer, TrainPlan
from counterpoint.train.series import CollapseMonitor
from counterpoint.worlds import PermutedStepWorld, find_world
from counterpoint.worlds.sequential.wrapped import by_name

TEAMS = [
    ("mappo_per_agent", {}),
    (
        "mappo_pooled",
        {"parameters": "separate", "critic": "central", "observations": "normalized"},
    ),
    (
        "group_reward_decoupled",
        {"parameters": "per_role", "memory": "gru", "observations": "normalized"},
    ),
]


def series(world, scheme, given):
    """Rows of three updates, and all weights after them."""
    world = by_name(world)
    learner = Learner(world, scheme, small(**{"diagnose_every": 1, "steps": 6, **given}), 2)
    team, watch, rows = PolicyTrainer(None, learner), CollapseMonitor(world.agents), []
    for _ in range(3):
        rows.append(one_update(team, watch, rows))
    return rows, learner.adam.weights.numpy().tobytes(), world.agents


@pytest.mark.few(3)
@pytest.mark.parametrize("world", ["spread", "speaker_listener", "foraging"])
@pytest.mark.parametrize(("scheme", "given"), TEAMS)
def test_a_reordered_world_gives_the_same_series_by_name(world, scheme, given):
    plain = find_world(world).make(copies=8, seed=1)
    wanted = series(plain, scheme, given)
    for order in itertools.permutations(range(len(plain.agents))):
        found = series(
            PermutedStepWorld(find_world(world).make(copies=8, seed=1), order), scheme, given
        )
        assert found == wanted
    assert list(wanted[2]) == sorted(plain.agents)
    assert list(wanted[0][0].agents) == sorted(plain.agents)


@pytest.mark.parametrize(("scheme", "given"), TEAMS)
def test_a_user_s_own_world_may_list_its_agents_in_any_order(scheme, given):
    found = []
    for names in ("porter_0 porter_1 runner_0", "runner_0 porter_1 porter_0"):
        policy = small(**{"copies": 4, "steps": 7, "diagnose_every": 1, **given})
        plan = TrainPlan(
            "unsorted_env:PassesParcels", scheme, 1, 100, world_settings={"names": names},
            policy=policy, episodes=4,
        )  # fmt: skip
        result = train_to_end(plan)
        rows = [replace(row, seconds=0) for row in result.rows]
        found.append((rows, result.returns.tolist(), result.agents))
    assert found[0] == found[1]
    assert len(found[0][0]) == 4


@pytest.mark.parametrize(
    "name", sorted(name for name, entry in entries().items() if not entry.needs)
)
def test_permuted_agents_have_permuted_advantages(name):
    tape = random_tape(np.random.default_rng(2), agents=3, turns=True, leaving=True)
    order = [2, 0, 1]
    moved = {k: x if x.ndim == 2 else x[:, :, order] for k, x in tape.items()}
    found = []
    for one, roles in ((tape, [0, 1, 1]), (moved, [1, 0, 1])):
        world, settings = SaysWhatIsOnTape(one, (2, 2, 2)), small(steps=12)
        batch = played(world, Learner(world, "none", settings, 0).team, settings)
        paid, after = rewards_by_decision(
            batch.reward[..., None], batch.active, batch.terminated, batch.ended, 0.9
        )
        value = np.cos(batch.seen.sum(axis=-1, keepdims=True, dtype=float))
        left = np.zeros_like(paid)
        raw = generalized_advantages(paid, value, left, after, batch.active, 0.9, 0.8)
        scheme = Crediting.of(name, world, settings).scheme
        found.append(credit_batch(raw, batch, np.array(roles), scheme, None).values)
    np.testing.assert_allclose(found[0][order], found[1], rtol=1e-9, atol=1e-12)
