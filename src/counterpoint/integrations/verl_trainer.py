"""verl's default trainer with agents: `register_trainer` makes one that brings them to our
estimator, logs what it met, and keeps running statistics in verl's checkpoints.

verl 0.9 gives an estimator no agent, and gives all outputs of one agent loop the reward of the
last. Here an agent loop says both in `extra_fields` of each output: `agent`, and `agent_reward`
where the agent has a reward of its own. Source: verl 0.9.1, `verl/trainer/ppo/v1/trainer_base.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from counterpoint.errors import LabelError
from counterpoint.integrations.draws import occurrences
from counterpoint.integrations.entry import imported
from counterpoint.integrations.team_credit import TeamCredit
from counterpoint.integrations.verl import INSTALL, rows_of
from counterpoint.runs.files import write_atomically

STATE = "counterpoint.json"
"""In the folder of a checkpoint, beside the actor."""


def register_trainer(credit: TeamCredit, name: str = "counterpoint", base: str = "sync") -> Any:
    """Register a trainer for `trainer.v1.trainer_mode=name`.

    Args:
        credit: what `counterpoint.integrations.verl.register` returned.
        name: its name.
        base: the trainer of verl's that it derives from.

    Returns: the class.

    Raises:
        MissingPackageError: verl, or what its default trainer imports, is not installed.
        ValueError: verl's own, where the name is taken.
    """
    v1 = imported("verl.trainer.ppo.v1", INSTALL)
    queue = imported("transfer_queue", "pip install TransferQueue")
    parent: Any = v1.get_trainer_cls(base)

    class Counterpoint(parent):  # type: ignore[misc]
        """verl's trainer, whose estimator knows which agent made each row."""

        def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
            told = queue.kv_batch_get(
                keys=batch.keys, partition_id=batch.partition_id, select_fields=["extra_fields"]
            )
            columns = columns_of([_plain(one) for one in told["extra_fields"]], batch.keys)
            with rows_of(**columns):
                found = super()._compute_advantage(batch, metrics)
            metrics.update(credit.metrics)
            return found

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


def columns_of(extra: list[Mapping[str, Any]], keys: list[str]) -> dict[str, list[Any]]:
    """Columns [B] for `rows_of`, out of what agent loops said [B] and verl's keys [B].

    Args:
        extra: of each row; `agent`, and perhaps `agent_reward`, `role`, `turn`. Padding has none.
        keys: `uid_session_index`; sessions are the rollouts.

    Raises:
        LabelError: some rows have an agent and others, that are no padding, do not.
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
    """[B] the place of each output among those of its agent in its session, by verl's index."""
    index = [int(last) if (last := key.rsplit("_", 1)[-1]).isdigit() else 0 for key in keys]
    turns = [0] * len(keys)
    order = sorted(range(len(keys)), key=lambda i: index[i])
    places = occurrences([keys[i].rsplit("_", 1)[0] for i in order], [agents[i] for i in order])
    for i, place in zip(order, places, strict=True):
        turns[i] = place
    return turns


def _plain(one: Any) -> Mapping[str, Any]:
    """What an agent loop said, out of the queue's wrapping."""
    told = getattr(one, "data", one)
    return told if isinstance(told, Mapping) else {}
