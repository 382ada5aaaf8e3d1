"""Tiny worlds of many steps, named for what they do, and batches that were played in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.train.ppo.rollout import Batch, RolloutCollector
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.worlds.sequential.actions import Actions
from counterpoint.worlds.sequential.world import (
    Captured,
    References,
    Step,
    StepSettings,
    StepWorld,
    View,
)


class SaysWhatIsOnTape(StepWorld):
    """Plays what was written down, whatever agents do, and begins again where the tape ends.

    Args:
        tape: arrays by name, time first: `seen` [N, E, A, D], `own` [N, E, A], `active`,
            `terminated` [N, E, A], `ended` [N, E], and where wanted `legal` [N, E, A, M],
            `components` [N, E, A, K] and `last` [N, E, A, D].
        sizes: [A] actions of each agent; with `bounds`, dimensions.
        bounds: lowest and highest value of each dimension; None where actions are discrete.
    """

    name, summary, source = "tape", "plays what was written down", "ours"
    horizon = None

    def __init__(
        self,
        tape: Mapping[str, NDArray[Any]],
        sizes: Sequence[int],
        bounds: tuple[float, float] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        self.tape, self.settings, self.at = tape, StepSettings(), 0
        _, self.copies, agents, size = tape["seen"].shape
        self.agents = tuple(names or (f"agent_{k}" for k in range(agents)))
        self.roles = tuple(name.partition("_")[0] for name in self.agents)
        self.seen_sizes = (size,) * agents
        low, high = bounds or (0.0, 0.0)
        self.actions = tuple(
            Actions(m, *(((low,) * m, (high,) * m) if bounds else ())) for m in sizes
        )
        self.state_size = agents * size
        parts = tape.get("components")
        if parts is not None:
            self.components = tuple(f"part_{k}" for k in range(parts.shape[-1]))
        self.references = References(None, None, "none")
        self.did: list[NDArray[Any]] = []

    def reset(self, seed: int | None = None) -> View:
        self.at = 0
        return self._view("seen", 0)

    def step(self, actions: NDArray[Any]) -> Step:
        self.did.append(np.array(actions))
        i, self.at = self.at, (self.at + 1) % len(self.tape["seen"])
        own, parts = self.tape["own"][i], self.tape.get("components")
        return Step(
            view=self._view("seen", self.at),
            reward=own,
            own=own,
            terminated=self.tape["terminated"][i],
            ended=self.tape["ended"][i],
            last=self._view("last" if "last" in self.tape else "seen", i),
            components=None if parts is None else parts[i],
        )

    def capture(self) -> Captured:
        return {"at": np.array(self.at)}, {}

    def restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> View:
        self.at = int(arrays["at"])
        return self._view("seen", self.at)

    def _view(self, name: str, i: int) -> View:
        seen, legal = self.tape[name][i], self.tape.get("legal")
        state = seen.reshape(self.copies, -1)
        return View(seen, state, self.tape["active"][i], None if legal is None else legal[i])


class GoesOnOnTape(SaysWhatIsOnTape):
    """A tape whose last view is the next view, but of the copies that ended."""

    def step(self, actions: NDArray[Any]) -> Step:
        done = super().step(actions)
        views = {}
        for name in ("seen", "state", "active", "legal"):
            last, after = getattr(done.last, name), getattr(done.view, name)
            if after is not None:
                ended = done.ended.reshape(-1, *[1] * (after.ndim - 1))
                views[name] = np.where(ended, last, after)
        return replace(done, last=replace(done.last, **views))


def random_tape(
    rng: np.random.Generator,
    *,
    steps: int = 12,
    copies: int = 3,
    agents: int = 2,
    size: int = 4,
    components: int = 1,
    turns: bool = False,
    leaving: bool = False,
    returning: bool = False,
    legal: int = 0,
) -> dict[str, NDArray[Any]]:
    """A tape of chance: episodes of random length, some cut off, some over for good.

    Args:
        rng: its chance.
        steps: N.
        copies: E.
        agents: A.
        size: D.
        components: K.
        turns: whether agents take turns.
        leaving: whether an agent may end for good, or be cut off, before the others.
        returning: whether an agent that left may be back later.
        legal: M, of which a random part is legal; 0 where all always are.
    """
    shape = (steps, copies, agents)
    ended = rng.random(shape[:2]) < 0.25
    for_good = rng.random(shape[:2]) < 0.5
    active = np.ones(shape, dtype=bool)
    terminated = np.repeat((ended & for_good)[..., None], agents, axis=2)
    gone, over = np.zeros((2, copies, agents), dtype=bool)
    for i in range(steps):
        if returning:
            back = gone & (rng.random((copies, agents)) < 0.3)
            gone, over = gone & ~back, over & ~back
            terminated[i - 1] &= ended[i - 1][:, None] | ~back
        if turns:
            active[i] = np.arange(agents) == i % agents
        active[i] &= ~gone
        if leaving:
            out = (rng.random((copies, agents)) < 0.2) & active[i]
            gone |= out
            over |= out & (rng.random((copies, agents)) < 0.5)
            ended[i] |= gone.all(axis=-1)
        terminated[i] |= over
        gone[ended[i]], over[ended[i]] = False, False
    tape = {
        "seen": rng.normal(size=(*shape, size)).astype(np.float32),
        "last": rng.normal(size=(*shape, size)).astype(np.float32),
        "active": active,
        "terminated": terminated,
        "ended": ended,
        "own": rng.normal(size=shape),
    }
    if components > 1:
        tape["components"] = rng.normal(size=(*shape, components))
        tape["own"] = tape["components"].sum(axis=-1)
    if legal:
        tape["legal"] = rng.random((*shape, legal)) < 0.5
        tape["legal"][..., 0] = True
    return tape


class PaysTheBetterArm(StepWorld):
    """Episodes of two steps, two arms: an agent is paid 1 for arm 1 and 0 for arm 0.

    With continuous actions, a number in [0, 2], it is paid the number. Agents see a constant.
    """

    name, summary, source = "arms", "pays the better of two arms", "ours"
    horizon = 2

    def __init__(
        self, copies: int = 64, *, continuous: bool = False, parts: bool = False, agents: int = 2
    ) -> None:
        self.settings, self.copies, self.continuous = StepSettings(), copies, continuous
        self.agents = tuple(f"agent_{k}" for k in range(agents))
        self.roles, self.seen_sizes = ("agent",) * agents, (2,) * agents
        self.actions = (Actions(1, (0.0,), (2.0,)) if continuous else Actions(2),) * agents
        self.state_size, self.time = 2, 0
        self.components = ("arm", "nothing") if parts else ("reward",)
        self.references = References(0.5 * 2 * agents, 1.0 * 2 * agents, "sum")

    def reset(self, seed: int | None = None) -> View:
        self.time = 0
        return self._view()

    def step(self, actions: NDArray[Any]) -> Step:
        own = np.asarray(actions, dtype=np.float64).reshape(self.copies, len(self.agents))
        self.time = (self.time + 1) % 2
        over = np.full(own.shape, self.time == 0)
        parts = np.stack([own, np.zeros_like(own)], axis=-1)
        return Step(
            view=self._view(),
            reward=own,
            own=own,
            terminated=over,
            ended=over[:, 0],
            last=self._view(),
            components=parts if len(self.components) > 1 else None,
        )

    def capture(self) -> Captured:
        return {"time": np.array(self.time)}, {}

    def restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> View:
        self.time = int(arrays["time"])
        return self._view()

    def _view(self) -> View:
        seen = np.ones((self.copies, len(self.agents), 2), dtype=np.float32)
        state = np.ones((self.copies, 2), dtype=np.float32)
        return View(seen, state, np.ones((self.copies, len(self.agents)), dtype=bool))


def small(**changes: Any) -> PolicySettings:
    """Settings of networks that are trained in no time."""
    given: dict[str, Any] = {"hidden": 8, "layers": 1, "copies": 8, "steps": 4}
    return PolicySettings(**{**given, **changes})


def played(world: StepWorld, team: Any, settings: PolicySettings, seed: int = 0) -> Batch:
    """One batch of `world`."""
    return RolloutCollector(world, settings, seed, probs=not world.actions[0].continuous).play(team)
