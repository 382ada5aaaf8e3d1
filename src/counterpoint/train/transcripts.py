"""What a team of language models said while it learned: samples over time, and its last words.

Start with `read_talk`. Of a run, only episodes.jsonl is read. It does not hold the prompts of
agents, since the world knows them: each episode is walked through again to get them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from counterpoint.errors import CounterpointError
from counterpoint.results.training import EpisodeSample, Moment, Talk, Utterance, WordCounts
from counterpoint.runs.metrics import read_rows
from counterpoint.runs.status import EPISODES
from counterpoint.worlds.foreign.names import foreign_code
from counterpoint.worlds.text.world import Statement, TextWorld

TASKS, WAYS = 4, 2
"""Tasks that are shown of an update, and how many of the ways in which each went."""
LONGEST = 400
"""Characters of a text that are shown."""
PROMPTS = 60
"""Most rows of the table of words."""


class Episodes(msgspec.Struct, frozen=True):
    """Episodes of one update that went alike, as a line of the file has them."""

    task: tuple[str, ...]
    events: tuple[Utterance, ...]
    count: int
    success: float

    @property
    def subject(self) -> str:
        """The task in one text."""
        return " ".join(self.task)


def read_talk(path: Path, world: TextWorld | None) -> Talk:
    """Returns what was said in the run in a directory, as far as it has come.

    Args:
        path: the run directory.
        world: where it was said; None if it cannot be made here, and the prompts are not known.
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
    """One update; tasks that come up at other moments too are shown first."""
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
    """How often each agent chose each word after each prompt; or why that is not known."""
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
    """Those of a batch that are episodes: somebody may have edited the file."""
    episodes = []
    for one in batch if isinstance(batch, list) else ():
        try:
            episodes.append(msgspec.convert(one, Episodes))
        except msgspec.ValidationError:
            continue
    return episodes


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"
