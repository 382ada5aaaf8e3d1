"""`project`: small tasks that always pay beside a project that pays only when it is finished.

In every round members take a small task each, or work on the project, whose pieces often fail. What
a member merges is paid to it alone, and the worth of the project is shared. So members of a flat
team learn to stay with small tasks, even where two of them do the same one; a planner who is paid
for everything learns to assign work on the project, until the board says that it is finished.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import comb
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np

from counterpoint.arrays import Floats, Ints, NamedArrays
from counterpoint.settings import Range
from counterpoint.worlds.exact.world import Evaluation, Play, Settings, World, one_hot, sample


@dataclass(frozen=True, kw_only=True)
class ProjectSettings(Settings):
    """Settings of `project`."""

    parameters: Literal["shared", "separate"] = "separate"
    team: Literal["flat", "led"] = "flat"
    """Whether members choose their tasks themselves, or do what a planner assigns."""
    fresh: bool = True
    """Whether the board is read in every round; otherwise only before the first one."""
    members: Annotated[int, Range(1, 4)] = 3
    """Members, besides a planner."""
    tasks: Annotated[int, Range(1, 3)] = 2
    """Small tasks of a round; each is worth 1, if one member or more do it."""
    rounds: Annotated[int, Range(1, 5)] = 4
    """Rounds, with new small tasks in each."""
    pieces: Annotated[int, Range(1, 4)] = 2
    """Pieces of work that finish the project."""
    works: Annotated[float, Range(0.01, 1.0)] = 0.5
    """Probability that a member's round of work on the project gives a piece."""
    worth: Annotated[float, Range(0.0, 1e3)] = 6.0
    """What the finished project is worth."""
    share: Annotated[float, Range(0.0, 1.0)] = 1 / 3
    """The share of the project's worth that each member of a flat team is paid."""


class Done(NamedTuple):
    """What a team does in all rounds, expected exactly, [S] each."""

    small: Floats
    """Small tasks that are merged."""
    finished: Floats
    """Probability that the project is finished."""
    twice: Floats
    """Turns spent on a small task for which another's work is merged."""


class Project(World):
    """Members who do small tasks or pieces of a project, in rounds.

    A batch has 8 x 8 rollouts. If several members do one small task, chance decides whose work is
    merged. The return is what is merged, small tasks and a finished project, as a share of the best
    plan's. A member of a flat team is paid for its own merged tasks and a share of the project, a
    planner for all. An agent's regret is what the team would gain if it alone followed the best
    plan, and its accuracy the share of that return which the team has. A context is a round and the
    pieces on the board.
    """

    name = "project"
    settings_type = ProjectSettings
    summary = "small tasks pay at once, a project when it is finished: flat teams avoid it"
    source = "ours, after reports of long runs of coding agents (Cursor 2026)"
    control: ClassVar[Mapping[str, str | float]] = {"worth": 0.0}
    components = ("own", "project")
    optimal = 1.0
    settings: ProjectSettings

    def __init__(self, settings: ProjectSettings | None = None) -> None:
        super().__init__(settings)
        given = self.settings
        n, self.led, self.hard = given.members, given.team == "led", given.tasks
        self.plans = np.array([
            [self.hard] * k + [i % given.tasks for i in range(n - k)] for k in range(n + 1)
        ])  # fmt: skip
        """[n+1, n] the tasks of all members if k of them work on the project, the last task."""
        free = np.array(list(product(range(given.tasks + 1), repeat=n)))
        self.joint = self.plans if self.led else free
        """[J, n] the tasks that all members can have in a round."""
        self.agents = ("planner",) if self.led else tuple(f"member_{i}" for i in range(n))
        agents, turns = range(len(self.agents)), range(given.rounds)
        self.slots = tuple((agent, turn) for turn in turns for agent in agents)
        self.actions = n + 1 if self.led else given.tasks + 1
        self.contexts = given.rounds * (given.pieces + 1)
        self.plan, self.best = self._best_plan()
        self.random = float(self.evaluate({}, self.uniform(1)).returns[0])

    def tasks(self, rng: np.random.Generator) -> NamedArrays:
        return {"nothing": np.zeros(1)}

    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        given, shape = self.settings, (self.prompts, self.rollouts)
        turns = (*shape, given.rounds, given.members)
        return {
            "luck": rng.random(turns),
            "first": rng.random(turns),
            "uniforms": rng.random((*shape, len(self.slots))),
        }

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        given, uniforms, acts = self.settings, chance["uniforms"], len(self.agents)
        context, action = np.zeros((2, *uniforms.shape), dtype=np.int64)
        pieces = np.zeros(uniforms.shape[:-1], dtype=np.int64)
        own = np.zeros((*pieces.shape, given.members))
        for turn in range(given.rounds):
            now = slice(turn * acts, (turn + 1) * acts)
            here = context[..., now] = self.context(turn, pieces)[..., None]
            action[..., now] = sample(probs, np.arange(acts), here, uniforms[..., now])
            does = self.plans[action[..., turn]] if self.led else action[..., now]
            first = chance["first"][..., turn, :]
            same = does[..., None] == does[..., None, :]  # [S, P, G, n, n]
            beaten = (same & (first[..., None, :] < first[..., None])).any(axis=-1)
            own += (does != self.hard) & ~beaten
            worked = (does == self.hard) & (chance["luck"][..., turn, :] < given.works)
            pieces = np.minimum(pieces + worked.sum(axis=-1), given.pieces)
        project = given.worth * (pieces == given.pieces)
        outcome = (own.sum(axis=-1) + project) / self.best
        if self.led:
            own = own.sum(axis=-1, keepdims=True)
        paid = project * (1.0 if self.led else given.share)
        parts = np.stack(np.broadcast_arrays(own, paid[..., None]), axis=-1)  # [S, P, G, A, 2]
        parts = np.tile(parts, (1, 1, 1, given.rounds, 1))
        return Play(
            context=context,
            action=action,
            active=np.ones(action.shape, dtype=bool),
            reward=parts.sum(axis=-1),
            outcome=outcome,
            components=parts,
        )

    def context(self, turn: int, pieces: Ints) -> Ints:
        """Returns what a round and the pieces on the board look like."""
        return turn * (self.settings.pieces + 1) + (pieces if self.settings.fresh else 0 * pieces)

    def done(self, probs: Floats) -> Done:
        """Returns what a team with this policy [S, A, C, M] does."""
        given, work = self.settings, (self.joint == self.hard).sum(axis=1)
        merged = np.array([len({*row} - {self.hard}) for row in self.joint.tolist()])
        board = np.zeros((len(probs), given.pieces + 1))
        board[:, 0] = 1
        small, twice = np.zeros((2, len(probs)))
        after = self._after()[:, work]
        for turn in range(given.rounds):
            seen = probs[:, :, self.context(turn, np.arange(given.pieces + 1))]  # [S, A, B, M]
            choices = self.joint.T if not self.led else np.arange(len(self.joint))[None]
            joint = np.stack([seen[:, i][..., row] for i, row in enumerate(choices)]).prod(axis=0)
            flow = board[..., None] * joint  # [S, B, J]
            small += (flow * merged).sum(axis=(1, 2))
            twice += (flow * (given.members - work - merged)).sum(axis=(1, 2))
            board = np.einsum("sbj,bjn->sn", flow, after)
        return Done(small, board[:, -1], twice)

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        returns, best = self._returns(probs), self.solution({"nothing": np.zeros(len(probs))})
        better = []
        for agent in range(len(self.agents)):
            other = probs.copy()
            other[:, agent] = best[:, agent]
            better.append(np.maximum(self._returns(other), returns))
        reached = np.stack(better, axis=-1)
        return Evaluation(returns, returns, returns[:, None] / reached, reached - returns[:, None])

    def solution(self, tasks: NamedArrays) -> Floats:
        plan = self.plan.ravel()  # [C]
        best = plan[None] if self.led else self.plans[plan].T
        shape = (len(tasks["nothing"]), len(self.agents), self.contexts)
        return one_hot(np.broadcast_to(best, shape), self.actions)

    def _returns(self, probs: Floats) -> Floats:
        """Returns the return of a policy, [S]."""
        done = self.done(probs)
        returns: Floats = (done.small + self.settings.worth * done.finished) / self.best
        return returns

    def _after(self) -> Floats:
        """Returns the probability of the pieces after a round, [pieces before, k, pieces after], if
        k members work on the project."""
        given, ends = self.settings, self.settings.pieces
        after = np.zeros((ends + 1, given.members + 1, ends + 1))
        for before, k in np.ndindex(after.shape[:2]):
            for more in range(k + 1):
                likely = comb(k, more) * given.works**more * (1 - given.works) ** (k - more)
                after[before, k, min(before + more, ends)] += likely
        return after

    def _best_plan(self) -> tuple[Ints, float]:
        """Returns how many members work on the project in each round and board, [T, pieces+1], and
        what such a team merges."""
        given, after, k = self.settings, self._after(), np.arange(self.settings.members + 1)
        small = np.minimum(given.members - k, given.tasks)
        plan = np.zeros((given.rounds, given.pieces + 1), dtype=np.int64)
        then = given.worth * one_hot(np.array(given.pieces), given.pieces + 1)
        if given.fresh:
            for turn in reversed(range(given.rounds)):
                worth = small + after @ then  # [pieces+1, n+1]
                plan[turn], then = worth.argmax(axis=1), worth.max(axis=1)
            return plan, float(then[0])
        most, best = -1.0, plan
        for ks in product(k.tolist(), repeat=given.rounds):
            board = one_hot(np.array(0), given.pieces + 1)
            for one in ks:
                board = board @ after[:, one]
            if (got := float(small[list(ks)].sum() + board @ then)) > most + 1e-12:
                most, best = got, np.repeat(np.array(ks)[:, None], given.pieces + 1, axis=1)
        return best, most
