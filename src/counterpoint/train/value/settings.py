"""`ValueSettings`: how a team that learns action values is built and trained.

The defaults run on two cores. A setting that means the same as one of `PolicySettings` has its
name.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Annotated, Literal

from counterpoint.errors import SettingError
from counterpoint.results.parts import Settings
from counterpoint.settings import CheckedSettings, Range

COPIES = {False: 64, True: 32}
"""Default number of copies, by whether the world is stepped in Python."""
BEFORE: Settings = {"memory": "none", "observations": "raw"}
"""The values of settings in runs that began before there was such a setting."""


@dataclass(frozen=True, kw_only=True)
class ValueSettings(CheckedSettings):
    """Settings of a training of action values.

    Raises:
        SettingError: a value out of its range.
    """

    parameters: Literal["shared", "per_role", "separate"] = "shared"
    """One network for all agents, one for each role, or one for each agent."""
    memory: Literal["none", "gru"] = "none"
    """Whether agents have memory: `gru` adds a recurrent cell after the last layer. Then sequences
    of `steps` steps are drawn from the replay, with what agents remembered before them."""
    observations: Literal["auto", "normalized", "raw"] = "auto"
    """Whether networks see numbers in units of their running mean and deviation: those without
    bounds within [-10, 10] (`auto`), all but choices (`normalized`), or none (`raw`)."""
    hidden: Annotated[int, Range(1, 4096)] = 64
    """Units of each hidden layer."""
    layers: Annotated[int, Range(1, 8)] = 2
    """Hidden layers."""
    activation: Literal["tanh", "relu"] = "relu"
    """Activation between the layers."""
    identity: bool = True
    """Whether agents that share a network see which of them they are."""
    mixing: Annotated[int, Range(1, 4096)] = 32
    """Units of QMIX's mixing network."""
    copies: Annotated[int, Range(0, 65536)] = 0
    """Number of copies of the world side by side; 0 takes 64, or 32 of a world that is stepped in
    Python."""
    steps: Annotated[int, Range(1, 65536)] = 25
    """Number of steps that each copy plays between updates."""
    replay: Annotated[int, Range(1, 10**9)] = 20_000
    """Number of steps, all copies together, that are kept to learn from: the latest ones."""
    batch: Annotated[int, Range(1, 65536)] = 128
    """Number of steps in each gradient step, drawn from the replay: single ones, or with memory as
    many whole sequences as they hold, at least one."""
    passes: Annotated[int, Range(1, 10**6)] = 50
    """Number of gradient steps in each update."""
    lr: Annotated[float, Range(0.0, 1e3)] = 5e-4
    """Learning rate of Adam."""
    gamma: Annotated[float, Range(0.0, 1.0)] = 0.95
    """Discount of rewards for each decision."""
    double: bool = True
    """Whether the present network chooses the next actions that the target network values (van
    Hasselt et al. 2016)."""
    tau: Annotated[float, Range(1e-9, 1.0)] = 0.01
    """Share of the way that the target network moves to the present one in each gradient step."""
    epsilon_start: Annotated[float, Range(0.0, 1.0)] = 1.0
    """Probability of a random action at the beginning."""
    epsilon_end: Annotated[float, Range(0.0, 1.0)] = 0.05
    """Probability of a random action at the end."""
    epsilon_anneal: Annotated[float, Range(0.0, 1.0)] = 0.5
    """Share of the budget along which that probability goes from one to the other."""
    max_norm: Annotated[float, Range(1e-9, 1e9)] = 1.0
    """Largest norm of each network's gradient."""
    value_norm: bool = True
    """Whether networks predict values in units of the running mean and deviation of discounted
    rewards."""

    images = "flat"
    """Networks take pictures as plain numbers."""
    device = "cpu"
    """Networks are on the processor."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.replay < self.copies:
            raise SettingError(
                f"got replay={self.replay}; wanted at least {self.copies}, one step of each copy"
            )

    def filled(self, *, python: bool) -> ValueSettings:
        """Returns the settings with the default in place of `copies` 0."""
        return replace(self, copies=self.copies or COPIES[python])

    @property
    def length(self) -> int:
        """The number of steps in a sequence that is drawn from the replay."""
        return self.steps if self.memory == "gru" else 1

    def epsilon(self, spent: float) -> float:
        """Returns the probability of a random action after a share `spent` of the budget."""
        share = 1.0 if spent >= self.epsilon_anneal else spent / self.epsilon_anneal
        return self.epsilon_start + share * (self.epsilon_end - self.epsilon_start)


VALUE = tuple(spec.name for spec in fields(ValueSettings))
