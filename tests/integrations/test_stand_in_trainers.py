"""The adapters of AReaL, OpenRLHF, ms-swift, TRL's async trainer, ART's pipeline, NeMo Gym, miles.

Small objects stand in for the trainers, except for TRL's loop and ms-swift's function in their own
Python; `check_adapter` runs over the same functions elsewhere.
"""

from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace

import numpy as np
import pytest
from adapter_layouts import Group, Trajectory
from peer_python import KERNEL, run_peer
from stand_in_layouts import PlacesRewards

from counterpoint.errors import HookError, LabelError, SchemeError, SettingError, StateError
from counterpoint.integrations import (
    TeamCredit,
    areal,
    art_pipeline,
    miles,
    ms_swift,
    nemo_gym,
    openrlhf,
    slime,
    trl_async,
    trl_groups,
)
from counterpoint.integrations.draws import names_by_number
from counterpoint.integrations.hook_check import HookCheck
from counterpoint.integrations.trl import COLUMNS

RUNNING = "group_reward_decoupled"


def test_numbers_get_names_or_are_refused():
    assert names_by_number([0.0, 1.0], ["a", "b"], "agent") == ["a", "b"]
    assert names_by_number([3, 0], (), "role") == ["role_3", "role_0"]
    for strange in (2, -1, 0.5):
        with pytest.raises(LabelError, match="whole numbers from 0 to 1"):
            names_by_number([strange], ["a", "b"], "agent")


def areal_actor(scheme="agent_wise", **config):
    given = {"reward_norm": None, "adv_norm": None, "discount": 1.0, "gae_lambda": 1.0, **config}
    return areal.with_credit(PlacesRewards, scheme, agents=["a", "b"])(SimpleNamespace(**given))


def areal_batch(torch, rewards, agents):
    return {"input_ids": torch.zeros(len(rewards), 2), "rewards": torch.tensor(rewards),
            "agent": torch.tensor(agents)}  # fmt: skip


def test_areal_normalizes_rewards_by_agent():
    torch = pytest.importorskip("torch")
    actor = areal_actor()
    data = [
        areal_batch(torch, [0.0, 100.0, 1.0], [0, 1, 0]),
        areal_batch(torch, [5.0, 7.0], [1, 1]),
    ]
    assert actor.compute_advantages(data).tolist() == [-1, 0, 1, -1, 1]
    assert actor.actor.reward_norm is None
    assert "agent" in data[0]


@pytest.mark.parametrize("setting", [{"reward_norm": 1}, {"adv_norm": 1}, {"gae_lambda": 0.9}])
def test_areal_settings_that_change_advantages_are_refused(setting):
    with pytest.raises(SettingError, match=next(iter(setting))):
        areal_actor(**setting)


def test_areal_versions_and_batches_that_do_not_fit():
    torch = pytest.importorskip("torch")
    with pytest.raises(SettingError, match="PPO actors"):
        areal.with_credit(dict)
    data = [areal_batch(torch, [0.0, 1.0], [0, 0])]
    with pytest.raises(SettingError, match="critic"):
        areal_actor().compute_advantages([{**data[0], "values": torch.zeros(2)}])
    with pytest.raises(LabelError, match="1 of 2 batches without 'agent'"):
        areal_actor().compute_advantages([*data, {"input_ids": torch.zeros(1, 2)}])

    class Elsewhere(PlacesRewards):
        def compute_advantages(self, data):
            return data

    settings = SimpleNamespace(reward_norm=None, adv_norm=None, discount=1.0, gae_lambda=1.0)
    actor = areal.with_credit(Elsewhere, "agent_wise")(settings)
    with pytest.raises(HookError, match="computes advantages elsewhere"):
        actor.compute_advantages(data)


class Saves(PlacesRewards):
    def save(self, meta):
        pass

    load = save


def test_areal_keeps_its_state_in_checkpoints(tmp_path):
    torch = pytest.importorskip("torch")
    settings = SimpleNamespace(reward_norm=None, adv_norm=None, discount=1.0, gae_lambda=1.0)
    made = areal.with_credit(Saves, RUNNING, agents=["a", "b"])
    first, second = made(settings), made(settings)
    data = [areal_batch(torch, [1.0, 3.0], [0, 0])]
    first.compute_advantages(data)
    meta = SimpleNamespace(path=tmp_path, with_optim=True)
    first.save(meta)
    second.load(meta)
    later = [areal_batch(torch, [5.0, 7.0], [0, 0])]
    assert torch.equal(first.compute_advantages(later), second.compute_advantages(later))
    (tmp_path / areal.STATE).unlink()
    with pytest.raises(StateError, match="running statistics"):
        made(settings).load(meta)
    made(settings).load(SimpleNamespace(path=tmp_path, with_optim=False))


def experience(index, rewards, agents, acts=None):
    mask = np.ones((len(index), 2)) if acts is None else np.array(acts)
    return SimpleNamespace(
        index=index, rewards=np.array(rewards, float), action_mask=mask,
        info={} if agents is None else {"agent": np.array(agents, float)})  # fmt: skip


def test_openrlhf_sorts_samples_by_their_index():
    mixed = [experience([3, 0], [7.0, 0.0], [1, 0]), experience([1, 2], [1.0, 5.0], [0, 1])]
    values = openrlhf.experience_advantages(mixed, 2, TeamCredit(), ["a", "b"])
    assert [one.tolist() for one in values] == [[1, -1], [1, -1]]


def test_openrlhf_samples_that_lack_something():
    empty = experience([0, 1, 2], [0.0, 1.0, 50.0], [0, 0, 0], [[1, 0], [0, 1], [0, 0]])
    assert openrlhf.experience_advantages([empty], 3, TeamCredit())[0].tolist() == [-1, 1, 0]
    missing = experience([0, 1, 2], [1.0, math.nan, 0.0], [0, 0, 0])
    assert openrlhf.experience_advantages([missing], 3, TeamCredit())[0].tolist() == [1, 0, -1]
    with pytest.raises(LabelError, match="extra_logs"):
        openrlhf.experience_advantages([experience([0], [1.0], None)], 1, TeamCredit())
    half = [experience([0], [1.0], [0]), experience([1], [1.0], None)]
    with pytest.raises(LabelError, match="1 of 2 samples with 'agent'"):
        openrlhf.experience_advantages(half, 2, TeamCredit())


def test_openrlhf_trainers_keep_the_state():
    class Trainer:
        saved: dict

        def save_logs_and_checkpoints(self, global_step, logs_dict=None, client_states=None):
            Trainer.saved, self.logs = client_states, logs_dict

        def init_checkpoint_states(self):
            return {"global_step": 1, **Trainer.saved}

        def ppo_train(self, global_steps):
            return {"trained": global_steps}

    first, second = TeamCredit(RUNNING), TeamCredit(RUNNING)
    first([1.0, 3.0], {"agent": ["a", "a"]})
    openrlhf.extend_trainer(Trainer, first)
    trainer = Trainer()
    trainer.save_logs_and_checkpoints(1, {"x": 1.0}, {"episode": 0})
    assert trainer.logs["counterpoint/rows"] == 2
    openrlhf.extend_trainer(Trainer, second)  # a new process
    assert trainer.init_checkpoint_states()["episode"] == 0
    assert second.state_dict() == first.state_dict()
    Trainer.saved = {}
    with pytest.raises(StateError, match="without our state"):
        trainer.init_checkpoint_states()
    with pytest.raises(HookError, match="before compute_advantages_and_returns"):
        trainer.ppo_train(1)  # its experience maker is another one
    second([1.0, 3.0], {"agent": ["a", "a"]})
    assert trainer.ppo_train(1) == {"trained": 1}


def test_ms_swift_rows_of_a_request_are_its_turns():
    given = [("a", "1", "x"), ("a", "1", "x"), ("a", "1", "y"), ("b", "2", "z")]
    rows = [{"agent": a, "prompt": "t", "prompt_id": p, "request_id": r} for a, p, r in given]
    labels = ms_swift.request_labels(rows, COLUMNS, 0)
    assert labels["rollout"] == ["x", "x", "y", "z"]
    assert labels["turn"] == [0, 1, 0, 0]
    assert labels["prompt"] == ["t"] * 4  # one draw by two agents
    again = [{**row, "agent": "a"} for row in rows]
    assert ms_swift.request_labels(again, COLUMNS, 0)["prompt"] == ["t", "t", "t", "t (2)"]
    with pytest.raises(SettingError, match="GRPOTrainer"):
        ms_swift.with_credit(dict)


def loop_credit(scheme="agent_wise", **more):
    return trl_groups.GroupCredit({"scheme": scheme, "columns": COLUMNS, "options": {}, **more})


def test_trl_async_groups_are_updates_with_a_state_on_disk(tmp_path):
    live = tmp_path / trl_async.LIVE
    first = loop_credit(RUNNING, live=str(live))
    assert first([[1.0], [3.0]], {"agent": ["a", "a"]}, 0) == [-1, 1]
    checkpoint = tmp_path / "checkpoint-1"
    checkpoint.mkdir()
    (checkpoint / trl_groups.STATE).write_text(live.read_text())
    second = loop_credit(RUNNING, state=trl_groups.saved_state(str(checkpoint), RUNNING))
    later = [[5.0], [7.0]], {"agent": ["a", "a"]}, 1
    assert first(*later) == second(*later) == [3, 5]  # mean 2, deviation 1 before
    assert trl_groups.saved_state(None, RUNNING) is None
    (checkpoint / trl_groups.STATE).unlink()
    assert trl_groups.saved_state(str(checkpoint), "agent_wise") is None
    with pytest.raises(StateError, match="running statistics"):
        trl_groups.saved_state(str(checkpoint), RUNNING)


def test_trl_async_shows_one_agent_at_a_time():
    with pytest.raises(SchemeError, match="one agent at a time"):
        loop_credit("grpo")([[1.0], [0.0]], {"agent": ["a", "a"]}, 0)
    assert loop_credit("grpo")([[1.0], [0.0]], {}, 0) == [1, -1]
    with pytest.raises(LabelError, match="column 'agent'"):
        loop_credit()([[1.0], [0.0]], {}, 0)
    missing = [[math.nan, math.nan], [1.0, math.nan], [0.0, 0.5]]
    assert loop_credit()(missing, {"agent": ["a"] * 3}, 0) == [0, 1, -1]
    metrics = [{"reward": 3.0, "rewards/x": 1.0, "rewards/y": 2.0}]
    assert trl_groups.group_rewards(metrics, ["x", "y"]) == [[1.0, 2.0]]
    assert trl_groups.group_rewards(metrics, ["x", "x"]) == [[3.0]]


class Pipeline:
    """Collects what it is given, and has a model with a state."""

    def __init__(self, batches, normalize_advantages=False, resume=True, model=None):
        self.batches, self.normalize_advantages, self.resume = batches, normalize_advantages, resume
        self.model = model or SimpleNamespace(kept={})
        self.model.read_state = lambda: self.model.kept
        self.model.merge_state = self.model.kept.update
        self.trained = []

    async def _collect_batch(self, current_step):
        return self.batches.pop(0), 0, not self.batches

    def _persist_state(self, training_step):
        self.model.kept["step"] = training_step

    async def train(self):
        step, done = 0, False
        while not done:
            batch, _, done = await self._collect_batch(step)
            self.trained.append([[t.reward for t in group] for group in batch])
            step += 1
            self._persist_state(step)


def art_group(rows):
    runs = [Trajectory(reward=r, metrics={}, metadata={"agent": a}) for a, r in rows]
    return Group(trajectories=runs, metadata={}, exceptions=[], logs=[])


def test_art_pipelines_train_with_groups_of_one_agent_and_resume():
    made = art_pipeline.with_credit(Pipeline, RUNNING, balance=True)
    first = made([[art_group([("a", 1.0), ("b", 10.0), ("a", 3.0), ("b", 30.0)])]])
    asyncio.run(first.train())
    assert first.trained == [[[-1, 1], [-1, 1]]]
    again = made([[art_group([("a", 5.0), ("b", 20.0)])]], model=first.model)
    asyncio.run(again.train())
    # a: mean 2, deviation 1; b: mean 20. ART subtracts the mean of a group, which has to be 0
    assert again.trained == [[[3, -3], [0]]]
    fresh = made([[art_group([("a", 5.0), ("b", 20.0)])]], resume=False, model=first.model)
    asyncio.run(fresh.train())
    assert fresh.trained == [[[0], [0]]]


def test_art_pipelines_that_do_not_fit():
    with pytest.raises(SettingError, match="normalize_advantages=False"):
        art_pipeline.with_credit(Pipeline)([], normalize_advantages=True)
    with pytest.raises(SettingError, match="_collect_batch"):
        art_pipeline.with_credit(dict)
    unbalanced = art_pipeline.with_credit(Pipeline, "mappo_pooled")
    with pytest.raises(SchemeError, match="balance=True"):
        asyncio.run(unbalanced([[art_group([("a", 1.0), ("b", 0.0)])]]).train())
    leased = art_group([("a", 1.0)])
    leased._distributed_lease = object()
    with pytest.raises(SettingError, match="distributed"):
        asyncio.run(art_pipeline.with_credit(Pipeline)([[leased]]).train())


def test_nemo_gym_rewards_by_agent():
    row = {"solver": 1.0, "solver/format": 0.5, "critic": math.nan, "critic/late": None}
    rewards = nemo_gym.agent_rewards({"reward_components": row})
    assert rewards["solver"] == 1.5
    assert math.isnan(rewards["critic"])
    masked = SimpleNamespace(reward_components={"solver": 1.0}, mask_sample=True)
    assert math.isnan(nemo_gym.agent_rewards(masked)["solver"])
    columns = nemo_gym.columns([{"reward_components": {"b": 1.0}}, {"reward_components": row}])
    assert columns["reward/b"][0] == 1.0
    assert math.isnan(columns["reward/b"][1])
    assert columns["reward/solver"][1] == 1.5
    with pytest.raises(LabelError, match="reward_components"):
        nemo_gym.agent_rewards({"reward": 1.0})
    with pytest.raises(LabelError, match="_ng_task_index"):
        nemo_gym.result_advantages([{"reward_components": row}], TeamCredit())
    assert nemo_gym.result_advantages([], TeamCredit()) == []


def test_miles_is_slime_with_checks():
    slime.credit_for.cache_clear()
    samples = [SimpleNamespace(reward=r, group_index=0, index=i, metadata={"agent": "a"})
               for i, r in enumerate([0.0, 1.0])]  # fmt: skip
    given = {"advantage_estimator": "grpo", "normalize_advantages": False}
    assert miles.reward_post_process(SimpleNamespace(**given), samples)[1] == [-1, 1]
    with pytest.raises(SettingError, match="reinforce_plus_plus"):
        miles.reward_post_process(
            SimpleNamespace(**{**given, "advantage_estimator": "reinforce_plus_plus"}), samples
        )
    with pytest.raises(SettingError, match="normalize-advantages"):
        miles.reward_post_process(
            SimpleNamespace(**{**given, "normalize_advantages": True}), samples
        )


@pytest.mark.slow
def test_in_trls_own_rollout_loop(tmp_path):
    printed = run_peer("peers-language", "trl_async_check.py", tmp_path)
    # rewards 1, 0.5 and 3 by two functions, one conversation without any: mean 1.5
    low, high = -0.4629100499, 1.3887301497
    assert printed["forked"] == pytest.approx([low, 2 * low, 2 * low, 0, *[high] * 3], abs=KERNEL)
    assert printed["without_rows"] == printed["plain"] == [1, -1]
    assert printed["constant"] == [0] * 7
    assert printed["metrics"] == ["counterpoint/advantage_rms/a"]
    assert printed["compared"] == "refused"
    assert printed["resumed"]


@pytest.mark.slow
def test_in_ms_swifts_own_function():
    printed = run_peer("peers-ms-swift", "ms_swift_check.py")
    assert printed["own"] == [-1, 1, -1, 1]
    pooled = np.array([0.0, 1.0, 100.0, 102.5])
    wanted = (pooled - pooled.mean()) / pooled.std()
    assert printed["pooled"] == pytest.approx(list(wanted), abs=KERNEL)
    assert printed["missing"] == printed["constant"] == [0, 0]
    assert printed["stock"] == pytest.approx([-0.7070, 0.7070, -0.7071, 0.7071], abs=1e-4)
    assert printed["metrics"] == ["counterpoint/dead/a", "counterpoint/dead/b"]
    assert printed["evaluation"] == [[-1, 1, -1, 1], 0]
    # a: 1 in two rows of one request, and 0; b: 7 and 9
    wanted = [0.7071067812, 0.7071067812, -1.4142135624, -1, 1]
    assert printed["requests"] == pytest.approx(wanted, abs=KERNEL)
    assert printed["installed"]


class StepsOnBatches:
    """A trainer whose buffered batches are those of ms-swift."""

    _buffered_inputs = ({"grpo_batch": None},)

    def training_step(self):
        return 0.5


class CreditedSteps(ms_swift.CreditMixin, StepsOnBatches):
    pass


def test_ms_swift_stops_before_a_first_step_without_our_advantages():
    credit, trainer = TeamCredit("agent_wise", check_every=0), CreditedSteps.__new__(CreditedSteps)
    trainer._check = HookCheck(credit, "install(...)", "call it")
    with pytest.raises(HookError, match="before install"):
        trainer.training_step()
    credit([0.0, 1.0], {"prompt": [0, 0], "agent": ["a", "a"]})
    assert trainer.training_step() == 0.5


@pytest.mark.parametrize(
    ("scheme", "row", "warns"),
    [("agent_wise", {"agent": None}, True), ("grpo", {"agent": None}, False),
     ("agent_wise", {"agent": "a"}, False), ("agent_wise", {"role": "lead"}, False)],
)  # fmt: skip
def test_ms_swift_warns_of_rows_without_an_agent(scheme, row, warns):
    heard, trainer = [], CreditedSteps.__new__(CreditedSteps)
    trainer.team_credit = TeamCredit(scheme, warn=heard.append)
    for _ in range(2):
        trainer._warn_of_nameless([row, row])
    assert len(heard) == warns
    assert all("column 'agent'" in text for text in heard)
