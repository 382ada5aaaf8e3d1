"""The advantages of one group after the other, in the worker of TRL's asynchronous trainer.

`trl_async` puts them there; this file does not import trl.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from counterpoint.credit import AnyScheme
from counterpoint.errors import LabelError, SchemeError, StateError
from counterpoint.integrations.draws import occurrences
from counterpoint.integrations.rllm import compares_agents
from counterpoint.integrations.team_credit import SavedCredit, TeamCredit, credit_of
from counterpoint.integrations.trl import STATE
from counterpoint.runs.files import write_atomically


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
        name = "TRL's asynchronous trainer"
        self.credit = credit_of(credit["scheme"], name, **credit["options"])
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
