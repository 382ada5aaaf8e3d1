"""The transcript of a team as episodes and outcomes, so that every audit applies to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from counterpoint.readers.episodes import encode
from counterpoint.records import Episode, Event, Json, Outcome
from counterpoint.runs.files import make_folder, write_atomically
from counterpoint.topology.design import CHANCE, ITEMS, TopologyPlan, lay_out
from counterpoint.topology.play import Transcript, play
from counterpoint.worlds.message.world import MessageWorld


def name_of(member: int) -> str:
    """Returns the name of a member in records, counted from 1."""
    return f"member_{member + 1}"


def episodes(
    world: MessageWorld[Any], items: Any, transcript: Transcript, run: str, task: str = "item"
) -> Iterator[Episode]:
    """Yields one episode for each item: who said what to whom, each answer, and the score.

    Args:
        world: the world that was played.
        items: the batch.
        transcript: what the team said and answered.
        run: the name of the run, for example a cell of a design.
        task: the prefix of task names: `item_0`, `item_1`, ...
    """
    scores = world.score(items, transcript.answers) * transcript.answered
    topology = transcript.topology
    hearers = {a: tuple(name_of(y) for x, y in topology.edges if x == a)
               for a in range(topology.members)}  # fmt: skip
    final = transcript.together or transcript.votes
    for i in range(len(items)):
        events: list[Event] = []
        for turn in transcript.turns:
            if turn.content is None:
                text = ""
            elif turn.content.dtype.kind in "OU":  # a model's message is text already
                text = str(turn.content[i])
            else:
                text = world.message_text(items, turn.content, i)
            meta: dict[str, Json] = {"round": turn.round}
            if turn.failure:
                meta["failure"] = turn.failure
            events.append(
                Event(len(events), name_of(turn.member), "message", text, hearers[turn.member],
                      work=float(bool(text)), meta=meta)
            )  # fmt: skip
        for vote in final:
            own = world.answer_text(items, vote.answers[i]) if vote.sure[i] > -np.inf else None
            events.append(Event(len(events), name_of(vote.member), "answer", own or "", answer=own))
        team = world.answer_text(items, transcript.answers[i]) if transcript.answered[i] else None
        events.append(Event(len(events), "team", "end", answer=team))
        yield Episode(
            f"{run}/{task}_{i}", tuple(events), tuple(map(name_of, topology.speakers)), ("team",),
            run, f"{task}_{i}", float(scores[i]), {"format": "counterpoint", "world": world.name},
        )  # fmt: skip


def outcomes(
    world: MessageWorld[Any], items: Any, transcript: Transcript, task: str = "item"
) -> Iterator[Outcome]:
    """Yields the outcome of each member alone and of the team, item by item; needs `ask_all`."""
    team = world.score(items, transcript.answers) * transcript.answered
    alone = [(vote, world.score(items, vote.answers)) for vote in transcript.alone]
    names = tuple(map(name_of, transcript.topology.speakers))
    for i in range(len(items)):
        for vote, scores in alone:
            if vote.sure[i] > -np.inf:
                own = world.answer_text(items, vote.answers[i])
                yield Outcome(f"{task}_{i}", "isolated", (name_of(vote.member),),
                              float(scores[i]), answer=own)  # fmt: skip
        answer = world.answer_text(items, transcript.answers[i]) if transcript.answered[i] else None
        yield Outcome(f"{task}_{i}", "team", names, float(team[i]), answer=answer)


@dataclass(frozen=True)
class Logged:
    """What a team said, did and reached, at each item of a seed."""

    run: str
    """Topology and prompt, as a name of a file."""
    episodes: list[Episode]
    outcomes: list[Outcome]
    """The scores of the team, and of each member alone."""


def logs(plan: TopologyPlan, seed: int) -> Iterator[Logged]:
    """Yields the log of each topology x prompt.

    Members also answer before and after the talk; these answers decide nothing.
    """
    design = lay_out(plan)
    world = design.world
    items = world.draw(np.random.default_rng([seed, ITEMS]), plan.items)
    seats = design.seats()
    for t, (name, seatings) in enumerate(design.seatings.items()):
        for p, prompt in enumerate(design.prompts):
            rng = np.random.default_rng([seed, CHANCE, t, p, 0])
            transcript = play(seatings[0], items, plan.items, seats.members(prompt, None), rng,
                              guards=plan.guards, ask_all=True)  # fmt: skip
            run = f"{name}.{prompt}".replace(":", "_").replace("=", "_")
            yield Logged(run, list(episodes(world, items, transcript, run)),
                         list(outcomes(world, items, transcript)))  # fmt: skip


def write_logs(plan: TopologyPlan, folder: Path) -> list[Path]:
    """Writes `episodes.jsonl` and `outcomes.jsonl` of seed 0 for each topology x prompt.

    `counterpoint audit` reads these files.

    Raises:
        OutputError: a file could not be written.
    """
    written = []
    for log in logs(plan, 0):
        make_folder(folder / log.run)
        lines = b"".join(map(encode, log.episodes))
        write_atomically(folder / log.run / "episodes.jsonl", lines)
        rows = [msgspec.json.encode(asdict(one)) for one in log.outcomes]
        write_atomically(folder / log.run / "outcomes.jsonl", b"\n".join(rows) + b"\n")
        written.append(folder / log.run)
    return written
