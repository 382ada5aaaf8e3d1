"""`Sides`: which agents play against which others.

Start with `sides_from`, which reads the setting, and `guess_sides`, which looks for sides in what
agents are paid while they act at random. Axis letters: A agents, S sides, N episodes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.errors import SettingError
from counterpoint.worlds.sequential.world import References, StepWorld, uniform_actions

AUTO, NONE, AGENTS, ROLES = "auto", "none", "agents", "roles"
AGAINST, BESIDE = "/", "+"
FORM = (
    f"{AUTO}, {NONE}, {AGENTS} (each agent is a side), {ROLES} (each role), or sides with "
    f"'{AGAINST}' between them, such as adversary{AGAINST}agent, of names with '{BESIDE}' between"
)
ADVERSARY = "adversary"
"""A role whose name has this word plays against the roles whose names do not."""
SAMPLED_COPIES, SAMPLED_STEPS = 8, 64
"""Copies and steps of the random play in which `guess_sides` looks."""
ROUNDING = 1e-6
"""Rewards whose sum is smaller, relative to their size, add up to 0."""
OPPOSED = -0.9
"""Correlation of two agents' rewards below which they are called opposed."""


POINTS = References(
    0.5, None, "points against random actions: 1 for a win, 0.5 for a draw; no reference is defined"
)
"""The scale of returns where sides play against each other."""


@dataclass(frozen=True)
class Sides:
    """Two or more groups of agents that play against each other; every agent is in one."""

    names: tuple[str, ...]
    """[S] names, in the order of their first agents."""
    of: Ints
    """[A] the side of each agent."""

    @property
    def count(self) -> int:
        """S."""
        return len(self.names)

    def members(self) -> Bools:
        """Returns [S, A], whether the agent is on the side."""
        return np.asarray(self.of == np.arange(self.count)[:, None])

    def returns(self, by_agent: Floats) -> Floats:
        """Returns [..., S], the sums of `by_agent` [..., A] over the agents of each side."""
        return np.asarray(by_agent @ self.members().T)

    def by_name(self, agents: tuple[str, ...]) -> dict[str, list[str]]:
        """Returns the name of each side to its agents."""
        return {
            name: [agent for agent, of in zip(agents, self.of, strict=True) if of == side]
            for side, name in enumerate(self.names)
        }

    def text(self, agents: tuple[str, ...]) -> str:
        """Returns the setting that means these sides, each agent by its name."""
        return AGAINST.join(BESIDE.join(side) for side in self.by_name(agents).values())


def sides_from(text: str, agents: tuple[str, ...], roles: tuple[str, ...]) -> Sides | None:
    """Returns the sides that a setting names; None for `none`.

    Args:
        text: as `FORM` says, but not `auto`.
        agents: [A] names.
        roles: [A] the role of each agent.

    Raises:
        SettingError: one side, an agent on two sides or on none, or an unknown name.
    """
    if text == NONE:
        return None
    groups = {AGENTS: list(agents), ROLES: list(dict.fromkeys(roles))}.get(
        text, [part.strip() for part in text.split(AGAINST)]
    )
    of = np.full(len(agents), -1)
    for side, group in enumerate(groups):
        for name in (group,) if text in (AGENTS, ROLES) else group.split(BESIDE):
            named = [k for k, pair in enumerate(zip(agents, roles, strict=True)) if name in pair]
            if name in agents:
                named = [agents.index(name)]
            if not named:
                known = ", ".join(dict.fromkeys((*agents, *roles)))
                raise SettingError(
                    f"got sides={text} with '{name}'; wanted names out of {known}, or {FORM}"
                )
            twice = [agents[k] for k in named if of[k] not in (-1, side)]
            if twice:
                raise SettingError(f"got sides={text} with {twice[0]} on two sides; wanted one")
            of[named] = side
    missing = [agent for agent, side in zip(agents, of, strict=True) if side < 0]
    if missing:
        raise SettingError(f"got sides={text} without {', '.join(missing)}; wanted all agents")
    if of.max() < 1:
        raise SettingError(f"got sides={text}, which is one side; wanted at least two, or {NONE}")
    return _named(of, agents)


def _named(of: Ints, agents: tuple[str, ...]) -> Sides:
    """Returns sides in the order of their first agents: named for an agent that is alone, for what
    the names of its agents and no others begin with, or else for all its agents."""
    order = list(dict.fromkeys(of.tolist()))
    names = []
    for side in order:
        own = [k for k, other in enumerate(of) if other == side]
        shared = {without_number(agents[k]) for k in own}
        elsewhere = {without_number(agents[k]) for k in range(len(agents)) if k not in own}
        if len(own) == 1:
            names.append(agents[own[0]])
        elif len(shared) == 1 and not shared & elsewhere:
            names.append(shared.pop())
        else:
            names.append(BESIDE.join(agents[k] for k in own))
    return Sides(tuple(names), np.array([order.index(side) for side in of]))


def without_number(agent: str) -> str:
    """Returns the name of an agent without the number at its end; a number alone stays."""
    return re.sub(r"_?(?<!\d)\d++$", "", agent) or agent


class RandomPlay(NamedTuple):
    """What agents were paid while all of them acted at random."""

    returns: Floats
    """[N, A] by episode; where none ended, by copy."""
    rewards: Floats
    """[T, A] by step."""
    steps: float | None
    """Mean number of steps of an episode; None where none ended."""
    turns: bool
    """Whether one agent acted at each step."""


def random_play(world: StepWorld) -> RandomPlay:
    """Plays a world from a new episode on, `SAMPLED_STEPS` steps of every copy."""
    rng, view = np.random.default_rng(0), world.reset(0)
    running, clock = np.zeros((world.copies, len(world.agents))), np.zeros(world.copies)
    episodes, lengths, rewards, turns = [], [], [], True
    for _ in range(SAMPLED_STEPS):
        turns &= bool((view.active.sum(axis=1) == 1).all())
        step = world.step(uniform_actions(world, view, rng))
        view = step.view
        running += step.own
        clock += 1
        rewards.append(step.own.copy())
        episodes.append(running[step.ended])
        lengths.append(clock[step.ended])
        running[step.ended], clock[step.ended] = 0.0, 0.0
    ended = np.concatenate(episodes)
    mean = float(np.concatenate(lengths).mean()) if len(ended) else None
    return RandomPlay(ended if len(ended) else running, np.concatenate(rewards), mean, turns)


class Guess(NamedTuple):
    """The sides that a world seems to have, and why."""

    sides: Sides | None
    """None: its agents seem to be one team, or nothing shows that they are not."""
    reason: str
    """The start of a sentence; empty if there is nothing to say."""
    decided: bool = False
    """Whether an episode is a game that a side wins, draws or loses: two sides, whose returns add
    up to 0 and take no more than three values."""


def guess_sides(play: RandomPlay, agents: tuple[str, ...], roles: tuple[str, ...]) -> Guess:
    """Returns the sides that random play and names show.

    Agents whose returns add up to 0 play against each other; those among them whose returns are
    always equal are one side. Otherwise an adversary plays against all others, by its name.

    Args:
        play: what agents were paid.
        agents: [A] names.
        roles: [A] the role of each agent.
    """
    returns = play.returns
    size = float(abs(returns).max(initial=0.0))
    equal = (abs(returns[:, :, None] - returns[:, None]) <= ROUNDING * size).all(axis=0)
    of = equal.argmax(axis=1)  # each agent goes to the first whose returns equal its own
    if size > 0 and (abs(returns.sum(axis=1)) <= ROUNDING * size).all():
        sides = _named(of, agents)
        kinds = len(np.unique(np.round(returns[:, 0] / size, 6)))
        if sides.count > 1:
            reason = "what agents are paid adds up to 0 in every episode"
            return Guess(sides, reason, sides.count == 2 and kinds <= 3)
    against = np.array([ADVERSARY in role.lower() for role in roles])
    if against.any() and not against.all():
        reason = f"by its name, {ADVERSARY} plays against the others"
        return Guess(_named(against.astype(np.int64), agents), reason)
    if size == 0 and play.turns:
        return Guess(None, f"agents take turns, and none was paid in {len(play.rewards)} steps")
    pairs = np.argwhere(np.triu(_correlations(play.rewards) < OPPOSED, 1))
    if len(pairs):
        one, other = (agents[k] for k in pairs[0])
        return Guess(None, f"the rewards of {one} and {other} are opposed")
    return Guess(None, "")


def _correlations(rewards: Floats) -> Floats:
    """Returns [A, A] correlations of rewards [T, A]; 0 of an agent whose rewards never differ."""
    away = rewards - rewards.mean(axis=0)
    size = np.sqrt((away**2).sum(axis=0))
    unit = away / np.where(size > 0, size, 1.0)
    return np.asarray(unit.T @ unit)
