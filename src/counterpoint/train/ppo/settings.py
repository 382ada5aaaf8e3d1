"""`PolicySettings`: how a team of neural policies is built and trained, and how to split settings.

The defaults run on two cores. Learning rate and entropy were swept once over the worlds that ship
with Counterpoint: bench/tune.py prints the table. The world's own settings are
in the class of the world; `split_settings` tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, NamedTuple, TypeVar

from counterpoint.errors import SettingError, UnknownNameError, choices, nearest
from counterpoint.results.parts import Settings
from counterpoint.settings import require, require_choices, settings_from
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import worlds
from counterpoint.worlds.sequential.pictures import PreparedPictures, blocks_of, layout
from counterpoint.worlds.sequential.world import SequentialEntry, StepSettings, StepWorld


class BatchSizes(NamedTuple):
    """The size of a batch, and how the update learns from it."""

    copies: int
    steps: int
    epochs: int
    minibatches: int


DEFAULTS = {False: BatchSizes(128, 25, 4, 4), True: BatchSizes(64, 32, 3, 2)}
"""Batch sizes, by whether the world is stepped in Python. There stepping takes most of the time,
and learning takes less than a third of it."""
BUDGET, PYTHON_BUDGET = 100_000, 20_000
"""Steps of a training in a world in NumPy, and in one that is stepped in Python."""
MEASUREMENTS = 40
"""Measurements of gradients that a short training should have: the first verdict on collapse comes
with the tenth."""


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """Settings of a training of neural policies.

    Raises:
        SettingError: a value out of its range.
    """

    parameters: Literal["shared", "per_role", "separate"] = "shared"
    """One network for all agents, one for each role, or one for each agent. Agents that choose
    never share one with agents that give numbers."""
    update: Literal["simultaneous", "sequential"] = "simultaneous"
    """Whether all agents take each gradient step together, or one agent after the other learns from
    the batch, in random order (HAPPO). `sequential` needs `parameters=separate`."""
    critic: Literal["own", "central"] = "own"
    """The observation of a critic: the agent's own observation (IPPO), or the whole state
    (MAPPO)."""
    memory: Literal["none", "gru"] = "none"
    """Whether policies and critics have memory: `gru` adds a recurrent cell after the last
    layer."""
    observations: Literal["auto", "normalized", "raw"] = "auto"
    """Whether networks see numbers in units of their running mean and deviation: those without
    bounds within [-10, 10] (`auto`), all but choices (`normalized`), or none (`raw`)."""
    images: Literal["auto", "flat"] = "auto"
    """Whether convolutions see a picture first that is a part of the observation (`auto`), or
    layers see its plain numbers (`flat`)."""
    grayscale: bool = False
    """Whether pictures in colour become grey."""
    resize: int = 84
    """Longest side of a picture in pixels: a longer one becomes the means of its square blocks; 0
    leaves all as they are."""
    frames: int = 1
    """Number of pictures, that of now and those of the steps before, that agents see together."""
    hidden: int = 64
    """Units of each hidden layer."""
    layers: int = 2
    """Hidden layers."""
    activation: Literal["tanh", "relu"] = "tanh"
    """Activation between the layers."""
    copies: int = 0
    """Number of copies of the world side by side; 0 takes 128, or 64 of a world that is stepped in
    Python. `TrainPlan.of` halves this default until the budget has at least 30 updates."""
    steps: int = 0
    """Number of steps that each copy plays between updates; 0 takes 25, or 32 of a world in
    Python."""
    epochs: int = 0
    """Number of passes over each batch; 0 takes 4, or 3 of a world in Python."""
    minibatches: int = 0
    """Number of minibatches into which each pass shuffles the batch: its copies with memory, their
    single steps without; 0 takes 4, or 2 of a world in Python, or as many as there are."""
    lr: float = 1e-3
    """Learning rate of Adam."""
    anneal: bool = False
    """Whether the learning rate falls to zero along the budget."""
    gamma: float = 0.95
    """Discount of rewards for each decision of the agent. A plan that is made by name takes 1 -
    1.25 / H in episodes of at most H steps, within [0.95, 0.995], and 0.99 in a game that a side
    wins, loses or draws."""
    gae: float = 0.95
    """Lambda of generalized advantage estimation (Schulman et al. 2016)."""
    clip: float = 0.2
    """Clip range of the ratio of probabilities (PPO)."""
    entropy: float = 0.003
    """Weight of the entropy bonus, in nats."""
    entropy_end: float | None = None
    """Weight of the entropy bonus at the end of the budget, which it reaches linearly; none keeps
    it constant."""
    signalling: float = 0.0
    """Weight of the bonus for speakers whose words tell what they see, in nats."""
    value_weight: float = 1.0
    """Weight of the critic's squared error, in units of the returns' variance."""
    max_norm: float = 0.5
    """Largest norm of each network's gradient; above 0."""
    value_norm: bool = True
    """Whether critics predict returns in units of their running mean and deviation."""
    identity: bool = True
    """Whether agents that share a network see which of them they are."""
    level: Literal["auto", "reward", "component", "advantage"] = "auto"
    """The quantity that the credit scheme normalizes: rewards, the advantage estimate of each
    reward component, or the advantage estimate. `auto`: rewards for schemes with running memory,
    components for schemes that normalize them first, the advantage estimate for all others."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "cpu"
    """Where networks are: `auto` takes a GPU if there is one. Worlds and credit stay on the
    processor."""
    diagnose_every: int = 5
    """Updates between measurements of each agent's gradient; 0 never measures."""
    evaluate_every: int = 0
    """Updates between evaluations with greedy actions; 0 never evaluates. A plan that is made by
    name takes as many as make evaluations cost 3% of the time at most."""
    sides: str = "none"
    """Who plays against whom: `none` (one team), `agents`, `roles`, or sides such as
    `adversary/agent`, `a+b/c+d`. A plan that is made by name, or with `auto`, takes those that
    random play and the names of agents show."""
    scoring: Literal["match", "game"] = "match"
    """What is won: a `game` (the side with the highest return wins the episode), or a `match` (one
    game on each side from the same start; the larger sum of returns wins). A plan that is made by
    name takes `game` where two sides win, lose or draw."""
    pool_share: float = 1.0
    """Share of the copies in which a past self plays against the present policies; 0 for none."""
    pool_first: float = 0.5
    """Share of these episodes in which it is the first self, which is untrained and acts nearly at
    random; in the others it is drawn as `opponents` says."""
    pool_every: int = 5
    """Updates between two past selves that enter the pool."""
    pool_size: int = 8
    """Most past selves at once. When they are as many, every second one is forgotten, and later
    ones enter half as often."""
    opponents: Literal["uniform", "hardest"] = "uniform"
    """Which past self plays: each as often as any other, or those more often that won lately."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("frames", 1, 64), ("resize", 0, 65536), ("hidden", 1, 4096), ("layers", 1, 8),
            ("copies", 0, 65536), ("steps", 0, 65536), ("epochs", 0, 1000),
            ("minibatches", 0, 4096),
            ("lr", 0.0, 1e3), ("gamma", 0.0, 1.0), ("gae", 0.0, 1.0), ("clip", 0.0, 1e6),
            ("entropy", 0.0, 1e6), ("signalling", 0.0, 1e6),
            ("value_weight", 0.0, 1e6), ("max_norm", 0.0, 1e9), ("diagnose_every", 0, 1_000_000),
            ("evaluate_every", 0, 1_000_000), ("pool_share", 0.0, 1.0),
            ("pool_first", 0.0, 1.0),
            ("pool_every", 1, 1_000_000), ("pool_size", 2, 256),
        ):  # fmt: skip
            require(name, getattr(self, name), low, high)
        if self.max_norm == 0:
            raise SettingError("got max_norm=0, with which nothing is learned; wanted more than 0")
        if self.copies and self.steps and self.minibatches > self.sequences:
            what = "copies, since memory=gru" if self.memory == "gru" else "steps of all copies"
            raise SettingError(
                f"got minibatches={self.minibatches}; wanted at most {self.sequences}, the {what}"
            )
        if self.entropy_end is not None:
            require("entropy_end", self.entropy_end, 0.0, 1e6)
        require_choices(self)
        if self.update == "sequential" and self.parameters != "separate":
            raise SettingError(
                f"got update=sequential with parameters={self.parameters}; wanted "
                "parameters=separate: a step of one agent would change the others' policies too"
            )

    def filled(self, *, python: bool) -> PolicySettings:
        """Returns the settings with every 0 that stands for a default replaced by it."""
        usual = DEFAULTS[python]
        sized = replace(
            self,
            copies=self.copies or usual.copies,
            steps=self.steps or usual.steps,
            epochs=self.epochs or usual.epochs,
        )
        minibatches = self.minibatches or min(usual.minibatches, sized.sequences)
        return replace(sized, minibatches=minibatches)

    @property
    def sequences(self) -> int:
        """The number of rows that each pass shuffles: copies with memory, their single steps
        without."""
        return self.copies if self.memory == "gru" else self.copies * self.steps


BEFORE: Settings = {
    "observations": "raw", "images": "flat", "resize": 0, "sides": "none", "pool_first": 0.0,
}  # fmt: skip
"""The values of settings in runs that began before there was such a setting."""
OF_SIDES = ("scoring", "pool_share", "pool_first", "pool_every", "pool_size", "opponents")
"""Settings that change nothing where all agents are one team."""
TeamSettings = TypeVar("TeamSettings")

POLICY = tuple(spec.name for spec in fields(PolicySettings))


def split_settings(
    entry: SequentialEntry,
    given: Settings,
    learned: type[TeamSettings],
    learner: str = "its policies",
) -> tuple[Settings, TeamSettings]:
    """Returns the settings of a sequential environment, and those of the team that learns in it.

    No field of an environment of ours is called like one of a team. Of a foreign one every other
    name is an argument of its constructor, which says itself what it does not know.

    Args:
        entry: the environment.
        given: name to value; text is converted to the type of the team's field.
        learned: the type of the team's settings: `PolicySettings` or `ValueSettings`.
        learner: what has these settings, in words.

    Raises:
        UnknownNameError: neither the environment nor the learner has a setting of that name.
        SettingError: a value of a wrong type or out of range.
    """
    names = [spec.name for spec in fields(learned)]  # type: ignore[arg-type]
    team = {name: value for name, value in given.items() if name in names}
    rest = {name: value for name, value in given.items() if name not in names}
    own = [spec.name for spec in fields(entry.settings_type)]
    unknown = sorted(set(rest) - set(own))
    if unknown and not entry.takes_arguments:
        raise UnknownNameError(
            f"got setting {', '.join(unknown)}, unknown to world '{entry.name}' and to {learner}"
            f"{choices(unknown[0], [*own, *names])}"
        )
    return rest, settings_from(team, learned, entry.name)


def note_clashes(entry: SequentialEntry, given: Settings, own: Settings) -> tuple[str, ...]:
    """Returns a sentence about settings that the constructor of the environment knows as well.

    Args:
        entry: the environment.
        given: all settings that were given.
        own: those of them that went to the environment.
    """
    taken = sorted((given.keys() - own.keys()) & entry.argument_names())
    if not taken:
        return ()
    return (
        f"{', '.join(f'{name}={given[name]}' for name in taken)} went to the training, and not to "
        f"the constructor of {entry.name}, which has an argument of that name: to set it, name a "
        "function that takes it under another name and makes the environment",
    )


def make_with_hints(entry: SequentialEntry, own: Settings, names: Sequence[str]) -> StepWorld:
    """Returns the environment; a setting that a foreign one refuses may be one of `names`, those of
    the policies.

    Raises:
        CounterpointError: as `SequentialEntry.make`.
    """
    try:
        return entry.make(own)
    except SettingError as error:
        ours = {spec.name for spec in fields(StepSettings)}
        near = [one for name in own if name not in ours for one in nearest(name, names)]
        hint = f"; did you mean {near[0]}, a setting of the policies?" if near else ""
        raise SettingError(f"{error}{hint}") from error


def prepared(world: StepWorld, settings: PolicySettings) -> StepWorld:
    """Returns the environment with its pictures as the policies see them.

    Raises:
        SettingError: agents see no picture that could be changed.
    """
    grayscale, frames, resize = settings.grayscale, settings.frames, settings.resize
    parts = [part for parts in world.seen_parts for part in parts if part.image]
    if frames == 1 and not grayscale and all(blocks_of(part, resize) == 1 for part in parts):
        return world
    return PreparedPictures(world, grayscale, frames, resize)


def shrinking(shown: StepWorld, world: StepWorld) -> tuple[str, ...]:
    """Returns a sentence about pictures that policies see smaller than the environment has them.

    Args:
        shown: the environment itself.
        world: the same with its pictures as the policies see them.
    """
    pairs = {
        (layout(old)[:2], layout(new)[:2])
        for before, after in zip(shown.seen_parts, world.seen_parts, strict=True)
        for old, new in zip(before, after, strict=True)
        if old.image and layout(old)[:2] != layout(new)[:2]
    }
    if not pairs:
        return ()
    sizes = ", ".join(f"{a} x {b} become {c} x {d}" for (a, b), (c, d) in sorted(pairs))
    return (f"pictures of {sizes} pixels, means of square blocks; resize=0 keeps them",)


def refuse_model(world: str, model: str | None) -> None:
    """Raises SettingError if a language model is named for a world whose agents do not speak."""
    if model is not None:
        raise SettingError(
            f"got policy '{model}' for world '{world}', whose agents do not speak; wanted one of "
            f"{', '.join(entry.name for entry in worlds(Kind.TEXT))}, or no --policy"
        )
