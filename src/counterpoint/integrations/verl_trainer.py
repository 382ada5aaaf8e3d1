"""verl's default trainer with agents: start with `register_trainer`.

The trainer passes agents to our estimator, logs its metrics, and keeps running statistics in verl's
checkpoints. verl 0.9 passes no agent to an estimator, and gives all outputs of one agent loop the
reward of the last. Here an agent loop puts both into `extra_fields` of each output: `agent`, and
`agent_reward` if the agent has its own reward. Source: verl 0.9.1,
`verl/trainer/ppo/v1/trainer_base.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from counterpoint.arrays import Columns
from counterpoint.errors import LabelError
from counterpoint.integrations.draws import occurrences
from counterpoint.integrations.hook_check import HookCheck
from counterpoint.integrations.team_credit import TeamCredit
from counterpoint.integrations.verl import INSTALL, rows_of
from counterpoint.optional import import_optional

STATE = "counterpoint.json"
"""The file of our state in the folder of a checkpoint, beside the actor."""


def register_trainer(credit: TeamCredit, name: str = "counterpoint", base: str = "sync") -> Any:
    """Registers a trainer for `trainer.v1.trainer_mode=name`, and returns its class.

    Args:
        credit: the `TeamCredit` that `counterpoint.integrations.verl.register` returned.
        name: the name of the trainer.
        base: the name of verl's trainer that is its base class.

    Raises:
        MissingPackageError: verl, or a package of its default trainer, is not installed.
        ValueError: the name is taken (raised by verl).
        HookError: (from the training) the actor is updated without our advantages.
    """
    v1 = import_optional("verl.trainer.ppo.v1", INSTALL)
    queue = import_optional("transfer_queue", "pip install TransferQueue")
    parent: Any = keeping_state(v1.get_trainer_cls(base), credit)
    check = HookCheck(
        credit,
        "the estimator that counterpoint.integrations.verl.register registered",
        "set algorithm.adv_estimator to its name, counterpoint by default",
    )

    class Counterpoint(parent):  # type: ignore[misc]
        """verl's trainer, whose estimator gets the agent of each row."""

        def _update_actor(self, batch: Any, metrics: dict[str, float]) -> Any:
            check.before_step()
            return super()._update_actor(batch, metrics)

        def _compute_advantage(self, batch: Any, metrics: dict[str, float]) -> Any:
            outputs = queue.kv_batch_get(
                keys=batch.keys, partition_id=batch.partition_id, select_fields=["extra_fields"]
            )
            extra = [getattr(one, "data", one) for one in outputs["extra_fields"]]  # or a wrapper
            fields = [one if isinstance(one, Mapping) else {} for one in extra]
            with rows_of(**output_columns(fields, batch.keys)):
                credited = super()._compute_advantage(batch, metrics)
            metrics.update(credit.metrics)
            return credited

    return v1.register_trainer(name)(Counterpoint)


def keeping_state(base: Any, credit: TeamCredit) -> Any:
    """Returns a subclass of a trainer of verl whose checkpoints hold the state of the credit."""

    class KeepsState(base):  # type: ignore[misc]  # the base is known at run time
        def _save_checkpoint(self) -> None:
            super()._save_checkpoint()
            credit.save(self._credit_file(Path(self.config.trainer.default_local_dir)))

        def _load_checkpoint(self) -> None:
            super()._load_checkpoint()
            folder = Path(self.config.trainer.default_local_dir)
            if self.config.trainer.resume_mode == "resume_path":
                folder = Path(self.config.trainer.resume_from_path).parent
            if self.global_steps:
                credit.load(self._credit_file(folder))

        def _credit_file(self, folder: Path) -> Path:
            return folder / f"global_step_{self.global_steps}" / STATE

    return KeepsState


def output_columns(extra: Sequence[Columns], keys: list[str]) -> dict[str, list[Any]]:
    """Returns columns [B] for `rows_of`, from the fields of agent loops [B] and verl's keys [B].

    Args:
        extra: `agent`, and perhaps `agent_reward`, `role`, `turn` of each row. Padding has none.
        keys: `uid_session_index` of each row; sessions are the rollouts.

    Raises:
        LabelError: only some rows, without counting padding, have an agent.
    """
    padding = [key.startswith("pad") for key in keys]
    columns: dict[str, list[Any]] = {
        "rollout": [key.rsplit("_", 2)[1] if key.count("_") > 1 else key for key in keys]
    }
    for name in ("agent", "agent_reward", "role", "turn"):
        has = [name in one for one in extra]
        if not any(has):
            continue
        lacking = [key for key, h, p in zip(keys, has, padding, strict=True) if not (h or p)]
        if lacking:
            raise LabelError(
                f"got {len(lacking)} rows without '{name}' in extra_fields, the first {lacking[0]};"
                " wanted it in every output of an agent loop"
            )
        columns[name] = [one.get(name) for one in extra]
    if "agent" in columns and "turn" not in columns:  # an agent's outputs of a session, in order
        sessions, numbers = zip(*(key.rpartition("_")[::2] for key in keys), strict=True)
        order = sorted(
            range(len(keys)), key=lambda i: int(numbers[i]) if numbers[i].isdigit() else 0
        )
        places = occurrences([sessions[i] for i in order], [columns["agent"][i] for i in order])
        columns["turn"] = [place for _, place in sorted(zip(order, places, strict=True))]
    return columns
