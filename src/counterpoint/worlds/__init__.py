"""Team tasks in NumPy, in words, and other people's environments. Start with `make("regions")`,
with `make_steps("spread")` for a world of many steps, or with `make_text("lewis")` for words.

`World` in base.py, `StepWorld` in steps.py and `TextWorld` in text.py say what a world is;
`check_world` and `check_step_world` in `counterpoint.testing` check one of the first two.
"""

from counterpoint.worlds.describe import describe, families
from counterpoint.worlds.exact.catalogue import Entry, catalogue, make
from counterpoint.worlds.exact.relisted import Relisted
from counterpoint.worlds.exact.world import Evaluation, Play, Settings, World
from counterpoint.worlds.message.catalogue import make_message, message_catalogue
from counterpoint.worlds.sequential.catalogue import StepEntry, make_steps, step_catalogue
from counterpoint.worlds.sequential.measure import random_return, returns
from counterpoint.worlds.sequential.pettingzoo import to_parallel_env
from counterpoint.worlds.sequential.reordered import Reordered
from counterpoint.worlds.sequential.world import References, StepSettings, StepWorld
from counterpoint.worlds.text.catalogue import TextEntry, make_text, text_catalogue
from counterpoint.worlds.text.world import Ask, Ending, Said, TextSettings, TextWorld

__all__ = [
    "Ask",
    "Ending",
    "Entry",
    "Evaluation",
    "Play",
    "References",
    "Relisted",
    "Reordered",
    "Said",
    "Settings",
    "StepEntry",
    "StepSettings",
    "StepWorld",
    "TextEntry",
    "TextSettings",
    "TextWorld",
    "World",
    "catalogue",
    "describe",
    "make_message",
    "message_catalogue",
    "families",
    "make",
    "make_steps",
    "make_text",
    "random_return",
    "returns",
    "step_catalogue",
    "text_catalogue",
    "to_parallel_env",
]
