"""Team tasks of four kinds, ours and those of others, in one registry.

Start with `find_world("regions").make()`; `worlds()` lists all. What a world promises is in
`World` (exact), `StepWorld` (sequential), `TextWorld` and `MessageWorld`; the suites in
`counterpoint.testing` check it.
"""

from counterpoint.worlds.exact.world import (
    Evaluation,
    ExactEntry,
    PermutedWorld,
    Play,
    Settings,
    World,
)
from counterpoint.worlds.foreign.names import FAMILIES
from counterpoint.worlds.kind import Kind, WorldEntry
from counterpoint.worlds.message.task_file import MessageEntry
from counterpoint.worlds.registry import find_world, worlds
from counterpoint.worlds.sequential.pettingzoo import to_parallel_env
from counterpoint.worlds.sequential.twin import TwinEntry
from counterpoint.worlds.sequential.world import (
    References,
    SequentialEntry,
    StepSettings,
    StepWorld,
    random_return,
    returns,
)
from counterpoint.worlds.sequential.wrapped import PermutedStepWorld
from counterpoint.worlds.text.conversation import conversation
from counterpoint.worlds.text.dataset import TaskSetSettings, TaskSetWorld
from counterpoint.worlds.text.entry import TextEntry
from counterpoint.worlds.text.world import (
    Ending,
    Prompt,
    Statement,
    TextSettings,
    TextWorld,
)

__all__ = [
    "Ending", "Evaluation", "ExactEntry", "FAMILIES", "Kind", "MessageEntry", "PermutedStepWorld",
    "PermutedWorld", "Play", "Prompt", "References", "SequentialEntry", "Settings", "Statement",
    "StepSettings", "StepWorld", "TaskSetSettings", "TaskSetWorld", "TextEntry", "TextSettings",
    "TextWorld", "TwinEntry", "World", "WorldEntry", "conversation", "find_world", "random_return",
    "returns", "to_parallel_env", "worlds",
]  # fmt: skip
