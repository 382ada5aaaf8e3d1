"""`PolicySettings`: how a team of neural policies is built and trained. Defaults run on two cores.

Learning rate and entropy were swept once over the worlds that ship with Counterpoint: the table is
in docs/discussion/training-results.md. Settings of the world stand in the world's own class.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from counterpoint.errors import SettingError
from counterpoint.settings import require


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """What a training of neural policies can be told.

    Raises:
        SettingError: a value out of its range.
    """

    parameters: Literal["shared", "per_role", "separate"] = "shared"
    """One network for all agents, one for each role, or one for each agent."""
    critic: Literal["own", "central"] = "own"
    """What a critic sees: the agent's own observation (IPPO), or everything (MAPPO)."""
    memory: Literal["none", "gru"] = "none"
    """Whether policies and critics remember: `gru` puts a recurrent cell behind the last layer."""
    hidden: int = 64
    """Units of each hidden layer."""
    layers: int = 2
    """Hidden layers."""
    activation: Literal["tanh", "relu"] = "tanh"
    """Between the layers."""
    copies: int = 0
    """Copies of the world side by side; 0 takes 128, or 64 of a world that is stepped in Python."""
    steps: int = 0
    """Steps that each copy plays between updates; 0 takes 25, or 32 of a world in Python."""
    epochs: int = 0
    """Passes over each batch; 0 takes 4, or 3 of a world in Python."""
    minibatches: int = 0
    """Parts into which each pass shuffles the batch: its copies with memory, their single steps
    without; 0 takes 4, or 2 of a world in Python, or as many as there are."""
    lr: float = 1e-3
    """Learning rate of Adam."""
    anneal: bool = False
    """Whether the learning rate falls to zero along the budget."""
    gamma: float = 0.95
    """Discount of rewards, a step of the agent."""
    gae: float = 0.95
    """Lambda of generalized advantage estimation (Schulman et al. 2016)."""
    clip: float = 0.2
    """How far the ratio of probabilities may move in one update (PPO)."""
    entropy: float = 0.003
    """Weight of the entropy bonus, in nats."""
    value_weight: float = 1.0
    """Weight of the critic's squared error, in units of the returns' variance."""
    max_norm: float = 0.5
    """Largest norm of each network's gradient; above 0."""
    value_norm: bool = True
    """Whether critics predict returns in units of their running mean and deviation."""
    identity: bool = True
    """Whether agents that share a network see which of them they are."""
    level: Literal["auto", "reward", "component", "advantage"] = "auto"
    """What the credit scheme is applied to: rewards, the advantage estimate of each reward
    component, or the advantage estimate. `auto`: rewards for schemes with running memory,
    components for schemes that normalize them first, the advantage estimate for all others."""
    diagnose_every: int = 5
    """Updates between measurements of each agent's gradient; 0 never measures."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("hidden", 1, 4096), ("layers", 1, 8), ("copies", 0, 65536), ("steps", 0, 65536),
            ("epochs", 0, 1000), ("minibatches", 0, 4096), ("lr", 0.0, 1e3), ("gamma", 0.0, 1.0),
            ("gae", 0.0, 1.0), ("clip", 0.0, 1e6), ("entropy", 0.0, 1e6),
            ("value_weight", 0.0, 1e6), ("max_norm", 0.0, 1e9), ("diagnose_every", 0, 1_000_000),
        ):  # fmt: skip
            require(name, getattr(self, name), low, high)
        if self.max_norm == 0:
            raise SettingError("got max_norm=0, with which nothing is learned; wanted more than 0")
        if self.copies and self.steps and self.minibatches > self.sequences:
            what = "copies, since memory=gru" if self.memory == "gru" else "steps of all copies"
            raise SettingError(
                f"got minibatches={self.minibatches}; wanted at most {self.sequences}, the {what}"
            )
        for name, wanted in CHOICES.items():
            if getattr(self, name) not in wanted:
                raise SettingError(
                    f"got {name}={getattr(self, name)!r}; wanted one of {', '.join(wanted)}"
                )

    def filled(self, *, python: bool) -> PolicySettings:
        """The settings with every 0 that stands for a default replaced by it."""
        kind = DEFAULTS[python]
        told = {n: getattr(self, n) or value for n, value in kind.items()}
        if not self.minibatches:
            sequences = replace(self, copies=told["copies"], steps=told["steps"]).sequences
            told["minibatches"] = min(told["minibatches"], sequences)
        return replace(self, **told)

    @property
    def sequences(self) -> int:
        """What each pass shuffles: copies with memory, their single steps without."""
        return self.copies if self.memory == "gru" else self.copies * self.steps


DEFAULTS: dict[bool, dict[str, Any]] = {
    False: {"copies": 128, "steps": 25, "epochs": 4, "minibatches": 4},
    True: {"copies": 64, "steps": 32, "epochs": 3, "minibatches": 2},
}
"""By whether the world is stepped in Python: there, stepping is what costs, and learning is kept
under a third of it."""

CHOICES = {
    "parameters": ("shared", "per_role", "separate"),
    "critic": ("own", "central"),
    "memory": ("none", "gru"),
    "activation": ("tanh", "relu"),
    "level": ("auto", "reward", "component", "advantage"),
}
