"""`compare_topologies`: who hears whom x how members behave, and which of the two matters.

Every cell of the design plays the same items of every seed: topology x prompt, and every order of
those topologies that have more than one. Start with `Plan`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint import __version__
from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.results.topology import TopologyResult
from counterpoint.runs.executor import run_tasks
from counterpoint.runs.task import Advance
from counterpoint.topology.catalogue import independent, make_topology
from counterpoint.topology.guards import Guards
from counterpoint.topology.members import TRAINED, Seats, Ways, seats_of, trained_ways
from counterpoint.topology.orders import orders
from counterpoint.topology.play import play
from counterpoint.topology.summary import Batch, summarize
from counterpoint.topology.topology import Topology
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.message.world import MessageWorld
from counterpoint.worlds.registry import find_world

DEFAULT = ("solo", "independent", "best_of_n", "chain", "ring", "star", "tree", "complete",
           "debate", "blackboard", "planner_workers")  # fmt: skip
ITEMS, CHANCE = 0, 1
"""Streams of a seed: what is played, and what happens."""


@dataclass(frozen=True)
class Plan:
    """What to compare.

    Raises:
        UnknownNameError, SettingError, LogError: something in it does not exist or does not fit.
    """

    world: str
    """Name of a message environment: see `find_world`."""
    topologies: tuple[str, ...] = DEFAULT
    """As `make_topology` takes them."""
    prompts: tuple[str, ...] = ()
    """Names of the world's prompts, and `trained`: ways that are searched for each topology. All of
    them if empty."""
    seeds: int = 30
    """How many batches, each with items of its own."""
    items: int = 100
    """Items of a seed."""
    orders: int = 6
    """Most orders of a topology; 1 keeps the first."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the world."""
    guards: Guards = field(default_factory=Guards)
    """Rules of talk, in all topologies."""
    model: str | None = None
    """Who reads and speaks for the members; None for the world's own members."""
    base_url: str | None = None
    """Of the server that has the model; None for one of this machine."""

    def __post_init__(self) -> None:
        for name, least in (("seeds", 2), ("items", 1), ("orders", 1)):
            if getattr(self, name) < least:
                raise SettingError(f"got {name}={getattr(self, name)}; wanted at least {least}")
        if not self.topologies:
            raise SettingError("got no topologies; wanted at least one")
        if len(set(self.topologies)) < len(self.topologies):
            raise SettingError("got a topology twice; wanted each of them once")
        world = self.make()
        for name in self.topologies:
            make_topology(name, world.settings.members)
        known = [*world.prompts, *([TRAINED] if world.parameter_range else [])]
        for prompt in self.prompts:
            if prompt not in known:
                raise UnknownNameError(f"got prompt '{prompt}'; wanted one of {', '.join(known)}")
        if TRAINED in self.prompts and self.model:
            raise SettingError("got trained members and a model; wanted one of them")
        if self.base_url and not self.model:
            raise SettingError("got a server and no model; wanted its name")

    def make(self) -> MessageWorld[Any]:
        """The world."""
        return find_world(self.world, Kind.MESSAGE).make(self.settings)

    def levels(self) -> tuple[str, ...]:
        """The prompts that are compared."""
        return self.prompts or tuple(self.make().prompts)

    def seatings(self, name: str) -> tuple[Topology, ...]:
        """The orders of one topology that are compared."""
        topology = make_topology(name, self.make().settings.members)
        return orders(topology, self.orders, np.random.default_rng(0))


@dataclass(frozen=True)
class SeedTask:
    """All cells of one seed: a task for any executor."""

    plan: Plan
    seed: int
    ways: Mapping[str, Ways]

    def __call__(self, advance: Advance) -> Batch:
        plan, world = self.plan, self.plan.make()
        items = world.draw(np.random.default_rng([self.seed, ITEMS]), plan.items)
        levels = plan.levels()
        seats = seats_of(world, plan.model, plan.base_url)
        scores, calls = {}, {}
        for t, name in enumerate(plan.topologies):
            seatings = plan.seatings(name)
            cells = np.zeros((len(levels), len(seatings)))
            for p, prompt in enumerate(levels):
                for o, topology in enumerate(seatings):
                    rng = np.random.default_rng([self.seed, CHANCE, t, p, o])
                    played = play(topology, items, plan.items,
                                  seats.members(prompt, self.ways.get(name)), rng,
                                  guards=plan.guards)  # fmt: skip
                    won = world.score(items, played.answers) * played.answered
                    cells[p, o] = won.mean()
                    calls[name] = played.calls / plan.items
            scores[name] = cells
            advance()
        alone, single = self._references(world, items, seats, levels)
        return Batch(scores, alone, single, calls)

    def _references(
        self, world: MessageWorld[Any], items: Any, seats: Seats, levels: tuple[str, ...]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        count, size = self.plan.items, world.settings.members
        alone = np.zeros((len(levels), size, count))
        single = np.zeros(len(levels))
        for p, prompt in enumerate(levels):
            rng = np.random.default_rng([self.seed, CHANCE, len(self.plan.topologies), p])
            ways = self.ways.get("independent", next(iter(self.ways.values()), None))
            members = seats.members(prompt, ways)
            votes = play(independent(size), items, count, members, rng).votes
            for vote in votes:
                gave = vote.sure > -np.inf
                alone[p, vote.member] = world.score(items, vote.answers) * gave
            single[p] = world.score(items, seats.single(items, prompt, ways, size, rng)).mean()
        return alone, single


def compare_topologies(
    plan: Plan,
    *,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> TopologyResult:
    """Returns the whole design, played and summed up.

    Args:
        plan: what to compare.
        workers: processes; None means one for each processor.
        on_progress: takes what is done, and of how much.

    Raises:
        CounterpointError: the speaker cannot be used.
    """
    ways: dict[str, Ways] = {}
    if TRAINED in plan.levels():
        ways = trained_ways(plan.world, plan.settings, plan.topologies, plan.guards, workers)
    total = plan.seeds * len(plan.topologies)
    batches = run_tasks(
        [SeedTask(plan, seed, ways) for seed in range(plan.seeds)],
        workers=1 if plan.model else workers,
        on_progress=None if on_progress is None else lambda done: on_progress(done, total),
    )
    world = plan.make()
    topologies = {name: make_topology(name, world.settings.members) for name in plan.topologies}
    counts = {name: len(plan.seatings(name)) for name in plan.topologies}
    summary = summarize(topologies, plan.levels(), batches, counts)
    return TopologyResult(
        version=__version__,
        world=plan.world,
        summary=world.summary,
        scale=world.scale,
        settings=asdict(world.settings),
        members=world.settings.members,
        seeds=plan.seeds,
        items=plan.items,
        model=plan.model,
        guards=asdict(plan.guards),
        prompts={
            name: world.prompts.get(name, "ways searched for each topology on items of their own")
            for name in plan.levels()
        },
        ways={name: list(one) for name, one in ways.items()},
        scores=summary.scores,
        shares=summary.shares,
        why_no_shares=summary.why_no_shares,
        references=summary.references,
        best=summary.best,
        gap=summary.gap,
    )
