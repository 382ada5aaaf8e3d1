"""The result of a training, read from its run directory as far as it has come.

Start with `training_result`; `read_talk` has the texts of language models. Of those only
episodes.jsonl is read. It has no prompts, since the world knows them: each episode is walked
through again to get them.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from counterpoint.errors import CounterpointError
from counterpoint.results.training import (
    AgentSeries,
    EpisodeSample,
    Moment,
    References,
    Series,
    Talk,
    TrainingResult,
    Utterance,
    WordCounts,
)
from counterpoint.runs.metrics import read_rows
from counterpoint.runs.status import EPISODES, METRICS, read_facts, read_run
from counterpoint.train.loop import Row
from counterpoint.train.plans import kind_of_run
from counterpoint.worlds.foreign.names import foreign_code
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.sequential import world as sequential
from counterpoint.worlds.text.world import Statement, TextWorld

LOSSES = ("entropy", "kl", "clipped", "value_loss", "policy_loss")
"""What `train.ppo.improve` measures of each update."""
SPOKEN, LENGTH = ("entropy", "paid"), "gradient."
"""The same where language models learn, and what the name of each gradient's length begins with."""
VERDICTS = ("collapsed", "cause", "expected")
NUMBERS = tuple(name for name in AgentSeries.__struct_fields__ if name not in ("step", *VERDICTS))
"""What `train.ppo.probe`, `train.lora.probe` and `train.watch` measure of each agent."""

Value = TypeVar("Value")
TASKS, WAYS = 4, 2
"""Tasks that are shown of an update, and how many of the ways in which each went."""
LONGEST = 400
"""Characters of a text that are shown."""
PROMPTS = 60
"""Most rows of the table of words."""


class TrainingSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A run in short: the facts of its directory, and its agents as they were last measured."""

    path: str
    world: str | None
    scheme: str | None
    seed: int | None
    status: str
    step: int | None
    budget: int | None
    returned: float | None = msgspec.field(name="return")
    normalized: float | None
    created: str | None
    updated: str | None
    axis: str | None
    updates: int
    """Updates made so far."""
    seconds: float
    """Seconds of training so far."""
    agents: dict[str, Row]
    """Agent to its latest measurements and verdict; empty before the first."""


def training_summary(path: Path) -> TrainingSummary:
    """Returns the summary of the training in a run directory.

    Raises:
        RunError: there is no run.
    """
    rows = read_rows(path / METRICS)[0]
    measured = [row["agents"] for row in rows if "agents" in row]
    return TrainingSummary(
        **asdict(read_facts(path)),
        updates=rows[-1]["update"] if rows else 0,
        seconds=rows[-1]["seconds"] if rows else 0.0,
        agents=measured[-1] if measured else {},
    )


def training_result(path: Path) -> TrainingResult:
    """Returns the training in a run directory, as far as it has come; nothing is written.

    A value of a type that the series never has (somebody edited the file) counts as missing.

    Raises:
        RunError: there is no run.
    """
    run, facts, (rows, damaged) = read_run(path), read_facts(path), read_rows(path / METRICS)
    spoken = kind_of_run(run["config"]) is Kind.TEXT
    settings = run["config"].get("world_settings")
    world: TextWorld | None = None
    references = References()
    with contextlib.suppress(CounterpointError):  # its package may be missing where it is read
        if spoken:
            world = find_world(facts.world or "", Kind.TEXT).make(settings)
            references = _references(world.references)
        else:
            steps = find_world(facts.world or "", Kind.SEQUENTIAL).make(settings)
            references = _references(steps.references)
            steps.close()
    lengths = sorted({name for row in rows for name in row if name.startswith(LENGTH)})
    curves = ("step", "return", *((*SPOKEN, *lengths) if spoken else LOSSES))
    return TrainingResult(
        version=_only(str, run.get("version")) or "",
        axis="update" if spoken else "step",
        world=facts.world,
        scheme=facts.scheme,
        seed=facts.seed,
        config=run["config"],
        status=facts.status,
        step=rows[-1]["step"] if rows else 0,
        budget=facts.budget,
        seconds=_number(rows[-1].get("seconds")) if rows else None,
        returned=facts.returned,
        normalized=facts.normalized,
        references=references,
        damaged_rows=damaged,
        curve={name: _column(rows, name) for name in curves},
        agents=_agents([row for row in rows if isinstance(row.get("agents"), dict)]),
        talk=read_talk(path, world) if spoken else None,
    )


def _references(world: sequential.References) -> References:
    random, reference = (None if r is None else float(r) for r in (world.random, world.reference))
    return References(random=random, reference=reference, scale=world.scale)


def _agents(measured: Sequence[Row]) -> dict[str, AgentSeries]:
    """Returns the series of each agent over the updates that were measured."""
    series = {}
    for name in measured[0]["agents"] if measured else ():
        rows = [_only(dict, row["agents"].get(name)) or {} for row in measured]
        numbers: dict[str, Any] = {key: _column(rows, key) for key in NUMBERS}
        series[name] = AgentSeries(
            step=_column(measured, "step"),
            **numbers,
            collapsed=[_only(bool, row.get("collapsed")) for row in rows],
            cause=[_only(str, row.get("cause")) for row in rows],
            expected=[_only(str, row.get("expected")) for row in rows],
        )
    return series


def _column(rows: Iterable[Row], name: str) -> Series:
    """Returns one number of each row; None where a row has none."""
    return [_number(row.get(name)) for row in rows]


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _only(kind: type[Value], value: object) -> Value | None:
    return value if isinstance(value, kind) else None


class Episodes(msgspec.Struct, frozen=True):
    """Equal episodes of one update: a line of the file."""

    task: tuple[str, ...]
    events: tuple[Utterance, ...]
    count: int
    success: float

    @property
    def subject(self) -> str:
        """The task in one text."""
        return " ".join(self.task)


def read_talk(path: Path, world: TextWorld | None) -> Talk:
    """Returns samples of the texts of a run, as far as it has come.

    Args:
        path: the run directory.
        world: the world of the run; None if it cannot be made here: the prompts are unknown then.
    """
    rows = read_rows(path / EPISODES)[0]
    places = sorted({0, len(rows) // 2, len(rows) - 1}) if rows else []
    batches = [(rows[i]["step"], _well_formed(rows[i].get("episodes"))) for i in places]
    often = Counter(task for _, batch in batches for task in {one.subject for one in batch})
    words, reason = _words(world, batches[-1][1] if batches else [])
    return Talk(
        moments=[_moment(update, batch, often) for update, batch in batches],
        words=words,
        words_reason=reason,
    )


def _moment(update: int, batch: Sequence[Episodes], often: Mapping[str, int]) -> Moment:
    """Returns samples of one update; tasks that come up at other moments too are shown first."""
    by_task: dict[str, list[Episodes]] = {}
    for one in batch:
        by_task.setdefault(one.subject, []).append(one)
    shown = []
    for task in sorted(by_task, key=lambda task: (-often[task], task))[:TASKS]:
        ways = sorted(by_task[task], key=lambda one: -one.count)
        of = sum(one.count for one in ways)
        shown += [_sample(one, of) for one in ways[:WAYS]]
    episodes = sum(one.count for one in batch)
    return Moment(update=update, episodes=episodes, different=len(batch), shown=shown)


def _sample(one: Episodes, of: int) -> EpisodeSample:
    events = [msgspec.structs.replace(event, text=_short(event.text)) for event in one.events]
    return EpisodeSample(
        task=_short(one.subject), count=one.count, success=one.success, events=events, of=of
    )


def _words(
    world: TextWorld | None, batch: Sequence[Episodes]
) -> tuple[list[WordCounts], str | None]:
    """Returns how often each agent chose each word after each prompt; or why that is not known."""
    if world is None:
        return [], "the world is not here, so that what agents were shown is not known"
    if world.free:
        return [], "agents write freely"
    try:
        with foreign_code(world.name, "its episodes, walked through again", "those of this run"):
            counted = count_words(world, batch)
    except CounterpointError:
        return [], "the episodes are not those of this world"
    rows = [
        WordCounts(agent=agent, shown=_short(prompt), said=dict(counts.most_common()))
        for (agent, prompt), counts in sorted(counted.items())
    ]
    return rows[:PROMPTS], None if rows else "no word has been chosen yet"


def count_words(world: TextWorld, batch: Sequence[Episodes]) -> dict[tuple[str, str], Counter[str]]:
    """Returns (agent, prompt) to how often the agent chose each word."""
    counted: dict[tuple[str, str], Counter[str]] = {}
    for one in batch:
        past, left = tuple[Statement, ...](), list(one.events)
        while left:
            asks = sorted(world.prompts(one.task, past), key=lambda ask: ask.agent)
            if not asks:
                break
            wave, left = left[: len(asks)], left[len(asks) :]
            for ask, event in zip(asks, wave, strict=False):
                if ask.words:
                    counts = counted.setdefault((ask.agent, ask.user), Counter())
                    counts[event.text] += one.count
            past = (*past, *(Statement(event.agent, event.text, event.to) for event in wave))
    return counted


def _well_formed(batch: object) -> list[Episodes]:
    """Returns those of a batch that are episodes: somebody may have edited the file."""
    episodes = []
    for one in batch if isinstance(batch, list) else ():
        try:
            episodes.append(msgspec.convert(one, Episodes))
        except msgspec.ValidationError:
            continue
    return episodes


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"
