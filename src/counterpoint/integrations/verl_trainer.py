"""verl's default trainer with agents: start with `register_trainer`.

The trainer passes agents to our estimator, logs its metrics, and keeps running statistics in verl's
checkpoints. verl 0.9 passes no agent to an estimator, and gives all outputs of one agent loop the
reward of the last. Here an agent loop puts both into `extra_fields` of each output: `agent`, and
`agent_reward` if the agent has its own reward. Source: verl 0.9.1,
`verl/trainer/ppo/v1/trainer_base.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from counterpoint.arrays import Columns
from counterpoint.errors import LabelError
from counterpoint.integrations.draws import occurrences
from counterpoint.integrations.peers import import_peer
from counterpoint.integrations.team_credit import TeamCredit
from counterpoint.integrations.verl import INSTALL, rows_of
from counterpoint.runs.files import write_atomically

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
    """
    v1 = import_peer("verl.trainer.ppo.v1", INSTALL)
    queue = import_peer("transfer_queue", "pip install TransferQueue")
    parent: Any = v1.get_trainer_cls(base)

    class Counterpoint(parent):  # type: ignore[misc]
        """verl's trainer, whose estimator gets the agent of each row."""

        def _compute_advantage(self, batch: Any, metrics: dict[str, float]) -> Any:
            outputs = queue.kv_batch_get(
                keys=batch.keys, partition_id=batch.partition_id, select_fields=["extra_fields"]
            )
            columns = output_columns([_fields(one) for one in outputs["extra_fields"]], batch.keys)
            with rows_of(**columns):
                credited = super()._compute_advantage(batch, metrics)
            metrics.update(credit.metrics)
            return credited

        def _save_checkpoint(self) -> None:
            super()._save_checkpoint()
            text = json.dumps(credit.state_dict()).encode()
            folder = Path(self.config.trainer.default_local_dir)
            write_atomically(folder / f"global_step_{self.global_steps}" / STATE, text)

        def _load_checkpoint(self) -> None:
            super()._load_checkpoint()
            folder = Path(self.config.trainer.default_local_dir)
            if self.config.trainer.resume_mode == "resume_path":
                folder = Path(self.config.trainer.resume_from_path).parent
            file = folder / f"global_step_{self.global_steps}" / STATE
            if self.global_steps and file.exists():
                credit.load_state_dict(json.loads(file.read_text("utf-8")))

    return v1.register_trainer(name)(Counterpoint)


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
    if "agent" in columns and "turn" not in columns:
        columns["turn"] = _turns(keys, columns["agent"])
    return columns


def _turns(keys: Sequence[str], agents: Sequence[Any]) -> list[int]:
    """Returns [B] the place of each output among its agent's outputs in its session."""
    index = [int(last) if (last := key.rsplit("_", 1)[-1]).isdigit() else 0 for key in keys]
    turns = [0] * len(keys)
    order = sorted(range(len(keys)), key=lambda i: index[i])
    places = occurrences([keys[i].rsplit("_", 1)[0] for i in order], [agents[i] for i in order])
    for i, place in zip(order, places, strict=True):
        turns[i] = place
    return turns


def _fields(output: Any) -> Columns:
    """Returns the extra fields of an agent loop's output, without the queue's wrapper."""
    extra = getattr(output, "data", output)
    return extra if isinstance(extra, Mapping) else {}
