"""The parts that a saved result must have before its page is drawn: `require_shape`.

A document that lacks a part, or has one of another type, is refused in one line with the path of
what is wrong. Only what the pages read is listed here; other parts are let through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

from counterpoint.errors import LogError
from counterpoint.report.document import AUDIT, GAME, POPULATION, TOPOLOGY, Document


class Valued(Struct):
    """An estimate with its interval."""

    value: float
    low: float
    high: float


class Middle(Struct):
    """The same, of interquartile means."""

    iqm: float
    low: float
    high: float


class EquilibriumShape(Struct):
    """One equilibrium: a strategy for each player."""

    strategies: list[list[float]]
    exact: list[list[str]]
    payoffs: list[float]


class Sustained(Struct):
    """What repetition sustains."""

    profile: list[int]
    discount: float | None


class ArmShape(Struct):
    """Where the learners of one scheme land."""

    payoff: Valued
    equilibria: dict[str, float]
    entropy_bits: float
    selection_efficiency: float | None
    cross_play: float | None
    deviation_gain: Valued


class Repeated(Struct):
    """Where pairs with a memory of one round end."""

    first_action: Valued
    second_action: Valued
    punishes: Valued
    payoff: Valued


class Basins(Struct):
    """Which equilibrium is reached from where."""

    starts: list[float]
    ends: list[list[int]]


class LearnedShape(Struct):
    """Where learners land."""

    seeds: int
    arms: dict[str, ArmShape]
    repeated: dict[str, Repeated] | None
    basins: Basins | None = None


class GameShape(Struct):
    """`counterpoint.game/1`."""

    name: str
    source: str
    players: list[str]
    actions: list[list[str]]
    equilibria: list[EquilibriumShape]
    equilibria_are: str
    degenerate: bool
    payoffs: list[Any] | None = None
    minmax: list[float] | None = None
    sustained: Sustained | None = None
    feasible_rational: list[tuple[float, float]] | None = None
    price_of_anarchy: float | None = None
    price_of_stability: float | None = None
    optimum: float | None = None
    sums: dict[str, float | None] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    learned: LearnedShape | None = None
    config: dict[str, Any] = field(default_factory=dict)


class Spent(Middle):
    """One point of an arm's curve."""

    budget: float
    spent: float


class Believed(Struct):
    """An estimate without an interval."""

    iqm: float


class PopulationArm(Struct):
    """A population, or one learner."""

    members: int
    champion: Middle
    believed: Believed
    curse: Valued
    spent: float
    curve: list[Spent]
    diversity: float | None = None
    against: list[list[float]] | None = None
    elo: list[float] | None = None


class Crossover(Struct):
    """From which budget on a population is better."""

    rival: str
    why: str
    budget: float | None = None
    low: float | None = None
    high: float | None = None


class PopulationShape(Struct):
    """`counterpoint.population/1`."""

    world: str
    source: str
    budget: float
    repeats: int
    settings: dict[str, Any]
    arms: dict[str, PopulationArm]
    optimum: float | None = None
    crossover: Crossover | None = None
    against_single: dict[str, Valued] = field(default_factory=dict)


class Drawn(Struct):
    """A topology."""

    name: str
    members: int
    edges: list[tuple[int, int]]
    order: list[list[int]]
    rounds: int
    decides: str
    decider: int | None = None


class Layout(Struct):
    """A topology with what is known of its shape."""

    topology: Drawn
    depth: int
    path: float | None = None


class Gaps(Struct):
    """A team less what it is measured against."""

    mean: Valued
    best_member: Valued
    oracle: Valued
    single_agent: Valued


class Score(Middle):
    """How good a topology is."""

    by_prompt: dict[str, Believed]
    orders: int
    order_scores: list[float]
    calls: float
    shape: Layout
    gap: Gaps


class Share(Valued):
    """A share of the variance, and that by chance."""

    chance: float


class Best(Valued):
    """The best topology and prompt."""

    topology: str
    prompt: str


class TopologyShape(Struct):
    """`counterpoint.topology/1`."""

    world: str
    summary: str
    scale: str
    seeds: int
    settings: dict[str, Any]
    guards: dict[str, Any]
    prompts: dict[str, Any]
    ways: dict[str, Any]
    scores: dict[str, Score]
    best: Best
    gap: Gaps
    shares: dict[str, Share] | None = None
    why_no_shares: str | None = None


class FindingShape(Struct):
    """One finding of an audit."""

    audit: str
    name: str
    verdict: str
    reason: str
    n: int | None
    evidence: list[dict[str, Any]]
    value: float | None = None
    low: float | None = None
    high: float | None = None
    null: float | None = None


class Mark(Struct):
    """One event of a timeline."""

    t: int
    agent: str
    what: str
    quote: str


class Count(Struct):
    """How many messages went from one to another."""

    sender: str = field(name="from")
    receiver: str = field(name="to")
    count: int


class TimelineShape(Struct):
    """One episode."""

    episode: str
    agents: list[str]
    events: list[Mark]
    messages: list[Count]


class AuditShape(Struct):
    """`counterpoint.audit/1`."""

    findings: list[FindingShape]
    warning: str | None = None
    timelines: list[TimelineShape] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)


SOURCES = ("topology", "prompt", "order", "interaction")
"""What scores of topologies vary with."""
SHAPES: Mapping[str, type[Struct]] = {
    GAME: GameShape,
    POPULATION: PopulationShape,
    TOPOLOGY: TopologyShape,
    AUDIT: AuditShape,
}


def require_shape(document: Document) -> Document:
    """The document, with every part that its page reads.

    Parts that may be absent get what stands for nothing: none, or an empty list.

    Raises:
        LogError: a part is missing, or is of another type or length than its page needs; the
            message has its path.
    """
    schema = str(document["schema"])
    if schema not in SHAPES:
        return document
    try:
        shape = msgspec.convert(document, SHAPES[schema])
    except msgspec.ValidationError as error:
        raise _refused(schema, str(error)) from None
    if isinstance(shape, GameShape):
        _require_game(shape)
    elif isinstance(shape, TopologyShape):
        _require_topologies(shape)
    elif isinstance(shape, PopulationShape):
        _require_population(shape)
    complete: Document = _with_defaults(document, msgspec.to_builtins(shape))
    return complete


def _with_defaults(document: Any, checked: Any) -> Any:
    """The document itself, with the parts that only `checked` has."""
    if isinstance(document, Mapping) and isinstance(checked, Mapping):
        return {**checked, **{k: _with_defaults(v, checked.get(k)) for k, v in document.items()}}
    if isinstance(document, list) and isinstance(checked, list) and len(document) == len(checked):
        return [_with_defaults(a, b) for a, b in zip(document, checked, strict=True)]
    return document


def _refused(schema: str, why: str) -> LogError:
    return LogError(
        f"got a document of schema {schema} with a part missing or of another type: {why}; wanted "
        "a results.json as it was written"
    )


def _wanted(holds: bool, schema: str, path: str, wanted: str) -> None:
    if not holds:
        raise _refused(schema, f"Expected {wanted} - at `$.{path}`")


def _require_game(game: GameShape) -> None:
    players = len(game.players)
    sizes = [len(names) for names in game.actions]
    _wanted(len(sizes) == players, GAME, "actions", "a list for each player")
    _wanted(all(sizes), GAME, "actions", "at least one action for each player")
    _wanted(game.minmax is None or len(game.minmax) == players, GAME, "minmax", "one a player")
    for i, one in enumerate(game.equilibria):
        path = f"equilibria[{i}]"
        _wanted([len(s) for s in one.exact] == sizes, GAME, f"{path}.exact", "one p an action")
        _wanted(all(any(p != "0" for p in s) for s in one.exact), GAME, f"{path}.exact", "a p")
        _wanted([len(s) for s in one.strategies] == sizes, GAME, f"{path}.strategies", "the same")
        _wanted(len(one.payoffs) == players, GAME, f"{path}.payoffs", "one a player")
    if game.sustained is not None:
        profile = game.sustained.profile
        inside = len(profile) == players and all(
            0 <= action < size for action, size in zip(profile, sizes, strict=True)
        )
        _wanted(inside, GAME, "sustained.profile", "an action of each player")
    if game.price_of_anarchy is not None:
        known = game.optimum is not None and game.price_of_stability is not None
        _wanted(known, GAME, "optimum", "a number, as for price_of_stability")
    if game.payoffs is not None and players == 2:
        pairs = _convertible(game.payoffs, list[list[tuple[float, float]]])
        shaped = pairs and [len(row) for row in game.payoffs] == [sizes[1]] * sizes[0]
        _wanted(bool(shaped), GAME, "payoffs", f"{sizes[0]} x {sizes[1]} pairs of numbers")
    basins = game.learned.basins if game.learned else None
    if basins is not None:
        square = {len(basins.starts)} == {len(row) for row in basins.ends} | {len(basins.ends)}
        _wanted(square and len(basins.starts) > 0, GAME, "learned.basins.ends", "a square")


def _require_topologies(found: TopologyShape) -> None:
    for name, score in found.scores.items():
        path = f"scores.{name}"
        _wanted(bool(score.order_scores), TOPOLOGY, f"{path}.order_scores", "at least one")
        known = all(prompt in score.by_prompt for prompt in found.prompts)
        _wanted(known, TOPOLOGY, f"{path}.by_prompt", "one for each of $.prompts")
        drawn = score.shape.topology
        known = drawn.decides != "member" or drawn.decider is not None
        _wanted(known, TOPOLOGY, f"{path}.shape.topology.decider", "a member")
    if found.shares is None:
        known = found.why_no_shares is not None
        _wanted(known, TOPOLOGY, "why_no_shares", "the reason why there are no shares")
    else:
        known = all(source in found.shares for source in SOURCES)
        _wanted(known, TOPOLOGY, "shares", ", ".join(SOURCES))


def _require_population(found: PopulationShape) -> None:
    crossing = found.crossover
    if crossing is not None and crossing.why not in ("never", "always"):
        _wanted(crossing.budget is not None, POPULATION, "crossover.budget", "a number")
    for name, arm in found.arms.items():
        path = f"arms.{name}"
        _wanted(bool(arm.curve), POPULATION, f"{path}.curve", "at least one point")
        met = arm.against or []
        square = all(len(row) == len(met) for row in met)
        _wanted(square, POPULATION, f"{path}.against", "a square")
        rated = arm.elo is None or len(arm.elo) == len(met)
        _wanted(rated, POPULATION, f"{path}.elo", "one for each member of $.against")


def _convertible(value: Sequence[Any], kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True
