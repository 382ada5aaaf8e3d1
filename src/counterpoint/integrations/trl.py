"""TRL: our advantages in `GRPOTrainer` and `RLOOTrainer`, and a recipe without a subclass.

    trainer = with_credit(GRPOTrainer, "agent_wise", record="credit.jsonl")(model=..., ...)

A dataset has a row for each prompt and agent: the column `agent` names the agent, and rows of one
task share a value in the column `task`. Only `with_credit` needs trl. Source: trl 1.16.0,
`trl/trainer/grpo_trainer.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np

from counterpoint.credit import AnyScheme, Scheme
from counterpoint.errors import HookError, LabelError, SettingError
from counterpoint.integrations.draws import distinct_prompts, distinct_rollouts
from counterpoint.integrations.guards import nameless_rows
from counterpoint.integrations.hook_check import HookCheck
from counterpoint.integrations.team_credit import CreditOptions, credit_of, named_like
from counterpoint.optional import import_optional

STATE = "counterpoint_credit.json"
"""The file of our state in a checkpoint's folder, beside `trainer_state.json`."""
COLUMNS: Mapping[str, str] = {
    "prompt": "task", "agent": "agent", "rollout": "rollout", "role": "role", "turn": "turn",
}  # fmt: skip
"""Label to the dataset's column. Without a column `task` each group of generations is a prompt;
without a column `rollout` a rollout is the place in that group."""

HOOKS = ("_calculate_rewards", "_generate_and_score_completions", "training_step")
"""The methods of a trainer that `CreditMixin` extends."""

Reward = Callable[..., Sequence[float | None]]


def with_credit(
    base: Any,
    scheme: str | AnyScheme = "agent_wise",
    *,
    columns: Mapping[str, str] | None = None,
    **options: Unpack[CreditOptions],
) -> Any:
    """Returns a class like `base`, with the same name, whose advantages are ours.

    Its trainers have an attribute `team_credit`.

    Args:
        base: `GRPOTrainer`, `RLOOTrainer`, or a class that inherits from one of them.
        scheme: a scheme or its name, see `counterpoint schemes`.
        columns: label to column of the dataset, if the names differ from `COLUMNS`.
        options: arguments of `TeamCredit`: `record`, `components`, `check_every`, `warn`.

    Raises:
        MissingPackageError: trl is not installed.
        SettingError: the base makes its advantages elsewhere, as `AsyncGRPOTrainer` does in its
            rollout worker.
        HookError: (from the training) a subclass replaces our advantages, or never computes them.
    """
    import_optional("trl", "pip install trl")
    lacking = [name for name in HOOKS if not callable(getattr(base, name, None))]
    if lacking:
        raise SettingError(
            f"got {getattr(base, '__name__', base)} without {lacking[0]}, which makes its "
            "advantages elsewhere and would train without our credit; wanted GRPOTrainer, "
            "RLOOTrainer, or a class that inherits from one of them (of AsyncGRPOTrainer: "
            "counterpoint.integrations.trl_async.with_credit)"
        )

    class Credited(CreditMixin, base):  # type: ignore[misc]  # the base is known at run time
        credit_scheme = scheme
        credit_columns: ClassVar[Mapping[str, str]] = {**COLUMNS, **(columns or {})}
        credit_options = options

    return named_like(Credited, base)


class CreditMixin:
    """The base class that `with_credit` puts before a trainer; it must be the first base class.

    Every process gathers all rewards, computes all advantages and keeps its own, so that running
    statistics are the same in all processes.
    """

    credit_scheme: str | AnyScheme = "agent_wise"
    credit_columns: ClassVar[Mapping[str, str]] = COLUMNS
    credit_options: ClassVar[CreditOptions] = {}
    credit_trainer: ClassVar[str] = "TRL"
    _gathered: tuple[Any, list[Mapping[str, Any]]] | None = None
    """Rewards [N, K] and rows [N] of all processes, until their advantages are computed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        trainer: Any = self
        options, weights = self.credit_options.copy(), trainer.reward_weights.tolist()
        if len(weights) > 1 and not options.get("components"):
            names = trainer.reward_func_names
            options["components"] = tuple(
                f"{n}_{i}" if names.count(n) > 1 else n for i, n in enumerate(names)
            )
        if not trainer.accelerator.is_main_process:
            options.pop("record", None)
            options |= {"check_every": 0, "warn": lambda text: None}  # the main process warns
        credit = credit_of(self.credit_scheme, self.credit_trainer, **options)
        self.team_credit = credit
        self._check = HookCheck(
            credit,
            "_generate_and_score_completions of with_credit(...)",
            "put with_credit around the outermost class, as in with_credit(YourTrainer, ...)",
        )
        if weights != [1.0]:  # they are the component weights of plain schemes that have none

            def weighted(plain: Scheme) -> Scheme:
                return replace(plain, weights=tuple(weights)) if plain.weights is None else plain

            whole = credit.scheme
            credit.scheme = weighted(whole) if isinstance(whole, Scheme) else whole.each(weighted)

    def _calculate_rewards(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        from accelerate.utils import gather_object

        trainer: Any = super()
        rewards = trainer._calculate_rewards(inputs, *args, **kwargs)
        own = [{label: row.get(column) for label, column in self.credit_columns.items()}
               for row in inputs]  # fmt: skip
        self._gathered = rewards, gather_object(own)
        return rewards

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        trainer: Any = self
        out = super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        if self._gathered is None:
            raise HookError(
                "got a batch whose rewards _calculate_rewards did not compute, so that there is "
                "nothing to make advantages of; wanted a trainer that calls it in "
                "_generate_and_score_completions, as GRPOTrainer does"
            )
        (rewards, rows), self._gathered = self._gathered, None
        learning = bool(trainer.model.training)
        size = trainer.num_generations if learning else trainer.num_generations_eval
        values = self.team_credit(
            rewards.double(), row_labels(rows, self.credit_columns, size), learning=learning
        )
        self._warn_of_nameless(rows)
        first = trainer.accelerator.process_index * len(inputs)
        out["advantages"] = values[first : first + len(inputs)].to(out["advantages"])
        logged = trainer._logs["advantages"]  # a deque, whose latest entries are of these rows
        latest = values.tolist()[-len(logged) :]
        for place, value in enumerate(latest, start=-len(latest)):
            logged[place] = value
        for name, number in self.team_credit.metrics.items() if learning else ():
            trainer._metrics["train"][name].append(number)
        return out

    def _warn_of_nameless(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Warns once if no row [N] names an agent or a role, and the scheme needs agents."""
        if all(row.get(label) is None for row in rows for label in ("agent", "role")):
            column = f"the dataset's column '{self.credit_columns['agent']}'"
            self.team_credit.warn_once(nameless_rows(self.team_credit.scheme, column))

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the loss; before the first optimizer step, checks whose advantages made it."""
        loss = super().training_step(*args, **kwargs)  # type: ignore[misc]
        if not self._check.proved:
            self._check.before_step(self._trained_advantages())
        return loss

    def _trained_advantages(self) -> Any:
        """Returns the advantages of the batch that is trained, or None if it is not buffered."""
        import torch

        trainer: Any = self
        parts = [part["advantages"].reshape(-1) for part in trainer._buffered_inputs or ()]
        return torch.cat(parts) if parts else None

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)  # type: ignore[misc]
        trainer: Any = self
        if trainer.args.should_save:
            folder = Path(trainer._get_output_dir(trial=trial))
            self.team_credit.save(folder / f"checkpoint-{trainer.state.global_step}" / STATE)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]
        if checkpoint is not None:
            self.team_credit.load(Path(checkpoint) / STATE)


def row_labels(
    rows: Sequence[Mapping[str, Hashable]], columns: Mapping[str, str], generations: int
) -> dict[str, list[Hashable]]:
    """Returns the label columns of gathered rows.

    Args:
        rows: [N] label to value; None if the dataset has no such column.
        columns: label to the dataset's column, for messages.
        generations: the number of consecutive rows that answer the same prompt. A task that was
            drawn twice for the same agent is two prompts, as it is for TRL.

    Raises:
        LabelError: some rows have a value and others have none.
    """
    count, labels = len(rows), dict[str, list[Hashable]]()
    for label, column in columns.items():
        values = [row.get(label) for row in rows]
        missing = sum(value is None for value in values)
        if 0 < missing < count:
            raise LabelError(
                f"got {missing} of {count} rows without a value in the column '{column}'; "
                "wanted one in every row, or no such column"
            )
        if not missing:
            labels[label] = values
    group = [i // generations for i in range(count)]
    agents = labels.setdefault("agent", ["policy"] * count)
    turns = labels.get("turn", [0] * count)
    labels["prompt"] = distinct_prompts(
        labels.get("prompt", group), group,
        list(zip(agents, turns, labels.get("rollout", [0] * count), strict=True)),
    )  # fmt: skip
    if "rollout" in labels:  # a column of the dataset is the same for all answers to its row
        labels["rollout"] = distinct_rollouts(labels["rollout"], labels["prompt"], agents, turns)
    else:
        labels["rollout"] = [i % generations for i in range(count)]
    return labels


def per_agent_rewards(functions: Mapping[str, Reward], column: str = "agent") -> list[Reward]:
    """Returns one reward function an agent; it returns None in the rows of the other agents.

    With `multi_objective_aggregation="normalize_then_sum"` they give per-agent normalization in a
    trainer without our subclass.

    Args:
        functions: agent to its reward function, in TRL's signature.
        column: the column of the dataset that names the agent of a row.

    Raises:
        SettingError: a function is asynchronous.
    """
    for agent, function in functions.items():
        if inspect.iscoroutinefunction(function):
            raise SettingError(
                f"got an asynchronous reward function of '{agent}'; wanted a plain one"
            )
    return [_reward_of(agent, function, column) for agent, function in functions.items()]


def _reward_of(agent: str, function: Reward, column: str) -> Reward:
    """Returns a reward function that calls `function` with the rows of one agent."""

    def reward(prompts: Any, completions: Any, **columns: Any) -> list[float | None]:
        if column not in columns:
            raise LabelError(f"got a dataset without the column '{column}'")
        mine = np.flatnonzero([name == agent for name in columns[column]])
        paid: list[float | None] = [None] * len(completions)
        if len(mine):
            given = {
                name: [value[i] for i in mine]
                if isinstance(value, list) and len(value) == len(completions) else value
                for name, value in columns.items()
            }  # fmt: skip
            values = function(prompts=[prompts[i] for i in mine],
                              completions=[completions[i] for i in mine], **given)  # fmt: skip
            for i, value in zip(mine, values, strict=True):
                paid[int(i)] = value
        return paid

    reward.__name__ = f"reward_{agent}"  # TRL's logs have one entry for each name
    return reward
