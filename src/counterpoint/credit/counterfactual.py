"""Counterfactual credit: the reward if this agent had done something else, or nothing.

No normalization scheme repairs dilution (the signal of one agent among n falls as 1/n); these
functions do, if the environment can answer the question. Start with `difference_rewards` if the
rewards without an agent are known, with `replayed_difference` if replays are cheap, with `coma` if
a critic estimates them, and with `own_components` if the reward has a part for each agent.
`baselines()` lists them for tables.

A missing reward (NaN, None) stays missing, so that `advantages` counts it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from counterpoint.arrays import Floats
from counterpoint.errors import LabelError, RewardError


def difference_rewards(team: ArrayLike, without: ArrayLike) -> Floats:
    """Returns what an agent adds to the team: D_k = G(z) - G(z_-k).

    The second term does not depend on what agent k did, so D_k favours the same actions as G and
    is free of the noise that the other agents put into both.

    Args:
        team: [N] team reward G(z).
        without: [N] or [N, A] team reward with the action of agent k replaced by its default, or
            with agent k absent; the columns are the agents.

    Returns:
        [N] or [N, A], as `without`, in the unit of the reward; NaN where either is missing.

    Raises:
        RewardError: not numbers, infinite, or not the same N.

    Source: Wolpert & Tumer 2001, Optimal payoff functions for members of collectives.
    """
    team, without = _rewards("team", team), _rewards("without", without)
    if team.ndim != 1 or without.ndim not in (1, 2) or len(without) != len(team):
        raise RewardError(
            f"got team of shape {team.shape} and without of shape {without.shape}; wanted [N] and "
            "[N] or [N, A]: one row a decision of the team"
        )
    return _difference(team if without.ndim == 1 else team[:, None], without)


def replayed_difference(
    value: Callable[[NDArray[Any]], ArrayLike], actions: ArrayLike, default: ArrayLike
) -> Floats:
    """Returns difference rewards of every agent in one call to a world that is cheap to ask.

    Args:
        value: joint actions [B, A] to team rewards [B]; deterministic, or the difference is noisy.
            It is called once, with B = N (A + 1).
        actions: [N, A] what each agent did.
        default: what it is replaced by: one action for all, [A] one each, or [N, A].

    Returns:
        [N, A] with D_k = G(a) - G(a_-k, default_k).

    Raises:
        RewardError: actions that are not [N, A], a default that does not broadcast to it, or a
            `value` that does not return [B] finite or missing numbers.

    Source: Wolpert & Tumer 2001; the batching is ours.
    """
    joint = np.asarray(actions)
    if joint.ndim != 2 or joint.shape[1] == 0:
        raise RewardError(f"got actions of shape {joint.shape}; wanted [N, A], a column an agent")
    try:
        replaced = np.broadcast_to(np.asarray(default), joint.shape)
    except ValueError:
        raise RewardError(
            f"got default of shape {np.shape(default)} for actions of shape {joint.shape}; wanted "
            "one action, [A] or [N, A]"
        ) from None
    n, agents = joint.shape
    worlds = np.repeat(joint[None], agents + 1, axis=0)  # [A + 1, N, A]; the first is what happened
    for k in range(agents):
        worlds[k + 1, :, k] = replaced[:, k]
    replays = worlds.reshape((agents + 1) * n, agents)
    rewards = _rewards("the rewards that `value` returned", value(replays))
    if rewards.shape != (len(replays),):
        raise RewardError(
            f"got rewards of shape {rewards.shape} from `value` for joint actions of shape "
            f"{replays.shape}; wanted [{len(replays)}]"
        )
    happened, *otherwise = rewards.reshape(agents + 1, n)
    return _difference(happened[:, None], np.stack(otherwise, axis=1))


@dataclass(frozen=True)
class Counterfactual:
    """Advantages over what the agent's own policy would have got in the same place."""

    values: Floats
    """[N] advantage; 0 where the critic's answer is missing."""
    baseline: Floats
    """[N] expected value under the agent's policy; NaN where it is missing."""
    missing: int
    """Number of rows without the value of their action, or of one that their policy can take."""


def coma(q: ArrayLike, policy: ArrayLike, action: ArrayLike) -> Counterfactual:
    """Returns the counterfactual baseline: what this action adds to the agent's average action.

    A = Q(s, a) - sum_a' pi(a' | s) Q(s, (a_-k, a')): the other agents' actions are held fixed,
    so that neither their luck nor their noise is credited to agent k. With a policy that always
    takes one action it is 0 everywhere.

    Args:
        q: [N, M] value of each of the agent's M actions, given what the others did. One may be
            missing where the policy cannot take that action.
        policy: [N, M] probability of each action.
        action: [N] integers, the action that was taken.

    Returns:
        `Counterfactual` with values [N] and baseline [N], in the unit of the reward.

    Raises:
        RewardError: wrong shapes, infinite values, probabilities that are negative or do not sum
            to 1 (within 1e-6), or actions that are not integers from 0 to M - 1.

    Source: Foerster et al. 2018, Counterfactual multi-agent policy gradients, eq. 4.
    """
    q, policy = _rewards("q", q), _rewards("policy", policy)
    if q.ndim != 2 or policy.shape != q.shape:
        raise RewardError(
            f"got q of shape {q.shape} and policy of shape {policy.shape}; wanted [N, M] both"
        )
    taken = _actions(action, *q.shape)
    if not (np.all(policy >= 0) and np.all(np.abs(policy.sum(axis=1) - 1) <= 1e-6)):
        raise RewardError(
            "got a policy with rows that are not probabilities; wanted numbers >= 0 that sum to 1 "
            "in each row (normalize, or apply a softmax first)"
        )
    baseline = np.sum(policy * np.where(policy > 0, q, 0.0), axis=1)
    values = _difference(q[np.arange(len(q)), taken], baseline)
    missing = np.isnan(values)
    return Counterfactual(np.where(missing, 0.0, values), baseline, int(missing.sum()))


def own_components(
    rewards: ArrayLike, agent: ArrayLike, owners: Mapping[Hashable, Sequence[int]]
) -> Floats:
    """Returns the component credit: each decision is paid by the components that belong to its
    agent.

    r_i = sum of the components c in owners[agent_i] of r_ic. A missing
    component of another agent does not matter. If every agent owns every component, it is the
    summed reward.

    Args:
        rewards: [N, K] value of each component.
        agent: [N] who decided.
        owners: agent to the columns (0 to K - 1) that it is paid by; an empty sequence pays 0.

    Returns:
        [N] reward of each row; NaN where one of its own components is missing.

    Raises:
        RewardError: rewards that are not [N, K] finite or missing numbers.
        LabelError: an agent without an entry in `owners`, a column outside of 0 to K - 1 or named
            twice, or as many agents as something else than N.

    Source: ours; the difference reward of a reward that is a sum of one part for each agent.
    """
    values, names = _rewards("rewards", rewards), np.asarray(agent)
    if values.ndim != 2:
        raise RewardError(f"got rewards of shape {values.shape}; wanted [N, K], a column a part")
    if names.shape != (len(values),):
        raise LabelError(f"got agents of shape {names.shape}; wanted [{len(values)}], one a row")
    present, ids = np.unique(names, return_inverse=True)
    paid = np.zeros((len(present), values.shape[1]), dtype=bool)
    for row, name in enumerate(present.tolist()):
        paid[row, _columns(name, owners, values.shape[1])] = True
    return _finite("own components", np.sum(np.where(paid[ids], values, 0.0), axis=1))


def _columns(name: Hashable, owners: Mapping[Hashable, Sequence[int]], k: int) -> list[int]:
    if name not in owners:
        raise LabelError(
            f"got decisions of {name!r} but no entry for it in owners; wanted its component "
            "columns, or an empty sequence if it is paid by none"
        )
    columns = list(owners[name])
    if len(set(columns)) < len(columns) or not set(columns) <= set(range(k)):
        raise LabelError(
            f"got columns {columns} for {name!r}; wanted different numbers from 0 to {k - 1}"
        )
    return columns


def _actions(action: ArrayLike, n: int, m: int) -> NDArray[Any]:
    taken = np.asarray(action)
    if taken.size == 0 and n == 0:
        return np.zeros(0, dtype=np.int64)
    if taken.shape != (n,) or not np.issubdtype(taken.dtype, np.integer):
        raise RewardError(
            f"got actions of shape {taken.shape} and type {taken.dtype}; wanted [{n}] integers"
        )
    if taken.min() < 0 or taken.max() >= m:
        raise RewardError(
            f"got actions from {taken.min()} to {taken.max()}; wanted 0 to {m - 1}, columns of q"
        )
    return taken


def _difference(team: Floats, without: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return _finite("difference", team - without)


def _rewards(name: str, values: ArrayLike) -> Floats:
    """Returns rewards as floats, NaN where missing; every public function of this file calls it."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RewardError(f"got {name} that is not numbers: {error}; wanted floats") from error
    return _finite(name, array)


def _finite(name: str, values: Floats) -> Floats:
    if np.isinf(values).any():
        raise RewardError(
            f"got an infinite value in {name}; wanted finite numbers, or NaN for a missing one"
        )
    return values


@dataclass(frozen=True)
class Baseline:
    """One way to credit an agent that no rearrangement of its rewards can replace."""

    title: str
    """A few words for a table."""
    citation: str
    """The publication."""
    needs: str
    """The question that an environment must be able to answer."""
    summary: str
    """The effect for an agent, and its limits."""


_BASELINES = MappingProxyType(
    {
        "counterfactual": Baseline(
            title="Counterfactual baseline (COMA)",
            citation="Foerster et al. 2018, Counterfactual multi-agent policy gradients",
            needs="The expected reward over the agent's own policy with the others' actions fixed.",
            summary=(
                "Reward minus what the agent's average action would have got beside the same "
                "partners: undoes dilution and leaves the unit, so a quiet agent stays quiet."
            ),
        ),
        "difference": Baseline(
            title="Difference reward",
            citation=("Wolpert & Tumer 2001, Optimal payoff functions for members of collectives"),
            needs="The reward with the agent's action replaced by a default one, or without it.",
            summary=(
                "Reward minus the reward without the agent: aligned with the team's reward and "
                "free of the others' noise as far as the reward is a sum."
            ),
        ),
        "own_component": Baseline(
            title="Own component",
            citation="Ours: the difference reward of a reward with one part for each agent",
            needs="A reward with a component for each agent.",
            summary=(
                "Each agent is paid by its own part alone: more information than the team's "
                "scalar, and blind to what it does for the others."
            ),
        ),
    }
)


def baselines() -> Mapping[str, Baseline]:
    """Returns name to `Baseline`, in the order in which tables list them."""
    return _BASELINES
