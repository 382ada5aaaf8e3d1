"""All worlds by name: `find_world(name).make(settings)` makes one, `worlds()` lists them.

A new world of ours is one file and one line of `BUILTIN`. An installed package adds a world by the
entry-point group `counterpoint.worlds`. A name with a colon is not one of ours: an
environment of a known package (`mpe2:simple_tag_v3`), a class of your own
(`package.module:Class`), or a file of tasks (`tasks:PATH`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, overload

from counterpoint.errors import UnknownNameError, choices
from counterpoint.plugins import Registry
from counterpoint.worlds.exact.additive import Homogeneous, UnequalStakes
from counterpoint.worlds.exact.all_hands import AllHands
from counterpoint.worlds.exact.consensus import Consensus
from counterpoint.worlds.exact.grown import BoatRace, Gathering
from counterpoint.worlds.exact.idle_then_needed import IdleThenNeeded
from counterpoint.worlds.exact.merging import Merging
from counterpoint.worlds.exact.on_call import OnCall
from counterpoint.worlds.exact.planner_worker import PlannerWorker
from counterpoint.worlds.exact.project import Project
from counterpoint.worlds.exact.regions import Regions
from counterpoint.worlds.exact.variable_calls import VariableCalls
from counterpoint.worlds.exact.world import ExactEntry
from counterpoint.worlds.foreign.names import (
    FAMILIES,
    OWN,
    import_object,
    is_foreign,
    is_import_path,
    spelled,
)
from counterpoint.worlds.foreign.world import ForeignEntry
from counterpoint.worlds.kind import Kind, WorldEntry
from counterpoint.worlds.message.hidden_profile import HiddenProfile
from counterpoint.worlds.message.idea_search import IdeaSearch
from counterpoint.worlds.message.task_file import TASKS, MessageEntry, TaskFileEntry
from counterpoint.worlds.sequential.foraging import Foraging
from counterpoint.worlds.sequential.particles import SpeakerListener, Spread
from counterpoint.worlds.sequential.repeated_game import RepeatedGame
from counterpoint.worlds.sequential.twin import TwinEntry
from counterpoint.worlds.sequential.world import SequentialEntry
from counterpoint.worlds.text.conventions import Lewis, Schelling
from counterpoint.worlds.text.debate import Debate
from counterpoint.worlds.text.entry import TextEntry
from counterpoint.worlds.text.extract import Extract
from counterpoint.worlds.text.questions import Questions
from counterpoint.worlds.text.relay import Relay
from counterpoint.worlds.text.revise import Revise
from counterpoint.worlds.text.solver_verifier import SolverVerifier
from counterpoint.worlds.text.world import TextWorld

BUILTIN: tuple[WorldEntry[Any], ...] = (
    ExactEntry(Regions),
    ExactEntry(AllHands),
    ExactEntry(OnCall),
    ExactEntry(UnequalStakes),
    ExactEntry(VariableCalls),
    ExactEntry(IdleThenNeeded),
    ExactEntry(PlannerWorker),
    ExactEntry(Homogeneous),
    ExactEntry(Gathering),
    ExactEntry(Consensus),
    ExactEntry(BoatRace),
    ExactEntry(Merging),
    ExactEntry(Project),
    TwinEntry(Spread),
    TwinEntry(SpeakerListener),
    TwinEntry(Foraging),
    TwinEntry(RepeatedGame),
    TextEntry(Schelling),
    TextEntry(Lewis),
    TextEntry(SolverVerifier),
    TextEntry(Relay),
    TextEntry(Extract),
    TextEntry(Debate),
    TextEntry(Revise),
    TextEntry(Questions),
    MessageEntry(HiddenProfile),
    MessageEntry(IdeaSearch),
)
"""Our worlds, in the order in which tables list them."""
WORLDS = Registry[WorldEntry[Any]](
    "counterpoint.worlds",
    {entry.name: entry for entry in BUILTIN},
    "a counterpoint.worlds.WorldEntry of the same name",
    lambda name, part: isinstance(part, WorldEntry) and part.name == name,
)
"""Name to entry: our worlds, then those of installed packages."""


PATTERNS: Mapping[Kind, tuple[str, ...]] = {
    Kind.EXACT: (),
    Kind.SEQUENTIAL: tuple(family.pattern for family in FAMILIES),
    Kind.TEXT: (OWN,),
    Kind.MESSAGE: (f"{TASKS}PATH",),
}
"""The forms of the names of worlds that are not ours."""


def worlds(kind: Kind | None = None) -> list[WorldEntry[Any]]:
    """Returns our worlds and those of installed packages, or all of one kind, in listed order."""
    return [entry for entry in WORLDS.values() if kind in (None, entry.kind)]


@overload
def find_world(name: str, kind: Literal[Kind.EXACT], /) -> ExactEntry: ...
@overload
def find_world(name: str, kind: Literal[Kind.SEQUENTIAL], /) -> SequentialEntry: ...
@overload
def find_world(name: str, kind: Literal[Kind.TEXT], /) -> TextEntry: ...
@overload
def find_world(name: str, kind: Literal[Kind.MESSAGE], /) -> MessageEntry: ...
@overload
def find_world(name: str, /, *kinds: Kind, also: Iterable[str] = ()) -> WorldEntry[Any]: ...
def find_world(name: str, /, *kinds: Kind, also: Iterable[str] = ()) -> WorldEntry[Any]:
    """Returns the world of this name. The world is not made yet, but a class of your own is
    imported.

    Args:
        name: one of `worlds()`, or the name of a foreign world: see the top of this file.
        kinds: the kinds that can be used here; any of them if there are none.
        also: names that the caller knows beside these, for the message of an unknown one.

    Raises:
        UnknownNameError: no world of these kinds has that name.
        PluginError: the world is that of an installed package, and cannot be used.
        MissingPackageError: a class of your own needs a package that is not installed.
        WorldError: the module of your own fails when it is imported, or the class is incomplete.
    """
    entry = _resolve(name)
    if entry is not None and (not kinds or entry.kind in kinds):
        return entry
    wanted = kinds or tuple(Kind)
    known = [*also, *(one.name for one in worlds() if one.kind in wanted)]
    patterns = [pattern for kind in wanted for pattern in PATTERNS[kind]]
    ending = choices(name, [*known, *patterns], "counterpoint worlds")
    if entry is None:
        if correct := spelled(name):
            ending = f"; is it yours? wanted package.module:Class, such as {correct}"
        raise UnknownNameError(f"got world '{name}'{ending}")
    raise UnknownNameError(
        f"got world '{name}', which is {entry.kind.in_words} (counterpoint {entry.command} "
        f"{name}){ending}"
    )


def _resolve(name: str) -> WorldEntry[Any] | None:
    if name.startswith(TASKS):
        return TaskFileEntry(name)
    if not is_foreign(name):
        return WORLDS.get(name)
    if is_import_path(name):
        target = import_object(name)
        if isinstance(target, type) and issubclass(target, TextWorld):
            return TextEntry(target, name)
    return ForeignEntry(name)
