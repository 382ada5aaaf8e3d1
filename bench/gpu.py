"""Networks and the credit kernel on a GPU beside the processor: the same numbers, and how fast.

    python bench/gpu.py [--device auto] [--rows 100000000] [--seconds 20]

It first checks that three updates of a team end at the same weights, and that advantages of a
million rows agree. Then it prints steps a second of `spread` and rows a second of the kernel. It
takes under 8 minutes with the defaults. Without a GPU it compares the processor with itself.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch

from counterpoint.credit import advantages, catalogue
from counterpoint.train.device import device_of
from counterpoint.train.ppo.learner import Learner
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.worlds import find_world

TEAMS: tuple[dict[str, Any], ...] = (
    {},
    {"observations": "normalized", "critic": "central", "parameters": "separate"},
    {"memory": "gru"},
)
SIZES = ((128, 64), (1024, 64), (4096, 64), (1024, 512))
"""Copies, and units of each hidden layer."""
AGENTS = 8
SCHEME = "happo_per_agent"


def learner(device: str, **given: Any) -> Learner:
    """Returns an untrained team in `spread`."""
    settings = PolicySettings(device=device, diagnose_every=0, **given)  # type: ignore[arg-type]
    world = find_world("spread").make(copies=settings.filled(python=False).copies, seed=1)
    return Learner(world, SCHEME, settings, 0)


def weights_apart(device: str, given: dict[str, Any]) -> float:
    """Returns the largest difference of weights after three updates on both devices."""
    ends = []
    for name in ("cpu", device):
        team = learner(name, copies=32, **given)
        for _ in range(3):
            team.update()
        ends.append(team.adam.capture()["weights"])
    return float(abs(ends[0] - ends[1]).max())


def steps_a_second(device: str, seconds: float, **given: Any) -> float:
    """Returns the steps a second of a training, after two updates that warm up."""
    team = learner(device, **given)
    for _ in range(2):
        team.update()
    before, start = team.steps, time.perf_counter()
    while time.perf_counter() - start < seconds:
        team.update()
    return (team.steps - before) / (time.perf_counter() - start)


def decisions(device: str, rows: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Returns rewards [N] of the agents of one batch, and their labels."""
    chance = torch.Generator().manual_seed(0)
    agent = torch.arange(rows) % AGENTS
    rewards = torch.randn(rows, generator=chance) * (agent + 1)
    labels = {"prompt": torch.zeros_like(agent), "rollout": agent // AGENTS, "agent": agent}
    return rewards.to(device), {name: column.to(device) for name, column in labels.items()}


def kernel_seconds(device: str, rows: int) -> float:
    """Returns the seconds of one call of the kernel, after one that warms up."""
    given = decisions(device, rows)
    for _ in range(2):
        start = time.perf_counter()
        float(advantages(*given, catalogue()[SCHEME]).values[-1])  # waits for the GPU
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    device = device_of(options.device).type
    for given in TEAMS:
        apart = weights_apart(device, given)
        print(f"weights on {device} and cpu, {given or 'defaults'}: {apart:.2g} apart", flush=True)
        assert apart < 1e-2
    small = [
        np.asarray(advantages(*decisions(name, 1_000_000), catalogue()[SCHEME]).values.cpu())
        for name in ("cpu", device)
    ]
    np.testing.assert_allclose(*small, rtol=1e-4, atol=1e-5)
    print("advantages of 1,000,000 rows agree", flush=True)
    for copies, hidden in SIZES:
        speeds = [
            steps_a_second(name, options.seconds, copies=copies, hidden=hidden)
            for name in ("cpu", device)
        ]
        print(
            f"spread, {copies} copies, hidden {hidden}: {speeds[0]:,.0f} steps/s on cpu, "
            f"{speeds[1]:,.0f} on {device}",
            flush=True,
        )
    taken = kernel_seconds(device, options.rows)
    print(f"{SCHEME}, {options.rows:,} rows on {device}: {options.rows / taken:,.0f} rows/s")


if __name__ == "__main__":
    main()
