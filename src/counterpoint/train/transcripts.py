"""What a team of language models said while it learned: samples over time, and its last words.

Start with `talk_document`. Of a run, only episodes.jsonl is read; what an agent was shown is not
written there, since the world knows it: an episode is walked through again to find it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from counterpoint.errors import CounterpointError
from counterpoint.runs.metrics import read_rows
from counterpoint.runs.status import EPISODES
from counterpoint.worlds.foreign.names import foreign_code
from counterpoint.worlds.text.world import Said, TextWorld

TASKS, WAYS = 4, 2
"""Tasks that are shown of an update, and how many of the ways in which each went."""
LONGEST = 400
"""Characters of a text that are shown."""
PROMPTS = 60
"""Most rows of the table of words."""

Episodes = Sequence[Mapping[str, Any]]


def talk_document(path: Path, world: TextWorld | None) -> dict[str, Any]:
    """What was said in the run in a directory, as far as it has come.

    Args:
        path: the run directory.
        world: where it was said; None where it cannot be made here, and nothing is known of what
            agents were shown.

    Returns:
        `moments`: the first, middle and last update, each with its commonest episodes; `words`:
        what agents that choose said in the last update to what they were shown; `words_reason`:
        why that is empty.
    """
    rows = read_rows(path / EPISODES)[0]
    places = sorted({0, len(rows) // 2, len(rows) - 1}) if rows else []
    batches = [(rows[i]["step"], _well_formed(rows[i].get("episodes"))) for i in places]
    often = Counter(task for _, batch in batches for task in {_task(one) for one in batch})
    words, reason = _words(world, batches[-1][1] if batches else [])
    return {
        "moments": [_moment(update, batch, often) for update, batch in batches],
        "words": words,
        "words_reason": reason,
    }


def _moment(update: int, batch: Episodes, often: Mapping[str, int]) -> dict[str, Any]:
    """One update: its commonest episodes, of tasks that come up at other moments too if it can."""
    by_task: dict[str, list[Mapping[str, Any]]] = {}
    for one in batch:
        by_task.setdefault(_task(one), []).append(one)
    shown = []
    for task in sorted(by_task, key=lambda task: (-often[task], task))[:TASKS]:
        ways = sorted(by_task[task], key=lambda one: -one["count"])
        of = sum(one["count"] for one in ways)
        shown += [{**_shortened(one), "of": of} for one in ways[:WAYS]]
    return {
        "update": update,
        "episodes": sum(one["count"] for one in batch),
        "different": len(batch),
        "shown": shown,
    }


def _shortened(one: Mapping[str, Any]) -> dict[str, Any]:
    events = [
        {"agent": str(e["agent"]), "to": str(e["to"]), "text": _short(str(e["text"]))}
        for e in one["events"]
    ]
    told = {"task": _short(_task(one)), "count": one["count"], "success": one["success"]}
    return {**told, "events": events}


def _words(world: TextWorld | None, batch: Episodes) -> tuple[list[dict[str, Any]], str | None]:
    """Rows of agent, what it was shown, and how often it said each word; or why there are none."""
    if world is None:
        return [], "the world is not here, so that what agents were shown is not known"
    if world.free:
        return [], "agents write freely"
    try:
        with foreign_code(world.name, "its episodes, walked through again", "those of this run"):
            found = words_said(world, batch)
    except CounterpointError:
        return [], "the episodes are not those of this world"
    rows = [
        {"agent": agent, "shown": _short(shown), "said": dict(counts.most_common())}
        for (agent, shown), counts in sorted(found.items())
    ]
    return rows[:PROMPTS], None if rows else "no word has been chosen yet"


def words_said(world: TextWorld, batch: Episodes) -> dict[tuple[str, str], Counter[str]]:
    """(agent, what it was shown) to how often it chose each word."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for one in batch:
        task, said, left = tuple(one["task"]), tuple[Said, ...](), list(one["events"])
        while left:
            asks = sorted(world.asks(task, said), key=lambda ask: ask.agent)
            if not asks:
                break
            wave, left = left[: len(asks)], left[len(asks) :]
            for ask, event in zip(asks, wave, strict=False):
                if ask.words:
                    counts = found.setdefault((ask.agent, ask.user), Counter())
                    counts[event["text"]] += one["count"]
            said = (*said, *(Said(e["agent"], e["text"], e["to"]) for e in wave))
    return found


def _well_formed(batch: Any) -> Episodes:
    """Those of a batch that are episodes: the file may have been edited."""
    return [one for one in batch if _is_episode(one)] if isinstance(batch, list) else []


def _is_episode(one: Any) -> bool:
    if not isinstance(one, dict):
        return False
    task, events = one.get("task"), one.get("events")
    numbers = type(one.get("count")) is int and isinstance(one.get("success"), int | float)
    texts = isinstance(task, list) and all(isinstance(part, str) for part in task)
    return numbers and texts and isinstance(events, list) and all(map(_is_event, events))


def _is_event(event: Any) -> bool:
    named = ("agent", "to", "text")
    return isinstance(event, dict) and all(isinstance(event.get(n), str) for n in named)


def _task(one: Mapping[str, Any]) -> str:
    return " ".join(one["task"])


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"
