"""`speaker_listener`: one agent knows where to go and cannot move, the other can and does not know.

A twin of mpe2's `simple_speaker_listener_v4`: same state and actions in, the same observations,
rewards and ends out, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.settings import Range
from counterpoint.worlds.sequential.particles import MOVES, acceleration, head_for, move
from counterpoint.worlds.sequential.twin import Twin
from counterpoint.worlds.sequential.world import Actions, StepSettings, View

LANDMARKS = 3
"""Places to go; the speaker has a word for each."""
BRIGHT, DARK = 0.65, 0.15
"""The speaker sees the goal's colour: this much in the goal's own place, and in the others."""


@dataclass(frozen=True, kw_only=True)
class SpeakerListenerSettings(StepSettings):
    """Settings of `speaker_listener`."""

    horizon: Annotated[int, Range(1, 1_000_000)] = 25
    """Steps of an episode."""
    continuous: bool = False
    """Whether an action is strengths in [0, 1]: three of words, or five of moves."""


class SpeakerListener(Twin):
    """A speaker that stands still, a listener that moves, three landmarks, one of them the goal.

    Both are paid minus the squared distance from the listener to the goal, in each step. The
    speaker sees the goal's colour, nothing else. The listener sees its velocity, where the
    landmarks are from it, and the word that was said in the step before. Episodes end for want of
    time only.
    """

    name = "speaker_listener"
    settings_type = SpeakerListenerSettings
    summary = "a speaker that cannot move names the goal to a listener that does not know it"
    source = "twin of mpe2 simple_speaker_listener_v4 (Lowe et al. 2017, arXiv:1706.02275)"
    settings: SpeakerListenerSettings
    scale = (
        "team sum: the reward, which both get, added over both and all steps (twice what either "
        "gets); reference: a scripted team"
    )
    measured = (-79.43, -14.91)  # 50,000 and 20,000 episodes: +- .58 and .22 (95%)

    def build(self) -> None:
        given, copies = self.settings, self.copies
        self.agents = ("speaker_0", "listener_0")
        self.roles = ("speaker", "listener")
        self.seen_sizes = (LANDMARKS, 2 + 2 * LANDMARKS + LANDMARKS)
        self.actions = tuple(
            Actions(size, *(((0.0,) * size, (1.0,) * size) if given.continuous else ()))
            for size in (LANDMARKS, MOVES)
        )
        self.state_size = sum(self.seen_sizes)
        self.horizon = given.horizon
        self.held |= {
            "position": np.zeros((2, copies)),
            "velocity": np.zeros((2, copies)),
            "landmarks": np.zeros((2, LANDMARKS, copies)),
            "goal": np.zeros(copies, dtype=np.int64),
            "message": np.zeros((LANDMARKS, copies)),
        }

    def begin(self, copies: Ints) -> None:
        places = self.rng.uniform(-1.0, 1.0, (len(copies), 1 + LANDMARKS, 2)).T
        self.held["position"][:, copies] = places[:, 0]
        self.held["landmarks"][..., copies] = places[:, 1:]
        self.held["goal"][copies] = self.rng.integers(LANDMARKS, size=len(copies))
        self.held["velocity"][:, copies] = 0.0
        self.held["message"][:, copies] = 0.0

    def advance(self, actions: NDArray[Any]) -> tuple[Floats, Bools]:
        position, continuous = self.held["position"], self.settings.continuous
        force = acceleration(actions[:, 1], continuous)
        move(position, self.held["velocity"], force)
        spoken, words = actions[:, 0], np.arange(LANDMARKS)[:, None]
        if continuous:
            strengths = spoken[:, :LANDMARKS].astype(np.float32)
            self.held["message"][...] = np.clip(strengths, 0.0, 1.0).T
        else:
            self.held["message"][...] = spoken == words
        away = position - self._goal()
        own = -(away[0] * away[0] + away[1] * away[1])
        return np.repeat(own[:, None], 2, axis=1), np.zeros(self.copies, dtype=bool)

    def view(self) -> View:
        here, e = self.held["position"], self.copies
        colour = np.full((LANDMARKS, e), DARK)
        colour[self.held["goal"], np.arange(e)] = BRIGHT
        landmarks = (self.held["landmarks"] - here[:, None]).swapaxes(0, 1).reshape(-1, e)
        drawn = np.concatenate([colour, self.held["velocity"], landmarks, self.held["message"]])
        state = np.ascontiguousarray(drawn.T, dtype=np.float32)
        seen = np.zeros((e, 2, max(self.seen_sizes)), dtype=np.float32)
        seen[:, 0, :LANDMARKS] = state[:, :LANDMARKS]
        seen[:, 1] = state[:, LANDMARKS:]
        return View(seen, state, np.ones((e, 2), dtype=bool))

    def scripted(self, rng: np.random.Generator) -> NDArray[Any]:
        """Returns the name of the goal for the speaker, and for the listener a move where the last
        word points, [E, 2]."""
        message = self.held["message"]
        target = (self.held["landmarks"] * message).sum(axis=1)
        target = np.where(message.any(axis=0), target, self.held["landmarks"].mean(axis=1))
        moves = head_for(target, self.held["position"], self.held["velocity"])
        return np.stack([self.held["goal"], moves], axis=1)

    def _goal(self) -> Floats:
        """Returns where the listener should be, [2, E]."""
        goal: Floats = self.held["landmarks"][:, self.held["goal"], np.arange(self.copies)]
        return goal
