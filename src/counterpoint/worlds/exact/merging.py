"""`merging`: members add a feature each to one file, and two features at one place do not merge.

A place is worth the same to everybody, and one is worth most. A member that works on a copy of its
own sees nothing of what the others do, and its own tests pass wherever it puts its feature. So
members who are paid for their own features all learn to take the same place, and then nothing
merges. One agent that adds all features in turn sees the places that it has taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from counterpoint.arrays import Floats, Ints, NamedArrays
from counterpoint.errors import SettingError
from counterpoint.settings import Range
from counterpoint.worlds.exact.world import Evaluation, Play, Settings, World, one_hot, sample


@dataclass(frozen=True, kw_only=True)
class MergingSettings(Settings):
    """Settings of `merging`."""

    parameters: Literal["shared", "separate"] = "separate"
    works: Literal["apart", "in_turn", "alone"] = "apart"
    """Members work side by side, each on a copy of the file as it was; or one after the other, each
    on a file with the features of those before; or one agent adds all features, in turn."""
    members: Annotated[int, Range(2, 5)] = 2
    """Features that are added, by a member each unless one agent works alone."""
    places: Annotated[int, Range(2, 8)] = 6
    """Places of the file."""
    worst: Annotated[float, Range(0.0, 1.0)] = 0.5
    """What a feature at the last place is worth; at the first it is 1, and it falls evenly."""
    merged: Annotated[float, Range(0.0, 1.0)] = 0.05
    """The weight of the merged whole in the reward; the rest is paid for the member's feature."""
    files: Literal["shared", "own"] = "shared"
    """Whether all features go into one file, or each into a file of its own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.members > self.places:
            raise SettingError(
                f"got members={self.members} and places={self.places}; wanted a place for each"
            )


class Merging(World):
    """Members who each put a feature somewhere in a file, merged in the order of their names.

    A batch has 8 x 8 rollouts. The return is what all features are worth if all of them merge, and
    0 otherwise, as a share of the best. A member's own part of the reward is what its feature is
    worth if it works in the file that the member sees, and the other part is the return. A member
    is right where its feature merges with those before it; its regret is what the team would gain
    if it chose the best places, the others' ways as they are. A context is the set of places that
    are taken in the file that a member sees, as a binary number.
    """

    name = "merging"
    settings_type = MergingSettings
    summary = "features are added apart and merged: all learn to want the same place"
    source = "ours, after CooperBench (arXiv 2601.13295)"
    control: ClassVar[Mapping[str, str | float]] = {"files": "own"}
    components = ("own", "merged")
    optimal = 1.0
    settings: MergingSettings

    def __init__(self, settings: MergingSettings | None = None) -> None:
        super().__init__(settings)
        given, n = self.settings, self.settings.members
        self.apart, alone = given.works == "apart", given.works == "alone"
        self.agents = ("solo",) if alone else tuple(f"member_{i}" for i in range(n))
        self.slots = tuple((0 if alone else i, 0 if self.apart else i) for i in range(n))
        self.actions, self.contexts = given.places, 1 if self.apart else 2**given.places
        self.baselines = ("counterfactual", "difference") if self.apart else ()
        self.worth = np.linspace(1.0, given.worst, given.places)
        """By place, what a feature there is worth."""
        taken, place = np.arange(2**given.places)[:, None], 1 << np.arange(given.places)
        shared = given.files == "shared"
        self.after = taken | place if shared else np.zeros((len(taken), given.places), dtype=int)
        """[2^K, K] the places that are taken once one more feature is there."""
        self.fits = (taken & place == 0) | (not shared)
        """[2^K, K] whether that feature merges."""
        self.best = float(self.worth[:n].sum() if shared else n)
        self.random = float(self.evaluate({}, self.uniform(1)).returns[0])

    def tasks(self, rng: np.random.Generator) -> NamedArrays:
        return {"nothing": np.zeros(1)}

    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        return {"uniforms": rng.random((self.prompts, self.rollouts, len(self.slots)))}

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        uniforms, agent = chance["uniforms"], np.array([agent for agent, _ in self.slots])
        context, action = np.zeros((2, *uniforms.shape), dtype=np.int64)
        taken = np.zeros(uniforms.shape[:-1], dtype=np.int64)
        for slot in range(len(self.slots)):
            if not self.apart:
                context[..., slot] = taken
            here = context[..., slot]
            action[..., slot] = sample(probs, agent[slot], here, uniforms[..., slot])
            taken = self.after[taken, action[..., slot]]
        own, weight = self.worth[action] * self.fits[context, action], self.settings.merged
        whole = self._whole(action)
        shared = np.broadcast_to(weight * whole[..., None], own.shape)
        parts = np.stack([(1 - weight) * own, shared], axis=-1)
        return Play(
            context=context,
            action=action,
            active=np.ones(action.shape, dtype=bool),
            reward=parts.sum(axis=-1),
            outcome=whole,
            components=parts,
            signals=self._signals(action, own, probs) if self.apart else {},
        )

    def _whole(self, action: Ints, without: int | None = None) -> Floats:
        """Returns the return of the places `action` [..., L], [...]; perhaps without a slot."""
        taken = np.zeros(action.shape[:-1], dtype=np.int64)
        works, worth = np.ones(taken.shape, dtype=bool), np.zeros(taken.shape)
        for slot in range(action.shape[-1]):
            if slot != without:
                place = action[..., slot]
                works &= self.fits[taken, place]
                worth += self.worth[place]
                taken = self.after[taken, place]
        return works * worth / self.best

    def _signals(self, action: Ints, own: Floats, probs: Floats) -> Mapping[str, Floats]:
        """Returns the baselines of members who work apart: nobody's place depends on another's."""
        weight = self.settings.merged
        average, difference = np.zeros(action.shape), (1 - weight) * own
        whole = self._whole(action)
        for slot in range(action.shape[-1]):
            other = action.copy()
            for place in range(self.actions):
                other[..., slot] = place
                paid = (1 - weight) * self.worth[place] + weight * self._whole(other)
                average[..., slot] += probs[:, slot, 0, place, None, None] * paid
            difference[..., slot] += weight * (whole - self._whole(action, slot))
        return {"counterfactual": average, "difference": difference}

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        states = self._states(probs)
        returns = states[-1][2].sum(axis=-1) / self.best
        right, better = [], []
        merges = np.ones((len(probs), len(self.after)))  # whether all features from here on do
        adds = np.zeros_like(merges)  # what these are worth then
        for slot in reversed(range(len(self.slots))):
            chances = probs[:, self.slots[slot][0]]  # [S, 2^K, K], or [S, 1, K] where all are alike
            reached, merged, worth = states[slot]
            right.append((reached[..., None] * chances * self.fits).sum(axis=(1, 2)))
            then = self.fits * merges[:, self.after]
            gains = self.fits * adds[:, self.after] + self.worth * then
            choices = worth[..., None] * then + merged[..., None] * gains
            if self.apart:
                choices = choices.sum(axis=1, keepdims=True)
            better.append(choices.max(axis=-1).sum(axis=-1) / self.best - returns)
            merges, adds = (chances * then).sum(axis=-1), (chances * gains).sum(axis=-1)
        accuracy, regret = np.stack(right[::-1], axis=-1), np.stack(better[::-1], axis=-1)
        if self.settings.works == "alone":
            accuracy, regret = accuracy.mean(axis=-1, keepdims=True), 1 - returns[:, None]
        return Evaluation(returns, returns, accuracy, np.maximum(regret, 0.0))

    def _states(self, probs: Floats) -> list[Floats]:
        """Returns what is taken before each slot, and after the last, [S, 2^K] each.

        Returns:
            For each: the probability of the places that are taken, that all features merge besides,
            and what these are worth then (their sum times that probability).
        """
        now = np.zeros((3, len(probs), len(self.after)))
        now[:2, :, 0] = 1
        states = [now]
        into = one_hot(self.after.ravel(), len(self.after))  # [2^K K, 2^K]
        for slot in range(len(self.slots)):
            flow = now[..., None] * probs[:, self.slots[slot][0]]
            flow[1:] *= self.fits
            flow[2] += self.worth * flow[1]
            now = flow.reshape(3, len(probs), -1) @ into
            states.append(now)
        return states

    def solution(self, tasks: NamedArrays) -> Floats:
        first = self.fits.argmax(axis=-1)  # the best place that is left
        taken = 2 ** np.arange(len(self.agents)) - 1
        best = first[taken][:, None] if self.apart else np.tile(first, (len(self.agents), 1))
        shape = (len(tasks["nothing"]), len(self.agents), self.contexts)
        return one_hot(np.broadcast_to(best, shape), self.actions)
