"""BenchMARL on two worlds of mpe2: returns and environment steps per CPU-second.

Runs in the environment of BenchMARL (.venv/peers), with PettingZoo and mpe2 installed there:

    .venv/peers/bin/python -m pip install pettingzoo mpe2
    .venv/peers/bin/python bench/peers/benchmarl_particles.py simple_spread_v3 --seed 0

The algorithm and its settings are those that BenchMARL ships; episodes have 25 steps. BenchMARL
looks for particle worlds where PettingZoo had them before they became mpe2. The return is the sum
of the rewards of all agents in an episode, the mean over episodes that end in the last batch.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
import warnings
from typing import Any

warnings.filterwarnings("ignore")

import mpe2  # noqa: E402
import mpe2.all_modules  # noqa: E402
import torch  # noqa: E402

MODULES = type(sys)("pettingzoo.utils.all_modules")
MODULES.all_environments = {  # type: ignore[attr-defined]
    name.split("/")[1]: module for name, module in mpe2.all_modules.mpe_environments.items()
}
sys.modules["pettingzoo.utils.all_modules"] = MODULES

from benchmarl.algorithms import IppoConfig, QmixConfig  # noqa: E402
from benchmarl.environments import PettingZooTask  # noqa: E402
from benchmarl.experiment import Callback, Experiment, ExperimentConfig  # noqa: E402
from benchmarl.models.mlp import MlpConfig  # noqa: E402


class Returns(Callback):
    """The return of an episode in each batch, with the steps before it."""

    def __init__(self) -> None:
        super().__init__()
        self.curve: list[tuple[int, float]] = []

    def on_batch_collected(self, batch: Any) -> None:
        groups = self.experiment.group_map
        paid = sum(float(batch["next", group, "reward"].sum()) for group in groups)
        ended = int(batch["next", "done"].sum())
        self.curve.append((self.experiment.total_frames, paid / max(ended, 1)))


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("world", choices=("simple_spread_v3", "simple_speaker_listener_v4"))
    parser.add_argument("--algorithm", choices=("ippo", "qmix"), default="ippo")
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    config = ExperimentConfig.get_from_yaml()
    config.max_n_frames = options.steps
    config.evaluation = config.create_json = False
    config.loggers = []
    config.sampling_device = config.train_device = config.buffer_device = "cpu"
    config.save_folder = tempfile.mkdtemp()
    config.prefer_continuous_actions = False
    task = getattr(PettingZooTask, options.world.rsplit("_", 1)[0].upper()).get_from_yaml()
    task.config |= {"task": options.world, "max_cycles": 25}
    returns = Returns()
    algorithm = {"ippo": IppoConfig, "qmix": QmixConfig}[options.algorithm]
    experiment = Experiment(
        task=task,
        algorithm_config=algorithm.get_from_yaml(),
        model_config=MlpConfig.get_from_yaml(),
        critic_model_config=MlpConfig.get_from_yaml(),
        seed=options.seed,
        config=config,
        callbacks=[returns],
    )
    begun = time.process_time()
    experiment.run()
    spent = time.process_time() - begun
    last = returns.curve[-1]
    json.dump(
        {"steps": experiment.total_frames, "return": last[1], "at": last[0], "seconds": spent},
        sys.stdout,
    )
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
