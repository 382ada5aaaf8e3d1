"""What a team said as episodes and outcomes, so that every audit applies to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from counterpoint.records import Episode, Event, Outcome
from counterpoint.topology.play import Played
from counterpoint.worlds.message.world import MessageWorld


def name_of(member: int) -> str:
    """What a member is called in records, from 1."""
    return f"member_{member + 1}"


def episodes(
    world: MessageWorld[Any], items: Any, played: Played, run: str, task: str = "item"
) -> Iterator[Episode]:
    """One episode an item: who said what to whom, what each answered, what it was worth.

    Args:
        world: that was played.
        items: the batch.
        played: what came of it.
        run: the cell of a design, say.
        task: what tasks are called: `item_0`, `item_1`, ...
    """
    scores = world.score(items, played.answers) * played.answered
    topology = played.topology
    hears = {a: tuple(name_of(y) for x, y in topology.edges if x == a)
             for a in range(topology.members)}  # fmt: skip
    final = played.together or played.votes
    for i in range(len(items)):
        events: list[Event] = []
        for turn in played.turns:
            text = "" if turn.said is None else world.message_text(items, turn.said, i)
            meta: dict[str, Any] = {"round": turn.round}
            if turn.failure:
                meta["failure"] = turn.failure
            events.append(
                Event(len(events), name_of(turn.member), "message", text, hears[turn.member],
                      work=float(bool(text)), meta=meta)
            )  # fmt: skip
        for vote in final:
            told = world.answer_text(items, vote.answers[i]) if vote.sure[i] > -np.inf else None
            events.append(
                Event(len(events), name_of(vote.member), "answer", told or "", answer=told)
            )
        said = world.answer_text(items, played.answers[i]) if played.answered[i] else None
        events.append(Event(len(events), "team", "end", answer=said))
        yield Episode(
            f"{run}/{task}_{i}", tuple(events), tuple(map(name_of, topology.speakers)), ("team",),
            run, f"{task}_{i}", float(scores[i]), {"format": "counterpoint", "world": world.name},
        )  # fmt: skip


def outcomes(
    world: MessageWorld[Any], items: Any, played: Played, task: str = "item"
) -> Iterator[Outcome]:
    """What each member answered alone, and the team, item by item; needs `ask_all`."""
    team = world.score(items, played.answers) * played.answered
    alone = [(vote, world.score(items, vote.answers)) for vote in played.alone]
    names = tuple(map(name_of, played.topology.speakers))
    for i in range(len(items)):
        for vote, scores in alone:
            if vote.sure[i] > -np.inf:
                own = world.answer_text(items, vote.answers[i])
                yield Outcome(f"{task}_{i}", "isolated", (name_of(vote.member),),
                              float(scores[i]), answer=own)  # fmt: skip
        told = world.answer_text(items, played.answers[i]) if played.answered[i] else None
        yield Outcome(f"{task}_{i}", "team", names, float(team[i]), answer=told)
