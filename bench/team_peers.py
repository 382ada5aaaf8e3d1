"""One task of two agents here, in TRL and in CoMLRL: reward against updates and CPU-seconds.

    python bench/team_peers.py --out counterpoint-out/bench/team_peers [--seeds 3] [--arms NAME ...]

The model, the prompts, the reward, eight joint answers of 32 tokens a step, the temperature and the
learning rate are the same; `DIFFERENCES` lists what is not. TRL and CoMLRL are installed into an
environment of their own, `.venv/peers-language`; if that fails, they are left out with a warning.
Trainings run one after the other, with one thread. Trainers that are in the folder already are not
run again. The script writes the curves and prints the tables of docs/discussion/language-peers.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common import PROJECT, mean_estimate, peer_python, run_json, with_interval, write_json
from counterpoint.lm.model import LanguageModel
from counterpoint.train.lora.learner import LanguageLearner
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
from language import SETTLED
from peers.small_qwen2 import small_model, small_tokenizer
from peers.small_team import (
    ALPHA,
    RANK,
    ROLES,
    ROLLOUTS,
    TOKENS,
    Curve,
    prompt,
    sharpened,
    team_reward,
)

STEPS, LAST = 48, 8
"""Updates of a training, and the last of them, over which its end is the mean."""
REACHED = 0.45
"""The mean reward of `LAST` updates whose cost is compared."""
SECONDS = (0.5, 1, 2, 4, 8)
"""CPU-seconds at which curves are compared."""
WARM_UP = 5
"""Updates that the time of a step leaves out."""
ADAPTER_RATE, FULL_RATE = 0.005, 0.001
"""Learning rates of adapters and of whole models."""
DIFFERENCES = (
    "TRL has one model, whose parameters both agents share; CoMLRL has a model for each agent; "
    "ours is shown both ways.",
    "Where every parameter is trained, the learning rate is 0.001 instead of 0.005.",
    "CoMLRL's AdamW has epsilon 1e-8 (all others 1e-5) and weight decay 0.01 (all others none), "
    "and clips nothing (all others clip the gradient's norm at 1; ours that of each adapter).",
    "CoMLRL sums the loss over an answer's tokens and learns from one answer at a time; the others "
    "divide by 32, and learn from all 16 at once.",
    "Random numbers differ: a LoRA's first weights have one distribution, and no two trainers draw "
    "the same answers.",
    "Both agents answer at once: in CoMLRL no agent reads another's answer within a turn.",
)


@dataclass(frozen=True)
class Arm:
    """One trainer in one form."""

    script: str
    """A script of bench/peers, or an empty text for ours."""
    options: tuple[str, ...] = ()
    """Flags of the script; in ours what agents share, and where adapters act."""
    rate: float = ADAPTER_RATE


ARMS: Mapping[str, Arm] = {
    "ours, an adapter each": Arm("", ("separate", "plain")),
    "ours, one adapter": Arm("", ("shared", "plain")),
    "ours, one adapter, from the last token on": Arm("", ("shared", "last_token")),
    "TRL, one LoRA": Arm("trl_team.py", ("--lora",)),
    "TRL, every parameter": Arm("trl_team.py", rate=FULL_RATE),
    "CoMLRL, a LoRA each": Arm("comlrl_team.py", ("--lora",)),
    "CoMLRL, every parameter": Arm("comlrl_team.py", rate=FULL_RATE),
}


class TwoRoles(TextWorld):
    """The task of `small_team`, as a world of ours."""

    name = "two-roles"
    summary = "a writer writes small letters, a teller digits; both are paid the mean share"
    free = True

    def __init__(self) -> None:
        super().__init__(TextSettings())
        self.agents = self.roles = ROLES
        self.speaker = ROLES[0]
        self.references = References(0.0, 1.0, "mean share of the characters that are asked for")
        self.longest, self.step = len(ROLES), 0

    def tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        self.step += 1
        return [(str(self.step - 1),)]

    def prompts(self, task: Task, history: tuple[Statement, ...]) -> tuple[Prompt, ...]:
        if history:
            return ()
        texts = {role: [one["content"] for one in prompt(int(task[0]), role)] for role in ROLES}
        return tuple(Prompt(role, *texts[role], most_tokens=TOKENS) for role in ROLES)

    def ending(self, task: Task, history: tuple[Statement, ...]) -> Ending:
        said = {one.agent: one.text for one in history}
        value = team_reward(*(said[role] for role in ROLES))
        return Ending(value, shared(value, history))


def ours(parameters: Any, adapter: Any, seed: int, steps: int, rate: float) -> dict[str, Any]:
    """Returns the curve of one training of ours."""
    settings = LanguageSettings(
        parameters=parameters,
        adapter=adapter,
        rank=RANK,
        alpha=ALPHA,
        targets="all",
        layers=2,
        prompts=1,
        rollouts=ROLLOUTS,
        lr=rate,
        temperature=1.0,
        calibrate=False,
        rows=len(ROLES) * ROLLOUTS,
    )
    model = LanguageModel(sharpened(small_model(seed)), small_tokenizer(), "small Qwen2")
    learner = LanguageLearner(model, TwoRoles(), "agent_wise", settings, seed, steps)
    curve = Curve()
    for _ in range(steps):
        played, _ = learner.update()
        curve.ticked()
        curve.scored(played.success.tolist())
        curve.tokens += sum(len(answer.handle.tokens) for answer in played.answers)
    trained = sum(x.numel() for one in learner.own.values() for x in one.parameters())
    return curve.document(parameters=trained)


def trained(arm: Arm, seeds: int, steps: int, python: str | None) -> Any:
    """Returns the curve of each seed, trained one after the other in a process of their own."""
    numbers = [f"--seeds={seeds}", f"--steps={steps}", f"--lr={arm.rate}"]
    if not arm.script:
        own = [sys.executable, __file__, "--one", *arm.options, *numbers]
        return run_json(own, SETTLED)
    script = str(PROJECT / "bench" / "peers" / arm.script)
    return run_json([str(python), script, *numbers, *arm.options], SETTLED)


def summary(curves: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns what the table shows of an arm; lists have a value for each seed."""
    rewards = np.array([one["rewards"] for one in curves])
    seconds = np.array([one["seconds"] for one in curves])
    smooth = np.array([np.convolve(row, np.ones(LAST) / LAST, "valid") for row in rewards])
    reached, cost = [], []
    for row, clock in zip(smooth, seconds, strict=True):
        over = np.flatnonzero(row >= REACHED)
        updates = int(over[0]) + LAST if len(over) else None
        reached.append(updates)
        cost.append(None if updates is None else float(clock[updates - 1]))
    return {
        "parameters": curves[0]["parameters"],
        "tokens": [one["tokens"] for one in curves],
        "start": rewards[:, :WARM_UP].mean(axis=1).tolist(),
        "end": smooth[:, -1].tolist(),
        "updates": reached,
        "cost": cost,
        "step": [float(np.median(np.diff(row)[WARM_UP:])) for row in seconds],
    }


def table(found: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    """Returns the table of the page, in Markdown."""
    lines = [
        f"| trainer | trained parameters | reward at the end | updates to {REACHED} | "
        f"CPU-s to {REACHED} | CPU-s a step |",
        "|---" * 6 + "|",
    ]
    for name, curves in found.items():
        one = summary(curves)
        cells = [f"{one['parameters']:,}", with_interval(mean_estimate(one["end"]))]
        for values, form in ((one["updates"], ".0f"), (one["cost"], ".1f")):
            there = [value for value in values if value is not None]
            text = with_interval(mean_estimate(there), form) if there else "never"
            missing = len(values) - len(there)
            cells.append(text + (f" ({missing} never)" if there and missing else ""))
        cells.append(f"{np.median(one['step']):.3f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def by_updates(found: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    """Returns the mean reward of each stretch of `LAST` updates, with intervals over seeds."""
    steps = min(len(one["rewards"]) for curves in found.values() for one in curves)
    ends = range(LAST, steps + 1, LAST)
    rows = {
        name: [[float(np.mean(one["rewards"][end - LAST : end])) for one in curves] for end in ends]
        for name, curves in found.items()
    }
    return curves_table("updates", [f"{end - LAST + 1} to {end}" for end in ends], rows)


def by_seconds(found: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    """Returns the mean reward of the last `LAST` updates made within some CPU-seconds."""

    def at(one: dict[str, Any], second: float) -> float:
        made = int(np.searchsorted(one["seconds"], second, side="right"))
        return float(np.mean(one["rewards"][max(0, made - LAST) : made]))

    rows = {
        name: [[at(one, second) for one in curves] for second in SECONDS]
        for name, curves in found.items()
    }
    return curves_table("CPU-seconds", [f"{second:g}" for second in SECONDS], rows)


def curves_table(
    axis: str, places: Sequence[str], rows: Mapping[str, Sequence[Sequence[float]]]
) -> str:
    """Returns curves in Markdown: a row a trainer, a column a place, with intervals over seeds."""
    lines = [f"| {axis} | " + " | ".join(places) + " |", "|---" * (len(places) + 1) + "|"]
    for name, columns in rows.items():
        cells = [with_interval(mean_estimate(values), ".2f") for values in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/team_peers"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS), metavar="NAME")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--lr", type=float, default=ADAPTER_RATE, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        curves = [
            ours(*options.one, seed, options.steps, options.lr) for seed in range(options.seeds)
        ]
        print(json.dumps(curves))
        return
    python = peer_python("peers-language")
    found: dict[str, list[dict[str, Any]]] = {}
    for name in options.arms:
        arm = ARMS[name]
        if arm.script and python is None:
            continue
        file = f"{name.replace(', ', '-').replace(' ', '_')}-{options.seeds}-{options.steps}.json"
        path = options.out / file
        if not path.exists():
            start = time.monotonic()
            write_json(path, trained(arm, options.seeds, options.steps, python))
            print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
        found[name] = json.loads(path.read_text("utf-8"))
    write_json(options.out / "summary.json", {name: summary(x) for name, x in found.items()})
    parts = (table(found), by_updates(found), by_seconds(found), "\n".join(DIFFERENCES))
    print("\n" + "\n\n".join(parts))


if __name__ == "__main__":
    main()
