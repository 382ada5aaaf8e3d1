"""`Replay`: the latest steps of all copies, as transitions from decision to decision.

A decider is what a value is learned for: each agent (IQL), or the team (VDN, QMIX), which decides
wherever one of its agents does. A transition goes from a decision to the decider's next one. The
rewards in between are added up, and each decision is discounted once, as in `ppo/critics.py`.

Agents with memory learn from sequences: any steps of a copy that follow each other, with what its
agents remembered before the first of them when they played it (Kapturowski et al. 2019, R2D2,
"stored state"). Whole episodes would need a limit of their length, which not all worlds have.

Observations are kept as they are, not scaled: a scale moves, and each step is to be seen on that of
now. Axis letters: G deciders, A agents, R steps of the ring, E copies, N sequences of L steps each
(1 where nothing is remembered), H numbers of a memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from counterpoint.arrays import Bools, Floats, Ints, NamedArrays
from counterpoint.worlds.sequential.world import Singles, Step, StepWorld, View


@dataclass(frozen=True)
class Transitions:
    """N sequences of L transitions."""

    seen: Tensor
    """[A, N, L, D] observations at the decision."""
    action: Tensor
    """[A, N, L] actions."""
    acts: Tensor
    """[A, N, L] 1 where the agent decided."""
    reward: Tensor
    """[G, N, L] rewards until the next decision."""
    over: Tensor
    """[G, N, L] 1 where no decision follows, since the episode ended for good."""
    ready: Tensor
    """[G, N, L] 1 where the decider decided, and what came next is known."""
    after_seen: Tensor
    """[A, N, L, D] observations at the next decision, or the last ones of a truncated episode."""
    after_acts: Tensor
    """[A, N, L] 1 where the agent decides there."""
    after_legal: Tensor | None = None
    """[A, N, L, M] its legal actions there, at least one; None where they never change."""
    state: Tensor | None = None
    """[N, L, Z] the state at the decision; None where nothing reads it."""
    after_state: Tensor | None = None
    """[N, L, Z] the state at the next decision."""
    memory: Tensor | None = None
    """[A, N, H] what agents remember before the first step; None without memory."""
    keep: Tensor | None = None
    """[A, N, L] 0 where an episode starts, so that nothing is remembered; None without memory."""
    known_at: Tensor | None = None
    """[G, N, L] the step of the sequence after which what comes next is seen; None without
    memory."""

    def split(self, size: int) -> list[Transitions]:
        """Returns the transitions in parts of `size` sequences."""
        parts = {
            name: x.split(size, dim=0 if name.endswith("state") else 1)
            for name, x in vars(self).items()
            if x is not None
        }
        return [
            Transitions(**dict(zip(parts, part, strict=True)))
            for part in zip(*parts.values(), strict=True)
        ]


class Replay:
    """A ring of the latest R steps of E copies.

    Args:
        world: where they are played.
        size: how many steps are kept, all copies together; rounded down to whole steps of all.
        together: whether the team is the one decider; else each agent is one.
        stateful: whether states are kept.
        masked: whether legal actions change.
        memory: H; 0 without memory.
    """

    def __init__(
        self,
        world: StepWorld,
        size: int,
        *,
        together: bool,
        stateful: bool,
        masked: bool,
        memory: int = 0,
    ) -> None:
        a, e, self.together = len(world.agents), world.copies, together
        g, r = 1 if together else a, size // e
        d, m = max(world.seen_sizes), max(kind.size for kind in world.actions)
        single = np.float32
        self.arrays: dict[str, NDArray[Any]] = {
            "seen": np.zeros((a, r, e, d), single),
            "action": np.zeros((a, r, e), np.int64),
            "acts": np.zeros((a, r, e), single),
            "reward": np.zeros((g, r, e), single),
            "over": np.zeros((g, r, e), single),
            "ready": np.zeros((g, r, e), single),
            "after_seen": np.zeros((a, r, e, d), single),
            "after_acts": np.zeros((a, r, e), single),
        }
        if masked:
            self.arrays["after_legal"] = np.ones((a, r, e, m), bool)
        if stateful:
            self.arrays["state"] = np.zeros((r, e, world.state_size), single)
            self.arrays["after_state"] = np.zeros((r, e, world.state_size), single)
        if memory:
            self.arrays["memory"] = np.zeros((a, r, e, memory), single)
            self.arrays["keep"] = np.zeros((1, r, e), single)
            self.arrays["wait"] = np.zeros((g, r, e), np.int64)  # steps until what is next is known
        own = np.arange(m) < np.array([kind.size for kind in world.actions])[:, None]
        self.own = own[:, None]
        """[A, 1, M] which actions an agent ever has."""
        self.size, self.at, self.capacity = 0, 0, r
        """Number of steps held, the place of the next one, and R."""
        self.pending: Ints = np.full((g, e), -1)
        """[G, E] the place of the last decision, while what comes next is not known."""

    def add(
        self,
        view: View,
        action: Ints,
        step: Step,
        reward: Floats,
        memory: Singles | None = None,
        first: Bools | None = None,
    ) -> None:
        """Takes in one step of all copies.

        Args:
            view: what was seen before it.
            action: [E, A] actions.
            step: its result.
            reward: [G, E] the rewards of the deciders.
            memory: [A, E, H] what agents remembered before it.
            first: [E] whether it is the first step of an episode.
        """
        kept, t = self.arrays, self.at
        last, gone = step.last, step.terminated
        acts, after_acts = view.active, last.active & ~gone
        if self.together:
            # A truncated episode may show nobody who acts: those who acted last stand for them.
            silent = step.ended & ~after_acts.any(axis=1)
            after_acts = np.where(silent[:, None], acts & ~gone, after_acts)
            decides = np.any(acts, axis=1)[None]
            goes_on = np.any(last.active, axis=1)[None]
            left, over = step.ended[None], ~np.any(after_acts, axis=1)[None]
        else:
            decides, goes_on = acts.T, last.active.T
            left, over = (gone | step.ended[:, None]).T, gone.T
        kept["seen"][:, t] = view.seen.swapaxes(0, 1)
        kept["action"][:, t], kept["acts"][:, t] = action.T, acts.T
        kept["reward"][:, t], kept["ready"][:, t] = 0.0, 0.0
        if "state" in kept:
            kept["state"][t] = view.state
        if memory is not None and first is not None and "memory" in kept:
            kept["memory"][:, t], kept["keep"][:, t] = memory, ~first
        self.pending[self.pending == t] = -1  # the ring came round before its next decision
        self.pending[decides] = t
        open_ = self.pending >= 0
        g, e = np.nonzero(open_)
        kept["reward"][g, self.pending[g, e], e] += reward[g, e]
        closed = open_ & (left | goes_on)
        g, e = np.nonzero(closed)
        r = self.pending[g, e]
        self.pending[closed] = -1
        kept["ready"][g, r, e], kept["over"][g, r, e] = 1.0, over[g, e]
        if "wait" in kept:
            kept["wait"][g, r, e] = (t - r) % self.capacity
        who = slice(None) if self.together else g
        kept["after_seen"][who, r, e] = last.seen.swapaxes(0, 1)[who, e]
        kept["after_acts"][who, r, e] = after_acts.T[who, e]
        if "after_legal" in kept and last.legal is not None:
            legal = last.legal.swapaxes(0, 1)
            # An agent that was cut off may have no legal action left; its value needs one.
            legal = np.where(legal.any(axis=-1, keepdims=True), legal, self.own)
            kept["after_legal"][who, r, e] = legal[who, e]
        if "after_state" in kept:
            kept["after_state"][r, e] = last.state[e]
        self.at, self.size = (t + 1) % self.capacity, max(self.size, t + 1)

    def draw(self, count: int, rng: np.random.Generator, length: int = 1) -> Transitions:
        """Returns `count` sequences of `length` steps, drawn uniformly with replacement.

        They are shorter where fewer steps are held. With memory, a transition that reaches beyond
        its sequence is not ready in it: what is remembered where it ends is not known.
        """
        length, copies = min(length, self.size), self.pending.shape[1]
        starts = rng.integers((self.size - length + 1) * copies, size=count)
        step, copy = np.divmod(starts, copies)
        if length > 1:  # count from the oldest step on, so that no sequence runs over the seam
            step += self.at
        steps = (step[:, None] + np.arange(length)) % self.size
        which = torch.from_numpy((steps * copies + copy[:, None]).ravel())
        out = {}
        for name, array in self.arrays.items():
            x = torch.from_numpy(array)
            dim = 0 if name.endswith("state") else 1
            rows = which[::length] if name == "memory" else which
            picked = x.flatten(dim, dim + 1).index_select(dim, rows)
            out[name] = picked if name == "memory" else picked.unflatten(dim, (count, length))
        if "wait" in out:
            known_at = torch.arange(length) + out.pop("wait")
            out["ready"] = out["ready"] * (known_at < length)
            out["known_at"] = known_at.clamp(max=length - 1)
            out["keep"] = out["keep"].expand(len(out["memory"]), -1, -1)
        return Transitions(**out)

    def capture(self) -> NamedArrays:
        """Returns the steps held, by name."""
        held = {name: self._held(name).copy() for name in self.arrays}
        place = np.array([self.at, self.size])
        return held | {"pending": self.pending.copy(), "place": place}

    def restore(self, arrays: NamedArrays) -> None:
        """Resumes where `capture` was called."""
        self.at, self.size = (int(x) for x in arrays["place"])
        self.pending[...] = arrays["pending"]
        for name in self.arrays:
            self._held(name)[...] = arrays[name]

    def _held(self, name: str) -> NDArray[Any]:
        array = self.arrays[name]
        return array[: self.size] if name.endswith("state") else array[:, : self.size]
