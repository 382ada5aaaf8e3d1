"""Counterfactual credit: the reward if this agent had done something else, or nothing.

No normalization scheme repairs dilution (the signal of one agent among n falls as 1/n); these
functions do, if the environment can answer the question. Start with `difference_rewards` if the
rewards without an agent are known, with `replayed_difference` if replays are cheap, with `coma` if
a critic estimates them, and with `own_components` if the reward has a part for each agent.
`baselines()` lists them for tables. A missing reward (NaN, None) stays missing, so that
`advantages` counts it.

If the task can be replayed with only some agents, start with `leave_one_out` (n + 1 replays), which
credits nobody where any one of two agents suffices. `shapley` averages over every order in which
the team could have been formed, shares such credit, and always adds up to the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from counterpoint.arrays import Bools, Floats
from counterpoint.errors import LabelError, RewardError, SettingError

Value = Callable[[Bools], ArrayLike]
"""Coalitions [C, n] (True: the agent is in) to their values [C]."""

EXACT_UP_TO = 10
"""Largest team with an evaluation of all coalitions (2^10 = 1,024)."""
FEWEST_SAMPLES = 30
"""Independent orders below which a normal interval means little."""
_MASKS_PER_CALL = 1 << 16


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
    """Returns the difference rewards of every agent in one call to a world with cheap replays.

    Args:
        value: joint actions [B, A] to team rewards [B]; deterministic, or the difference is noisy.
            It is called once, with B = N (A + 1).
        actions: [N, A] the action of each agent.
        default: the action that replaces it: one for all, [A] one for each agent, or [N, A].

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
    """Advantages over the expected reward of the agent's own policy in the same place."""

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
        q: [N, M] value of each of the agent's M actions, given the actions of the others. One may
            be missing where the policy cannot take that action.
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
    n, m = q.shape
    taken = np.asarray(action) if n or np.size(action) else np.zeros(0, dtype=np.int64)
    if taken.shape != (n,) or not np.issubdtype(taken.dtype, np.integer):
        raise RewardError(
            f"got actions of shape {taken.shape} and type {taken.dtype}; wanted [{n}] integers"
        )
    if n and (taken.min() < 0 or taken.max() >= m):
        raise RewardError(
            f"got actions from {taken.min()} to {taken.max()}; wanted 0 to {m - 1}, columns of q"
        )
    if not (np.all(policy >= 0) and np.all(np.abs(policy.sum(axis=1) - 1) <= 1e-6)):
        raise RewardError(
            "got a policy with rows that are not probabilities; wanted numbers >= 0 that sum to 1 "
            "in each row (normalize, or apply a softmax first)"
        )
    baseline = np.sum(policy * np.where(policy > 0, q, 0.0), axis=1)
    values = _difference(q[np.arange(n), taken], baseline)
    missing = np.isnan(values)
    return Counterfactual(np.where(missing, 0.0, values), baseline, int(missing.sum()))


def own_components(
    rewards: ArrayLike, agent: ArrayLike, owners: Mapping[Hashable, Sequence[int]]
) -> Floats:
    """Returns the component credit: the components of its agent pay for each decision.

    r_i = sum of the components c in owners[agent_i] of r_ic. A missing component of another agent
    does not matter. If every agent owns every component, it is the summed reward.

    Args:
        rewards: [N, K] value of each component.
        agent: [N] the agent that decided.
        owners: agent to the columns (0 to K - 1) of its reward; an empty sequence pays 0.

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
    k = values.shape[1]
    paid = np.zeros((len(present), k), dtype=bool)
    for row, name in enumerate(present.tolist()):
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
        paid[row, columns] = True
    return _finite("own components", np.sum(np.where(paid[ids], values, 0.0), axis=1))


def _difference(team: Floats, without: Floats) -> Floats:
    """Returns team - without; a difference beyond the largest float is an error, no infinity."""
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


_BASELINES = MappingProxyType({
    "counterfactual": Baseline(
        "Counterfactual baseline (COMA)",
        "Foerster et al. 2018, Counterfactual multi-agent policy gradients",
        "The expected reward over the agent's own policy with the others' actions fixed.",
        "Reward minus the expected reward of the agent's average action beside the same partners: "
        "undoes dilution and leaves the unit, so a quiet agent stays quiet.",
    ),
    "difference": Baseline(
        "Difference reward",
        "Wolpert & Tumer 2001, Optimal payoff functions for members of collectives",
        "The reward with the agent's action replaced by a default one, or without it.",
        "Reward minus the reward without the agent: aligned with the team's reward and free of the "
        "others' noise as far as the reward is a sum.",
    ),
    "own_component": Baseline(
        "Own component",
        "Ours: the difference reward of a reward with one part for each agent",
        "A reward with a component for each agent.",
        "Each agent is paid by its own part alone: more information than the team's scalar, and "
        "blind to what it does for the others.",
    ),
})  # fmt: skip


def baselines() -> Mapping[str, Baseline]:
    """Returns name to `Baseline`, in the order in which tables list them."""
    return _BASELINES


def leave_one_out(value: Value | ArrayLike, agents: int) -> Floats:
    """Returns the loss of the team without each agent: v(N) - v(N without k).

    Equal to the Shapley value where values add up; 0 for both of two agents who can replace each
    other, and the whole value for each of two who need each other.

    Args:
        value: callable from coalitions [C, n] to values [C], called once with C = n + 1; or a
            table of 2^n values, in which agent k is in coalition i if bit k of i is set.
        agents: n, the size of the team.

    Returns:
        [n] in the unit of the value.

    Raises:
        SettingError: fewer than 1 agent.
        RewardError: values that are not finite, or as many as something else than asked for.

    Source: the difference reward of Wolpert & Tumer 2001, with the agent's absence as the
        default.
    """
    ask, _ = _characteristic(value, agents)
    masks = np.ones((agents + 1, agents), dtype=bool)
    masks[np.arange(agents), np.arange(agents)] = False
    values = ask(masks)
    return np.asarray(values[-1] - values[:-1])


@dataclass(frozen=True)
class Shapley:
    """Shapley values, and whether they are exact."""

    values: Floats
    """[n] share of each agent; they add up to v(N) - v(nobody)."""
    method: Literal["exact", "sampled"]
    """`exact`: every coalition was evaluated. `sampled`: a mean over random orders."""
    standard_error: Floats
    """[n] of the mean over orders; 0 where exact."""
    low: Floats
    """[n] lower end of the 95% interval (normal)."""
    high: Floats
    """[n] upper end of the 95% interval (normal)."""
    evaluations: int
    """Number of coalitions that were evaluated."""
    samples: int
    """Number of independent orders, or of pairs of an order and its reverse; 0 if exact."""


def shapley(
    value: Value | ArrayLike,
    agents: int,
    *,
    rng: np.random.Generator | None = None,
    orders: int = 1000,
    antithetic: bool = True,
) -> Shapley:
    """Returns the mean gain of the team when each agent joins it, over all orders of joining.

    phi_k = sum over S without k of |S|! (n - |S| - 1)! / n! (v(S + k) - v(S)). Exact for up to 10
    agents and for a table of any size; otherwise the mean over random orders, and it says so. The
    sampled values add up to the whole in every order, so they do so too.

    Args:
        value: callable from coalitions [C, n] to values [C], or a table of 2^n values, in which
            agent k is in coalition i if bit k of i is set. Deterministic: the interval knows the
            noise of sampling orders, not that of the world.
        agents: n, the size of the team.
        rng: generator of the random orders; needed where the result is sampled.
        orders: how many orders to sample.
        antithetic: sample half as many orders, and also go through each of them backwards, which
            cancels the error of terms in which two agents interact.

    Returns:
        `Shapley`, with its `method`, interval and number of evaluations.

    Raises:
        SettingError: fewer than 1 agent, no `rng` where one is needed, too few orders, or an odd
            number of them with `antithetic`.
        RewardError: values that are not finite, or as many as something else than asked for.

    Source: Shapley 1953, A value for n-person games; Castro, Gomez & Tejada 2009 for sampling by
        orders; Mitchell et al. 2022 for antithetic orders.
    """
    ask, is_table = _characteristic(value, agents)
    if is_table or agents <= EXACT_UP_TO:
        return _exact(ask, agents)
    independent = orders // 2 if antithetic else orders
    if rng is None:
        raise SettingError(
            f"got {agents} agents and no rng; wanted a numpy Generator, because more than "
            f"{EXACT_UP_TO} agents are sampled (or a table of all 2^{agents} values)"
        )
    if independent < FEWEST_SAMPLES or (antithetic and orders % 2):
        wanted = f"an even number >= {2 * FEWEST_SAMPLES}" if antithetic else f">= {FEWEST_SAMPLES}"
        raise SettingError(f"got orders={orders} with antithetic={antithetic}; wanted {wanted}")
    return _sampled(ask, agents, rng, independent, antithetic)


def _exact(ask: Value, agents: int) -> Shapley:
    """Returns the values from all 2^n coalitions."""
    coalitions = (np.arange(2**agents)[:, None] >> np.arange(agents)) & 1 == 1  # [2^n, n]
    table = np.asarray(ask(coalitions))
    size = coalitions[: 2 ** (agents - 1)].sum(axis=1)  # members besides k, whichever k is
    weight = np.array([1 / (agents * comb(agents - 1, s)) for s in range(agents)])[size]
    values = np.empty(agents)
    for k in range(agents):
        # Bit k splits the table in two halves of coalitions that differ in agent k alone. The
        # differences come first: who never adds anything gets exactly 0.
        without, joined = np.moveaxis(table.reshape(-1, 2, 2**k), 1, 0)
        values[k] = np.sum(weight * (joined - without).ravel())
    return Shapley(values, "exact", np.zeros(agents), values, values, len(table), 0)


def _sampled(
    ask: Value, agents: int, rng: np.random.Generator, independent: int, antithetic: bool
) -> Shapley:
    """Returns the mean over random orders of joining, in chunks that fit into memory."""
    nobody, everybody = np.asarray(ask(np.array([[False] * agents, [True] * agents])))
    ways = 2 if antithetic else 1
    samples, done = np.empty((independent, agents)), 0
    while done < independent:
        count = min(independent - done, max(1, _MASKS_PER_CALL // (ways * agents)))
        place = rng.permuted(np.tile(np.arange(agents), (count, 1)), axis=1)  # of agent in order
        both = np.concatenate([place, agents - 1 - place]) if antithetic else place
        masks = both[:, None, :] <= np.arange(agents - 1)[:, None]  # [orders, joined so far, n]
        along = np.empty((len(both), agents + 1))
        along[:, 0], along[:, -1] = nobody, everybody  # known: asked once for all orders
        along[:, 1:-1] = np.reshape(ask(masks.reshape(-1, agents)), (len(both), agents - 1))
        added = np.take_along_axis(np.diff(along, axis=1), both, axis=1)  # by each agent
        samples[done : done + count] = added.reshape(ways, count, agents).mean(axis=0)
        done += count
    values = samples.mean(axis=0)
    error = samples.std(axis=0, ddof=1) / np.sqrt(independent)
    low, high = values - 1.959964 * error, values + 1.959964 * error
    evaluations = 2 + ways * independent * (agents - 1)
    return Shapley(values, "sampled", error, low, high, evaluations, independent)


def _characteristic(
    value: Value | ArrayLike, agents: int
) -> tuple[Callable[[Bools], Floats], bool]:
    """Returns a checked function of coalitions, and whether it is a table (free to evaluate)."""
    if agents < 1:
        raise SettingError(f"got {agents} agents; wanted at least 1")
    if callable(value):
        function = value
        return lambda masks: _checked(function(masks), len(masks)), False
    table = _checked(value, 2**agents)
    return lambda masks: table[masks @ (1 << np.arange(agents))], True


def _checked(values: ArrayLike, count: int) -> Floats:
    """Returns the values of coalitions as [count] finite floats."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RewardError(f"got values that are not numbers: {error}; wanted floats") from error
    if array.shape != (count,):
        raise RewardError(
            f"got values of shape {array.shape}; wanted [{count}], one for each coalition"
        )
    if not np.isfinite(array).all():
        raise RewardError(
            "got a coalition with a missing or infinite value; wanted finite numbers, because "
            "every coalition enters the share of every agent"
        )
    return array
