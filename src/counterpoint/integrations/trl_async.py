"""TRL's `AsyncGRPOTrainer`: our advantages in its rollout worker, which makes them there.

    trainer = with_credit(AsyncGRPOTrainer, "agent_wise", record="credit.jsonl")(model=..., ...)

The worker is a process of its own, and shows a scheme one group at a time: the generations of one
row of the dataset, so of one agent. The column `agent` names it, `task` the prompt. Schemes whose
statistics are over one agent serve this; others are refused if the dataset names agents. Source:
trl 1.16.0, `trl/experimental/async_grpo/async_rollout_worker.py`, `async_grpo_trainer.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Unpack

from counterpoint.credit import AnyScheme
from counterpoint.errors import SettingError
from counterpoint.integrations.team_credit import CreditOptions, TeamCredit, named_like
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

    return named_like(Credited, base)


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
