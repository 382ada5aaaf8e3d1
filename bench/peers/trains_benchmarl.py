"""BenchMARL's IPPO on the team of bench/trainers.py.

    python bench/peers/trains_benchmarl.py --out FOLDER --seeds 0 1

One policy for both agents, a critic for each. BenchMARL's own way normalizes no advantages.
"""

from __future__ import annotations

import copy
import logging
import tempfile
from pathlib import Path
from typing import Any

import torch
from benchmarl.algorithms import IppoConfig
from benchmarl.environments.common import TaskClass
from benchmarl.experiment import Callback, Experiment, ExperimentConfig
from benchmarl.models.mlp import MlpConfig
from own_rewards import OWN, STATEFUL, Training, run
from own_rewards_env import COPIES, STEPS, Symbols, shares
from small_team import ROLES

from counterpoint.integrations.benchmarl import credit_callback

HOOKS = {"pooled": "mappo_pooled", "per agent": "mappo_per_agent", "adaptive": "adaptive"}


class Team(TaskClass):
    """`Symbols` as a task."""

    def get_env_fun(self, num_envs: int, continuous_actions: bool, seed: Any, device: Any) -> Any:
        return Symbols

    def supports_continuous_actions(self) -> bool:
        return False

    def supports_discrete_actions(self) -> bool:
        return True

    def max_steps(self, env: Any) -> int:
        return STEPS

    def has_render(self, env: Any) -> bool:
        return False

    def group_map(self, env: Any) -> dict[str, list[str]]:
        return {"agents": list(ROLES)}

    def observation_spec(self, env: Any) -> Any:
        return env.full_observation_spec_unbatched

    def info_spec(self, env: Any) -> None:
        return None

    def state_spec(self, env: Any) -> None:
        return None

    def action_spec(self, env: Any) -> Any:
        return env.full_action_spec_unbatched

    def action_mask_spec(self, env: Any) -> None:
        return None

    @staticmethod
    def env_name() -> str:
        return "symbols"


class Notes(Callback):
    """Notes shares and the end of each iteration."""

    def __init__(self, training: Training) -> None:
        super().__init__()
        self.training = training

    def on_batch_collected(self, batch: Any) -> None:
        self.training.scored(shares(batch))
        self.training.ticked()


def made(seed: int, updates: int, folder: Path, callbacks: list[Callback], **more: Any) -> Any:
    """Returns an experiment of the team."""
    config = ExperimentConfig.get_from_yaml()
    frames = COPIES * STEPS
    config.on_policy_n_envs_per_worker = COPIES
    config.on_policy_collected_frames_per_batch = frames
    config.on_policy_minibatch_size = frames // 4
    config.on_policy_n_minibatch_iters = 4
    config.max_n_frames = updates * frames
    config.lr, config.gamma = 1e-3, 0.9
    config.evaluation, config.loggers, config.create_json = False, [], False
    config.save_folder = str(folder)
    for name, value in more.items():
        setattr(config, name, value)
    algorithm = IppoConfig.get_from_yaml()
    algorithm.share_param_critic = False
    network = MlpConfig(
        num_cells=[64, 64], layer_class=torch.nn.Linear, activation_class=torch.nn.Tanh
    )
    return Experiment(
        task=Team("team", {}),
        algorithm_config=algorithm,
        model_config=network,
        critic_model_config=copy.deepcopy(network),
        seed=seed,
        config=config,
        callbacks=callbacks,
    )


def train(scheme: str, seed: int, updates: int, training: Training) -> None:
    hooks = [] if scheme == OWN else [credit_callback(HOOKS[scheme])]
    with tempfile.TemporaryDirectory() as folder:
        made(seed, updates, Path(folder), [*hooks, Notes(training)]).run()


def resume(folder: Path) -> tuple[Any, Any]:
    callback = credit_callback(STATEFUL)
    first = made(0, 2, folder, [callback], checkpoint_at_end=True)
    first.run()
    saved = callback.modules["agents"].credit.state_dict()
    (file,) = folder.glob("*/checkpoints/*.pt")
    again = Experiment.reload_from_file(str(file), {"max_n_frames": 4 * COPIES * STEPS})
    restored = again.callbacks[0].modules["agents"].credit.state_dict()
    again.run()
    return saved, restored


if __name__ == "__main__":
    logging.disable(logging.INFO)
    run("BenchMARL", ("benchmarl", "torchrl", "torch"), train, resume)
