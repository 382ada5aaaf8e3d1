"""BenchMARL's IPPO on VMAS with one agent paid 100 times more: off, three schemes, a control.

    python bench/training.py --help     # .venv/peers is made by its comparison with BenchMARL
    PYTHONPATH=src .venv/peers/bin/python bench/peers/benchmarl_credit.py --out FILE.json

The first agent's reward is multiplied by the stakes in training; returns are counted as the task
pays them. Agents share a policy, and each has a critic of its own, so that only the advantages of
the shared policy are at stake. The control has equal stakes: nothing should differ there. Runs that
are in the file already are not done again. About 20 minutes of one core.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

warnings.filterwarnings("ignore")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch  # noqa: E402
from benchmarl.algorithms import IppoConfig  # noqa: E402
from benchmarl.environments import VmasTask  # noqa: E402
from benchmarl.environments.vmas.common import VmasClass  # noqa: E402
from benchmarl.experiment import Callback, Experiment, ExperimentConfig  # noqa: E402
from benchmarl.models.mlp import MlpConfig  # noqa: E402
from torchrl.envs.transforms import Transform  # noqa: E402

from counterpoint.integrations.benchmarl import credit_callback  # noqa: E402
from counterpoint.stats import bootstrap_interval, means, paired_t_test  # noqa: E402

TASKS = ("navigation", "give_way", "wind_flocking")
SCHEMES = {
    "off": None,
    "pooled": "mappo_pooled",
    "per agent": "mappo_per_agent",
    "adaptive": "adaptive",
}
STAKES = 100.0
ENVS, HORIZON, FRAMES = 64, 50, 61_000


class Stakes(Transform):
    """Multiplies the reward of each agent by its own factor."""

    def __init__(self, factors: list[float]) -> None:
        super().__init__(in_keys=[("agents", "reward")], out_keys=[("agents", "reward")])
        self.register_buffer("factors", torch.tensor(factors)[:, None])

    def _apply_transform(self, reward: torch.Tensor) -> torch.Tensor:
        return reward * self.factors

    def _reset(self, tensordict: Any, tensordict_reset: Any) -> Any:
        return tensordict_reset


class Staked(VmasClass):
    """A VMAS task whose rewards are multiplied."""

    factors: list[float]

    def get_env_transforms(self, env: Any) -> list[Transform]:
        return [Stakes(self.factors)]


class Returns(Callback):
    """The return of an episode at each iteration, by agent, as the task pays it."""

    def __init__(self, factors: list[float]) -> None:
        super().__init__()
        self.factors, self.curve = torch.tensor(factors)[:, None], []

    def on_batch_collected(self, batch: Any) -> None:
        paid = (batch["next", "agents", "reward"] / self.factors).sum((0, 1))[:, 0]
        self.curve.append((paid / max(int(batch["next", "done"].sum()), 1)).tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/benchmarl.json"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--control-seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    runs = json.loads(options.out.read_text("utf-8")) if options.out.exists() else []
    done = {(one["task"], one["stakes"], one["scheme"], one["seed"]) for one in runs}
    wanted = [
        (task, stakes, scheme, seed)
        for stakes, seeds in ((STAKES, options.seeds), (1.0, options.control_seeds))
        for seed in range(seeds)
        for task in TASKS
        for scheme in SCHEMES
        if stakes != 1.0 or scheme != "pooled"
    ]
    for which in wanted:
        if which not in done:
            runs.append(train(*which))
            options.out.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
    print(table(runs, STAKES), table(runs, 1.0), sep="\n\n")
    print(f"\n{sum(one['cpu_seconds'] for one in runs):.0f} CPU-seconds in {len(runs)} runs")


def train(name: str, stakes: float, scheme: str, seed: int) -> dict[str, Any]:
    """Runs one experiment, and returns its returns over time and its CPU time."""
    config = ExperimentConfig.get_from_yaml()
    config.on_policy_n_envs_per_worker = ENVS
    config.on_policy_collected_frames_per_batch = ENVS * HORIZON
    config.on_policy_minibatch_size = ENVS * HORIZON // 4
    config.on_policy_n_minibatch_iters = 4
    config.max_n_frames = FRAMES
    config.evaluation, config.loggers, config.create_json = False, [], False
    config.lr, config.gamma, config.share_policy_params = 1e-3, 0.95, True
    algorithm = IppoConfig.get_from_yaml()
    algorithm.share_param_critic, algorithm.entropy_coef, algorithm.lmbda = False, 0.0, 0.95
    network = MlpConfig(
        num_cells=[64, 64], layer_class=torch.nn.Linear, activation_class=torch.nn.Tanh
    )
    task_config = VmasTask[name.upper()].get_from_yaml().config | {"max_steps": HORIZON}
    task = Staked(name=name.upper(), config=task_config)
    agents = len(task.get_env_fun(1, True, 0, "cpu")().agents)
    task.factors = [stakes] + [1.0] * (agents - 1)
    watch, credit = Returns(task.factors), SCHEMES[scheme]
    sentences: list[str] = []
    callbacks = [credit_callback(credit, warn=sentences.append)] if credit else []
    with tempfile.TemporaryDirectory() as folder:
        config.save_folder = folder
        experiment = Experiment(
            task=task,
            algorithm_config=algorithm,
            model_config=network,
            critic_model_config=copy.deepcopy(network),
            seed=seed,
            config=config,
            callbacks=[watch, *callbacks],
        )
        start = time.process_time()
        experiment.run()
        spent = time.process_time() - start
    return {
        "task": name,
        "stakes": stakes,
        "scheme": scheme,
        "seed": seed,
        "frames": experiment.total_frames,
        "cpu_seconds": round(spent, 2),
        "said": sentences,
        "curve": [[round(value, 5) for value in row] for row in watch.curve],
    }


def table(runs: list[dict[str, Any]], stakes: float) -> str:
    """Returns a row a task and scheme: the mean final return, and the paired difference to off."""
    lines = [
        f"Stakes {stakes:g}:",
        "",
        "| task | scheme | return [95%] | over all of training | difference to off [95%] | p | n |",
        "|---" * 7 + "|",
    ]
    for task in TASKS:
        returns = {scheme: finals(runs, task, stakes, scheme) for scheme in SCHEMES}
        for scheme, (last, whole) in returns.items():
            if not last:
                continue
            both = sorted(set(last) & set(returns["off"][0]))
            gap = np.array([last[seed] - returns["off"][0][seed] for seed in both])
            p = f"{paired_t_test(gap):.3f}" if scheme != "off" and len(both) > 1 else ""
            cells = (
                task,
                scheme,
                shown(list(last.values())),
                f"{np.mean(list(whole.values())):.3f}",
                "" if scheme == "off" else shown(gap, "+.3f"),
                p,
                str(len(last)),
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def finals(
    runs: list[dict[str, Any]], task: str, stakes: float, scheme: str
) -> tuple[dict[int, float], dict[int, float]]:
    """Returns seed to the return at the end (the last eighth of iterations), and to that of all."""
    last, whole = {}, {}
    for one in runs:
        if (one["task"], one["stakes"], one["scheme"]) == (task, stakes, scheme):
            curve = np.mean(one["curve"], axis=1)
            last[one["seed"]] = float(curve[-max(1, len(curve) // 8) :].mean())
            whole[one["seed"]] = float(curve.mean())
    return last, whole


def shown(values: Any, form: str = ".3f") -> str:
    """Returns a mean with its bootstrap interval; of fewer than 3 values, the values."""
    if len(values) < 3:
        return ", ".join(f"{value:{form}}" for value in values)
    interval = bootstrap_interval(values, rng=np.random.default_rng(0), statistic=means)
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"


if __name__ == "__main__":
    main()
