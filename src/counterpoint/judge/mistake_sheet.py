"""The question which member made the decisive mistake of an episode, and the reply to it.

`mistake_sheets` makes the questions about one episode, one for each order in which members and
failure modes are listed; `parse_mistake` reads a reply strictly. The failure modes are those of
MAST (Cemri et al. 2025, arXiv 2503.13657), in our words. The mistake is the decisive error of
Who&When (Zhang et al. 2025, arXiv 2505.00212).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from counterpoint.errors import JudgeError
from counterpoint.judge.judges import parse_object
from counterpoint.judge.present import data_notice, fence_for, object_schema, rng_for
from counterpoint.judge.reading import clean, cut, thinking_of
from counterpoint.marks import count_marks, without_digests
from counterpoint.records import Episode

GROUPS = {"1": "specification", "2": "misalignment between agents", "3": "verification"}
"""First digit of a failure mode to its group."""
MODES = {
    "FM-1.1": "breaks a rule of the task",
    "FM-1.2": "leaves its role",
    "FM-1.3": "repeats steps that are done",
    "FM-1.4": "loses what was said before",
    "FM-1.5": "does not know when to stop",
    "FM-2.1": "starts the conversation over",
    "FM-2.2": "does not ask what is unclear",
    "FM-2.3": "drifts away from the task",
    "FM-2.4": "keeps information back",
    "FM-2.5": "ignores a teammate",
    "FM-2.6": "acts against its own reasoning",
    "FM-3.1": "stops too early",
    "FM-3.2": "does not check, or not enough",
    "FM-3.3": "checks wrongly",
}
"""Code of a failure mode of MAST to its meaning."""
LONGEST_NAME, LONGEST_TASK = 60, 4_000
"""The most characters of a name and of a task."""
LEAST = 80
"""An event that is shown may have at least this many characters."""
KEYS = ("member", "event", "mode")


@dataclass(frozen=True)
class Mistake:
    """What one reply says about an episode; None where it says that it cannot tell."""

    agent: str | None = None
    event: int | None = None
    """Place of an event of that agent."""
    mode: str | None = None
    """One of `MODES`."""


@dataclass(frozen=True)
class MistakeSheet:
    """One question about one episode."""

    task: str
    has_failed: bool
    """Whether the log says that the episode failed; otherwise it says nothing."""
    events: str
    """The events, each behind a fence with its place and its author."""
    members: Mapping[str, str]
    """Name on the sheet to name in the log, in the order in which they are listed."""
    authors: Mapping[int, str]
    """Place of an event of a member to the name of its author on the sheet."""
    modes: tuple[str, ...]
    """The failure modes in the order in which they are listed."""
    fence: str
    """A random mark of this episode that occurs in no text."""
    seed: int
    complaint: str = ""
    """Why the last reply was refused."""
    kind: str = "mistake"

    @property
    def prompt(self) -> str:
        """Returns the whole question; what differs between two orders stands at the end."""
        f = self.fence
        outcome = "failed" if self.has_failed else "may have failed"
        parts = [
            f"A team of agents worked at a task and {outcome}. Find the decisive mistake: the "
            "earliest event without which the team would have succeeded.",
            data_notice(f),
            f"{f} task\n{self.task}\n{f} end of task",
            f"{self.events}\n{f} end of events",
            "\n".join([f"{f} members", *self.members, f"{f} end of members"]),
            "Failure modes:\n" + "\n".join(f"{mode}: {MODES[mode]}" for mode in self.modes),
            'Reply with JSON alone: {"member": "the name of the member that made the mistake", '
            '"event": number of an event of that member, "mode": "the failure mode that fits '
            'best"}. Write null for each of them that the texts do not show.',
        ]
        if self.complaint:
            parts.append(f"Your last reply was refused: {self.complaint}")
        return "\n\n".join(parts)

    @property
    def reply_schema(self) -> dict[str, object]:
        """Returns the JSON schema of a reply. Whose event it is, is checked afterwards."""
        optional = {"type": ["string", "null"]}
        return object_schema({
            "member": {**optional, "enum": [*self.members, None]},
            "event": {"type": ["integer", "null"]},
            "mode": {**optional, "enum": [*self.modes, None]},
        })  # fmt: skip


@dataclass(frozen=True)
class MistakeQuestions:
    """The questions about one episode, and what a judge does not read of it."""

    episode: str
    sheets: tuple[MistakeSheet, ...]
    """One for each order."""
    events: int
    """Number of its events."""
    cut_characters: int
    """Number of characters of its events that are cut."""
    left_out_events: int
    """Number of events in its middle of which nothing is shown."""
    unseen_parts: int
    """Number of pictures and other parts that are no text, of which a mark is shown."""
    unseen_reasoning: int
    """Number of events whose reasoning is not shown."""


def mistake_sheets(
    episode: Episode,
    orders: int,
    longest: int,
    seed: int,
    has_failed: bool,
    reasoning: bool = False,
) -> MistakeQuestions:
    """Returns the questions about an episode with an event of a member.

    Args:
        episode: the episode; rewards are not shown.
        orders: how often it is asked; every second time the lists are reversed.
        longest: the most characters of all events; the longest events are cut in their middle, and
            events in the middle of the episode are left out if there are too many.
        seed: of orders, fences and the judge's own choices.
        has_failed: whether the log says that it failed.
        reasoning: whether the reasoning of the members is shown.
    """
    rng = rng_for(seed, episode.id)
    events = [event for event in episode.events if event.kind != "reward"]
    half = max(1, longest // (2 * LEAST))
    left_out = max(0, len(events) - 2 * half)
    shown = events if not left_out else [*events[:half], *events[-half:]]
    thoughts = [thinking_of(event.meta) if reasoning else "" for event in shown]
    said = [f"(reasoning) {thought}\n{event.text}" if thought else event.text
            for thought, event in zip(thoughts, shown, strict=True)]  # fmt: skip
    texts = [clean(without_digests(text)) for text in said]
    most = _level([len(text) for text in texts], longest)
    names = _names([*episode.agents, *(n for e in shown for n in (e.agent, *e.to))])
    tools = [clean(event.tool)[:LONGEST_NAME] for event in shown]
    task = cut(clean(without_digests(episode.task)), LONGEST_TASK)
    fence = fence_for((task, *texts, *names.values(), *tools), rng)
    blocks = []
    for i, (event, text, tool) in enumerate(zip(shown, texts, tools, strict=True)):
        if left_out and i == half:
            blocks.append(f"{fence} {left_out} events are left out here")
        to = f" to {', '.join(names[name] for name in event.to)}" if event.to else ""
        did = "" if event.kind == "message" else f" ({event.kind})"
        did += f" {tool}" if event.kind == "action" else ""
        head = " ".join(f"{fence} event {event.t}, {names[event.agent]}{to}{did}".split())
        blocks.append(f"{head}\n{cut(text, most)}")
    members = set(episode.agents)
    authors = {event.t: names[event.agent] for event in shown if event.agent in members}
    acting = [name for name in dict.fromkeys(e.agent for e in shown) if name in members]
    sheets: list[MistakeSheet] = []
    roster, modes, transcript = list(acting), list(MODES), "\n".join(blocks)
    for order in range(orders):
        if order % 2:
            roster, modes = roster[::-1], modes[::-1]
        else:
            roster = [roster[i] for i in rng.permutation(len(roster))]
            modes = [modes[i] for i in rng.permutation(len(modes))]
        sheets.append(MistakeSheet(
            task, has_failed, transcript, {names[name]: name for name in roster}, authors,
            tuple(modes), fence, int(rng.integers(2**31)),
        ))  # fmt: skip
    missing = sum(max(0, len(text) - most) for text in texts)
    return MistakeQuestions(
        episode.id, tuple(sheets), len(episode.events), missing, left_out,
        count_marks(event.text for event in events).total(),
        0 if reasoning else sum(bool(thinking_of(event.meta)) for event in events),
    )  # fmt: skip


def parse_mistake(text: str, sheet: MistakeSheet) -> Mistake:
    """Returns what `{"member": "name", "event": 3, "mode": "FM-1.1"}` says.

    Args:
        text: the whole reply; only white space may stand around the object.
        sheet: the question. The member is one of its list, the event is an event of that member,
            and the mode is one of its list; each may be null.

    Raises:
        JudgeError: the text is anything else.
    """
    values = parse_object(text, KEYS)
    member, event, mode = (values[key] for key in KEYS)
    if member is not None and not (isinstance(member, str) and member in sheet.members):
        raise JudgeError("got a member that is not listed; wanted a listed name, or null")
    if mode is not None and not (isinstance(mode, str) and mode in sheet.modes):
        raise JudgeError("got a mode that is not listed; wanted a listed failure mode, or null")
    if event is not None:
        if type(event) is not int or event not in sheet.authors:
            raise JudgeError("got no number of a member's event; wanted one, or null")
        if sheet.authors[event] != member:
            raise JudgeError("got an event of somebody else; wanted an event of the named member")
    return Mistake(None if member is None else sheet.members[member], event, mode)


def _level(lengths: Sequence[int], total: int) -> int:
    """Returns the length to which the longest texts are cut so that all have at most `total`."""
    for i, length in enumerate(sorted(lengths)):
        share = total // (len(lengths) - i)
        if length > share:
            return share
        total -= length
    return max(lengths, default=0)


def _names(names: Iterable[str]) -> dict[str, str]:
    """Returns a name of one line for each name of a log; no two are alike."""
    shown: dict[str, str] = {}
    for name in dict.fromkeys(names):
        first = " ".join(clean(name).split())[:LONGEST_NAME].strip() or "unnamed"
        line, times = first, 1
        while line in shown.values():
            times += 1
            line = f"{first} ({times})"
        shown[name] = line
    return shown
