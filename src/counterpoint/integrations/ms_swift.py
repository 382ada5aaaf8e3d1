"""ms-swift: our advantages in its `GRPOTrainer`, by a plugin file.

    swift rlhf --rlhf_type grpo --external_plugins credit_plugin.py ...

`credit_plugin.py` calls `install("agent_wise")`. A dataset has a row for each prompt and agent, as
for TRL: the column `agent` names the agent, and rows of one task share a value in the column
`task`. Only `install` and `with_credit` need ms-swift. Source: ms-swift 4.6.0,
`swift/rlhf_trainers/grpo_trainer.py`, `swift/rl_core/data.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Unpack

from counterpoint.credit import AnyScheme
from counterpoint.errors import SettingError
from counterpoint.integrations import trl
from counterpoint.integrations.draws import distinct_prompts, with_turns
from counterpoint.integrations.team_credit import CreditOptions, named_like
from counterpoint.integrations.trl import COLUMNS, row_labels
from counterpoint.optional import import_optional

INSTALL = "pip install ms-swift"


def install(
    scheme: str | AnyScheme = "agent_wise",
    *,
    columns: Mapping[str, str] | None = None,
    **options: Unpack[CreditOptions],
) -> None:
    """Makes `swift rlhf --rlhf_type grpo` train with our advantages in this process.

    Args:
        scheme: a scheme or its name.
        columns: label to column of the dataset, if the names differ from `COLUMNS`.
        options: arguments of `TeamCredit`.

    Raises:
        MissingPackageError: ms-swift is not installed.
    """
    module = import_optional("swift.rlhf_trainers", INSTALL)
    module.GRPOTrainer = with_credit(module.GRPOTrainer, scheme, columns=columns, **options)


def with_credit(
    base: Any,
    scheme: str | AnyScheme = "agent_wise",
    *,
    columns: Mapping[str, str] | None = None,
    **options: Unpack[CreditOptions],
) -> Any:
    """Returns a class like `base`, with the same name, whose advantages are ours.

    Args:
        base: ms-swift's `GRPOTrainer`, or a class that inherits from it.
        scheme: a scheme or its name, see `counterpoint schemes`.
        columns: label to column of the dataset, if the names differ from `COLUMNS`.
        options: arguments of `TeamCredit`: `record`, `components`, `check_every`, `warn`.

    Raises:
        SettingError: the class computes no advantages.
    """
    if not hasattr(base, "_compute_advantages"):
        raise SettingError(
            f"got {getattr(base, '__name__', base)} without _compute_advantages; wanted ms-swift's "
            "GRPOTrainer or a class that inherits from it"
        )

    class Credited(CreditMixin, base):  # type: ignore[misc]  # the base is known at run time
        credit_scheme = scheme
        credit_columns: ClassVar[Mapping[str, str]] = {**COLUMNS, **(columns or {})}
        credit_options = options

    return named_like(Credited, base)


class CreditMixin(trl.CreditMixin):
    """The base class that `with_credit` puts before a trainer; checkpoints are as for TRL.

    Every process computes the advantages of all processes, as ms-swift does itself.
    """

    credit_trainer: ClassVar[str] = "ms-swift"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        trainer: Any = self
        if trainer.kl_in_reward and trainer.beta:
            raise SettingError(
                "got kl_in_reward=true, which our advantages would lose; wanted false: the loss "
                "has the KL penalty then"
            )

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        trainer: Any = super(trl.CreditMixin, self)
        return trainer._generate_and_score_completions(inputs)

    def _trained_advantages(self) -> None:
        """Returns None: ms-swift spreads advantages over tokens, so only the call is checked."""

    def _compute_advantages(self, samples: Any, rewards_per_func: Any, batches: Any) -> Any:
        from accelerate.utils import gather_object

        trainer: Any = self
        theirs = super()._compute_advantages(samples, rewards_per_func, batches)  # type: ignore[misc]
        own = [sample_row(sample, self.credit_columns) for sample in samples]
        rows, learning = gather_object(own), bool(trainer.model.training)
        size = trainer.num_generations if learning else trainer.num_generations_eval
        dynamic = bool(trainer.dynamic_num_samples)
        labels = (request_labels if dynamic else row_labels)(rows, self.credit_columns, size)
        values = self.team_credit(rewards_per_func.double(), labels, learning=learning)
        self._warn_of_nameless(rows)
        for name, number in self.team_credit.metrics.items() if learning else ():
            trainer._metrics["train"][name].append(number)
        return values.to(theirs)


def sample_row(sample: Any, columns: Mapping[str, str]) -> dict[str, Any]:
    """Returns label to value of a sample, and the ids that ms-swift gave it."""
    row = {label: sample.extra.get(column) for label, column in columns.items()}
    return {**row, "prompt_id": sample.prompt_id, "request_id": sample.request_id}


def request_labels(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], generations: int
) -> dict[str, Any]:
    """Returns the label columns of rows whose number a rollout decides itself.

    ms-swift gives all rows of a rollout the same request id: they are its turns.

    Args:
        rows: [N] rows of `sample_row`.
        columns: label to the dataset's column, for messages.
        generations: not used; prompts have unequal numbers of rows.

    Raises:
        LabelError: some rows have a value and others have none.
    """
    labels: dict[str, Any] = row_labels(rows, columns, 1)
    draws = {one: i for i, one in enumerate(dict.fromkeys(row["prompt_id"] for row in rows))}
    groups = [draws[row["prompt_id"]] for row in rows]
    named = all(row.get("prompt") is not None for row in rows)
    labels["prompt"] = distinct_prompts(
        [row["prompt"] for row in rows] if named else groups, groups, labels["agent"]
    )
    labels["rollout"] = [row["request_id"] for row in rows]
    return dict(with_turns(labels))
