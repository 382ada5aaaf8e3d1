"""One measurement of bench/language.py, in a process of its own: prints one JSON document."""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import time
from typing import Any

import numpy as np

from counterpoint.lm.model import LanguageModel
from counterpoint.train.lora.learner import LanguageLearner
from counterpoint.train.lora.plan import LanguagePlan
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.world import (
    Ending,
    Prompt,
    Statement,
    Task,
    TextSettings,
    TextWorld,
    shared,
)
from peers.small_qwen2 import (
    COMPLETIONS,
    RATE,
    TOKENS,
    messages,
    moved,
    report,
    reward,
    small_model,
    small_tokenizer,
)

SKIPPED = 5
"""Updates before the clock starts: the first reads the prompts."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=("words", "texts", "relay"))
    parser.add_argument("--objects", type=int, default=8)
    parser.add_argument("--agents", type=int, default=1)
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    task = {"words": words, "texts": texts, "relay": relay}[options.task]
    print(json.dumps(task(options)))


def words(options: argparse.Namespace) -> dict[str, Any]:
    """Returns CPU-seconds of a whole update of two agents that choose words, with SmolLM2-135M."""
    return updates({"objects": options.objects}, "lewis", options.steps, SKIPPED)


def relay(options: argparse.Namespace) -> dict[str, Any]:
    """Returns CPU-seconds and memory of updates of two agents that write, with SmolLM2-135M."""
    return updates({}, "relay", options.steps, 1)


def updates(settings: dict[str, Any], world: str, steps: int, skipped: int) -> dict[str, Any]:
    """Plays, assigns credit, diagnoses, goes backward and steps, as a run does it, with default
    settings.
    """
    team = LanguagePlan(
        world, "mappo_per_agent", model="smollm2", world_settings=settings
    ).trainer()
    spent = []
    for _ in range(skipped + steps):
        start = time.process_time()
        update = team.update(None)
        spent.append(time.process_time() - start)
    return {
        "cpu_seconds": statistics.median(spent[skipped:]),
        "updates": steps,
        "episodes": update.episodes,
        "peak_gb": peak_gb(),
    }


class Lines(TextWorld):
    """Agents that write a line, all at once, and are paid for what the team has written."""

    name = "lines"
    summary = "each agent writes a line; paid for the share of small letters"
    free = True

    def __init__(self, agents: int) -> None:
        super().__init__(TextSettings())
        self.agents = self.roles = tuple(f"writer{i}" for i in range(agents))
        self.speaker = self.agents[0]
        self.references = References(0.0, 1.0, "share of small letters")
        self.longest, self.step = agents, 0

    def tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        self.step += 1
        return [(str(self.step - 1),)]

    def prompts(self, task: Task, history: tuple[Statement, ...]) -> tuple[Prompt, ...]:
        if history:
            return ()
        texts = [message["content"] for message in messages(int(task[0]))]
        return tuple(Prompt(agent, *texts, most_tokens=TOKENS) for agent in self.agents)

    def ending(self, task: Task, history: tuple[Statement, ...]) -> Ending:
        value = sum(reward(one.text) for one in history) / len(history)
        return Ending(value, shared(value, history))


def texts(options: argparse.Namespace) -> dict[str, Any]:
    """Returns CPU-seconds of a step of the small Qwen2: as many completions for any number of
    agents.
    """
    settings = LanguageSettings(
        adapter="plain",
        rank=8,
        targets="all",
        layers=2,
        prompts=1,
        rollouts=COMPLETIONS // options.agents,
        lr=RATE,
        calibrate=False,
        rows=COMPLETIONS,
    )
    model = LanguageModel(small_model(), small_tokenizer(), "small Qwen2")
    world = Lines(options.agents)
    learner = LanguageLearner(model, world, "grpo", settings, 0, options.steps)
    weights = [x for adapter in learner.own.values() for x in adapter.parameters()]
    before = [x.detach().clone() for x in weights]
    clock, tokens, rewards, gradients = list[float](), list[int](), list[float](), list[float]()
    for _ in range(options.steps):
        played, metrics = learner.update()
        clock.append(time.process_time())
        tokens.append(sum(len(answer.handle.tokens) for answer in played.answers))
        rewards.append(float(played.success.mean()))
        gradients.append(sum(x for name, x in metrics.items() if name.startswith("gradient")))
    return report(
        clock,
        tokens=statistics.mean(tokens),
        parameters=sum(x.numel() for x in weights),
        moved=moved(before, weights),
        gradient=statistics.mean(gradients),
        finite=all(map(math.isfinite, gradients)),
        first_reward=statistics.mean(rewards[:5]),
        last_reward=statistics.mean(rewards[-5:]),
    )


def peak_gb() -> float:
    """Returns the largest memory that this process has had, in 10^9 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
