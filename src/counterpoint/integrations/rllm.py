"""rLLM: an advantage estimator of our schemes, and advantages over all roles at once.

rLLM calls an estimator once for each role (agent), with the rewards of each prompt's group. That is
enough for schemes with per-agent statistics only. `advantages_of` serves all other schemes: it gets
all groups and writes the advantage of every step, for `algorithm.use_precomputed_advantage=true`.
Source: rllm-org/rllm, `rllm/trainer/algorithms/advantage.py`; read, not run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from counterpoint.arrays import Columns, Floats
from counterpoint.credit import AnyScheme, PerRole
from counterpoint.credit.scheme import plain_schemes
from counterpoint.errors import MissingPackageError, SchemeError, SettingError, StateError
from counterpoint.integrations.draws import distinct_prompts, distinct_rollouts
from counterpoint.integrations.guards import reward_value
from counterpoint.integrations.team_credit import SavedCredit, SchemeSource, TeamCredit, credit_of
from counterpoint.optional import import_optional

INSTALL = "pip install 'rllm @ git+https://github.com/rllm-org/rllm'"
SPELLINGS = (
    ("rllm.trainer.algorithms.advantage", "register_adv_estimator"),
    ("rllm.trainer.algorithms.advantage", "register_rllm_adv_estimator"),
    ("rllm.experimental.common.advantage", "register_rllm_adv_estimator"),
)
"""Module and name of the decorator in rLLM's versions, newest first."""
ALONE = "all_groups"
"""The role of a group if its id names no role."""


def register(
    name: str = "counterpoint",
    scheme: str | AnyScheme = "agent_wise",
    record: str | Path | None = None,
) -> RoleEstimator:
    """Registers our estimator with rLLM under `name`, and returns it.

    Args:
        name: the name for `rllm.algorithm.adv_estimator`, or for a role in its map of estimators,
            `traj_group_adv_estimator_map`.
        scheme: a scheme with per-agent statistics only.
        record: a file for the log.

    Raises:
        MissingPackageError: rLLM is not installed.
        SchemeError: the scheme compares agents: use `advantages_of`.
        UnknownNameError, OutputError: as `TeamCredit`.
    """
    estimator = RoleEstimator(scheme, record)
    error: MissingPackageError | None = None
    for module, spelling in SPELLINGS:
        try:
            decorator = getattr(import_optional(module, INSTALL), spelling, None)
        except MissingPackageError as missing:
            error = error or missing
            continue
        if decorator is not None:
            decorator(name)(estimator)
            return estimator
    raise error or MissingPackageError(f"got an rllm without {SPELLINGS[0][1]}; {INSTALL}")


class RoleEstimator:
    """The estimator: one `TeamCredit` for each role, since rLLM shows one role at a time.

    Args:
        scheme: a scheme with per-agent statistics only.
        record: a file for the log; each role has its own, such as `raw-solver.jsonl`.

    Raises:
        SchemeError: the scheme compares agents.
        UnknownNameError, OutputError: as `TeamCredit`.
    """

    __name__ = "counterpoint"

    def __init__(
        self, scheme: str | AnyScheme = "agent_wise", record: str | Path | None = None
    ) -> None:
        self.scheme, self.record = credit_of(scheme, "rLLM", record=record).scheme, record
        if compares_agents(self.scheme):
            raise SchemeError(
                "got a scheme with statistics over several agents, and rLLM shows an estimator one "
                "role at a time; wanted one by agent, or use advantages_of and "
                "algorithm.use_precomputed_advantage=true"
            )
        self.credits: dict[str, TeamCredit] = {}

    def __call__(
        self,
        rewards: Sequence[Any],
        algorithm_config: Any = None,
        traj_groups: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> tuple[list[Floats], list[Floats]]:
        """Returns the advantages of one role twice, as rLLM's advantages and returns.

        Each is a list with an array [n_i] for each group.

        Args:
            rewards: [n_i] rewards of each group, one for each trajectory.
            algorithm_config: rLLM's config, which is not used.
            traj_groups: rLLM's groups, one for each array of `rewards`.

        Raises:
            RewardError: a reward is infinite.
        """
        agents, labels = _labels(traj_groups, rewards)
        role = agents[0] if len(rewards) and len(rewards[0]) else ALONE
        if role not in self.credits:
            self.credits[role] = self._credit(role)
        advantages = _group_advantages(self.credits[role], rewards, labels)
        return advantages, advantages

    def _credit(self, role: str) -> TeamCredit:
        file = None if self.record is None else Path(self.record)
        if file is not None:  # roles have updates of their own, and so a log each
            part = "".join(c if c.isalnum() or c in "-_" else "_" for c in role)
            file = file.with_name(f"{file.stem}-{part}{file.suffix}")
        return credit_of(self.scheme, "rLLM", record=file)

    def state_dict(self) -> dict[str, SavedCredit]:
        """Returns the state of each role as plain values."""
        return {role: credit.state_dict() for role, credit in self.credits.items()}

    def load_state_dict(self, saved: Mapping[str, SavedCredit]) -> None:
        """Resumes from a saved state; raises StateError if it is of another class or scheme."""
        if not isinstance(saved, Mapping):
            raise StateError(f"got a state of type {type(saved).__name__}; wanted a dict of roles")
        for role, state in saved.items():
            self.credits[role] = self._credit(role)
            self.credits[role].load_state_dict(state)


def advantages_of(
    groups: Sequence[Any],
    scheme: SchemeSource = "agent_wise",
    *,
    write: bool = True,
    algorithm_config: Any = None,
) -> list[Floats]:
    """Returns advantages [n_i] of each group, computed over the groups of all roles at once.

    A trajectory whose reward is None has the advantage 0.

    Args:
        groups: rLLM's trajectory groups of one training step.
        scheme: a scheme or its name; a `TeamCredit` keeps state and log between steps.
        write: whether `step.advantage` is set in every step of each trajectory.
        algorithm_config: rLLM's config of the algorithm, if you have it here: rLLM overwrites what
            is written unless it has `use_precomputed_advantage`.

    Raises:
        SettingError: rLLM would overwrite the advantages.
        RewardError, LabelError: as `advantages`.
    """
    if algorithm_config is not None and not algorithm_config.use_precomputed_advantage:
        raise SettingError(
            "got an rLLM with use_precomputed_advantage=False, which overwrites step.advantage; "
            "wanted algorithm.use_precomputed_advantage=true"
        )
    rewards = [[one.reward for one in group.trajectories] for group in groups]
    _, labels = _labels(groups, rewards)
    assigned = _group_advantages(credit_of(scheme, "rLLM"), rewards, labels)
    if write:
        for group, values in zip(groups, assigned, strict=True):
            for trajectory, value in zip(group.trajectories, values, strict=True):
                for step in trajectory.steps:
                    step.advantage = float(value)
    return assigned


def compares_agents(scheme: AnyScheme) -> bool:
    """Returns whether a statistic of the scheme is computed over the rows of several agents."""
    if isinstance(scheme, PerRole):  # the role is the agent here, and roles are apart
        return False
    for part in plain_schemes(scheme):
        used = []
        if part.center != "none" or part.transform == "rank" or part.group_weight != "none":
            used.append(part.center_by)
        if part.scale != "none":
            used.append(part.scale_by or ())
        if any("agent" not in by and "role" not in by for by in used):
            return True
        if part.whiten == "batch" or part.shrink or part.min_count:
            return True
    return False


def _labels(
    groups: Sequence[Any] | None, rewards: Sequence[Sequence[Any]]
) -> tuple[list[str], dict[str, list[Any]]]:
    """Returns the agent [P] of each group, and the labels [N] of all trajectories.

    The id of a group is "task:agent"; the task may contain colons. A task that was drawn twice is
    two prompts, as it is for rLLM, and every trajectory of a group is a rollout.
    """
    agents, labels = [], {"prompt": [], "agent": [], "rollout": []}  # type: ignore[var-annotated]
    places = []
    for i, (group, paid) in enumerate(
        zip([None] * len(rewards) if groups is None else groups, rewards, strict=True)
    ):
        task, colon, agent = str(getattr(group, "group_id", i)).rpartition(":")
        if not colon:
            task, agent = agent, ALONE
        n, metadata = len(paid), getattr(group, "metadata", None) or []
        known = len(metadata) == n and all("rollout_idx" in one for one in metadata)
        rollouts = [one["rollout_idx"] for one in metadata] if known else list(range(n))
        agents.append(agent)
        places += [i] * n
        labels["prompt"] += [task] * n
        labels["agent"] += [agent] * n
        labels["rollout"] += distinct_rollouts(rollouts)
    labels["prompt"] = distinct_prompts(labels["prompt"], places, labels["agent"])
    return agents, labels


def _group_advantages(
    credit: TeamCredit, rewards: Sequence[Sequence[Any]], labels: Columns
) -> list[Floats]:
    given = [[reward_value(one) for one in group] for group in rewards]
    return [np.array(group, dtype=np.float64) for group in credit.by_group(given, labels)]
