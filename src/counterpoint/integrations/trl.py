"""TRL: our advantages in `GRPOTrainer` and `RLOOTrainer`, and a recipe without any subclass.

    trainer = with_credit(GRPOTrainer, "agent_wise", record="credit.jsonl")(model=..., ...)

A dataset has a row for each prompt and agent, with a column `agent` that says whose it is and a
column `task` that rows of one task share. Needs trl on first use only. Source: trl 1.16.0,
`trl/trainer/grpo_trainer.py`.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from counterpoint.credit import AnyScheme
from counterpoint.errors import LabelError, SettingError, StateError
from counterpoint.integrations.draws import distinct_prompts, distinct_rollouts
from counterpoint.integrations.entry import imported
from counterpoint.integrations.parts import with_weights
from counterpoint.integrations.team_credit import TeamCredit
from counterpoint.runs.files import write_atomically

STATE = "counterpoint_credit.json"
"""Its file in a checkpoint's folder, beside `trainer_state.json`."""
COLUMNS: Mapping[str, str] = {
    "prompt": "task", "agent": "agent", "rollout": "rollout", "role": "role", "turn": "turn",
}  # fmt: skip
"""Label to the dataset's column. Without a column `task` a prompt is a group of generations,
without `rollout` it is the place in that group."""

Reward = Callable[..., Sequence[float | None]]


def with_credit(
    base: Any,
    scheme: str | AnyScheme = "agent_wise",
    *,
    columns: Mapping[str, str] | None = None,
    **told: Any,
) -> Any:
    """A trainer like `base` whose advantages are ours.

    Args:
        base: `GRPOTrainer`, `RLOOTrainer`, or a class of yours that inherits from one.
        scheme: see `counterpoint schemes`.
        columns: label to column of the dataset, where they are called otherwise than `COLUMNS`.
        told: for `TeamCredit`: `record`, `components`, `check_every`, `warn`.

    Returns: a class of the same name; what it makes has `team_credit`.

    Raises:
        MissingPackageError: trl is not installed.
    """
    imported("trl", "pip install trl")

    class Credited(CreditMixin, base):  # type: ignore[misc]  # the base is known at run time
        credit_scheme = scheme
        credit_columns: ClassVar[Mapping[str, str]] = {**COLUMNS, **(columns or {})}
        credit_told = told

    Credited.__name__ = Credited.__qualname__ = base.__name__
    Credited.__doc__ = base.__doc__
    return Credited


class CreditMixin:
    """What `with_credit` puts before a trainer; for a class of your own write it first.

    Rewards of all processes are gathered before; each computes all advantages and keeps its own, so
    that running statistics are the same everywhere.
    """

    credit_scheme: str | AnyScheme = "agent_wise"
    credit_columns: ClassVar[Mapping[str, str]] = COLUMNS
    credit_told: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        trainer: Any = self
        options, weights = dict(self.credit_told), trainer.reward_weights.tolist()
        if len(weights) > 1 and not options.get("components"):
            options["components"] = _unlike(trainer.reward_func_names)
        if not trainer.accelerator.is_main_process:
            options.pop("record", None)
            options |= {"check_every": 0, "warn": _silent}
        credit = TeamCredit(self.credit_scheme, **options)
        if len(weights) > 1 or weights != [1.0]:
            credit.scheme = with_weights(credit.scheme, tuple(weights))
        self.team_credit = credit

    def _calculate_rewards(
        self, inputs: Sequence[Mapping[str, Any]], *args: Any, **kwargs: Any
    ) -> Any:
        from accelerate.utils import gather_object

        trainer: Any = super()
        rewards = trainer._calculate_rewards(inputs, *args, **kwargs)
        own = [{label: row.get(column) for label, column in self.credit_columns.items()}
               for row in inputs]  # fmt: skip
        self._credit_seen = rewards, gather_object(own)
        return rewards

    def _generate_and_score_completions(self, inputs: Sequence[Mapping[str, Any]]) -> Any:
        trainer: Any = self
        out = super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        rewards, rows = self._credit_seen
        learning = bool(trainer.model.training)
        size = trainer.num_generations if learning else trainer.num_generations_eval
        values = self.team_credit(
            rewards.double(), labels_of(rows, self.credit_columns, size), learning=learning
        )
        first = trainer.accelerator.process_index * len(inputs)
        out["advantages"] = values[first : first + len(inputs)].to(out["advantages"])
        logged = trainer._logs["advantages"]
        for place, value in zip(range(-min(len(values), len(logged)), 0),
                                values.tolist()[-len(logged):], strict=True):  # fmt: skip
            logged[place] = value
        for name, number in self.team_credit.metrics.items() if learning else ():
            trainer._metrics["train"][name].append(number)
        return out

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)  # type: ignore[misc]
        trainer: Any = self
        if trainer.args.should_save:
            folder = Path(trainer._get_output_dir(trial=trial))
            file = folder / f"checkpoint-{trainer.state.global_step}" / STATE
            write_atomically(file, json.dumps(self.team_credit.state_dict()))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]
        file = None if checkpoint is None else Path(checkpoint) / STATE
        if file is not None and file.is_file():
            try:
                self.team_credit.load_state_dict(json.loads(file.read_text(encoding="utf-8")))
            except (ValueError, OSError) as error:
                raise StateError(f"could not read {file} ({error})") from error


def labels_of(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], generations: int
) -> dict[str, list[Any]]:
    """Label columns of gathered rows.

    Args:
        rows: [N] label to value; None where the dataset has no such column.
        columns: label to the dataset's column, for messages.
        generations: how many rows in a row are answers to the same prompt. A task that was drawn
            twice for the same agent is two prompts, as it is for TRL.

    Raises:
        LabelError: some rows have a value and others none.
    """
    found: dict[str, list[Any]] = {}
    for label in columns:
        values = [row.get(label) for row in rows]
        missing = sum(value is None for value in values)
        if 0 < missing < len(values):
            raise LabelError(
                f"got {missing} of {len(values)} rows without a value in the column "
                f"'{columns[label]}'; wanted one in every row, or no such column"
            )
        if not missing:
            found[label] = values
    count = len(rows)
    group = [i // generations for i in range(count)]
    place = [i % generations for i in range(count)]
    agents = found.setdefault("agent", ["policy"] * count)
    turns = found.get("turn", [0] * count)
    found["prompt"] = distinct_prompts(
        found.get("prompt", group), group,
        list(zip(agents, turns, found.get("rollout", [0] * count), strict=True)),
    )  # fmt: skip
    if "rollout" in found:  # a column of the dataset is the same for all answers to its row
        found["rollout"] = distinct_rollouts(found["rollout"], found["prompt"], agents, turns)
    else:
        found["rollout"] = place
    return found


def per_agent_rewards(functions: Mapping[str, Reward], column: str = "agent") -> list[Reward]:
    """Reward functions, one an agent, each of which pays only its agent's rows and says None in the
    others: per-agent normalization in the stock trainer, with
    `multi_objective_aggregation="normalize_then_sum"`.

    Args:
        functions: agent to its reward function, in TRL's signature.
        column: of the dataset, which says whose row it is.

    Raises:
        SettingError: an asynchronous function.
    """
    for agent, function in functions.items():
        if inspect.iscoroutinefunction(function):
            raise SettingError(
                f"got an asynchronous reward function of '{agent}'; wanted a plain one"
            )
    return [_only(agent, function, column) for agent, function in functions.items()]


def _only(agent: str, function: Reward, column: str) -> Reward:
    def reward(prompts: Any, completions: Any, **columns: Any) -> list[float | None]:
        if column not in columns:
            raise LabelError(f"got a dataset without the column '{column}'")
        mine = np.flatnonzero([who == agent for who in columns[column]])
        paid: list[float | None] = [None] * len(completions)
        if len(mine):
            given = {
                name: [value[i] for i in mine]
                if isinstance(value, list) and len(value) == len(completions) else value
                for name, value in columns.items()
            }  # fmt: skip
            told = function(prompts=[prompts[i] for i in mine],
                            completions=[completions[i] for i in mine], **given)  # fmt: skip
            for i, value in zip(mine, told, strict=True):
                paid[int(i)] = value
        return paid

    reward.__name__ = f"reward_{agent}"  # functions of one name are mixed up in TRL's logs
    return reward


def _silent(text: str) -> None:
    """Say nothing: one process says a sentence for all."""


def _unlike(names: Sequence[str]) -> tuple[str, ...]:
    """Names of which no two are the same."""
    return tuple(f"{n}_{i}" if names.count(n) > 1 else n for i, n in enumerate(names))
