"""slime: our advantages as a reward post-process, named on its command line.

    --custom-reward-post-process-path counterpoint.integrations.slime.reward_post_process

slime uses what it returns as the advantage of every token. The agent stands in
`sample.metadata["agent"]`; the scheme in `args.counterpoint_scheme` or the environment variable
COUNTERPOINT_SCHEME. Nothing of slime is imported. Source: THUDM/slime, `slime/ray/rollout.py` and
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

from counterpoint.errors import LabelError
from counterpoint.integrations.draws import with_turns
from counterpoint.integrations.team_credit import TeamCredit
from counterpoint.runs.files import write_atomically

STATE = "counterpoint.json"
"""In the folder `args.save`."""


def reward_post_process(args: Any, samples: Sequence[Any]) -> tuple[list[float], list[float]]:
    """Raw rewards and advantages of a rollout batch.

    Args:
        args: slime's. Read are `reward_key`, `save`, `counterpoint_scheme`, `counterpoint_record`.
        samples: [N] slime's, of all prompts.

    Returns: (rewards, advantages), each [N]. A reward of None is NaN in the first and has the
        advantage 0, and so has a sample that slime has removed; both are in no statistic.

    Raises:
        LabelError: a sample without group_index, or without an agent where the scheme needs it.
        RewardError: an infinite reward.
        UnknownNameError: no scheme of that name.
        OutputError: the log or the state cannot be written.
    """
    credit = credit_for(_told(args, "scheme") or "agent_wise", _told(args, "record"), _folder(args))
    raw = [_reward(args, sample) for sample in samples]
    if not raw:
        return [], []
    removed = [bool(getattr(sample, "remove_sample", False)) for sample in samples]
    labels = labels_of(samples, credit.scheme.groups_by_agent)
    values = credit(raw, labels, absent=np.array(removed) if any(removed) else None)
    folder = _folder(args)
    if folder:
        write_atomically(Path(folder) / STATE, json.dumps(credit.state_dict()).encode())
    return raw, [float(value) for value in values]


@cache
def credit_for(scheme: str, record: str | None, folder: str | None) -> TeamCredit:
    """What this process computes with; it starts from the state that is in the folder.

    Args:
        scheme: its name.
        record: a file for the log.
        folder: slime's `args.save`.

    Raises:
        UnknownNameError, OutputError: as `TeamCredit`.
        StateError: the state there is that of another scheme.
    """
    credit = TeamCredit(scheme, record=record)
    file = Path(folder or ".") / STATE
    if folder and file.exists():
        credit.load_state_dict(json.loads(file.read_text("utf-8")))
    return credit


def labels_of(samples: Sequence[Any], needs_agent: bool) -> dict[str, list[Any]]:
    """Labels [N] of samples: `group_index`, `metadata`, and `rollout_id` or `index`.

    Several samples of an agent in one rollout are its turns, in their order.

    Raises:
        LabelError: a sample without group_index, or without an agent where one is needed.
    """
    prompts = [sample.group_index for sample in samples]
    if None in prompts:
        raise LabelError("got a sample without group_index; wanted the number of its prompt")
    told = [sample.metadata or {} for sample in samples]
    labels: dict[str, list[Any]] = {"prompt": prompts}
    for name in ("agent", "rollout", "role", "turn", "context"):
        if all(name in one for one in told):
            labels[name] = [one[name] for one in told]
    if needs_agent and not {"agent", "role"} & set(labels):
        lacking = sum("agent" not in one for one in told)
        raise LabelError(
            f"got {lacking} samples without metadata['agent']; wanted the agent's name in each"
        )
    if "rollout" not in labels:
        for name in ("rollout_id", "index"):
            found = [getattr(sample, name, None) for sample in samples]
            if None not in found:
                labels["rollout"] = found
                break
    return with_turns(labels)


def _reward(args: Any, sample: Any) -> float:
    reward, key = sample.reward, getattr(args, "reward_key", None)
    if key and isinstance(reward, dict):
        reward = reward.get(key)
    return float("nan") if reward is None else float(reward)


def _told(args: Any, name: str) -> str | None:
    told = getattr(args, f"counterpoint_{name}", None) or os.environ.get(
        f"COUNTERPOINT_{name.upper()}"
    )
    return str(told) if told else None


def _folder(args: Any) -> str | None:
    folder = getattr(args, "save", None)
    return str(folder) if folder else None
