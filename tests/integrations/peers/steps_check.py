"""BenchMARL and TorchRL without our transform: run by test_benchmarl_peer.py.

    python steps_check.py

Prints one JSON line: what a training says whose batches are not normalized, and whether a parameter
moved. It writes experiments into the folder where it is started.
"""

from __future__ import annotations

import json
from typing import Any

import torch
from benchmarl.algorithms import IppoConfig
from benchmarl.experiment import Callback
from benchmarl_check import experiment, navigation, settings
from tensordict import TensorDict

from counterpoint.errors import HookError
from counterpoint.integrations.benchmarl import credit_callback
from counterpoint.integrations.torchrl import NormalizeAdvantage


class OwnBuffer(Callback):
    """Gives each group a buffer of its own, which has no transform of ours."""

    def on_setup(self) -> None:
        for group in self.experiment.group_map:
            buffer = self.experiment.algorithm.get_replay_buffer(group=group)
            self.experiment.replay_buffers[group] = buffer


def in_benchmarl(*callbacks: Callback) -> list[Any]:
    made = experiment(navigation(), IppoConfig.get_from_yaml(), settings(1), list(callbacks))
    losses = list(made.losses.values())
    before = torch.cat([p.detach().reshape(-1).clone() for one in losses for p in one.parameters()])
    try:
        made.run()
        said = "trained"
    except HookError as error:
        said = f"HookError: {error}"
    after = torch.cat([p.detach().reshape(-1) for one in losses for p in one.parameters()])
    return [said, bool((before != after).any())]


def in_torchrl() -> str:
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    module = NormalizeAdvantage().watch(optimizer)
    weight.sum().backward()
    try:
        optimizer.step()
    except HookError as error:
        said = f"HookError: {error}"
    batch = TensorDict({"advantage": torch.randn(4, 2, 1)}, batch_size=[4, 2])
    module(TensorDict({"agents": batch}, batch_size=[4]))
    optimizer.step()
    return said if weight.item() == 0 else "moved twice"


def main() -> None:
    torch.set_num_threads(1)
    document = {
        "benchmarl": in_benchmarl(credit_callback()),
        "own buffer": in_benchmarl(credit_callback(), OwnBuffer()),
        "torchrl": in_torchrl(),
    }
    print("\n" + json.dumps(document))


if __name__ == "__main__":
    main()
