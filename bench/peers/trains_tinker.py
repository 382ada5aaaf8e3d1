"""tinker-cookbook's training loop on the team of bench/trainers.py, with a stand-in of its service.

    python bench/peers/trains_tinker.py --out FOLDER --seeds 0 1

A batch is one group of eight rollouts of each agent. tinker-cookbook's own way subtracts the mean
of the group, over both agents.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import chz
import tinker
from own_rewards import OWN, RATE, STATEFUL, Training, own_reward, question, run
from small_qwen2 import small_tokenizer
from small_team import ROLES, ROLLOUTS, TOKENS, share
from tinker_cookbook.rl import train as loop
from tinker_cookbook.rl.types import Env, EnvGroupBuilder, RLDataset, RLDatasetBuilder, StepResult
from tinker_cookbook.tokenizer_utils import register_tokenizer
from tinker_service import LocalService

from counterpoint.integrations import TeamCredit
from counterpoint.integrations.tinker import patch

HOOKS = {"pooled": "mappo_pooled", "per agent": "agent_wise", "adaptive": "adaptive"}
MODEL = "counterpoint/small_qwen2"
WORDS = small_tokenizer()
NOTED: list[Training] = [Training()]
"""The training whose rewards are noted: data set builders are values."""


class Answer(Env):
    """One answer of an agent."""

    def __init__(self, step: int, role: str) -> None:
        self.role, self.text = role, ""
        self.prompt = question(step, role)

    async def initial_observation(self) -> Any:
        return tinker.ModelInput.from_ints(WORDS.encode(self.prompt)), []

    async def step(self, action: Any, *, extra: Any = None) -> StepResult:
        self.text = WORDS.decode(action)
        return StepResult(
            reward=own_reward(self.role, self.text),
            episode_done=True,
            next_observation=tinker.ModelInput.empty(),
            next_stop_condition=[],
            logs={"agent": self.role},
        )


class Team(EnvGroupBuilder):
    """The answers of both agents to one task."""

    def __init__(self, step: int) -> None:
        self.number = step

    async def make_envs(self) -> Sequence[Env]:
        return [Answer(self.number, role) for role in ROLES for _ in range(ROLLOUTS)]

    async def compute_group_rewards(self, trajectory_group: Any, env_group: Any) -> Any:
        NOTED[-1].scored(
            {role: [share(role, e.text) for e in env_group if e.role == role] for role in ROLES}
        )
        return [(0.0, {}) for _ in env_group]


class Tasks(RLDataset):
    """A task for each update."""

    def __init__(self, updates: int) -> None:
        self.updates = updates

    def get_batch(self, index: int) -> Sequence[EnvGroupBuilder]:
        NOTED[-1].ticked()
        return [Team(index)]

    def __len__(self) -> int:
        return self.updates


@chz.chz
class Builder(RLDatasetBuilder):
    """Makes the data set."""

    updates: int

    async def __call__(self) -> tuple[RLDataset, None]:
        return Tasks(self.updates), None


def loop_of(folder: Path, updates: int, save_every: int = 0) -> None:
    """Runs tinker-cookbook's loop."""
    config = loop.Config(
        learning_rate=RATE,
        dataset_builder=Builder(updates=updates),
        model_name=MODEL,
        recipe_name="counterpoint",
        max_tokens=TOKENS,
        log_path=str(folder),
        eval_every=0,
        save_every=save_every,
        num_groups_to_log=0,
        rollout_json_export=False,
    )
    asyncio.run(loop.main(config))


def train(scheme: str, seed: int, updates: int, training: Training) -> None:
    LocalService.seed = seed
    NOTED.append(training)
    hook = contextlib.nullcontext() if scheme == OWN else patch(HOOKS[scheme])
    with tempfile.TemporaryDirectory() as folder, hook:
        loop_of(Path(folder), updates)


def resume(folder: Path) -> tuple[Any, Any]:
    with patch(STATEFUL) as credit:
        loop_of(folder / "log", 2, save_every=1)
    credit.save(folder / "credit.json")
    again = TeamCredit(STATEFUL)
    again.load(folder / "credit.json")
    restored = json.loads(json.dumps(again.state_dict()))
    with patch(again):
        loop_of(folder / "log", 4, save_every=1)
    assert again.updates == 4
    return credit.state_dict(), restored


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    register_tokenizer(MODEL, small_tokenizer)
    setattr(tinker, "ServiceClient", LocalService)  # noqa: B010
    run("tinker-cookbook", ("tinker-cookbook", "tinker", "torch"), train, resume)
