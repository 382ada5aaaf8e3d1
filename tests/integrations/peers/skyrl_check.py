"""Our advantages in SkyRL's own trainer: run by test_skyrl.py.

    python skyrl_check.py FOLDER

Its batches, padding, estimators, mini-batch normalization and checkpoints are its own; models and
inference are left out. Prints one JSON line.
"""

from __future__ import annotations

import json
import sys
import typing
from pathlib import Path
from types import SimpleNamespace

import typing_extensions

if sys.version_info < (3, 12):  # SkyRL asks for 3.12, of which pydantic needs this alone
    typing.TypedDict = typing_extensions.TypedDict

import numpy as np
import torch
from skyrl.backends.skyrl_train.utils.ppo_utils import (
    AdvantageEstimatorRegistry,
    compute_advantages_and_returns,
)
from skyrl.train.config import SkyRLTrainConfig
from skyrl.train.generators.base import TrajectoryID
from skyrl.train.trainer import RayPPOTrainer

from counterpoint.errors import LabelError, SettingError, StateError
from counterpoint.integrations import TeamCredit
from counterpoint.integrations.skyrl import KEY, STATE, with_credit
from counterpoint.integrations.verl import estimator

TEAM = [  # rollout, agent, turn, reward of the last token
    (0, "a", 0, 0.0), (0, "b", 0, 0.0), (0, "b", 1, 10.0),
    (1, "b", 0, 12.0),
    (2, "a", 0, 1.0), (2, "b", 0, 0.0), (2, "b", 1, 14.0),
    (3, "b", 0, 11.0), (3, "a", 0, float("nan")),
]  # fmt: skip


def made(folder, scheme, *, step_wise, base=RayPPOTrainer, **algorithm):
    """A trainer without models."""
    config = SkyRLTrainConfig()
    config.generator.step_wise_trajectories = step_wise
    config.generator.n_samples_per_prompt = 4
    config.generator.inference_engine.enable_ray_prometheus_stats = False  # without Ray
    config.trainer.enable_ray_gpu_monitor = False
    config.trainer.ckpt_path = str(folder)
    config.trainer.train_batch_size = config.trainer.policy_mini_batch_size = 1
    for name, value in algorithm.items():
        setattr(config.trainer.algorithm, name, value)
    cls = base if scheme is None else with_credit(base, scheme, check_every=0)
    trainer = cls(config, None, SimpleNamespace(pad_token_id=0), None, None, None, None)
    trainer.dispatch = SimpleNamespace(
        get_lcm_dp_size=lambda: 4,
        save_checkpoint=lambda *a: None,
        get_node_ids=list,
        load_checkpoint=lambda *a, **k: None,
    )
    trainer._cleanup_old_checkpoints = lambda: None  # it needs a running Ray
    return trainer


def outputs(rows, *, step_wise, named="all"):
    """A generator's output; `named` says which rows name their agent."""
    rewards = [reward for *_, reward in rows]
    last = [i + 1 == len(rows) or rows[i + 1][0] != row[0] for i, row in enumerate(rows)]
    metrics = [{"agent": agent, "turn": turn} for _, agent, turn, _ in rows]
    if named == "last":
        metrics = [one if end else {} for one, end in zip(metrics, last, strict=True)]
    if named == "none":
        metrics = [{}] * len(rows)
    return {
        "prompt_token_ids": [[5, 6]] * len(rows),
        "response_ids": [[7, 8, 9]] * len(rows),
        "rewards": [[0.0, 0.0, reward] for reward in rewards],
        "loss_masks": [[1, 1, 1]] * len(rows),
        "stop_reasons": ["stop"] * len(rows),
        "rollout_metrics": None,
        "rollout_logprobs": None,
        "trajectory_ids": [TrajectoryID("p", rollout) for rollout, *_ in rows],
        "is_last_step": last if step_wise else None,
        "env_metrics": metrics,
    }


def computed(trainer, output):
    uids = [one.instance_id for one in output["trajectory_ids"]]
    output, uids = trainer.postprocess_generator_output(output, uids)
    batch = trainer.convert_to_training_input(output, uids)
    batch["values"] = None  # fwd_logprobs_values_reward sets it; there is no critic
    return trainer.compute_advantages_and_returns(batch)


def refused(call):
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return None


def resumed(folder, rows):
    first = made(folder, "group_reward_decoupled", step_wise=True)
    computed(first, outputs(rows, step_wise=True))
    first.global_step = 7
    where = first.save_checkpoints()
    state = first.team_credit.state_dict()
    second = made(folder, "group_reward_decoupled", step_wise=True)
    step, *_ = second.load_checkpoints()
    same = second.team_credit.state_dict() == state
    later = [(r, a, t, reward + 3) for r, a, t, reward in rows]
    values = [
        computed(one, outputs(later, step_wise=True))["advantages"] for one in (first, second)
    ]
    (Path(where) / STATE).unlink()
    lost = made(folder, "group_reward_decoupled", step_wise=True)
    return {"step": step, "same": same, "equal": torch.equal(*values),
            "lost": refused(lost.load_checkpoints) == StateError.__name__}  # fmt: skip


def main(folder):
    trainer = made(folder, "agent_wise", step_wise=True)
    batch = computed(trainer, outputs(TEAM, step_wise=True))
    advantages, mask = batch["advantages"], batch["response_mask"]
    single = [(i, "a", 0, reward) for i, reward in enumerate([0.7, 0.7, 0.1, 0.3])]
    plain = made(folder, "agent_wise", step_wise=False)
    whole = computed(plain, outputs(single, step_wise=False))
    constant = computed(plain, outputs([(i, "a", 0, 1000.1) for i in range(4)], step_wise=False))
    stock = computed(made(folder, None, step_wise=True), outputs(TEAM[:-1], step_wise=True))[
        "advantages"
    ][:, 2]
    merged = made(folder, "agent_wise", step_wise=True)
    document = {
        "uneven": advantages[:, 2].tolist(),
        "flat": bool((advantages == advantages[:, 2:] * mask).all()),
        "padding": [len(TEAM), len(advantages), batch.metadata["pad_size"]],
        "key": KEY in batch.metadata,
        "metrics": {k: v for k, v in trainer.all_metrics.items() if "avg_raw_adv" in k},
        "dead": trainer.all_metrics.get("counterpoint/dead/b"),
        "single": whole["advantages"][:4, 0].tolist(),
        "constant": constant["advantages"].abs().max().item(),
        "stock": stock.tolist(),
        "filled": computed(merged, outputs(single, step_wise=True, named="last"))[
            "advantages"][:4, 0].tolist(),
        "nameless": refused(
            lambda: computed(trainer, outputs(TEAM, step_wise=True, named="none"))
        ) == LabelError.__name__,
        "normalized": refused(
            lambda: made(folder, "agent_wise", step_wise=True, advantage_batch_normalize=True)
        ) == SettingError.__name__,
        "base": refused(lambda: with_credit(dict)) == SettingError.__name__,
        "resumed": resumed(folder, TEAM[:-1]),
    }  # fmt: skip
    AdvantageEstimatorRegistry._functions["counterpoint"] = estimator(TeamCredit("agent_wise"))
    values, _ = compute_advantages_and_returns(
        torch.tensor([[0.0, 0.7], [0.0, 0.1]]), torch.ones(2, 2), np.array(["p:a", "p:a"]),
        adv_estimator="counterpoint", config=trainer.cfg.trainer.algorithm)  # fmt: skip
    document["by_name"] = values[:, 0].tolist()
    print(json.dumps(document))


main(Path(sys.argv[1]))
