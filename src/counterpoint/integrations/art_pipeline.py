"""ART's `PipelineTrainer`: our advantages in its batches.

    trainer = with_credit(PipelineTrainer, "agent_wise")(..., normalize_advantages=False)

The pipeline gathers groups itself, so `after_each` has no place in it. Here each batch that it
collects is split by agent, with our advantages as rewards; so a scheme sees all groups of a step.
`trajectory.metadata["agent"]` names the agent. Only `with_credit` needs ART. Source: openpipe-art
0.5.23, `art/pipeline_trainer/trainer.py`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from counterpoint.credit import AnyScheme
from counterpoint.errors import SettingError
from counterpoint.integrations.art import credited, load_state, save_state
from counterpoint.integrations.team_credit import CreditOptions, credit_of, named_like


def with_credit(
    base: Any,
    scheme: str | AnyScheme = "agent_wise",
    *,
    balance: bool = False,
    **options: Unpack[CreditOptions],
) -> Any:
    """Returns a class like `base`, with the same name, whose advantages are ours.

    Its trainers have an attribute `team_credit`. Its state is in the model's state on disk, beside
    the pipeline's own, and is read if the trainer resumes.

    Args:
        base: ART's `PipelineTrainer`, or a class that inherits from it.
        scheme: a scheme or its name, see `counterpoint schemes`.
        balance: as in `counterpoint.integrations.art.after_each`.
        options: arguments of `TeamCredit`: `record`, `components`, `check_every`, `warn`.

    Raises:
        SettingError: the class collects no batches.
    """
    if not hasattr(base, "_collect_batch"):
        raise SettingError(
            f"got {getattr(base, '__name__', base)} without _collect_batch; wanted ART's "
            "PipelineTrainer or a class that inherits from it"
        )

    class Credited(CreditMixin, base):  # type: ignore[misc]  # the base is known at run time
        credit_scheme = scheme
        credit_balance = balance
        credit_options = options

    return named_like(Credited, base)


class CreditMixin:
    """The base class that `with_credit` puts before a trainer; it must be the first base class."""

    credit_scheme: str | AnyScheme = "agent_wise"
    credit_balance: bool = False
    credit_options: ClassVar[CreditOptions] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        trainer: Any = self
        if trainer.normalize_advantages:
            raise SettingError(
                "got normalize_advantages=True, by which ART normalizes our advantages again; "
                "wanted normalize_advantages=False"
            )
        self.team_credit = credit_of(self.credit_scheme, "ART's pipeline", **self.credit_options)

    async def train(self, **kwargs: Any) -> None:
        """Trains; if the trainer resumes, from our state too."""
        trainer: Any = self
        if trainer.resume:
            load_state(trainer.model, self.team_credit)
        await super().train(**kwargs)  # type: ignore[misc]

    async def _collect_batch(self, current_step: int) -> Any:
        batch, discarded, saw_sentinel = await super()._collect_batch(current_step)  # type: ignore[misc]
        if any(getattr(group, "_distributed_lease", None) is not None for group in batch):
            raise SettingError(
                "got groups of distributed rollouts, which cannot be split; wanted rollouts in "
                "the trainer's process"
            )
        groups = credited(batch, self.team_credit, balance=self.credit_balance)
        return groups, discarded, saw_sentinel

    def _persist_state(self, training_step: int) -> None:
        super()._persist_state(training_step)  # type: ignore[misc]
        trainer: Any = self
        save_state(trainer.model, self.team_credit)
