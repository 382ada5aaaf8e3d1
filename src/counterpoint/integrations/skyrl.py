"""SkyRL: our advantages in its trainers.

    return with_credit(RayPPOTrainer, "agent_wise", record="credit.jsonl")(cfg=cfg, ...)

stands in `BasePPOExp.get_trainer`. The environment's `get_metrics()` names the agent of a
trajectory under `agent`; a generator of your own puts it into `env_metrics` of each row. Only
`with_credit` needs skyrl. Source: skyrl 0.4.0, `skyrl/train/trainer.py`,
`skyrl/train/generators/base.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Unpack

import numpy as np

from counterpoint.arrays import Array, Columns
from counterpoint.credit import AnyScheme
from counterpoint.errors import LabelError, SettingError, StateError
from counterpoint.integrations.draws import distinct_rollouts, with_turns
from counterpoint.integrations.recorder import on_host
from counterpoint.integrations.team_credit import CreditOptions, TeamCredit, credit_of, named_like
from counterpoint.optional import import_optional

INSTALL = "pip install skyrl"
STATE = "counterpoint.json"
"""The file of our state in the folder of a checkpoint, beside `trainer_state.pt`."""
KEY = "counterpoint"
"""Our key in the metadata of a batch."""
FILES = "skyrl.backends.skyrl_train.utils.io"
"""The module that reads and writes SkyRL's checkpoints, on a disk or in a cloud."""
COLUMNS = ("task", "agent", "role", "turn", "context", "agent_reward")
"""What `env_metrics` of a row may name; `task` is the prompt, if it is not SkyRL's uid."""
HOOKS = (
    "convert_to_training_input", "compute_advantages_and_returns", "save_checkpoints",
    "load_checkpoints",
)  # fmt: skip


def with_credit(
    base: Any, scheme: str | AnyScheme = "agent_wise", **options: Unpack[CreditOptions]
) -> Any:
    """Returns a class like `base`, with the same name, whose advantages are ours.

    Its trainers have an attribute `team_credit`. SkyRL's own estimator still runs; its result is
    replaced, so `trainer.algorithm.advantage_estimator` may stay as it is.

    Args:
        base: `RayPPOTrainer`, `FullyAsyncRayPPOTrainer`, or a class that inherits from one.
        scheme: a scheme or its name, see `counterpoint schemes`.
        options: arguments of `TeamCredit`: `record`, `components`, `check_every`, `warn`.

    Raises:
        MissingPackageError: skyrl is not installed.
        SettingError: `base` lacks a method that is replaced.
    """
    import_optional("skyrl", INSTALL)
    if lacking := [name for name in HOOKS if not hasattr(base, name)]:
        raise SettingError(
            f"got {getattr(base, '__name__', base)} without {lacking[0]}; wanted SkyRL's "
            "RayPPOTrainer or a class that inherits from it"
        )

    class Credited(CreditMixin, base):  # type: ignore[misc]  # the base is known at run time
        credit_scheme = scheme
        credit_options = options

    return named_like(Credited, base)


class CreditMixin:
    """The base class that `with_credit` puts before a trainer; it must be the first base class."""

    credit_scheme: str | AnyScheme = "agent_wise"
    credit_options: ClassVar[CreditOptions] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        trainer: Any = self
        if trainer.cfg.trainer.algorithm.advantage_batch_normalize:
            raise SettingError(
                "got trainer.algorithm.advantage_batch_normalize=true, which normalizes the "
                "advantages of all agents together again; wanted false"
            )
        self.team_credit = credit_of(self.credit_scheme, "SkyRL", **self.credit_options)

    def convert_to_training_input(self, generator_output: Any, uids: list[str]) -> Any:
        """Returns SkyRL's batch, whose metadata also name the agent of each row."""
        batch = super().convert_to_training_input(generator_output, uids)  # type: ignore[misc]
        batch.metadata[KEY] = row_columns(generator_output, uids)
        return batch

    def compute_advantages_and_returns(self, data: Any) -> Any:
        """Returns the batch with our advantages, which are the returns too."""
        trainer: Any = self
        data = super().compute_advantages_and_returns(data)  # type: ignore[misc]
        mask, columns = data["response_mask"], data.metadata.pop(KEY)
        trained = data["loss_mask"].sum(-1) > 0  # padding and filtered rows are not
        step_wise = bool(trainer.cfg.generator.step_wise_trajectories)
        values = batch_advantages(data["rewards"], trained, columns, self.team_credit, step_wise)
        spread = data["rewards"].new_tensor(values)[:, None] * mask
        data["advantages"] = data["returns"] = spread
        kept = np.flatnonzero(on_host(trained))
        logged = {"avg": float(values[kept].mean()), "abs": float(abs(values[kept]).mean())}
        data.metadata["metrics"] |= {
            "avg_advantages": logged["avg"], "avg_advantages_abs": logged["abs"],
        }  # fmt: skip
        trainer.all_metrics.update({
            "loss/avg_raw_advantages": logged["avg"],
            "loss/avg_raw_advantages_abs": logged["abs"],
            **self.team_credit.metrics,
        })  # fmt: skip
        return data

    def save_checkpoints(self) -> str:
        """Saves a checkpoint with our state in it, and returns its folder."""
        io = import_optional(FILES, INSTALL).io
        folder = str(super().save_checkpoints())  # type: ignore[misc]
        with io.open_file(f"{folder}/{STATE}", "w") as file:
            file.write(json.dumps(self.team_credit.state_dict()))
        return folder

    def load_checkpoints(self) -> Any:
        """Resumes from a checkpoint, and returns what SkyRL returns.

        Raises StateError if the checkpoint has no state of ours although the scheme has running
        statistics, or it belongs to another scheme.
        """
        io = import_optional(FILES, INSTALL).io
        loaded = super().load_checkpoints()  # type: ignore[misc]
        if loaded[1] is None:
            return loaded
        file = f"{loaded[1]}/{STATE}"
        if io.exists(file):
            with io.open_file(file, "r") as opened:
                self.team_credit.load_state_dict(json.loads(opened.read()))
        elif self.team_credit.scheme.keeps_state:
            raise StateError(f"got a checkpoint without {file}, which running statistics need")
        return loaded


def row_columns(output: Mapping[str, Any], uids: Sequence[str]) -> dict[str, list[Any]]:
    """Returns columns [N] of the rows of a generator's output.

    Rows of one trajectory share what only some of them name: SkyRL's own generator gives the
    metrics of an environment to its last step.

    Args:
        output: SkyRL's `GeneratorOutput`. `env_metrics` may name `COLUMNS`.
        uids: [N] SkyRL's uid of each row.

    Raises:
        LabelError: a trajectory has no agent, and another has one; or only some rows of a
            trajectory name an agent, and they name two.
    """
    ids = output.get("trajectory_ids")
    names = [one.to_string() for one in ids] if ids else [f"{u}_{i}" for i, u in enumerate(uids)]
    metrics = output.get("env_metrics") or [{}] * len(uids)
    columns: dict[str, list[Any]] = {"prompt": list(uids), "rollout": names}
    for name in COLUMNS:
        known: dict[str, set[Any]] = {}
        for rollout, row in zip(names, metrics, strict=True):
            if row and name in row:
                known.setdefault(rollout, set()).add(row[name])
        if not known:
            continue
        values = []
        for rollout, row in zip(names, metrics, strict=True):
            if row and name in row:
                values.append(row[name])
            elif len(shared := known.get(rollout, set())) == 1:
                values.append(next(iter(shared)))
            else:
                raise LabelError(
                    f"got a row of trajectory '{rollout}' without '{name}' in env_metrics, and "
                    f"{len(shared)} other values there; wanted it in every row"
                )
        columns["prompt" if name == "task" else name] = values
    return columns


def batch_advantages(
    rewards: Array, trained: Array, columns: Columns, credit: TeamCredit, step_wise: bool = False
) -> Array:
    """Returns advantages [B] of a batch.

    Args:
        rewards: [B, T] rewards of tokens. A row's reward is their sum; if rows are steps, it is
            that of the agent's last step in the trajectory, as in SkyRL.
        trained: [B] whether a row trains a token; others are in no statistic.
        columns: name to values of the first N rows, from `row_columns`; later rows are padding.
            `agent_reward`, a float or None, replaces the reward.
        credit: the `TeamCredit` that computes advantages.
        step_wise: whether the rows are the steps of trajectories.

    Raises:
        LabelError: the scheme needs agents, and the rows name none.
        RewardError: a reward is infinite.
    """
    labels = {name: values for name, values in columns.items() if name != "agent_reward"}
    if credit.scheme.groups_by_agent and not {"agent", "role"} & set(labels):
        raise LabelError(
            "got rows without an agent; wanted env_metrics[i]['agent'], which an environment "
            "returns from get_metrics()"
        )
    count = len(labels["prompt"])
    paid = np.asarray(on_host(rewards), dtype=np.float64).sum(-1)
    agents = labels.get("agent", [None] * count)
    if step_wise:
        last = {key: i for i, key in enumerate(zip(labels["rollout"], agents, strict=True))}
        paid[:count] = [paid[last[key]] for key in zip(labels["rollout"], agents, strict=True)]
    else:  # each row is a trajectory of its own, also if a prompt was drawn twice
        labels["rollout"] = distinct_rollouts(labels["rollout"], agents, labels["prompt"])
    if "agent_reward" in columns:
        own = [np.nan if one is None else float(one) for one in columns["agent_reward"]]
        paid[:count] = own
    there = np.flatnonzero(np.asarray(on_host(trained), bool)[:count])
    values = np.zeros(len(paid))
    if len(there):
        kept = {
            name: [column[i] for i in there.tolist()] for name, column in with_turns(labels).items()
        }
        values[there] = credit(paid[there], kept)
    return values
