"""Team tasks of four kinds, ours and other people's, in one registry.

Start with `find_world("regions").make()`; `worlds()` lists ours. What a world promises is in
`World` (exact), `StepWorld` (sequential), `TextWorld` and `MessageWorld`; the suites in
`counterpoint.testing` check it.
"""

from counterpoint.worlds.exact.relisted import Relisted
from counterpoint.worlds.exact.world import Evaluation, Play, Settings, World
from counterpoint.worlds.foreign.names import FAMILIES
from counterpoint.worlds.kind import Kind, WorldEntry
from counterpoint.worlds.registry import find_world, worlds
from counterpoint.worlds.sequential.pettingzoo import to_parallel_env
from counterpoint.worlds.sequential.reordered import Reordered
from counterpoint.worlds.sequential.world import (
    References,
    StepSettings,
    StepWorld,
    random_return,
    returns,
)
from counterpoint.worlds.text.world import Ask, Ending, Said, TextSettings, TextWorld

__all__ = [
    "FAMILIES",
    "Ask",
    "Ending",
    "Evaluation",
    "Kind",
    "Play",
    "References",
    "Relisted",
    "Reordered",
    "Said",
    "Settings",
    "StepSettings",
    "StepWorld",
    "TextSettings",
    "TextWorld",
    "World",
    "WorldEntry",
    "find_world",
    "random_return",
    "returns",
    "to_parallel_env",
    "worlds",
]
