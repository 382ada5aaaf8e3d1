"""Each trait of an environment is learned as well as the same game without the trait."""

from __future__ import annotations

import pytest

pytest.importorskip("pettingzoo", reason="foreign worlds need pettingzoo")
pytest.importorskip("gymnasium", reason="foreign worlds need gymnasium")
pytest.importorskip("torch", reason="networks need torch")

from lamp_envs import ROUNDS

from counterpoint.train.loop import train_to_end
from counterpoint.train.ppo.plan import TrainPlan

pytestmark = pytest.mark.fault("R41")


def returned(settings, name="lamp_envs:Lamps", budget=12_000):
    """The mean return of fresh episodes after a training."""
    plan = TrainPlan.of(name, "mappo_pooled", budget, {"diagnose_every": "0", **settings}, None)
    return float(train_to_end(plan).returns.mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "best"),
    [
        ({}, 10),
        ({"takes": "late"}, 10),
        ({"takes": "many"}, 10),
        ({"takes": "tuple"}, 10),
        ({"takes": "dict"}, 10),
        ({"shows": "many"}, 10),
        ({"shows": "grid"}, 10),
        ({"shows": "dict"}, 10),
        ({"shows": "nested"}, 10),
        ({"shows": "masked"}, 10),
        ({"takes": "four", "masks": "late"}, 10),
        ({"takes": "four", "masks": "yes"}, 10),
        ({"crew": "dies"}, ROUNDS + 2),
        ({"crew": "returns"}, ROUNDS + 3),
        ({"crew": "vanishes"}, ROUNDS + 2),
        ({"crew": "joins"}, ROUNDS + 3),
        ({"crew": "swaps"}, 10),
        ({"crew": "returns", "reward": "common"}, ROUNDS + 3),
        ({"pays": "widow", "reward": "common"}, ROUNDS - 1),
        ({"pays": "widow", "reward": "common", "critic": "central"}, ROUNDS - 1),
    ],
    ids=str,
)
def test_a_trait_costs_nothing(settings, best):
    assert returned(settings) >= 0.99 * best


@pytest.mark.slow
def test_turns_with_a_return_are_learned():
    assert returned({}, "lamp_envs:LampsInTurns") >= 0.99 * 8  # ann has 3 turns, bob 5


@pytest.mark.slow
def test_nobody_dies_for_what_comes_anyway():
    """The team is paid the same whether ann lives, and she is paid 1 a round more if she does."""
    assert returned({"reward": "common"}, "lamp_envs:PaysForLiving") >= 0.99 * 2 * 20
