"""`questions`: two agents answer questions from a file of yours, one drafts and one revises.

The solver answers, the reviewer reads question and draft and gives the last answer, which counts.
Without a file the questions are about capitals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from counterpoint.settings import Range
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.dataset import TaskSetSettings, TaskSetWorld
from counterpoint.worlds.text.world import Ending, Prompt, Statement, Task, shared

CAPITALS = (
    ("France", "Paris"), ("Italy", "Rome"), ("Spain", "Madrid"), ("Japan", "Tokyo"),
    ("Egypt", "Cairo"), ("Norway", "Oslo"), ("Peru", "Lima"), ("Cuba", "Havana"),
    ("Greece", "Athens"), ("Kenya", "Nairobi"), ("Austria", "Vienna"), ("Poland", "Warsaw"),
    ("Ireland", "Dublin"), ("China", "Beijing"), ("Russia", "Moscow"), ("Germany", "Berlin"),
    ("Portugal", "Lisbon"), ("Hungary", "Budapest"), ("Finland", "Helsinki"), ("Chile", "Santiago"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class QuestionsSettings(TaskSetSettings):
    """Settings of `questions`."""

    most_tokens: Annotated[int, Range(1, 4096)] = 12
    """Maximum number of tokens that each agent writes."""
    waste: Annotated[float, Range(0.0, 1e6)] = 0.02
    """Price of each word of the last answer beyond those of the right one, in the reward's unit."""


class Questions(TaskSetWorld):
    """The solver drafts, the reviewer has the last word; both are paid if it has the answer."""

    name = "questions"
    summary = "a solver and a reviewer answer questions from a file: question and answer a line"
    agents = ("solver", "reviewer")
    roles = agents
    speaker = "solver"
    listener = "reviewer"
    free = True
    fields = ("question", "answer")
    built_in = tuple((f"What is the capital of {land}?", city) for land, city in CAPITALS)
    settings_type = QuestionsSettings
    settings: QuestionsSettings

    def __init__(self, settings: QuestionsSettings | None = None) -> None:
        super().__init__(settings)
        self.references = References(0.0, 1.0, "share of the questions answered")
        self.longest = 2

    def prompts(self, task: Task, history: tuple[Statement, ...]) -> tuple[Prompt, ...]:
        limit = self.settings.most_tokens
        if not history:
            return (Prompt("solver", "You answer in a few words.", task[0], most_tokens=limit),)
        if len(history) == 1:
            shown = f"{task[0]}\nDraft: {history[0].text.strip()}\nThe right answer, in few words?"
            return (Prompt("reviewer", "You correct answers.", shown, most_tokens=limit),)
        return ()

    def ending(self, task: Task, history: tuple[Statement, ...]) -> Ending:
        answer, right = (words_of(text) for text in (history[1].text, task[1]))
        success = float(bool(right) and has_in_row(answer, right))
        wasted = max(0, len(answer) - len(right))
        return Ending(success, shared(success - self.settings.waste * wasted, history))


def words_of(text: str) -> list[str]:
    """Returns the words and numbers of a text in small letters, without punctuation."""
    return re.findall(r"[^\W_]+", text.casefold())


def has_in_row(words: list[str], wanted: list[str]) -> bool:
    """Returns whether `wanted` stands in `words` without a gap."""
    n = len(wanted)
    return any(words[i : i + n] == wanted for i in range(len(words) - n + 1))
