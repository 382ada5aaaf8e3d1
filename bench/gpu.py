"""Networks, language models and the credit kernel on a GPU beside the processor: the same numbers,
and how fast.

    python bench/gpu.py [--device auto] [--rows 100000000] [--seconds 20] [--layers 24]

It first checks that three updates of a team end at the same weights, of networks and of language
models, and that advantages of a million rows agree. Then it prints steps a second of `spread`, rows
a second of the kernel, and the seconds of an update of two agents that write with a model of 0.5B
random numbers, as estimated and as it was. It takes under 8 minutes with the defaults. Without a
GPU it compares the processor with itself; `--layers 1` makes the large model a small one.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from counterpoint.credit import advantages, catalogue
from counterpoint.lm.model import LanguageModel
from counterpoint.lm.tiny import tiny_model
from counterpoint.train.device import device_of
from counterpoint.train.lora.estimate import estimate, peak_gb
from counterpoint.train.lora.learner import LanguageLearner
from counterpoint.train.lora.plan import LanguageTrainer
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.train.ppo.learner import Learner
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.train.session import plan_of
from counterpoint.worlds import find_world
from counterpoint.worlds.text.world import TextWorld

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


def language_weights_apart(device: str, adapter: str) -> float:
    """Returns the largest difference of adapters after two updates of the tiny model on both."""
    ends = []
    for name in ("cpu", device):
        given = {"adapter": adapter, "device": name, "prompts": "2", "rollouts": "4"}
        team = plan_of("relay", SCHEME, given=given, model="tiny").trainer()
        for _ in range(2):
            team.update(None)
        assert isinstance(team, LanguageTrainer)
        ends.append([adam.capture()["weights"] for adam in team.learner.adams.values()])
    return float(max(abs(one - two).max() for one, two in zip(*ends, strict=True)))


def large_model(device: str, layers: int) -> LanguageModel:
    """Returns a model of random numbers, as large as Qwen2.5-0.5B with 24 layers."""
    _, tokenizer = tiny_model()
    config = Qwen2Config(
        vocab_size=151_936, hidden_size=896, intermediate_size=4864, num_hidden_layers=layers,
        num_attention_heads=14, num_key_value_heads=2, tie_word_embeddings=True, eos_token_id=2,
    )  # fmt: skip
    torch.manual_seed(0)
    half = torch.bfloat16 if device != "cpu" else torch.float32
    return LanguageModel(Qwen2ForCausalLM(config).to(device, half), tokenizer, "large")


def language_seconds(device: str, layers: int) -> None:
    """Prints what an update of two agents that write is expected to take, and what it takes."""
    model = large_model(device, layers)
    world = find_world("relay").make({"most_tokens": 32})
    assert isinstance(world, TextWorld)
    for adapter in ("activated", "plain"):
        settings = LanguageSettings(adapter=adapter, prompts=8, rollouts=8).filled(  # type: ignore[arg-type]
            tiny=False, free=True
        )

        def made(settings: LanguageSettings = settings) -> LanguageLearner:
            return LanguageLearner(model, world, SCHEME, settings, 0, 10)

        found = estimate(made())
        team = LanguageTrainer(None, made())  # type: ignore[arg-type]
        team.update(None)
        start = time.perf_counter()
        team.update(None)
        taken = time.perf_counter() - start
        print(
            f"{found.parameters / 1e6:,.0f}M numbers, {adapter}: {taken:.2f} s an update of "
            f"{found.decisions} answers on {device}, estimated {found.seconds:.2f}; "
            f"{peak_gb(model.device):.2f} GB, estimated {found.memory_gb:.2f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--layers", type=int, default=24, help="of the large model")
    options = parser.parse_args()
    device = device_of(options.device).type
    for given in TEAMS:
        apart = weights_apart(device, given)
        print(f"weights on {device} and cpu, {given or 'defaults'}: {apart:.2g} apart", flush=True)
        assert apart < 1e-2
    for adapter in ("last_token", "activated", "plain"):
        apart = language_weights_apart(device, adapter)
        print(f"adapters on {device} and cpu, {adapter}: {apart:.2g} apart", flush=True)
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
    language_seconds(device, options.layers)


if __name__ == "__main__":
    main()
