"""The door before the page of a saved result: `require_shape`.

A document that lacks a part, or has one of another type, is refused in one line with the path of
what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from counterpoint.errors import LogError
from counterpoint.report.shapes import PopulationShape, TopologyShape
from counterpoint.report.team_shape import TeamShape
from counterpoint.report.toolkit.document import POPULATION, TEAM, TOPOLOGY, Document

SOURCES = ("topology", "prompt", "order", "interaction")
"""What scores of topologies vary with."""
SHAPES: Mapping[str, type[Struct]] = {
    POPULATION: PopulationShape,
    TOPOLOGY: TopologyShape,
    TEAM: TeamShape,
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
    if isinstance(shape, TopologyShape):
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


def _require_topologies(topologies: TopologyShape) -> None:
    for name, score in topologies.scores.items():
        path = f"scores.{name}"
        _wanted(bool(score.order_scores), TOPOLOGY, f"{path}.order_scores", "at least one")
        known = all(prompt in score.by_prompt for prompt in topologies.prompts)
        _wanted(known, TOPOLOGY, f"{path}.by_prompt", "one for each of $.prompts")
        drawn = score.shape.topology
        known = drawn.decides != "member" or drawn.decider is not None
        _wanted(known, TOPOLOGY, f"{path}.shape.topology.decider", "a member")
    if topologies.shares is None:
        known = topologies.why_no_shares is not None
        _wanted(known, TOPOLOGY, "why_no_shares", "the reason why there are no shares")
    else:
        known = all(source in topologies.shares for source in SOURCES)
        _wanted(known, TOPOLOGY, "shares", ", ".join(SOURCES))


def _require_population(population: PopulationShape) -> None:
    crossing = population.crossover
    if crossing is not None and crossing.why not in ("never", "always"):
        _wanted(crossing.budget is not None, POPULATION, "crossover.budget", "a number")
    for name, arm in population.arms.items():
        path = f"arms.{name}"
        _wanted(bool(arm.curve), POPULATION, f"{path}.curve", "at least one point")
        met = arm.against or []
        square = all(len(row) == len(met) for row in met)
        _wanted(square, POPULATION, f"{path}.against", "a square")
        rated = arm.elo is None or len(arm.elo) == len(met)
        _wanted(rated, POPULATION, f"{path}.elo", "one for each member of $.against")
