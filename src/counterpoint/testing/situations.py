"""Batches of a team as a trainer gets them: even, uneven, fanned out, missing, equal, sparse.

`situations` makes them for `check_adapter`. Their rewards are exact in float32, except where
rounding is what a situation is about, so that a trainer's own type loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from counterpoint.arrays import Ints

FEATURES: Mapping[str, str] = {
    "prompts": "several prompts in one step",
    "twice": "a prompt that is drawn twice in one step",
    "uneven": "an agent without a row in some rollouts",
    "turns": "several rows of one agent in a rollout",
    "numbered": "rows that name their turn; otherwise turns are the order of rows",
    "missing": "rows whose reward is None",
    "components": "several reward components",
    "roles": "a role that several agents share",
    "names": "rows that name their agent, so that one can lack it",
    "memory": "running statistics over several steps",
}
"""What the rows of a trainer can have."""
AGENTS = ("planner", "coder-1", "coder-2")
ROLES = {"planner": "lead", "coder-1": "coder", "coder-2": "coder"}
SCALE = {"planner": (1.0, 0.0), "coder-1": (4.0, 16.0), "coder-2": (0.5, -8.0)}
"""Size and offset of each agent's rewards: no agent's statistics fit another."""
PROMPTS, ROLLOUTS = 3, 4
TURN_SCHEMES = ("at_grpo", "agent_wise,rollout_reward=to_go")
"""Schemes that read turns: statistics of each turn, and the rest of a rollout's rewards."""
ROLE_SCHEMES = ("agent_wise,center_by=prompt+role",)
"""A scheme with statistics of each role, to which agents of one role belong together."""
WITHOUT_SCALE = "agent_wise,scale=none"
"""A scheme whose advantages are as large as the rewards."""
RETURN_SCHEMES = ("agent_wise,rollout_reward=sum", "agent_wise,rollout_reward=last")
"""Schemes in which a rollout has the sum of its rows' rewards, or that of its last row."""
FIRST_ONLY = "agent_wise,weights=1+0"
"""A scheme that only logs the second component."""

Reward = float | None | list[float | None]


@dataclass(frozen=True)
class TeamBatch:
    """The rows of one training step: N rows, each an agent's turn (or whole part) in a rollout."""

    rewards: Sequence[Reward]
    """[N] rewards; None is missing. With components, [N][K]."""
    prompt: Sequence[str]
    """[N] the task's name. If it was drawn twice, several groups have the same name."""
    group: Sequence[int]
    """[N] the draw. Rows of different groups are never compared under per-prompt schemes."""
    rollout: Sequence[int]
    """[N] the number of the rollout in its group, from 0."""
    agent: Sequence[str] | None
    """[N] the agent; None if the trainer was given no names."""
    role: Sequence[str] | None = None
    """[N] the role, if roles differ from agents."""
    turn: Sequence[int] | None = None
    """[N] the number of the agent's turn in its rollout; None if every agent has one."""

    def __len__(self) -> int:
        return len(self.rewards)

    def labels(self) -> dict[str, Sequence[Any]]:
        """Returns the labels with which the kernel computes what is right."""
        columns = {
            "prompt": self.group, "rollout": self.rollout, "agent": self.agent,
            "role": self.role, "turn": self.turn,
        }  # fmt: skip
        return {name: column for name, column in columns.items() if column is not None}

    def rows_by(self, *columns: str) -> dict[tuple[Any, ...], list[int]]:
        """Returns the rows of each combination of the columns' values, in their order."""
        rows: dict[tuple[Any, ...], list[int]] = {}
        given = [getattr(self, name) or [None] * len(self) for name in columns]
        for i, key in enumerate(zip(*given, strict=True)):
            rows.setdefault(key, []).append(i)
        return rows

    def taken(self, order: Ints) -> TeamBatch:
        """Returns the batch with its rows in another order."""

        def column(values: Sequence[Any] | None) -> list[Any] | None:
            return None if values is None else [values[i] for i in order.tolist()]

        return TeamBatch(**{name: column(values) for name, values in vars(self).items()})  # type: ignore[arg-type]

    def shifted(self, step: int) -> TeamBatch:
        """Returns the batch of a later step, whose rewards are larger."""
        paid: list[Reward] = [
            one * (1 + step) + step if isinstance(one, int | float) else one for one in self.rewards
        ]
        return replace(self, rewards=paid)

    def orders(self) -> dict[str, Ints]:
        """Returns other orders of the rows, by what they change; turns stay in order."""
        rng = np.random.default_rng(1)
        blocks = list(self.rows_by("group", "rollout", "agent").values())
        shuffled = [i for k in rng.permutation(len(blocks)) for i in blocks[k]]
        agents, groups = self.rows_by("agent"), self.rows_by("group")
        backwards = [[i for rows in reversed(by.values()) for i in rows] for by in (agents, groups)]
        names = ("rows in another order", "agents in another order", "groups in another order")
        return {
            name: np.array(order) for name, order in zip(names, (shuffled, *backwards), strict=True)
        }


@dataclass(frozen=True)
class Situation:
    """Batches of one kind."""

    batches: Mapping[str, TeamBatch]
    """The name of each batch, for messages, and the batch."""
    all_zero: bool = False
    """Whether every advantage is exactly 0 under every scheme that compares."""
    roles: bool = False
    """Whether schemes for each role, and mixes, are checked too."""
    schemes: tuple[str, ...] = ()
    """Names of schemes that are checked too."""


def situations(has: frozenset[str]) -> Iterator[Situation]:
    """Yields the situations that a trainer with these features can have; the first is ordinary."""
    by_role = ROLE_SCHEMES if "roles" in has else ()
    yield Situation({"an even team": team(has)}, roles=True, schemes=by_role)
    if "uneven" in has:
        uneven = team(has, there=lambda g, r, a: (g + r + AGENTS.index(a)) % 3 != 0)
        rare = team(has, there=lambda g, r, a: a != "coder-2" or r == 0)
        yield Situation(
            {"an uneven team": uneven, "an agent that is seldom called": rare}, roles=True
        )
    if "turns" in has:
        split = team(has, turns=lambda r, a: 1 + r % 3)
        often = team(has, turns=lambda r, a: 4 if a == "coder-1" else 1)
        turns = {
            "rollouts that were split into samples": split,
            "an agent that speaks often": often,
        }
        if "numbered" in has:
            numbers = zip(split.turn or (), split.rollout, strict=True)
            late = replace(split, turn=[turn + rollout % 2 for turn, rollout in numbers])
            turns["turns from the last to the first"] = split.taken(np.arange(len(split))[::-1])
            turns["rollouts that begin at a later turn"] = late
        yield Situation(turns, roles=True, schemes=TURN_SCHEMES)
    alone = team(has, rollouts=1)
    yield Situation({"one rollout of each prompt": alone})
    yield Situation({"a single agent": team(has, there=lambda g, r, a: a == "planner")})
    constant = paid(team(has), "coder-1", 0.75)
    yield Situation({"an agent with one reward": constant})
    for value in (0.7, 1000.1, 123456.7):
        exact = float(np.float32(value))
        flat = team(has, rollouts=7)
        equal = replace(flat, rewards=[exact] * len(flat))
        yield Situation({f"equal rewards of {exact!r}": equal}, all_zero=True)
    large = team(has)
    offset = replace(large, rewards=[float(2**20) + _number(r) for r in large.rewards])
    yield Situation({"small differences of large rewards": offset})
    yield from half_precision(has)
    yield from sparse(has)
    if "missing" in has:
        whole = team(has)
        some = [None if i % 5 == 1 else reward for i, reward in enumerate(whole.rewards)]
        yield Situation({"a missing reward here and there": replace(whole, rewards=some)})
        gone = [
            None if a == "coder-2" else reward
            for a, reward in zip(whole.agent or (), whole.rewards, strict=True)
        ]
        yield Situation({"an agent without any reward": replace(whole, rewards=gone)})
        yield Situation(
            {"nobody has a reward": replace(whole, rewards=[None] * len(whole))}, all_zero=True
        )
    if "twice" in has:
        drawn = team(has)
        yield Situation(
            {"a prompt that was drawn twice": replace(drawn, prompt=["again"] * len(drawn))}
        )
    if "components" in has:
        two = team(has)
        table: list[Reward] = [
            [None if i % 7 == 0 else _number(r), None if i % 5 == 0 else float(i % 4)]
            for i, r in enumerate(two.rewards)
        ]
        yield Situation({"two reward components": replace(two, rewards=table)})
        yield from exclusive_components(two)


def half_precision(has: frozenset[str]) -> Iterator[Situation]:
    """Yields rewards of reward models in 16 bits, which no arithmetic in 16 bits could compare."""
    plain = team(has)
    scores = [12.0 + _number(r) % 2.0 for r in plain.rewards]  # bfloat16 has steps of 1/16 there
    ends = [65504.0 if i % 3 == 0 else -65504.0 if i % 5 == 0 else _number(r)
            for i, r in enumerate(plain.rewards)]  # fmt: skip
    yield Situation({"scores of a reward model in bfloat16": replace(plain, rewards=scores)})
    yield Situation(
        {"rewards at the ends of float16": replace(plain, rewards=ends)}, schemes=(WITHOUT_SCALE,)
    )


def sparse(has: frozenset[str]) -> Iterator[Situation]:
    """Yields rewards that are mostly 0: dead agents, and pay in the last row of a rollout only."""
    plain = team(has)
    dead = paid(paid(plain, "planner", 0.0), "coder-2", 0.0)
    first = plain.rows_by("agent")["planner",][0]
    once = [1.0 if i == first else 0.0 for i in range(len(plain))]
    yield Situation(
        {
            "two dead agents of three": dead,
            "one reward above 0 in the whole step": replace(plain, rewards=once),
        },
        roles=True,
    )
    if "turns" in has:
        whole = team(has, turns=lambda rollout, agent: 1 + (rollout + len(agent)) % 3)
        rows = whole.rows_by("group", "rollout", "agent").values()
        last = {max(of, key=lambda i: (whole.turn or ())[i]) for of in rows}
        pay = [reward if i in last else 0.0 for i, reward in enumerate(whole.rewards)]
        yield Situation(
            {"pay in the last row of a rollout": replace(whole, rewards=pay)},
            schemes=RETURN_SCHEMES,
        )


def exclusive_components(plain: TeamBatch) -> Iterator[Situation]:
    """Yields components that are None where others are paid, or that only logs need."""
    whole = [_number(reward) for reward in plain.rewards]
    agents = plain.agent or ()
    apart: list[Reward] = [[None, r] if name == "planner" else [r, None]
                           for name, r in zip(agents, whole, strict=True)]  # fmt: skip
    logged: list[Reward] = [[r, None if i % 3 else 7.0] for i, r in enumerate(whole)]
    yield Situation({"components of some agents each": replace(plain, rewards=apart)})
    yield Situation(
        {"a component without weight that is sometimes None": replace(plain, rewards=logged)},
        schemes=(FIRST_ONLY,),
    )


def team(
    has: frozenset[str],
    *,
    rollouts: int = ROLLOUTS,
    there: Callable[[int, int, str], bool] = lambda group, rollout, agent: True,
    turns: Callable[[int, str], int] = lambda rollout, agent: 1,
) -> TeamBatch:
    """Returns a batch of three agents whose rewards differ in size and offset.

    Args:
        has: the features that rows can have.
        rollouts: the number of rollouts of each prompt.
        there: whether an agent has a row in a rollout of a group.
        turns: how many rows an agent has in a rollout; all have the rollout's reward, as samples
            that a trainer made of one rollout do.
    """
    rng = np.random.default_rng(0)
    rows: list[tuple[int, int, str, int, float]] = []
    for group in range(PROMPTS if "prompts" in has else 1):
        for rollout in range(rollouts):
            for agent in AGENTS:
                size, offset = SCALE[agent]
                reward = offset + size * float(rng.integers(-16, 17)) / 8.0
                if there(group, rollout, agent) or "uneven" not in has:
                    count = turns(rollout, agent)
                    rows += [(group, rollout, agent, turn, reward) for turn in range(count)]
    groups, numbers, agents, places, rewards = (list(c) for c in zip(*rows, strict=True))
    return TeamBatch(
        rewards=rewards,
        prompt=[f"task-{group}" for group in groups],
        group=groups,
        rollout=numbers,
        agent=agents,
        role=[ROLES[agent] for agent in agents] if "roles" in has else None,
        turn=places if "turns" in has else None,
    )


def paid(batch: TeamBatch, agent: str, reward: float) -> TeamBatch:
    """Returns the batch in which every row of an agent has the same reward."""
    rows = zip(batch.agent or (), batch.rewards, strict=True)
    return replace(batch, rewards=[reward if name == agent else one for name, one in rows])


def _number(reward: Reward) -> float:
    """Returns a reward that is known to be a number."""
    assert isinstance(reward, int | float)
    return float(reward)
