"""`Learning`: how players of a game learn, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from counterpoint.errors import SettingError
from counterpoint.settings import require

REMEDIES = ("none", "convention", "device", "cheap_talk", "other_play", "population")
"""What can be switched on: a convention that all teams know before they begin; a public signal that
players can condition on; a word that each says before anybody acts, at no cost; training as if
actions that are alike had been relabelled (Other-Play, Hu et al., ICML 2020); partners drawn from a
population."""
Remedy = Literal["none", "convention", "device", "cheap_talk", "other_play", "population"]
MOST_SIGNALS = 4096
"""What players may have heard before they act: words to the power of players."""


@dataclass(frozen=True, kw_only=True)
class Learning:
    """How players learn.

    Raises:
        SettingError: a number out of its range.
    """

    scheme: str = "happo_per_agent"
    """How rewards become advantages: a name of `counterpoint schemes`."""
    updates: int = 400
    """Steps, each on a batch of its own."""
    batch: int = 64
    """Plays of the game in a batch."""
    lr: float = 0.1
    """Step size of Adam on logits."""
    entropy: float = 0.0
    """Weight of the entropy bonus, in nats."""
    start: float = 1.0
    """Standard deviation of the logits in the beginning."""
    paid: Literal["own", "team"] = "own"
    """What a player is paid: its own payoff, or the mean of all."""
    remedy: Remedy = "none"
    """What is switched on against conventions that strangers do not share."""
    signals: int = 2
    """Of a device: how many different public signals there are; of cheap talk, words."""
    restarts: int | None = None
    """From how many starts each team learns, to keep what its own objective likes best; default 1,
    of Other-Play 32."""
    partners: int = 8
    """Of a population: how many there are to be drawn from, for each player."""

    def __post_init__(self) -> None:
        require("updates", self.updates, 1, 1_000_000)
        require("batch", self.batch, 2, 1_000_000)
        require("lr", self.lr, 0.0, 100.0)
        require("entropy", self.entropy, 0.0, 100.0)
        require("start", self.start, 0.0, 100.0)
        require("signals", self.signals, 1, 64)
        require("partners", self.partners, 2, 64)
        if self.restarts is not None:
            require("restarts", self.restarts, 1, 1000)
        if self.paid not in ("own", "team"):
            raise SettingError(f"got paid={self.paid!r}; wanted own or team")
        if self.remedy not in REMEDIES:
            raise SettingError(f"got remedy {self.remedy!r}; wanted one of {', '.join(REMEDIES)}")
