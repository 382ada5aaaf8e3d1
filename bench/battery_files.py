"""Logs as other people's files: JSON lines, CSV, NumPy archives and groups, with their habits.

`Columns` is one drawn log; `write` puts it into a file in one of `STYLES`. Ids are numbers or
text, rows may stand in any order, the step or the turn may be absent.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from battery_world import Learner, World, play

Array = NDArray[Any]

STYLES = (
    "rows", "named", "parts", "csv", "semicolons", "npz", "matrix", "groups", "truths", "trl",
    "verl", "renamed",
)  # fmt: skip
"""How a log may be written; see `write`."""

RENAMED = {
    "iteration": "step", "uid": "prompt", "attempt": "rollout", "who": "agent", "move": "turn",
    "choice": "action", "points": "reward",
}  # fmt: skip
"""What the columns of style `renamed` mean: a user says it with `--columns`."""


def mapping(path: Path, style: str) -> dict[str, str] | None:
    """Returns what a user must say about the columns of a file, or None if the names are known."""
    if style != "renamed":
        return None
    with path.open() as file:
        return {name: RENAMED[name] for name in file.readline().strip().split(",")}


@dataclass(frozen=True)
class Columns:
    """A log: label name to its column [N], and the rewards [N, K] with the components' names."""

    labels: dict[str, Array]
    rewards: Array
    components: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rewards)

    def rows(self, index: Array) -> Columns:
        """Returns the same log with these rows only, in this order."""
        labels = {name: column[index] for name, column in self.labels.items()}
        return replace(self, labels=labels, rewards=self.rewards[index])

    def then(self, other: Columns) -> Columns:
        """Returns both logs, one behind the other."""
        labels = {name: np.append(a, other.labels[name]) for name, a in self.labels.items()}
        return Columns(labels, np.append(self.rewards, other.rewards, 0), self.components)


def log_of(
    world: World, scheme: Any, updates: int, rate: float, seed: int, *, actions: bool = False
) -> Columns:
    """Returns what a trainer logs while the team trains under `scheme`."""
    learner = Learner(world, scheme, world.start(1), rate)
    batches = []
    for update in range(updates):
        batch = play(world, learner.logits, update, np.random.default_rng([seed, update]))
        batches.append(batch)
        if rate:
            learner.learn(batch)
    step = np.repeat(np.arange(updates), [len(batch.turn) for batch in batches])
    labels = {"step": step}
    for name in ("prompt", "rollout", "turn", "agent"):
        labels[name] = np.concatenate([getattr(batch, name) for batch in batches])
    labels["agent"] = np.array(world.agents)[labels["agent"]]
    if actions:
        labels["action"] = np.concatenate([batch.action for batch in batches])
    if world.turns == 1:
        del labels["turn"]
    rewards = np.concatenate([batch.rewards for batch in batches])
    return Columns(labels, rewards, batches[0].components)


def styles_for(log: Columns) -> tuple[str, ...]:
    """Returns the styles in which nothing of this log is lost."""
    single = len(log.components) == 1
    bare = not {"turn", "action"} & log.labels.keys()
    group = [log.labels[name] for name in ("step", "prompt", "agent") if name in log.labels]
    sizes = np.unique(
        np.stack([column.astype(str) for column in group]), axis=1, return_counts=True
    )
    # elements of a list are numbered by position, so nobody may be absent from a rollout
    even = len(set(sizes[1].tolist())) == 1 and "prompt" in log.labels
    binary = single and bool(np.isin(log.rewards, (0, 1)).all())
    lone = bare and "prompt" in log.labels and len(set(log.labels["agent"].tolist())) == 1
    fit = {
        "groups": bare and single and even, "rows": single, "truths": binary, "trl": lone,
        "verl": lone and single, "renamed": single,
    }  # fmt: skip
    return tuple(name for name in STYLES if fit.get(name, True))


def write(log: Columns, style: str, folder: Path, name: str) -> Path:
    """Writes the log, and returns the path.

    rows: JSON lines with `reward`. named: the same with text for ids, and shuffled rows.
    parts: JSON lines with `rewards` by component. csv, semicolons: tables. npz: one array a
    column. matrix: [N, K] rewards with `components`. groups: `{"prompt_id", "agent", "rewards"}`.
    truths: JSON lines whose reward is true or false. trl, verl: as these trainers dump a policy's
    completions, without rollout and agent. renamed: CSV with the columns of `RENAMED`.
    """
    if style in ("npz", "matrix"):
        path = folder / f"{name}.npz"
        arrays = dict(log.labels)
        if style == "matrix" or len(log.components) == 1:
            squeezed = log.rewards[:, 0] if style == "npz" else log.rewards
            arrays |= {"reward": squeezed, "components": np.array(log.components)}
        else:
            arrays |= {f"reward.{c}": log.rewards[:, k] for k, c in enumerate(log.components)}
        np.savez(path, **arrays)
        return path
    if style in ("csv", "semicolons", "renamed"):
        names = {ours: theirs for theirs, ours in RENAMED.items()} if style == "renamed" else {}
        return _table(log, ";" if style == "semicolons" else ",", folder / f"{name}.csv", names)
    path = folder / f"{name}.jsonl"
    if style in ("trl", "verl"):
        lines = _dumped(log, style)
    else:
        lines = _groups(log) if style == "groups" else _lines(log, style)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def _table(log: Columns, delimiter: str, path: Path, names: dict[str, str]) -> Path:
    single = len(log.components) == 1
    header = ["reward"] if single else [f"reward.{c}" for c in log.components]
    with path.open("w", newline="") as file:
        out = csv.writer(file, delimiter=delimiter)
        out.writerow([names.get(column, column) for column in (*log.labels, *header)])
        labels = [column.tolist() for column in log.labels.values()]
        for i, rewards in enumerate(log.rewards.tolist()):
            cells = ["" if r != r else repr(r) for r in rewards]
            out.writerow([*(column[i] for column in labels), *cells])
    return path


def _lines(log: Columns, style: str) -> list[dict[str, Any]]:
    labels = {name: column.tolist() for name, column in log.labels.items()}
    texts, truths = style == "named", style == "truths"
    lines = []
    for i, rewards in enumerate(log.rewards.tolist()):
        line = {name: column[i] for name, column in labels.items()}
        if texts:
            line |= {
                "rollout": f"r{line['rollout']}",
                "completion": "I think so.",
                "tokens": i % 97,
            }
            if "prompt" in line:
                line["prompt"] = f"task {line['prompt']}"
        values = [None if r != r else bool(r) if truths else r for r in rewards]
        named = dict(zip(log.components, values, strict=True))
        single = style != "parts" and len(values) == 1
        lines.append({**line, **({"reward": values[0]} if single else {"rewards": named})})
    if texts:
        np.random.default_rng(len(lines)).shuffle(lines)
    return lines


def _dumped(log: Columns, style: str) -> list[dict[str, Any]]:
    """Completions as TRL and verl write them: a row a rollout, in the order of the batch."""
    lines = []
    steps = log.labels.get("step", np.zeros(len(log), int)).tolist()
    for i, (step, prompt) in enumerate(zip(steps, log.labels["prompt"].tolist(), strict=True)):
        values = [None if r != r else r for r in log.rewards[i].tolist()]
        line: dict[str, Any] = {"step": step} if "step" in log.labels else {}
        if style == "verl":
            line |= {"input": f"Solve {prompt}.", "output": "42", "score": values[0]}
        else:
            line |= {"prompt": f"Solve {prompt}.", "completion": "42"}
            line |= {f"{c}_func": v for c, v in zip(log.components, values, strict=True)}
            line["advantage"] = 0.5
        lines.append(line)
    return lines


def _groups(log: Columns) -> list[dict[str, Any]]:
    keys = [name for name in ("step", "prompt", "agent") if name in log.labels]
    columns = [log.labels[name].tolist() for name in keys]
    lists: dict[tuple[Any, ...], list[Any]] = {}
    order = np.lexsort([log.labels["rollout"]])
    for i in order.tolist():
        value = float(log.rewards[i, 0])
        key = tuple(column[i] for column in columns)
        lists.setdefault(key, []).append(None if value != value else value)
    names = ["prompt_id" if name == "prompt" else name for name in keys]
    lines = [{**dict(zip(names, key, strict=True)), "rewards": r} for key, r in lists.items()]
    return sorted(lines, key=lambda line: line.get("step", 0))
