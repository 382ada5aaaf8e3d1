"""TRL's `AsyncGRPOTrainer`: our advantages in its rollout worker, which makes them there.

    trainer = with_credit(AsyncGRPOTrainer, "agent_wise", record="credit.jsonl")(model=..., ...)

The worker is a process of its own, and shows a scheme one group at a time: the generations of one
row of the dataset, so of one agent. The column `agent` names it, `task` the prompt. Schemes whose
statistics are over one agent serve this; others are refused if the dataset names agents. Source:
trl 1.16.0, `trl/experimental/async_grpo/async_rollout_worker.py`, `async_grpo_trainer.py`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Unpack

from counterpoint.credit import AnyScheme
from counterpoint.errors import LabelError, SchemeError, SettingError, StateError
from counterpoint.integrations.draws import occurrences
from counterpoint.integrations.rllm import compares_agents
from counterpoint.integrations.team_credit import CreditOptions, SavedCredit, TeamCredit
from counterpoint.integrations.trl import COLUMNS, STATE
from counterpoint.optional import import_optional
from counterpoint.runs.files import write_atomically

INSTALL = "pip install 'trl[vllm]' aiohttp"
WORKER = "trl.experimental.async_grpo.async_grpo_trainer"
"""The module whose rollout worker is replaced while a trainer is made."""
LIVE = "counterpoint_credit.json"
"""The file in the output folder into which the worker writes its state after each group."""


def with_credit(
    base: Any,
    scheme: str | AnyScheme = "agent_wise",
    *,
    columns: Mapping[str, str] | None = None,
    **options: Unpack[CreditOptions],
) -> Any:
    """Returns a class like `base`, with the same name, whose worker makes our advantages.

    Args:
        base: `AsyncGRPOTrainer`, or a class that inherits from it.
        scheme: a scheme or its name, see `counterpoint schemes`.
        columns: label to column of the dataset, if the names differ from `COLUMNS`.
        options: arguments of `TeamCredit`. The worker's process gets them, so that `warn` must be a
            function of a module.

    Raises:
        MissingPackageError: trl, or a package of its asynchronous trainer, is not installed.
        UnknownNameError: no scheme has that name.
    """
    import_optional(WORKER, INSTALL)
    TeamCredit(scheme)  # an unknown name is an error here, not in the worker

    class Credited(CreditMixin, base):  # type: ignore[misc]  # the base is known at run time
        credit: ClassVar[Mapping[str, Any]] = {
            "scheme": scheme, "columns": {**COLUMNS, **(columns or {})}, "options": dict(options),
        }  # fmt: skip

    Credited.__name__ = Credited.__qualname__ = base.__name__
    Credited.__doc__ = base.__doc__
    return Credited


class CreditMixin:
    """The base class that `with_credit` puts before a trainer; it must be the first base class.

    A worker of your own that is passed as `rollout_worker` makes its advantages itself: it is
    refused unless it is a `CreditedWorker`.
    """

    credit: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        from counterpoint.integrations.trl_async_classes import CreditedWorker

        module = import_optional(WORKER, INSTALL)
        theirs = module.AsyncRolloutWorker
        folder = Path(kwargs["args"].output_dir) if kwargs.get("args") else Path()

        def worker(**loop: Any) -> Any:
            return CreditedWorker(credit={**self.credit, "live": str(folder / LIVE)}, **loop)

        module.AsyncRolloutWorker = worker
        try:
            super().__init__(*args, **kwargs)
        finally:
            module.AsyncRolloutWorker = theirs
        trainer: Any = self
        made = trainer.rollout_worker
        if made is not None and not isinstance(made, CreditedWorker):
            raise SettingError(
                f"got a rollout worker of type {type(made).__name__}, which makes advantages of "
                "its own; wanted none, or a CreditedWorker of trl_async_classes"
            )

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)  # type: ignore[misc]
        trainer: Any = self
        live = Path(trainer.args.output_dir) / LIVE
        if trainer.args.should_save and live.is_file():
            folder = Path(trainer._get_output_dir(trial=trial))
            file = folder / f"checkpoint-{trainer.state.global_step}" / STATE
            write_atomically(file, live.read_text("utf-8"))

    def _inner_training_loop(self, *args: Any, **kwargs: Any) -> Any:
        trainer: Any = self
        if trainer.rollout_worker is not None:
            trainer.rollout_worker.resume(kwargs.get("resume_from_checkpoint"))
        return super()._inner_training_loop(*args, **kwargs)  # type: ignore[misc]


class GroupCredit:
    """Computes the advantages of one group after the other, in the worker's process.

    Args:
        credit: `scheme`, `columns`, `options`, and perhaps `live`, the file for the state, and
            `state`, the state to resume from.

    Raises:
        UnknownNameError, OutputError: as `TeamCredit`.
        StateError: the state belongs to another scheme.
    """

    def __init__(self, credit: Mapping[str, Any]) -> None:
        self.credit = TeamCredit(credit["scheme"], **credit["options"])
        self.columns: Mapping[str, str] = credit["columns"]
        self.live = credit.get("live")
        saved: SavedCredit | None = credit.get("state")
        if saved is not None:
            self.credit.load_state_dict(saved)

    def __call__(
        self, rewards: Sequence[Sequence[float]], dataset: Mapping[str, Sequence[Any]], group: int
    ) -> list[float]:
        """Returns the advantage [G] of each conversation of a group; its rows share it.

        Args:
            rewards: [G] or [G][K] rewards; NaN is missing.
            dataset: column to [G] values of the dataset's row.
            group: the number of the group, which is the prompt without a column `task`.

        Raises:
            LabelError: the scheme needs agents, and the dataset has no column for them.
            SchemeError: the dataset names agents, and the scheme compares them.
            RewardError: a reward is infinite.
        """
        count = len(rewards)
        labels: dict[str, Sequence[Any]] = {
            label: list(dataset[column])
            for label, column in self.columns.items()
            if column in dataset and label != "rollout"
        }
        if "agent" in labels and compares_agents(self.credit.scheme):
            raise SchemeError(
                "got a scheme with statistics over several agents, and TRL's worker shows one "
                "agent at a time; wanted one by agent, such as agent_wise, or GRPOTrainer"
            )
        if self.credit.scheme.groups_by_agent and not {"agent", "role"} & set(labels):
            raise LabelError(
                f"got a dataset without the column '{self.columns['agent']}'; wanted the agent of "
                "each row there"
            )
        prompts = labels.get("prompt", [group] * count)
        labels["prompt"] = [f"{prompt} ({group})" for prompt in prompts]  # each draw is a group
        labels["rollout"] = occurrences([group] * count)
        values = [float(value) for value in self.credit(rewards, labels)]
        if self.live:
            write_atomically(Path(self.live), json.dumps(self.credit.state_dict()))
        return values


def saved_state(checkpoint: str | None, scheme: str | AnyScheme) -> SavedCredit | None:
    """Returns the state in a checkpoint's folder, or None if it has none.

    Raises StateError if it cannot be read, or is missing although the scheme has running
    statistics.
    """
    if checkpoint is None:
        return None
    file = Path(checkpoint) / STATE
    if not file.is_file():
        if TeamCredit(scheme).scheme.keeps_state:
            raise StateError(f"got a checkpoint without {file}, which running statistics need")
        return None
    try:
        saved: SavedCredit = json.loads(file.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise StateError(f"could not read {file} ({error})") from error
    return saved


def group_rewards(metrics: Sequence[Mapping[str, float]], names: Sequence[str]) -> list[Any]:
    """Returns the rewards [G][K] of a group's conversations from TRL's metrics of them.

    Two reward functions of the same name have one metric; then the total [G] is returned.
    """
    if len(set(names)) == len(names):
        return [[one[f"rewards/{name}"] for name in names] for one in metrics]
    return [[one.get("reward", math.nan)] for one in metrics]
