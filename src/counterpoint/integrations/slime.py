"""slime: our advantages as a reward post-process, named on its command line.

    --custom-reward-post-process-path counterpoint.integrations.slime.reward_post_process

slime takes the returned values for rewards; its estimators `grpo`, `gspo` and `cispo` use them as
the advantage of every token, and `reinforce_plus_plus_baseline` subtracts the KL penalty. Settings
that would change them otherwise are refused. `sample.metadata["agent"]` names the
agent; `args.counterpoint_scheme` or the environment variable COUNTERPOINT_SCHEME names the scheme.
This file does not import slime. Source: THUDM/slime, `slime/ray/rollout.py`, `slime/utils/types.py`
and `slime/backends/megatron_utils/loss.py`; read, not run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from counterpoint.arrays import Columns
from counterpoint.errors import LabelError, SettingError
from counterpoint.integrations.draws import common_labels, with_turns
from counterpoint.integrations.guards import require_agents, reward_value
from counterpoint.integrations.team_credit import TeamCredit, credit_of

IDENTITIES = ("grpo", "gspo", "cispo", "reinforce_plus_plus_baseline")
"""Estimators that train what `reward_post_process` returns, but for a KL penalty."""
STATE = "counterpoint.json"
"""The file of our state in the folder `args.save`."""


def reward_post_process(
    args: Any, samples: Sequence[Any], trainer: str = "slime"
) -> tuple[list[float], list[float]]:
    """Returns rewards [N] and advantages [N] of a rollout batch.

    A reward of None is NaN. Its advantage is 0, as is that of a sample that slime removed; no
    statistic counts either.

    Args:
        args: slime's arguments. `reward_key`, `save`, `counterpoint_scheme` and
            `counterpoint_record` are used, and those that `refuse_changes` reads.
        samples: [N] slime's samples of all prompts.
        trainer: the trainer that the log names.

    Raises:
        LabelError: a sample has no group_index, or no agent although the scheme needs it.
        RewardError: a reward is infinite.
        UnknownNameError: no scheme has that name.
        OutputError: the log or the state cannot be written.
        SettingError: slime would change our advantages.
    """
    refuse_changes(args)
    folder = getattr(args, "save", None)
    scheme, record = (
        getattr(args, f"counterpoint_{name}", None)
        or os.environ.get(f"COUNTERPOINT_{name.upper()}")
        for name in ("scheme", "record")
    )
    files = (str(one) if one else None for one in (record, folder))
    credit = credit_for(str(scheme or "agent_wise"), *files, trainer)
    raw, values = sample_advantages(samples, credit, getattr(args, "reward_key", None))
    if folder and samples:
        credit.save(Path(folder) / STATE)
    return raw, values


def sample_advantages(
    samples: Sequence[Any], credit: TeamCredit, key: str | None = None
) -> tuple[list[float], list[float]]:
    """Returns rewards [N] and advantages [N] of slime's samples, by a `TeamCredit` of yours.

    A scheme that has no name, such as a `PerRole`, comes in a function of your own, which slime's
    option then names: `lambda args, samples: sample_advantages(samples, CREDIT)`.

    Args:
        samples: [N] slime's samples of all prompts.
        credit: the `TeamCredit` that computes advantages.
        key: slime's `args.reward_key`, the entry of a reward that is a dict.

    Raises:
        LabelError, RewardError, OutputError: as `reward_post_process`.
    """
    raw = []
    for sample in samples:
        reward = sample.reward
        if key and isinstance(reward, dict):
            reward = reward.get(key)
        raw.append(reward_value(reward))
    if not raw:
        return [], []
    removed = [bool(getattr(sample, "remove_sample", False)) for sample in samples]
    labels = sample_labels(samples)
    require_agents(labels, credit.scheme, "metadata['agent'] in every sample")
    credit.trainer = credit.trainer or "slime"
    values = credit(raw, labels, absent=np.array(removed) if any(removed) else None)
    return raw, [float(value) for value in values]


def refuse_changes(args: Any) -> None:
    """Raises SettingError if slime's arguments make it change the advantages that it is given.

    Args:
        args: slime's arguments. `advantage_estimator`, `normalize_advantages` and
            `custom_advantage_function_path` are read; those that are not there change nothing.
    """
    estimator = getattr(args, "advantage_estimator", None)
    if estimator is not None and estimator not in IDENTITIES:
        raise SettingError(
            f"got --advantage-estimator {estimator}, which would take our advantages for rewards; "
            f"wanted one of {', '.join(IDENTITIES)}"
        )
    if getattr(args, "normalize_advantages", False):
        raise SettingError(
            "got --normalize-advantages, which would standardize our advantages over the tokens of "
            "all agents; wanted slime without it"
        )
    path = getattr(args, "custom_advantage_function_path", None)
    if path is not None:
        raise SettingError(
            f"got --custom-advantage-function-path {path}, which replaces our advantages; wanted "
            "slime without it"
        )


@cache
def credit_for(
    scheme: str, record: str | None, folder: str | None, trainer: str = "slime"
) -> TeamCredit:
    """Returns the `TeamCredit` of this process; it starts from the state in the folder.

    Args:
        scheme: the name of the scheme.
        record: a file for the log.
        folder: slime's `args.save`.
        trainer: the trainer that the log names.

    Raises:
        UnknownNameError, OutputError: as `TeamCredit`.
        StateError: as `TeamCredit.load`.
    """
    credit = credit_of(scheme, trainer, record=record)
    if folder:
        credit.load(Path(folder) / STATE)
    return credit


def sample_labels(samples: Sequence[Any]) -> Columns:
    """Returns labels [N] of samples from `group_index`, `metadata`, and `rollout_id` or `index`.

    Several samples of an agent in one rollout are its turns, in their order. Raises LabelError if a
    sample has no group_index.
    """
    prompts = [sample.group_index for sample in samples]
    if None in prompts:
        raise LabelError("got a sample without group_index; wanted the number of its prompt")
    metadata = [sample.metadata or {} for sample in samples]
    names = ("agent", "rollout", "role", "turn", "context")
    labels: dict[str, list[Any]] = {"prompt": prompts, **common_labels(metadata, names)}
    if "rollout" not in labels:
        for name in ("rollout_id", "index"):
            rollouts = [getattr(sample, name, None) for sample in samples]
            if None not in rollouts:
                labels["rollout"] = rollouts
                break
    return with_turns(labels)
