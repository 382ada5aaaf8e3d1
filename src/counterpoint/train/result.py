"""The result of a training, read from its run directory as far as it has come.

Start with `training_result`; `read_talk` has the texts of language models. Of those only
episodes.jsonl is read. It has no prompts, since the world knows them: each episode is walked
through again to get them.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import UNSET

from counterpoint.errors import CounterpointError, SettingError
from counterpoint.machine.files import read_ordinary
from counterpoint.results.competition import SIDE_RETURN, Competition
from counterpoint.results.parts import Settings
from counterpoint.results.training import (
    ANSWERS,
    AgentSeries,
    EpisodeSample,
    EvaluationTasks,
    Messages,
    Moment,
    References,
    Talk,
    TrainingResult,
    Utterance,
    WordCounts,
)
from counterpoint.runs.metrics import Json, Line, read_rows
from counterpoint.runs.status import (
    EPISODES,
    GAMES,
    METRICS,
    RunFacts,
    axis_of,
    learns_values,
    read_facts,
    read_run,
    read_status,
)
from counterpoint.settings import NOT_JSON
from counterpoint.train.series import EqualEpisodes, Row, number, only, row_from_line
from counterpoint.worlds.foreign.names import foreign_code
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.sequential import world as sequential
from counterpoint.worlds.sequential.sides import AGAINST, BESIDE, NONE, POINTS, sides_from
from counterpoint.worlds.text.world import Statement, TextWorld

LOSSES = ("entropy", "kl", "clipped", "value_loss", "policy_loss")
"""The measures of each update by `train.ppo.improve`."""
SOMETIMES = ("greedy_return", "clipped_inputs", "density_entropy", "said_bits", "heard_bits")
"""Measures that a series may have besides: see `train.ppo.plan`, `scaling` and `improve`, and
`train.talk`."""
VALUED = ("td_loss", "value", "epsilon")
"""The same by `train.value.learner`."""
SPOKEN, LENGTH = ("entropy", "paid"), "gradient."
"""The same for language models, and the prefix of the names of gradient lengths."""
VERDICTS = ("collapsed", "cause", "expected")
NUMBERS = tuple(name for name in AgentSeries.__struct_fields__ if name not in ("step", *VERDICTS))
"""The measures of each agent by `train.ppo.probe`, `train.lora.probe` and `train.series`."""

TASKS, WAYS = 4, 2
"""Number of tasks of an update that are shown, and of different courses of each task."""
LONGEST = 400
"""Maximum number of characters of a text that are shown."""
PROMPTS = 60
"""Maximum number of rows of the table of words."""


class TrainingSummary(RunFacts, frozen=True, kw_only=True):
    """A run in short: the facts of its directory, and its agents as they were last measured."""

    updates: int
    """Updates made so far."""
    seconds: float
    """Seconds of training so far."""
    agents: dict[str, dict[str, Json]]
    """Agent to its latest measurements and verdict; empty before the first."""
    answers: dict[str, dict[str, float]] = msgspec.field(default_factory=dict)
    """Agent to the numbers of its answers in the last update, if language models learn."""
    messages: Messages | None = None
    """What messages carry; None before the end, or where nobody speaks."""
    evaluated: EvaluationTasks | None = None
    """The tasks behind `return`; None before the end, or if no language models learn."""
    talks: str | None = None
    """The verdict on the messages: see `Messages.verdict`."""


def training_summary(path: Path) -> TrainingSummary:
    """Returns the summary of the training in a run directory.

    Raises:
        RunError: there is no run.
    """
    rows = _rows(path)[0]
    measured = [row.agents for row in rows if row.agents is not None]
    messages = carried_messages(path)
    return TrainingSummary(
        **msgspec.structs.asdict(read_facts(path)),
        updates=rows[-1].update if rows else 0,
        seconds=rows[-1].seconds or 0.0 if rows else 0.0,
        agents={k: a.to_json() for k, a in measured[-1].items()} if measured else {},
        answers=_last_answers(rows),
        messages=messages,
        evaluated=evaluation_tasks(path),
        talks=None if messages is None else messages.verdict,
    )


def _last_answers(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Returns the numbers of each agent's answers in the last update."""
    answers: dict[str, dict[str, float]] = {}
    for name, value in rows[-1].metrics.items() if rows else ():
        measure, _, agent = name.partition(".")
        if measure in ANSWERS and value is not None:
            answers.setdefault(agent, {})[measure] = value
    return answers


def _rows(path: Path) -> tuple[list[Row], int]:
    lines, damaged = read_rows(path / METRICS)
    return [row_from_line(line) for line in lines], damaged


def training_result(path: Path, *, short: bool = False) -> TrainingResult:
    """Returns the training in a run directory, as far as it has come; nothing is written.

    A value of a type that the series never has (somebody edited the file) counts as missing.

    Args:
        path: the run directory.
        short: leave out the references and the texts. They need the world of the run, which is
            made for them, and may import a package.

    Raises:
        RunError: there is no run.
    """
    run, facts, (rows, damaged) = read_run(path), read_facts(path), _rows(path)
    spoken = axis_of(run.config) == "update"
    settings = only(dict, run.config.get("world_settings"))
    world: TextWorld | None = None
    references, competition = References(), read_competition(path, run.config)
    with contextlib.suppress(CounterpointError):  # its package may be missing where it is read
        if short:
            pass
        elif spoken:
            world = find_world(facts.world or "", Kind.TEXT).make(settings)
            references = _references(world.references)
        else:
            steps = find_world(facts.world or "", Kind.SEQUENTIAL).make(settings)
            references = _references(POINTS if competition else steps.references)
            steps.close()
    given = {name for row in rows for name in row.metrics}
    lengths = sorted(name for name in given if name.startswith(LENGTH))
    lengths += [n for one in ANSWERS for n in sorted(given) if n.startswith(f"{one}.")]
    ours = VALUED if learns_values(run.config) else LOSSES
    names: tuple[str, ...] = (*SPOKEN, *lengths) if spoken else ours
    names += tuple(name for name in SOMETIMES if name in given)
    names += tuple(sorted(name for name in given if name.startswith(SIDE_RETURN)))
    return TrainingResult(
        version=run.version,
        axis="update" if spoken else "step",
        world=facts.world,
        scheme=facts.scheme,
        seed=facts.seed,
        config=run.config,
        status=facts.status,
        step=rows[-1].step if rows else 0,
        budget=facts.budget,
        seconds=rows[-1].seconds if rows else None,
        returned=facts.returned,
        normalized=facts.normalized,
        references=references,
        damaged_rows=damaged,
        curve={
            "step": [row.step for row in rows],
            "return": [row.returned for row in rows],
            **{name: [row.metrics.get(name) for row in rows] for name in names},
        },
        agents=_agents(rows),
        talk=read_talk(path, world) if spoken and not short else None,
        messages=carried_messages(path),
        evaluated=evaluation_tasks(path),
        competition=competition,
    )


def read_competition(path: Path, config: Settings) -> Competition | None:
    """Returns the games of a trained team; without records as long as there are none, or if their
    file is damaged. The result is None if the agents of the run are one team.

    Args:
        path: the run directory.
        config: the configuration of the run.
    """
    with contextlib.suppress(OSError, *NOT_JSON):
        return msgspec.json.decode(read_ordinary(path / GAMES), type=Competition)
    policy = only(dict, config.get("policy")) or {}
    sides, scoring = only(str, policy.get("sides")) or NONE, policy.get("scoring")
    if sides == NONE:
        return None
    agents = tuple(sides.replace(AGAINST, BESIDE).split(BESIDE))
    try:
        members = sides_from(sides, agents, agents)
    except SettingError:  # somebody edited the configuration
        return None
    assert members is not None
    return Competition(
        sides=members.by_name(agents), scoring="game" if scoring == "game" else "match"
    )


def evaluation_tasks(path: Path) -> EvaluationTasks | None:
    """Returns the tasks on which the team of a run was evaluated; None before."""
    evaluated = read_status(path).evaluated
    return None if evaluated is UNSET else evaluated


def carried_messages(path: Path) -> Messages | None:
    """Returns what messages carried when the run ended; None before, or where nobody speaks."""
    carried = read_status(path).messages
    return None if carried is UNSET else carried


def _references(world: sequential.References) -> References:
    random, reference, silent = (
        None if r is None else float(r) for r in (world.random, world.reference, world.silent)
    )
    return References(random=random, reference=reference, scale=world.scale, silent=silent)


def _agents(rows: Sequence[Row]) -> dict[str, AgentSeries]:
    """Returns the series of each agent over the updates that were measured."""
    measured = [(row.step, row.agents) for row in rows if row.agents is not None]
    series = {}
    for name in measured[0][1] if measured else ():
        # Of an agent that an edited row lacks, nothing is known.
        values = [agents[name].to_json() if name in agents else {} for _, agents in measured]
        series[name] = AgentSeries(
            step=[step for step, _ in measured],
            collapsed=[only(bool, one.get("collapsed")) for one in values],
            cause=[only(str, one.get("cause")) for one in values],
            expected=[only(str, one.get("expected")) for one in values],
            **{key: [number(one.get(key)) for one in values] for key in NUMBERS},
        )
    return series


def read_talk(path: Path, world: TextWorld | None) -> Talk:
    """Returns samples of the texts of a run, as far as it has come.

    Args:
        path: the run directory.
        world: the world of the run; None if it cannot be made here: the prompts are unknown then.
    """
    rows = read_rows(path / EPISODES)[0]
    places = sorted({0, len(rows) // 2, len(rows) - 1}) if rows else []
    batches = [(int(number(rows[i]["step"]) or 0), _episodes(rows[i])) for i in places]
    often = Counter(task for _, batch in batches for task in {" ".join(e.task) for e in batch})
    moments = []
    for update, batch in batches:
        by_task: dict[str, list[EqualEpisodes]] = {}
        for one in batch:
            by_task.setdefault(" ".join(one.task), []).append(one)
        shown = []
        # Tasks that come up at other moments too are shown first.
        for task in sorted(by_task, key=lambda task: (-often[task], task))[:TASKS]:
            ways = sorted(by_task[task], key=lambda one: -one.count)
            of = sum(one.count for one in ways)
            shown += [_sample(one, of) for one in ways[:WAYS]]
        episodes = sum(one.count for one in batch)
        moments.append(Moment(update=update, episodes=episodes, different=len(batch), shown=shown))
    words, reason = _words(world, batches[-1][1] if batches else [])
    return Talk(moments=moments, words=words, words_reason=reason)


def _sample(one: EqualEpisodes, of: int) -> EpisodeSample:
    events = [Utterance(agent=e.agent, to=e.to, text=_short(e.text)) for e in one.events]
    task = _short(" ".join(one.task))
    return EpisodeSample(task=task, count=one.count, success=one.success, events=events, of=of)


def _words(
    world: TextWorld | None, batch: Sequence[EqualEpisodes]
) -> tuple[list[WordCounts], str | None]:
    """Returns how often each agent chose each word after each prompt; or why that is not known."""
    if world is None:
        return [], "the world is not here, so the prompts of agents are not known"
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


def count_words(
    world: TextWorld, batch: Sequence[EqualEpisodes]
) -> dict[tuple[str, str], Counter[str]]:
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
                    counts = counted.setdefault((ask.agent, ask.shown), Counter())
                    counts[event.text] += one.count
            past = (*past, *(Statement(event.agent, event.text, event.to) for event in wave))
    return counted


def _episodes(line: Line) -> list[EqualEpisodes]:
    """Returns the episodes of a line of the file; other values (in an edited file) are left out."""
    episodes, values = [], line.get("episodes")
    for one in values if isinstance(values, list) else ():
        with contextlib.suppress(msgspec.ValidationError):
            episodes.append(msgspec.convert(one, EqualEpisodes))
    return episodes


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"
