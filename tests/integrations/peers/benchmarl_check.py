"""BenchMARL with our callback: prints one JSON line. Run by test_benchmarl_peer.py.

    PYTHONPATH=src .venv/peers/bin/python tests/integrations/peers/benchmarl_check.py [ITERATIONS]

It writes experiments into the folder where it is started.
"""

from __future__ import annotations

import copy
import json
import logging
import statistics
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

warnings.filterwarnings("ignore")

import benchmarl  # noqa: E402
from benchmarl.algorithms import IppoConfig, IsacConfig, MappoConfig  # noqa: E402
from benchmarl.environments import VmasTask  # noqa: E402
from benchmarl.experiment import Callback, Experiment, ExperimentConfig  # noqa: E402
from benchmarl.models.mlp import MlpConfig  # noqa: E402
from torchrl.envs.transforms import Transform  # noqa: E402

from counterpoint.credit import advantages, catalogue  # noqa: E402
from counterpoint.errors import SettingError  # noqa: E402
from counterpoint.integrations import TeamCredit  # noqa: E402
from counterpoint.integrations.benchmarl import (  # noqa: E402
    IppoCredit,
    MappoCredit,
    credit_callback,
    world_task,
)
from counterpoint.readers import read_decisions  # noqa: E402

SCHEME = "group_reward_decoupled"


class Copies(Transform):
    """Keeps what passes on its way into a buffer."""

    def __init__(self, key: tuple[str, str]) -> None:
        super().__init__()
        self.key, self.kept = key, []

    def forward(self, tensordict: Any) -> Any:
        return tensordict

    def _inv_call(self, tensordict: Any) -> Any:
        self.kept.append(tensordict.get(self.key).clone())
        return tensordict


class Watch(Callback):
    """Copies the advantages of each group: transforms that were appended last see them first."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, list[torch.Tensor]] = {}

    def on_setup(self) -> None:
        for group, buffer in self.experiment.replay_buffers.items():
            spy = Copies((group, "advantage"))
            buffer.append_transform(spy)
            self.kept[group] = spy.kept


def main() -> None:
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    iterations = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    document = {
        "benchmarl": benchmarl.__version__,
        "kernel": against_the_kernel(),
        "checkpoint": through_a_checkpoint(),
        "stock checkpoint": from_a_stock_checkpoint(),
        "configurations": configurations(),
        "worlds": worlds(),
        "off-policy": off_policy(),
        "overhead": overhead(iterations),
        "frames per CPU-second": {
            "spread": speed(world_task("spread")),
            "VMAS simple_spread": speed(simple_spread()),
        },
    }
    print("\n" + json.dumps(document))


def settings(iterations: int, envs: int = 16, horizon: int = 25, **more: Any) -> ExperimentConfig:
    config = ExperimentConfig.get_from_yaml()
    config.on_policy_n_envs_per_worker = envs
    config.on_policy_collected_frames_per_batch = envs * horizon
    config.on_policy_minibatch_size = -(-envs * horizon // 4)
    config.on_policy_n_minibatch_iters = 2
    config.max_n_frames = iterations * envs * horizon
    config.evaluation, config.loggers, config.create_json = False, [], False
    config.lr, config.gamma = 1e-3, 0.95
    config.save_folder = str(Path.cwd())
    for name, value in more.items():
        setattr(config, name, value)
    return config


def experiment(task: Any, algorithm: Any, config: Any, callbacks: list[Callback]) -> Experiment:
    network = MlpConfig(
        num_cells=[64, 64], layer_class=torch.nn.Linear, activation_class=torch.nn.Tanh
    )
    return Experiment(
        task=task,
        algorithm_config=algorithm,
        model_config=network,
        critic_model_config=copy.deepcopy(network),
        seed=0,
        config=config,
        callbacks=callbacks,
    )


def navigation(horizon: int = 25) -> Any:
    task = VmasTask.NAVIGATION.get_from_yaml()
    task.config["max_steps"] = horizon
    return task


def raw(tensor: torch.Tensor, names: list[str]) -> tuple[Any, dict[str, Any]]:
    steps, agents = tensor.shape[0], tensor.shape[1]
    labels = {"agent": names * steps, "rollout": [t for t in range(steps) for _ in range(agents)]}
    return tensor.double().numpy().reshape(-1), labels


def against_the_kernel() -> dict[str, Any]:
    """What the losses see, beside the kernel on what the value estimator made."""
    before, after, apart, state = Watch(), Watch(), 0.0, None
    ours = credit_callback(SCHEME, "log.jsonl")
    made = experiment(
        navigation(),
        IppoConfig.get_from_yaml(),
        settings(3, loggers=["csv"], evaluation=True, render=False, evaluation_interval=400),
        [after, ours, before],
    )
    made.run()
    names = made.group_map["agents"]
    for given, got in zip(before.kept["agents"], after.kept["agents"], strict=True):
        credit = advantages(*raw(given, names), catalogue()[SCHEME], state=state)
        state = credit.state
        off = np.abs(got.numpy().reshape(-1) - credit.values) / np.maximum(1, np.abs(credit.values))
        apart = max(apart, float(off.max()))
    log = read_decisions(Path("log.jsonl"))
    every = np.concatenate([given.double().numpy().reshape(-1) for given in before.kept["agents"]])
    scalars = {path.stem for path in made.folder_name.rglob("*.csv")}
    return {
        "apart": apart,
        "calls": len(after.kept["agents"]),
        "shape": list(after.kept["agents"][0].shape),
        "dtype": str(after.kept["agents"][0].dtype),
        "log is what came in": bool(np.array_equal(log.rewards[:, 0], every)),
        "agents in the log": sorted(set(log.labels["agent"].tolist())),
        "in the logger": sorted(name for name in scalars if name.startswith("counterpoint")),
    }


def through_a_checkpoint() -> dict[str, Any]:
    """Two iterations, a checkpoint, two more: one run for the running statistics and the log."""
    first = Watch()
    callback = credit_callback(SCHEME, "again.jsonl")
    made = experiment(
        navigation(),
        MappoConfig.get_from_yaml(),
        settings(2, checkpoint_at_end=True),
        [callback, first],
    )
    made.run()
    (saved,) = made.folder_name.glob("checkpoints/*.pt")
    kept = callback.modules["agents"].credit.state_dict()
    callback.modules["agents"].credit(*raw(first.kept["agents"][0], made.group_map["agents"]))
    again = Experiment.reload_from_file(str(saved), {"max_n_frames": 4 * 400})
    theirs, second = again.callbacks
    restored = theirs.modules["agents"].credit.state_dict()
    again.run()
    whole = TeamCredit(SCHEME)
    for given in first.kept["agents"][:2] + second.kept["agents"]:
        rows, labels = raw(given, made.group_map["agents"])
        whole(torch.from_numpy(rows).float(), labels)
    log = read_decisions(Path("again.jsonl"))
    return {
        "restored": restored == kept,
        "updates": theirs.modules["agents"].credit.updates,
        "as without a break": theirs.modules["agents"].credit.state_dict() == whole.state_dict(),
        "iterations in the log": sorted(set(log.step.tolist())),
    }


def from_a_stock_checkpoint() -> bool:
    """A run without us can be gone on with by one with us, and the other way round."""
    config = settings(1, checkpoint_at_end=True)
    stock = experiment(navigation(), IppoConfig.get_from_yaml(), config, [])
    stock.run()
    (saved,) = stock.folder_name.glob("checkpoints/*.pt")
    ours = credit_callback(SCHEME)
    config = settings(2, checkpoint_at_end=True, restore_file=str(saved))
    made = experiment(navigation(), IppoConfig.get_from_yaml(), config, [ours])
    made.run()
    (later,) = set(made.folder_name.glob("checkpoints/*.pt")) - {saved}
    config = settings(3, restore_file=str(later))
    back = experiment(navigation(), IppoConfig.get_from_yaml(), config, [])
    back.run()
    return ours.modules["agents"].credit.updates == 1 and back.n_iters_performed == 3


def configurations() -> dict[str, Any]:
    """`IppoCredit` and `MappoCredit` do what the callback does, also after a reload."""
    document: dict[str, Any] = {}
    pairs = ((IppoCredit, IppoConfig), (MappoCredit, MappoConfig))
    for ours, stock in pairs:
        seen = []
        for algorithm, callbacks in (
            (stock.get_from_yaml(), [credit_callback(SCHEME)]),
            (ours.get_from_yaml(), []),
        ):
            if callbacks == []:
                algorithm.scheme = SCHEME
            config = settings(2, checkpoint_at_end=True)
            made = experiment(navigation(), algorithm, config, callbacks)
            made.run()
            seen.append(made.callbacks[-1].modules["agents"].credit.state_dict())
        (saved,) = made.folder_name.glob("checkpoints/*.pt")
        again = Experiment.reload_from_file(str(saved), {"max_n_frames": 3 * 400})
        (callback,) = again.callbacks
        document[made.algorithm_name] = (
            seen[0] == seen[1] == callback.modules["agents"].credit.state_dict()
        )
    return document


def worlds() -> dict[str, Any]:
    """Our worlds as tasks: both algorithms, one role and two, discrete and continuous."""
    document = {}
    for name, options, stock in (
        ("spread", {"stakes": "agent_0:100"}, IppoConfig),
        ("spread", {"continuous": True}, MappoConfig),
        ("speaker_listener", {}, MappoConfig),
        ("foraging", {}, IppoConfig),
        ("repeated_game", {}, IppoConfig),
    ):
        callback = credit_callback()
        config = settings(2, horizon=50, evaluation=True, evaluation_interval=800, loggers=["csv"])
        made = experiment(world_task(name, options), stock.get_from_yaml(), config, [callback])
        made.run()
        (file,) = made.folder_name.rglob("counterpoint_team_return.csv")
        document[f"{name} {options}"] = {
            "return": float(file.read_text().split()[-1].split(",")[1]),
            "updates": [one.credit.updates for one in callback.modules.values()],
        }
    return document


def off_policy() -> str:
    """What an algorithm without advantages is told."""
    try:
        experiment(navigation(), IsacConfig.get_from_yaml(), settings(1), [credit_callback()])
    except SettingError as error:
        return str(error)
    return ""


def overhead(iterations: int) -> dict[str, Any]:
    """CPU time of our part as a share of an iteration's: 64 environments, 50 steps, 3 agents."""
    spent: list[float] = []
    callback = credit_callback("mappo_per_agent")

    def timed(function: Any) -> Any:
        def run(*given: Any, **more: Any) -> Any:
            start = time.process_time()
            try:
                return function(*given, **more)
            finally:
                spent[-1] += time.process_time() - start

        return run

    class Clock(Callback):
        def on_setup(self) -> None:
            self.marks: list[float] = []
            transform = self.experiment.replay_buffers["agents"]._transform[-1]
            transform._inv_call = timed(transform._inv_call)
            callback.on_train_end = timed(callback.on_train_end)

        def on_batch_collected(self, batch: Any) -> None:
            self.marks.append(time.process_time())
            spent.append(0.0)

        def __reduce__(self) -> Any:
            return Callback, ()

    clock = Clock()
    config = settings(iterations, 64, 50, on_policy_n_minibatch_iters=4)
    made = experiment(navigation(50), IppoConfig.get_from_yaml(), config, [callback, clock])
    made.run()
    whole = np.diff(clock.marks)
    shares = np.array(spent[:-1]) / whole
    rows = raw(torch.randn(3200, 3), made.group_map["agents"])
    logged = TeamCredit("mappo_per_agent", record="speed.jsonl", check_every=0)
    start = time.process_time()
    for _ in range(5):
        logged(*rows)
    recording = (time.process_time() - start) / 5
    return {
        "iterations": len(shares),
        "median share": statistics.median(shares),
        "mean share": float(np.sum(spent[:-1]) / whole.sum()),
        "largest share": float(max(shares)),
        "median milliseconds": 1e3 * statistics.median(spent[:-1]),
        "iteration milliseconds": 1e3 * statistics.median(whole),
        "a look at the latest updates, milliseconds": 1e3 * max(spent[:-1]),
        "with a log, milliseconds": 1e3 * recording,
    }


def simple_spread() -> Any:
    task = VmasTask.SIMPLE_SPREAD.get_from_yaml()
    task.config |= {"max_steps": 25, "n_agents": 3}
    return task


def speed(task: Any) -> float:
    """Frames per CPU-second of IPPO with 256 copies, 25 steps, 4 epochs of 4 minibatches."""
    config = settings(8, 256, 25, on_policy_n_minibatch_iters=4)
    made = experiment(task, IppoConfig.get_from_yaml(), config, [])
    start = time.process_time()
    made.run()
    return made.total_frames / (time.process_time() - start)


if __name__ == "__main__":
    main()
