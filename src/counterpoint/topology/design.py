"""`compare_topologies`: who hears whom x how members behave, and which of the two matters.

Every cell of the design plays the same items of every seed: topology x prompt, and every order of
those topologies that have more than one. Start with `TopologyPlan`.

search.py finds the best cell at a fixed budget of items.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np

from counterpoint import __version__
from counterpoint.arrays import Floats
from counterpoint.errors import (
    ServerError,
    SettingError,
    StatisticsError,
    UnknownNameError,
    choices,
)
from counterpoint.results.topology import (
    REFERENCES,
    BestCell,
    MeasuredTopology,
    SeedEstimate,
    TopologyPart,
    TopologyResult,
    TopologyScore,
    VarianceShare,
)
from counterpoint.runs.executor import run_tasks
from counterpoint.runs.task import Advance
from counterpoint.settings import MOST_SEEDS, require
from counterpoint.speakers.named import open_speaker
from counterpoint.speakers.speaker import Speaker
from counterpoint.stats import bootstrap_interval, means, variance_shares
from counterpoint.stats.estimate import Estimate
from counterpoint.topology.catalogue import independent, make_topology, parse_topology
from counterpoint.topology.members import TRAINED, Parameters, ParameterSearch, Seats
from counterpoint.topology.play import Guards, Meter, play
from counterpoint.topology.together import play_together
from counterpoint.topology.topology import Topology, measures, orders
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.message.world import MessageWorld
from counterpoint.worlds.registry import find_world

DEFAULT = ("solo", "independent", "best_of_n", "chain", "ring", "star", "tree", "complete",
           "debate", "blackboard", "planner_workers")  # fmt: skip
ITEMS, CHANCE = 0, 1
"""Random streams of a seed: the items, and everything else that is random."""


MOST_ITEMS = 1_000_000
"""Items of a batch: what members know of them is held in memory."""


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
        for name, least, most in (
            ("seeds", 2, MOST_SEEDS), ("items", 1, MOST_ITEMS), ("orders", 1, MOST_SEEDS)
        ):  # fmt: skip
            require(name, getattr(self, name), least, most)
        if not self.topologies:
            raise SettingError("got no topologies; wanted at least one")
        if len(set(self.topologies)) < len(self.topologies):
            raise SettingError("got a topology twice; wanted each of them once")
        if len(set(self.prompts)) < len(self.prompts):
            raise SettingError("got a prompt twice; wanted each of them once")
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

    plan: TopologyPlan
    world: MessageWorld[Any]
    prompts: tuple[str, ...]
    """The prompts that are compared."""
    seatings: Mapping[str, tuple[Topology, ...]]
    """The orders of each topology that are compared; its own order comes first."""

    @property
    def cells(self) -> list[tuple[str, int, int, int]]:
        """Returns the name of each topology, its number, and those of a prompt and an order."""
        return [
            (name, t, p, o)
            for t, (name, seatings) in enumerate(self.seatings.items())
            for p in range(len(self.prompts))
            for o in range(len(seatings))
        ]

    def speaker(self) -> Speaker | None:
        """Returns the model of the plan, if it has one.

        Raises:
            CounterpointError: `open_speaker` raises it.
        """
        model, base_url = self.plan.model, self.plan.base_url
        return None if model is None else open_speaker(model, base_url)

    def seats(self) -> Seats:
        """Returns who sits in the teams: the world's own members, or the model of the plan.

        Raises:
            CounterpointError: `open_speaker` raises it.
        """
        return Seats(self.world, self.speaker())

    def trained(self, workers: int | None) -> dict[str, Parameters]:
        """Returns the parameters that are searched for each topology, if a prompt wants them."""
        if TRAINED not in self.prompts:
            return {}
        plan = self.plan
        tasks = [ParameterSearch(plan.world, plan.settings, name, plan.guards)
                 for name in plan.topologies]  # fmt: skip
        return dict(zip(plan.topologies, run_tasks(tasks, workers=workers), strict=True))


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
            raise UnknownNameError(f"got prompt '{prompt}'{choices(prompt, known)}")
    topologies = {name: make_topology(name, world.settings.members) for name in plan.topologies}
    seatings = {
        name: orders(topology, plan.orders, np.random.default_rng(0))
        for name, topology in topologies.items()
    }
    return Design(plan, world, plan.prompts or tuple(world.prompts), seatings)


@dataclass(frozen=True)
class SeedTask:
    """All cells of one seed: a task for any executor."""

    plan: TopologyPlan
    seed: int
    parameters: Mapping[str, Parameters]

    def __call__(self, advance: Advance) -> SeedScores:
        design = lay_out(self.plan)
        items = design.world.draw(np.random.default_rng([self.seed, ITEMS]), self.plan.items)
        plays: list[Play] = [partial(self._cell, design, items, *cell) for cell in design.cells]
        plays += [partial(self._alone, design, items, p) for p in range(len(design.prompts))]
        speaker = design.speaker()
        if speaker is None:
            played = []
            for each in plays:
                played.append(each(None))
                advance()
        else:
            played = play_together(speaker, plays, advance)
        scores = {
            name: np.zeros((len(design.prompts), len(one))) for name, one in design.seatings.items()
        }
        calls = {}
        for (name, _, p, o), one in zip(design.cells, played, strict=False):
            scores[name][p, o], calls[name] = one.scores.mean(), one.calls / self.plan.items
        against = played[len(design.cells) :]
        return SeedScores(
            scores,
            np.stack([one.scores for one in against]),
            np.array([one.single for one in against]),
            calls,
            sum(one.meter.asked for one in played),
            tuple(error for one in played for error in one.meter.errors),
        )

    def _cell(
        self, design: Design, items: Any, name: str, t: int, p: int, o: int,
        speaker: Speaker | None,
    ) -> Played:  # fmt: skip
        """Plays one order of a topology under one prompt."""
        # A stream for each cell: no cell changes if another is left out or added.
        rng = np.random.default_rng([self.seed, CHANCE, t, p, o])
        seats = Seats(design.world, speaker)
        members = seats.members(design.prompts[p], self.parameters.get(name))
        topology, count = design.seatings[name][o], self.plan.items
        transcript = play(topology, items, count, members, rng, guards=self.plan.guards)
        won = design.world.score(items, transcript.answers) * transcript.answered
        return Played(won, transcript.calls, seats.meter)

    def _alone(self, design: Design, items: Any, p: int, speaker: Speaker | None) -> Played:
        """Plays what a prompt is measured against: each member alone, and one with everything."""
        world, count, size = design.world, self.plan.items, design.world.settings.members
        prompt, seats = design.prompts[p], Seats(world, speaker)
        parameters = self.parameters.get("independent", next(iter(self.parameters.values()), None))
        rng = np.random.default_rng([self.seed, CHANCE, len(self.plan.topologies), p])
        scores = np.zeros((size, count))
        members = seats.members(prompt, parameters)
        for vote in play(independent(size), items, count, members, rng).votes:
            scores[vote.member] = world.score(items, vote.answers) * (vote.sure > -np.inf)
        answers = seats.single(items, prompt, size, rng)
        return Played(scores, 0, seats.meter, float(world.score(items, answers).mean()))


@dataclass(frozen=True)
class Played:
    """What one cell, or what it is measured against, got on the items of a seed."""

    scores: Floats
    """[B], or [A, B] of each member alone."""
    calls: int
    """Calls of all items."""
    meter: Meter
    single: float = 0.0
    """Mean score of one agent that has everything."""


Play = Callable[[Speaker | None], Played]


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
        ServerError: the speaker gives no reply, or refuses all of them.
        CounterpointError: the plan does not fit its world, or the speaker cannot be used.
    """
    design = lay_out(plan)
    parameters = design.trained(workers)
    total = plan.seeds * (len(design.cells) + len(design.prompts))
    seeds = run_tasks(
        [SeedTask(plan, seed, parameters) for seed in range(plan.seeds)],
        workers=1 if plan.model else workers,
        on_progress=None if on_progress is None else lambda done: on_progress(done, total),
    )
    world = design.world
    errors = [error for one in seeds for error in one.errors]
    demand_replies(errors, sum(one.asked for one in seeds))
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
        lost=len(errors),
        why_lost=errors[0] if errors else "",
    )


@dataclass(frozen=True)
class SeedScores:
    """The scores of one seed."""

    scores: dict[str, Floats]
    """Topology to [P, O] mean score."""
    members: Floats
    """[P, A, B] score of each member that works alone with its share of the budget."""
    single: Floats
    """[P] mean score of one agent that has everything the team has."""
    calls: dict[str, float]
    """Topology to calls for each item."""
    asked: int = 0
    """Number of requests to the model."""
    errors: tuple[str, ...] = ()
    """Why requests got no reply."""


@dataclass(frozen=True)
class Summary:
    """The numbers of a comparison, as `TopologyResult` has them."""

    scores: dict[str, TopologyScore]
    shares: dict[str, VarianceShare] | None
    why_no_shares: str | None
    references: dict[str, SeedEstimate]
    best: BestCell
    gap: dict[str, SeedEstimate]


def summarize(
    seatings: Mapping[str, Sequence[Topology]],
    prompts: Sequence[str],
    seeds: Sequence[SeedScores],
) -> Summary:
    """Returns the numbers of a comparison.

    Args:
        seatings: the orders of each topology that were played; its own order comes first.
        prompts: the prompts that were played.
        seeds: the scores of each seed.
    """
    rng = np.random.default_rng(0)
    cells = {name: np.stack([one.scores[name] for one in seeds], axis=2) for name in seatings}
    against = references(seeds)
    scores = {}
    for name, (topology, *others) in seatings.items():
        cell = cells[name]
        whole = bootstrap_interval(cell.mean(axis=(0, 1)), rng=rng)
        scores[name] = TopologyScore(
            iqm=whole.value, value=whole.value, low=whole.low, high=whole.high, n=whole.n,
            by_prompt={
                prompt: _over_seeds(bootstrap_interval(cell[p].mean(axis=0), rng=rng))
                for p, prompt in enumerate(prompts)
            },
            orders=1 + len(others),
            order_scores=[float(one) for one in cell.mean(axis=(0, 2))],
            calls=seeds[0].calls[name],
            shape=MeasuredTopology(**asdict(measures(topology)),
                                   topology=TopologyPart(**asdict(topology))),
            gap={reference: _difference(cell.mean(axis=1).T, against[reference], rng)
                 for reference in REFERENCES},
        )  # fmt: skip
    shares, why = None, None
    try:
        shares = {
            name: VarianceShare(value=one.share.value, low=one.share.low, high=one.share.high,
                                chance=one.chance)
            for name, one in variance_shares(list(cells.values()), rng).items()
        }  # fmt: skip
    except StatisticsError as error:
        why = str(error)
    levels = {
        name: _over_seeds(bootstrap_interval(against[name].mean(axis=1), rng=rng))
        for name in REFERENCES
    }
    best, gap = _best(cells, prompts, against, rng)
    return Summary(scores, shares, why, levels, best, gap)


def references(seeds: Sequence[SeedScores]) -> dict[str, Floats]:
    """Returns name to [S, P]: what a team is measured against in each seed."""
    alone = np.stack([one.members for one in seeds])  # [S, P, A, B]
    # Who looks best on some items is best partly by chance: it is chosen on one half of the items
    # and measured on the other.
    half = alone.shape[3] // 2
    first, second = alone[..., :half], alone[..., half:]
    if half == 0:
        best = alone.mean(axis=3).max(axis=2)
    else:
        parts = [
            np.take_along_axis(
                there.mean(axis=3), here.mean(axis=3).argmax(axis=2)[..., None], axis=2
            )[..., 0] * there.shape[3]
            for here, there in ((first, second), (second, first))
        ]  # fmt: skip
        best = sum(parts) / alone.shape[3]
    return {
        "mean": alone.mean(axis=(2, 3)),
        "best_member": best,
        "oracle": alone.max(axis=2).mean(axis=2),
        "single_agent": np.stack([one.single for one in seeds]),
    }


def _best(
    cells: Mapping[str, Floats],
    prompts: Sequence[str],
    against: Mapping[str, Floats],
    rng: np.random.Generator,
) -> tuple[BestCell, dict[str, SeedEstimate]]:
    """Returns the best cell, chosen on half of the seeds, measured on the other; and gaps."""
    names = [(t, p) for t in cells for p in range(len(prompts))]
    scores = np.stack([cells[t][p].mean(axis=0) for t, p in names])  # [cells, S]
    seeds = scores.shape[1]
    halves = (np.arange(seeds) % 2 == 0, np.arange(seeds) % 2 == 1)
    team, other = np.zeros(seeds), {name: np.zeros(seeds) for name in REFERENCES}
    for here, there in (halves, halves[::-1]):
        chosen = int(scores[:, here].mean(axis=1).argmax())
        team[there] = scores[chosen, there]
        for name in REFERENCES:
            other[name][there] = against[name][there, names[chosen][1]]
    topology, prompt = names[int(scores.mean(axis=1).argmax())]
    best = bootstrap_interval(team, rng=rng)
    cell = BestCell(topology=topology, prompt=prompts[prompt], iqm=best.value, value=best.value,
                    low=best.low, high=best.high, n=best.n)  # fmt: skip
    gap = {name: _difference(team[:, None], other[name][:, None], rng) for name in REFERENCES}
    return cell, gap


def _difference(team: Floats, other: Floats, rng: np.random.Generator) -> SeedEstimate:
    return _over_seeds(bootstrap_interval((team - other).mean(axis=1), rng=rng, statistic=means))


def _over_seeds(estimate: Estimate) -> SeedEstimate:
    return SeedEstimate(iqm=estimate.value, value=estimate.value, low=estimate.low,
                        high=estimate.high, n=estimate.n)  # fmt: skip


def demand_replies(errors: Sequence[str], asked: int) -> None:
    """Raises ServerError if none of the requests to a model got a reply.

    Args:
        errors: why requests got none.
        asked: number of requests.
    """
    if errors and len(errors) == asked:
        raise ServerError(f"the members got no reply: {errors[0]}")
