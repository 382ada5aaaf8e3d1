"""Team tasks in NumPy, and other people's environments. Start with `make("regions")`, or with
`make_steps("spread")` for a world of many steps.

`World` in base.py and `StepWorld` in steps.py say what a world is; `check_world` and
`check_step_world` in `counterpoint.testing` check one.
"""

from counterpoint.worlds.base import Evaluation, Play, Settings, World
from counterpoint.worlds.describe import describe, families
from counterpoint.worlds.measure import random_return, returns
from counterpoint.worlds.pettingzoo import to_parallel_env
from counterpoint.worlds.registry import Entry, catalogue, make
from counterpoint.worlds.relisted import Relisted
from counterpoint.worlds.reordered import Reordered
from counterpoint.worlds.steps import StepSettings, StepWorld
from counterpoint.worlds.stepwise import StepEntry, make_steps, step_catalogue

__all__ = [
    "Entry",
    "Evaluation",
    "Play",
    "Relisted",
    "Reordered",
    "Settings",
    "StepEntry",
    "StepSettings",
    "StepWorld",
    "World",
    "catalogue",
    "describe",
    "families",
    "make",
    "make_steps",
    "random_return",
    "returns",
    "step_catalogue",
    "to_parallel_env",
]
