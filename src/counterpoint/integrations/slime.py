"""slime: our advantages as a reward post-process, named on its command line.

    --custom-reward-post-process-path counterpoint.integrations.slime.reward_post_process

slime uses the returned values as the advantage of every token. `sample.metadata["agent"]` names the
agent; `args.counterpoint_scheme` or the environment variable COUNTERPOINT_SCHEME names the scheme.
This file does not import slime. Source: THUDM/slime, `slime/ray/rollout.py` and
`slime/utils/types.py`; read, not run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from counterpoint.arrays import Columns
from counterpoint.errors import LabelError
from counterpoint.integrations.draws import with_turns
from counterpoint.integrations.team_credit import TeamCredit
from counterpoint.runs.files import write_atomically

STATE = "counterpoint.json"
"""The file of our state in the folder `args.save`."""


def reward_post_process(args: Any, samples: Sequence[Any]) -> tuple[list[float], list[float]]:
    """Returns rewards [N] and advantages [N] of a rollout batch.

    A reward of None is NaN. Its advantage is 0, as is that of a sample that slime removed; no
    statistic counts either.

    Args:
        args: slime's arguments. `reward_key`, `save`, `counterpoint_scheme` and
            `counterpoint_record` are used.
        samples: [N] slime's samples of all prompts.

    Raises:
        LabelError: a sample has no group_index, or no agent although the scheme needs it.
        RewardError: a reward is infinite.
        UnknownNameError: no scheme has that name.
        OutputError: the log or the state cannot be written.
    """
    credit = credit_for(
        _option(args, "scheme") or "agent_wise", _option(args, "record"), _folder(args)
    )
    raw = [_reward(args, sample) for sample in samples]
    if not raw:
        return [], []
    removed = [bool(getattr(sample, "remove_sample", False)) for sample in samples]
    labels = sample_labels(samples, credit.scheme.groups_by_agent)
    values = credit(raw, labels, absent=np.array(removed) if any(removed) else None)
    if folder := _folder(args):
        write_atomically(Path(folder) / STATE, json.dumps(credit.state_dict()).encode())
    return raw, [float(value) for value in values]


@cache
def credit_for(scheme: str, record: str | None, folder: str | None) -> TeamCredit:
    """Returns the `TeamCredit` of this process; it starts from the state in the folder.

    Args:
        scheme: the name of the scheme.
        record: a file for the log.
        folder: slime's `args.save`.

    Raises:
        UnknownNameError, OutputError: as `TeamCredit`.
        StateError: the state in the folder belongs to another scheme.
    """
    credit = TeamCredit(scheme, record=record)
    file = Path(folder or ".") / STATE
    if folder and file.exists():
        credit.load_state_dict(json.loads(file.read_text("utf-8")))
    return credit


def sample_labels(samples: Sequence[Any], needs_agent: bool) -> Columns:
    """Returns labels [N] of samples from `group_index`, `metadata`, and `rollout_id` or `index`.

    Several samples of an agent in one rollout are its turns, in their order.

    Raises:
        LabelError: a sample has no group_index, or no agent although one is needed.
    """
    prompts = [sample.group_index for sample in samples]
    if None in prompts:
        raise LabelError("got a sample without group_index; wanted the number of its prompt")
    metadata = [sample.metadata or {} for sample in samples]
    labels: dict[str, list[Any]] = {"prompt": prompts}
    for name in ("agent", "rollout", "role", "turn", "context"):
        if all(name in one for one in metadata):
            labels[name] = [one[name] for one in metadata]
    if needs_agent and not {"agent", "role"} & set(labels):
        lacking = sum("agent" not in one for one in metadata)
        raise LabelError(
            f"got {lacking} samples without metadata['agent']; wanted the agent's name in each"
        )
    if "rollout" not in labels:
        for name in ("rollout_id", "index"):
            rollouts = [getattr(sample, name, None) for sample in samples]
            if None not in rollouts:
                labels["rollout"] = rollouts
                break
    return with_turns(labels)


def _reward(args: Any, sample: Any) -> float:
    reward, key = sample.reward, getattr(args, "reward_key", None)
    if key and isinstance(reward, dict):
        reward = reward.get(key)
    return float("nan") if reward is None else float(reward)


def _option(args: Any, name: str) -> str | None:
    value = getattr(args, f"counterpoint_{name}", None)
    value = value or os.environ.get(f"COUNTERPOINT_{name.upper()}")
    return str(value) if value else None


def _folder(args: Any) -> str | None:
    folder = getattr(args, "save", None)
    return str(folder) if folder else None
