"""BenchMARL's IPPO on VMAS simple_spread: environment steps per CPU-second, and its returns.

Runs in an environment of its own (BenchMARL and VMAS are no dependencies of Counterpoint):

    python bench/peers/benchmarl_speed.py --envs 256 --steps 400000
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time

wall, cpu = time.perf_counter(), time.process_time()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--envs", type=int, default=256)
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--horizon", type=int, default=25)
    parser.add_argument("--activation", default="Tanh", choices=("Tanh", "ReLU"))
    options = parser.parse_args()

    import torch
    from benchmarl.algorithms import IppoConfig
    from benchmarl.environments import VmasTask
    from benchmarl.experiment import Experiment, ExperimentConfig
    from benchmarl.models.mlp import MlpConfig

    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    frames = options.envs * options.horizon
    config = ExperimentConfig.get_from_yaml()
    config.on_policy_n_envs_per_worker = options.envs
    config.on_policy_collected_frames_per_batch = frames
    config.on_policy_minibatch_size = -(-frames // 4)
    config.on_policy_n_minibatch_iters = 4
    config.max_n_frames = options.steps
    config.evaluation = False
    config.loggers = []
    config.create_json = False
    config.lr = 1e-3
    config.gamma = 0.95
    config.sampling_device = config.train_device = config.buffer_device = "cpu"
    config.save_folder = "/tmp"
    network = MlpConfig(
        num_cells=[64, 64],
        layer_class=torch.nn.Linear,
        activation_class=getattr(torch.nn, options.activation),
    )
    task = VmasTask.SIMPLE_SPREAD.get_from_yaml()
    task.config |= {"max_steps": options.horizon, "n_agents": 3}
    experiment = Experiment(
        task=task,
        algorithm_config=IppoConfig.get_from_yaml(),
        model_config=network,
        critic_model_config=network,
        seed=0,
        config=config,
    )
    ready_wall, ready_cpu = time.perf_counter(), time.process_time()
    experiment.run()
    spent = time.process_time() - ready_cpu
    json.dump(
        {
            "envs": options.envs,
            "steps": experiment.total_frames,
            "import_seconds": ready_wall - wall,
            "import_cpu_seconds": ready_cpu - cpu,
            "cpu_seconds": spent,
            "steps_per_cpu_second": experiment.total_frames / spent,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
