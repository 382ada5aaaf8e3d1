"""Members of `hidden_profile` that are not sound: one that echoes, one that idles, one that risks
nothing. Each keeps a sound member inside, and spoils what that one says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from counterpoint.worlds.message.hidden_profile import ScriptedMember
from counterpoint.worlds.message.world import Observation

PLANTED = ("echo", "idle", "cautious")
"""echo: repeats the message that it received last, and answers what was favoured last. idle: sends
nothing; after a nudge it sends in half of the items. cautious: sends only what all know anyway, and
answers what most others favour."""


@dataclass(frozen=True)
class Planted:
    """A member that is not sound."""

    kind: str
    sound: ScriptedMember

    def speak(self, items: Any, seen: Observation, rng: np.random.Generator) -> Any:
        message = self.sound.speak(items, seen, rng)
        if self.kind == "idle":
            return message * (rng.random((len(message), 1)) < 0.5) if seen.nudged else message * 0
        if self.kind == "echo":
            return seen.received[-1].content if seen.received else message
        message = message.copy()
        message[:, :-1] *= ~items.private
        return message

    def answer(self, items: Any, seen: Observation, rng: np.random.Generator) -> Any:
        own, sure = self.sound.answer(items, seen, rng)
        opinions = [h.content[:, -1] for h in seen.received if (h.content[:, -1] > 0).any()]
        if not opinions or self.kind == "idle":
            return own, sure
        if self.kind == "echo":
            return np.where(opinions[-1] > 0, opinions[-1] - 1, own), sure
        counts = np.stack([sum((o == k + 1).astype(int) for o in opinions)
                           for k in range(items.options)], axis=1)  # fmt: skip
        return np.where(counts.max(axis=1) > 0, counts.argmax(axis=1), own), sure
