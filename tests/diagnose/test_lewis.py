"""The three logs of a real language-model team: collapsed, learned, and a no-op."""

import json
from pathlib import Path

import numpy as np
import pytest

from counterpoint.diagnose import diagnose
from counterpoint.readers import example_log, read_decisions
from counterpoint.results import encode

LOGS = Path(__file__).parent.parent / "data" / "lewis_smollm2"


def document(name, scheme):
    diagnosis = diagnose(
        read_decisions(LOGS / f"{name}.jsonl"), scheme, rng=np.random.default_rng(0)
    )
    return json.loads(encode(diagnosis))


@pytest.mark.parametrize("name", ["collapsed_pooled", "learned_per_agent"])
def test_own_reward_terms_under_pooled_statistics(name):
    diagnosis = document(name, "mappo_pooled")
    assert diagnosis["decoupling"]["verdict"] == "matters"
    assert diagnosis["decoupling"]["conditions"] == ["C3"]
    assert [diagnosis["agents"][a]["cause"] for a in ("speaker", "listener")] == [
        "OFFSET",
        "OFFSET",
    ]
    assert diagnosis["recommended"] == "agent_wise"
    kept = {name: g["signal_kept"]["listener"] for name, g in diagnosis["groupings"].items()}
    assert kept["pooled"] < 0.03 < 0.4 < kept["by agent"] < 0.7 < kept["by prompt and agent"]
    # The speaker's 5 extra points push all its samples up and all the listener's down.
    assert diagnosis["agents"]["speaker"]["net_mass"] > 0.9
    assert diagnosis["agents"]["listener"]["net_mass"] < -0.9
    assert diagnosis["agents"]["speaker"]["norm_inflation"] == pytest.approx(1)


def test_the_same_log_under_statistics_of_its_own_has_no_cause():
    diagnosis = document("learned_per_agent", "mappo_per_agent")
    assert [agent["cause"] for agent in diagnosis["agents"].values()] == [None, None]
    assert diagnosis["recommended"] is None
    assert diagnosis["agents"]["listener"]["inflation"] == pytest.approx(1)


def test_one_reward_for_everybody_is_a_no_op():
    diagnosis = document("same_reward", "mappo_pooled")
    assert diagnosis["decoupling"]["verdict"] == "no-op"
    assert diagnosis["decoupling"]["conditions"] == []
    assert diagnosis["decoupling"]["max_difference"] < 1e-12
    assert [agent["cause"] for agent in diagnosis["agents"].values()] == [None, None]
    assert diagnosis["recommended"] is None
    assert set(diagnosis["decoupling"]["not_readable"]) == {"C4", "C7"}


def test_inflation_is_the_average_over_updates_by_hand():
    decisions = read_decisions(LOGS / "collapsed_pooled.jsonl")
    rewards, agent = decisions.rewards[:, 0], decisions.labels["agent"]
    by_hand = []
    for step in np.unique(decisions.step):
        here = decisions.step == step
        own = rewards[here & (agent == "speaker")]
        if own.std() > 0:
            by_hand.append(1 + (own.mean() - rewards[here].mean()) ** 2 / own.var())
    diagnosis = document("collapsed_pooled", "mappo_pooled")
    assert diagnosis["agents"]["speaker"]["inflation"] == pytest.approx(np.mean(by_hand))
    assert len(diagnosis["timeline"]["step"]) == 20
    # In the last three updates all rewards of a prompt are equal: the offset is all that is left.
    causes = diagnosis["timeline"]["agents"]["listener"]["cause"]
    assert causes == ["OFFSET"] * 17 + ["DEAD"] * 3
    last = decisions.step >= diagnosis["timeline"]["step"][-3]
    for prompt in np.unique(decisions.labels["prompt"]):
        here = last & (agent == "listener") & (decisions.labels["prompt"] == prompt)
        assert all(
            np.ptp(rewards[here & (decisions.step == s)]) == 0
            for s in np.unique(decisions.step[here])
        )


def test_the_shipped_example_is_the_collapsed_log():
    assert example_log().read_bytes() == (LOGS / "collapsed_pooled.jsonl").read_bytes()
