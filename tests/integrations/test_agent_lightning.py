"""Agent Lightning: its rollouts as stand-ins here, a step of its own trainer in its own Python."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from adapter_layouts import Trajectory
from peer_python import KERNEL, run_peer

from counterpoint.credit import advantages, catalogue
from counterpoint.errors import HookError, LabelError, MissingPackageError
from counterpoint.integrations import TeamCredit
from counterpoint.integrations.agent_lightning import (
    by_agent,
    register,
    requested_by,
    row_columns,
    trainer,
)
from counterpoint.readers import read_decisions


def rollout(requests, rewards, kept=None, final=None, name="r"):
    """A completed rollout: its requests by agent, of which some became rows."""
    events = [{"event_type": "model_request", "timestamp": t, "data": {"request": {"user": a}}}
              for t, a in enumerate(requests)]  # fmt: skip
    rows = range(len(requests)) if kept is None else kept
    trimmed = [{"event_type": "model_request", "timestamp": t, "data": {"response_token_ids": [1]}}
               for t in rows]  # fmt: skip
    paid = [{"event_type": "reward", "timestamp": 9, "data": {"value": value, "agent": agent}}
            for agent, value in rewards]  # fmt: skip
    return Trajectory(
        rollout_id=name, data_id="d", events=[*events, *paid], triplet_events=[*trimmed, *paid],
        triplets=list(rows), final_reward=final,
    )  # fmt: skip


def test_without_it_the_error_says_what_to_do():
    with pytest.raises(MissingPackageError, match="pip install agentlightning verl"):
        register()


def test_a_rollout_is_split_by_agent_with_rewards_of_their_own():
    parts, rewards = by_agent([rollout("abab", [("a", 0.5), ("b", None), ("b", 2)])])
    assert [(part.data_id, part.triplets) for part in parts] == [("d:a", [0, 2]), ("d:b", [1, 3])]
    assert [part.final_reward for part in parts] == [0.5, 2.0]
    assert rewards == {("d:a", "r"): ("a", 0.5), ("d:b", "r"): ("b", 2.0)}


def test_agents_without_a_reward_of_their_own_share_the_rollouts():
    shared, rewards = by_agent([rollout("ab", [(None, 3.0)], final=3.0)])
    assert [part.final_reward for part in shared] == [3.0, 3.0]
    assert rewards["d:b", "r"] == ("b", 3.0)
    # where one agent has a reward of its own, the other's is missing, and so is what is no number
    _, rewards = by_agent([rollout("ab", [("a", True)], final=1.0)])
    assert rewards == {("d:a", "r"): ("a", None), ("d:b", "r"): ("b", None)}


def test_requests_that_became_no_row_are_passed_over():
    (part,), _ = by_agent([rollout("abb", [], kept=[0])])
    assert part.data_id == "d:a"
    failed = rollout("ab", [])
    failed.triplet_events[0]["data"]["status"] = "error"
    failed.triplets = [1]
    assert [part.data_id for part in by_agent([failed])[0]] == ["d:b"]
    failed.triplets = [0, 1]
    with pytest.raises(LabelError, match="1 requests for the 2 rows"):
        by_agent([failed])
    empty = Trajectory(rollout_id="r", data_id="d", events=[], triplet_events=[], triplets=None)
    assert by_agent([empty]) == ([empty], {})


def test_requests_without_a_name():
    assert requested_by({"user": "a"}) == "a"
    nameless = [rollout([None, None], [], final=1.0)]
    assert by_agent(nameless)[1] == {("d:policy", "r"): ("policy", 1.0)}
    with pytest.raises(LabelError, match="2 of 2 requests without an agent"):
        by_agent(nameless, needs_agent=True)
    with pytest.raises(LabelError, match="1 of 2 requests without an agent"):
        by_agent([rollout(["a", None], [])])
    by_model = by_agent([rollout([None] * 2, [])], agent_of=lambda request: "m", needs_agent=True)
    assert [part.data_id for part in by_model[0]] == ["d:m"]


def test_columns_of_rows():
    rewards = {("d:a", "r"): ("a", 0.5), ("d:b", "r"): ("b", None), ("d:a", "s"): ("a", 1.0)}
    assert row_columns(["d:a", "d:b", "d:a", "d:a"], ["r", "r", "r", "s"], rewards) == {
        "agent": ["a", "b", "a", "a"], "rollout": ["r", "r", "r", "s"], "turn": [0, 0, 1, 0],
        "agent_reward": [0.5, None, 0.5, 1.0],
    }  # fmt: skip


class Steps:
    """A trainer whose step updates the actor, after what computes its advantages."""

    def __init__(self, folder, computes):
        settings = {"default_local_dir": str(folder), "resume_mode": "auto"}
        self.config = SimpleNamespace(trainer=SimpleNamespace(**settings))
        self.computes, self.trained, self.global_steps = computes, 0, 3

    def _train_step(self):
        self.computes()
        self._update_actor("batch")
        return {"loss": 1.0}, "batch"

    def _update_actor(self, batch):
        self.trained += 1

    def _save_checkpoint(self):
        pass

    _load_checkpoint = _save_checkpoint


def test_a_step_without_our_advantages_stops_before_the_actor_is_updated(tmp_path):
    credit = TeamCredit("agent_wise", check_every=0)
    elsewhere = trainer(Steps, credit)(tmp_path, lambda: None)
    with pytest.raises(HookError, match=r"set algorithm\.adv_estimator"):
        elsewhere._train_step()
    assert elsewhere.trained == 0
    ours = trainer(Steps, credit)(tmp_path, lambda: credit([1.0, 0.0], {"agent": ["a", "a"]}))
    metrics, _ = ours._train_step()
    assert (ours.trained, metrics["counterpoint/rows"]) == (1, 2)


def test_checkpoints_hold_the_state(tmp_path):
    credit = TeamCredit("group_reward_decoupled", check_every=0)
    credit([1.0, 0.0], {"agent": ["a", "a"]})
    (tmp_path / "global_step_3").mkdir()
    trainer(Steps, credit)(tmp_path, None)._save_checkpoint()
    again = TeamCredit("group_reward_decoupled", check_every=0)
    trainer(Steps, again)(tmp_path, None)._load_checkpoint()
    assert again.state_dict() == credit.state_dict()


@pytest.mark.slow
def test_in_its_own_trainer(tmp_path):
    printed = run_peer("peers-agent-lightning", "agent_lightning_check.py", tmp_path)
    agents = ["critic", "critic", "solver", "critic", "critic", "solver", "critic", "solver",
              "critic", "critic", "critic", "critic"]  # fmt: skip
    paid = [1000.1, 1000.1, 0.7, 1002.3, 1002.3, 0.3, 1004.7, np.nan, *[1001.9] * 4]
    assert [agent for *_, agent in printed["rows"]] == agents
    kernel = advantages(paid, {"agent": agents, "prompt": [0] * 12}, catalogue()["agent_wise"])
    values = [value for _, value, _ in printed["rows"]]
    assert values == pytest.approx(list(kernel.values), abs=KERNEL)
    # its own rewards have 8 bits: three of the critic's four are equal there
    assert printed["scores"] == [0.0, 0.3008, 0.6992, 1000.0, 1004.0]
    assert (printed["dtype"], printed["masked"]) == ("torch.float32", 0)
    assert "counterpoint/dead/critic" in printed["metrics"]
    assert printed["restored"]
    assert printed["file"]
    refused = {
        name: printed[name]
        for name in ("nameless", "pooled", "by_rollout", "elsewhere", "untrained")
    }
    assert refused == {
        "nameless": "LabelError", "pooled": "HookError", "by_rollout": "SettingError",
        "elsewhere": "HookError", "untrained": True,
    }  # fmt: skip
    assert set(read_decisions(tmp_path / "credit.jsonl").labels["agent"]) == {"critic", "solver"}
