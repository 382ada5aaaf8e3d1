"""One part of each kind that a package can add; docs/how-to/plugins.md explains them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np

from counterpoint.arrays import Floats, NamedArrays
from counterpoint.audits import Audit
from counterpoint.audits.base import Look, case_of, share, unknown
from counterpoint.credit import Entry, Scheme
from counterpoint.errors import LogError, OutputError
from counterpoint.judge import JudgeEntry, Opinion, Sheet, written
from counterpoint.readers import Format, episode
from counterpoint.records import Episode, Finding, Outcome
from counterpoint.runs.exporters import scalars
from counterpoint.settings import Range
from counterpoint.speakers import Scripted, Speaker
from counterpoint.worlds import Evaluation, ExactEntry, Play, Settings
from counterpoint.worlds.exact.targets import TargetWorld, accuracies

HOUSE = Entry(
    "house",
    Scheme(center_by=("prompt",), floor=0.05, clip=3.0),
    "grpo_rows with a floor under the deviation and a limit of 3",
    "the house rules",
)


class Loud(TypedDict):
    """What is kept of an episode."""

    loud: bool


def look(episode: Episode) -> Look[Loud] | None:
    """Returns where members write in capitals; None if nobody says a word."""
    messages = [e for e in episode.events if e.kind == "message" and e.agent in episode.agents]
    if not any(event.text.strip() for event in messages):
        return None
    capitals = [case_of(episode, [e.t], len(e.text)) for e in messages if e.text.isupper()]
    return Look({"loud": bool(capitals)}, {"capitals": capitals})


def conclude(rows: Sequence[Loud], outcomes: Sequence[Outcome]) -> list[Finding]:
    """Returns one finding: the share of episodes with a message in capitals."""
    if not rows:
        return [unknown("shouting", "capitals", "no member says a word")]
    hits = sum(row["loud"] for row in rows)
    return [share("shouting", "capitals", hits, len(rows), 0.05, "a message in capitals")]


SHOUTING = Audit("shouting", "messages in capitals", look, conclude)


def fits(value: Any) -> bool:
    """Returns whether a JSON value has the minutes of a meeting."""
    return isinstance(value, dict) and "meeting" in value and "minutes" in value


def read(value: Any, where: str, name: str) -> list[Episode]:
    """Returns one episode; each line of the minutes is `name: text`."""
    lines, events = value["minutes"], []
    if not isinstance(lines, list):
        raise LogError(f"{where}, minutes: got {type(lines).__name__}; wanted a list of lines")
    for i, line in enumerate(lines):
        speaker, colon, text = line.partition(": ") if isinstance(line, str) else ("", "", "")
        if not colon:
            raise LogError(f"{where}, minutes {i}: got {line!r}; wanted 'name: text'")
        events.append({"agent": speaker, "kind": "message", "text": text})
    return [episode(name, events, "minutes", task=str(value["meeting"]))]


MINUTES = Format(fits, read)


@dataclass(frozen=True)
class BrevitySettings:
    """How short a text may be."""

    fewest_words: int = 3
    """A text with fewer words is worth nothing."""


class Brevity:
    """A judge for whom the shorter text is the better one."""

    at_once = 64

    def __init__(self, settings: BrevitySettings) -> None:
        self.settings = settings

    @property
    def facts(self) -> Mapping[str, str]:
        """Returns what decides its opinions besides the sheet."""
        return {"judge": "brevity", "fewest_words": str(self.settings.fewest_words)}

    def judge(self, sheets: Sequence[Sheet]) -> list[Opinion]:
        """Returns one opinion for each sheet."""
        return [
            Opinion(written(sheet, [self.worth(each.text) for each in sheet.shown]))
            for sheet in sheets
        ]

    def worth(self, text: str) -> float:
        """Returns a number from 0 to 1, which falls with the number of words."""
        words = len(text.split())
        return 1 / words if words >= max(self.settings.fewest_words, 1) else 0.0


BREVITY = JudgeEntry(Brevity, BrevitySettings)


def first_option() -> Speaker:
    """Returns a speaker who takes the first word that is allowed, or repeats the question."""
    return Scripted(lambda request: (request.words or (request.messages[-1].content,))[0])


class CsvExporter:
    """Writes the numbers of a run to `csv/series.csv` in its folder: step, name, value."""

    def __init__(self, run: Path) -> None:
        self.file = run / "csv" / "series.csv"
        try:
            self.file.parent.mkdir(exist_ok=True)
            self.lines = self.file.read_text().splitlines() if self.file.exists() else []
        except OSError as error:
            raise OutputError(f"could not use {self.file} ({error.strerror})") from error

    def log(self, row: Mapping[str, Any]) -> None:
        """Keeps a row; a run that goes on from a checkpoint writes the rows behind it again."""
        step = row["step"]
        self.lines = [line for line in self.lines if int(line.partition(",")[0]) < step]
        self.lines += [f"{step},{n},{value!r}" for n, value in scalars(row) if n != "step"]

    def close(self) -> None:
        """Writes all rows."""
        try:
            self.file.write_text("".join(f"{line}\n" for line in self.lines))
        except OSError as error:
            raise OutputError(f"could not write {self.file} ({error.strerror})") from error


@dataclass(frozen=True, kw_only=True)
class NightWatchSettings(Settings):
    """Settings of `night_watch`."""

    guards: Annotated[int, Range(1, 16)] = 3
    """Team size."""


class NightWatch(TargetWorld):
    """Every guard sees one of 4 signs; the team is paid the share of guards that act rightly."""

    name = "night_watch"
    summary = "guards watch side by side and are paid as one"
    source = "the house rules"
    settings_type = NightWatchSettings
    settings: NightWatchSettings
    contexts, actions = 4, 3
    random, optimal = 1 / 3, 1.0

    def __init__(self, settings: NightWatchSettings | None = None) -> None:
        super().__init__(settings)
        guards = range(self.settings.guards)
        self.agents = tuple(f"guard_{k:02d}" for k in guards)
        self.slots = tuple((k, 0) for k in guards)

    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        """Returns the signs and the uniforms behind the actions of one update, [P, G, L]."""
        shape = (self.prompts, self.rollouts, len(self.slots))
        return {"context": rng.integers(self.contexts, size=shape), "uniforms": rng.random(shape)}

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        """Returns a batch of all seeds; the reward is the outcome."""
        answers = self.answers(tasks, chance, probs)
        share = answers.right.mean(axis=-1)
        return Play(
            context=chance["context"],
            action=answers.action,
            active=np.ones(answers.right.shape, dtype=bool),
            reward=np.broadcast_to(share[..., None], answers.right.shape),
            outcome=share,
        )

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        """Returns how good a joint policy is, exactly."""
        accuracy = accuracies(tasks, probs)
        share = accuracy.mean(axis=-1)
        return Evaluation(share, share, accuracy, (1 - accuracy) / len(self.agents))


NIGHT_WATCH = ExactEntry(NightWatch)
