"""`compare_topologies`: who hears whom x how members behave, and which of the two matters.

Every cell of the design plays the same items of every seed: topology x prompt, and every order of
those topologies that have more than one. Start with `TopologyPlan`.
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
from counterpoint.topology.catalogue import independent, make_topology, parse_topology
from counterpoint.topology.members import (
    TRAINED,
    Parameters,
    Seats,
    search_parameters,
    seats_of,
)
from counterpoint.topology.play import Guards, play
from counterpoint.topology.summary import SeedScores, summarize
from counterpoint.topology.topology import Topology, orders
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.message.world import MessageWorld
from counterpoint.worlds.registry import find_world

DEFAULT = ("solo", "independent", "best_of_n", "chain", "ring", "star", "tree", "complete",
           "debate", "blackboard", "planner_workers")  # fmt: skip
ITEMS, CHANCE = 0, 1
"""Random streams of a seed: the items, and everything else that is random."""


@dataclass(frozen=True)
class TopologyPlan:
    """What to compare.

    Names and numbers are checked here. What depends on the world itself (its settings, its prompts,
    its members) is checked when the world is made, before anything is played.

    Raises:
        UnknownNameError: no message environment, topology or option has that name.
        SettingError: a number is out of range, or two settings exclude each other.
    """

    world: str
    """Name of a message environment: see `find_world`."""
    topologies: tuple[str, ...] = DEFAULT
    """Topologies as `make_topology` takes them."""
    prompts: tuple[str, ...] = ()
    """Prompts of the world (empty takes all), and `trained`: searched for each topology."""
    seeds: int = 30
    """How many batches, each with items of its own."""
    items: int = 100
    """Items of a seed."""
    orders: int = 6
    """The most orders of a topology; 1 keeps the first."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Settings of the world."""
    guards: Guards = field(default_factory=Guards)
    """Rules of talk, in all topologies."""
    model: str | None = None
    """The model that reads and speaks for the members; None takes the world's own members."""
    base_url: str | None = None
    """The server that has the model; None takes a model of this machine."""

    def __post_init__(self) -> None:
        for name, least in (("seeds", 2), ("items", 1), ("orders", 1)):
            if getattr(self, name) < least:
                raise SettingError(f"got {name}={getattr(self, name)}; wanted at least {least}")
        if not self.topologies:
            raise SettingError("got no topologies; wanted at least one")
        if len(set(self.topologies)) < len(self.topologies):
            raise SettingError("got a topology twice; wanted each of them once")
        if TRAINED in self.prompts and self.model:
            raise SettingError("got trained members and a model; wanted one of them")
        if self.base_url and not self.model:
            raise SettingError("got a server and no model; wanted its name")
        find_world(self.world, Kind.MESSAGE)
        for name in self.topologies:
            parse_topology(name)


@dataclass(frozen=True)
class Design:
    """A world, and the cells that are played in it."""

    world: MessageWorld[Any]
    prompts: tuple[str, ...]
    """The prompts that are compared."""
    seatings: Mapping[str, tuple[Topology, ...]]
    """The orders of each topology that are compared; its own order comes first."""


def lay_out(plan: TopologyPlan) -> Design:
    """Returns the cells of a plan; makes its world.

    Raises:
        UnknownNameError: the world has no such setting or prompt.
        SettingError: a setting is out of range, or a topology does not fit the number of members.
        LogError: the file of tasks cannot be read.
    """
    world = find_world(plan.world, Kind.MESSAGE).make(plan.settings)
    known = [*world.prompts, *([TRAINED] if world.parameter_range else [])]
    for prompt in plan.prompts:
        if prompt not in known:
            raise UnknownNameError(f"got prompt '{prompt}'; wanted one of {', '.join(known)}")
    topologies = {name: make_topology(name, world.settings.members) for name in plan.topologies}
    seatings = {
        name: orders(topology, plan.orders, np.random.default_rng(0))
        for name, topology in topologies.items()
    }
    return Design(world, plan.prompts or tuple(world.prompts), seatings)


@dataclass(frozen=True)
class SeedTask:
    """All cells of one seed: a task for any executor."""

    plan: TopologyPlan
    seed: int
    parameters: Mapping[str, Parameters]

    def __call__(self, advance: Advance) -> SeedScores:
        plan, design = self.plan, lay_out(self.plan)
        world = design.world
        items = world.draw(np.random.default_rng([self.seed, ITEMS]), plan.items)
        seats = seats_of(world, plan.model, plan.base_url)
        scores, calls = {}, {}
        for t, (name, seatings) in enumerate(design.seatings.items()):
            cells = np.zeros((len(design.prompts), len(seatings)))
            for p, prompt in enumerate(design.prompts):
                for o, topology in enumerate(seatings):
                    # A stream for each cell: no cell changes if another is left out or added.
                    rng = np.random.default_rng([self.seed, CHANCE, t, p, o])
                    members = seats.members(prompt, self.parameters.get(name))
                    transcript = play(topology, items, plan.items, members, rng, guards=plan.guards)
                    won = world.score(items, transcript.answers) * transcript.answered
                    cells[p, o] = won.mean()
                    calls[name] = transcript.calls / plan.items
            scores[name] = cells
            advance()
        alone, single = self._references(design, items, seats)
        return SeedScores(scores, alone, single, calls)

    def _references(
        self, design: Design, items: Any, seats: Seats
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns [P, A, B] scores of the members alone, and [P] of one agent with everything."""
        world, count, size = design.world, self.plan.items, design.world.settings.members
        alone = np.zeros((len(design.prompts), size, count))
        single = np.zeros(len(design.prompts))
        parameters = self.parameters.get("independent", next(iter(self.parameters.values()), None))
        for p, prompt in enumerate(design.prompts):
            rng = np.random.default_rng([self.seed, CHANCE, len(self.plan.topologies), p])
            members = seats.members(prompt, parameters)
            for vote in play(independent(size), items, count, members, rng).votes:
                answered = vote.sure > -np.inf
                alone[p, vote.member] = world.score(items, vote.answers) * answered
            answers = seats.single(items, prompt, size, rng)
            single[p] = world.score(items, answers).mean()
        return alone, single


def compare_topologies(
    plan: TopologyPlan,
    *,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> TopologyResult:
    """Returns the scores of the whole design, and what explains them.

    Args:
        plan: what to compare.
        workers: processes; None starts one for each processor.
        on_progress: called with the number of finished cells and the total.

    Raises:
        CounterpointError: the plan does not fit its world, or the speaker cannot be used.
    """
    design = lay_out(plan)
    parameters: dict[str, Parameters] = {}
    if TRAINED in design.prompts:
        parameters = search_parameters(
            plan.world, plan.settings, plan.topologies, plan.guards, workers
        )
    total = plan.seeds * len(plan.topologies)
    seeds = run_tasks(
        [SeedTask(plan, seed, parameters) for seed in range(plan.seeds)],
        workers=1 if plan.model else workers,
        on_progress=None if on_progress is None else lambda done: on_progress(done, total),
    )
    world = design.world
    summary = summarize(design.seatings, design.prompts, seeds)
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
            for name in design.prompts
        },
        ways={name: list(one) for name, one in parameters.items()},
        scores=summary.scores,
        shares=summary.shares,
        why_no_shares=summary.why_no_shares,
        references=summary.references,
        best=summary.best,
        gap=summary.gap,
    )
