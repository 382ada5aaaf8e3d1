"""What a judge reads of the runs of a group, and what it does not: `read_runs`.

All runs are shown in one form. Whatever is not shown is counted for each run: pictures and other
parts that are no text, hidden reasoning, what a cut takes out, invisible characters. If the runs
differ only in that, no ranking of them means anything, and the group is void.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from counterpoint.marks import count_marks, listed, marks_in, plural_of, without_digests
from counterpoint.records import Episode
from counterpoint.results.ranking import Unseen, UnseenTotal

SHOWN_INVISIBLE = frozenset("\n\t")
LINE_ENDS = str.maketrans({"\r": "\n", "\u2028": "\n", "\u2029": "\n", "\x85": "\n"})
LONGEST = 8_000
"""The most characters of a candidate that a judge reads."""


@dataclass(frozen=True)
class Run:
    """A run to be read."""

    episode: Episode
    definitions: tuple[str, ...] = ()
    """Definitions of its tools."""


@dataclass(frozen=True)
class Reading:
    """What a judge reads of the runs of a group."""

    common: str
    """The beginning that all runs share."""
    texts: tuple[str, ...]
    """[n] the text of each run after the common beginning."""
    unseen: tuple[Unseen, ...]
    """[n] what is not shown of each run."""
    void: str = ""
    """Why the runs cannot be compared; empty if they can."""
    not_shown: str = ""
    """What is not shown, in a sentence to the judge; empty if nothing is left out."""


@dataclass(frozen=True)
class _Whole:
    """A run with everything that its log has."""

    lines: tuple[str, ...]
    """The lines to show, with digests and with invisible characters."""
    hidden: tuple[str, ...]
    """The reasoning that is not shown."""
    is_empty: bool

    @property
    def texts(self) -> list[str]:
        """Returns the lines as a judge reads them, before a cut."""
        return [clean(without_digests(line)) for line in self.lines]


def read_runs(runs: Sequence[Run], longest: int, reasoning: bool) -> Reading:
    """Returns what a judge reads of the runs of a group.

    Args:
        runs: [n] the runs.
        longest: the most characters of a run; more are cut out of its middle, visibly.
        reasoning: whether the reasoning of the members is shown.
    """
    is_named = not all(_is_alone(run.episode) for run in runs)
    wholes = [_whole(run, is_named, reasoning) for run in runs]
    lines = [whole.texts for whole in wholes]
    same = _common(lines)
    beginning, own = "\n".join(lines[0][:same]), ["\n".join(each[same:]) for each in lines]
    common, texts = cut(beginning, longest), [cut(text, longest) for text in own]
    alike = _alike(texts, wholes)
    unseen = tuple(
        Unseen(
            characters=len(beginning) + len(text),
            cut_characters=_missing(beginning, longest) + _missing(text, longest),
            invisible_characters=_invisible(whole, shown),
            parts=dict(count_marks(whole.lines)),
            reasoning=len(whole.hidden),
            empty=whole.is_empty,
            alike=is_alike,
        )
        for whole, shown, text, is_alike in zip(wholes, lines, own, alike, strict=True)
    )
    void = ""
    if len(runs) > 1 and all(whole.is_empty for whole in wholes):
        void = "empty: no run has a message"
    elif len(set(texts)) == 1 and any(alike):
        void = f"unseen: the runs differ only in {_differences(wholes, lines)}"
    return Reading(common, tuple(texts), unseen, void, _not_shown(unseen))


def clean(text: str) -> str:
    """Returns the text without control, format (zero-width, direction) and broken surrogate
    characters."""
    kept = text.replace("\r\n", "\n").translate(LINE_ENDS)
    return "".join(
        each for each in kept if each in SHOWN_INVISIBLE or unicodedata.category(each)[0] != "C"
    )


def cut(text: str, longest: int) -> str:
    """Returns the text, or its two ends and a mark that says how many characters are missing."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n[{_missing(text, longest)} characters cut]\n{text[len(text) - half :]}"


def thinking_of(meta: Mapping[str, object]) -> str:
    """Returns the reasoning in the `meta` of an event; empty if it has none."""
    thinking = meta.get("thinking")
    return thinking if isinstance(thinking, str) else ""


def combined(parts: Sequence[Unseen]) -> Unseen:
    """Returns what is not shown of several parts of a run together."""
    kinds: Counter[str] = Counter()
    for each in parts:
        kinds.update(each.parts)
    return Unseen(
        characters=sum(each.characters for each in parts),
        cut_characters=sum(each.cut_characters for each in parts),
        invisible_characters=sum(each.invisible_characters for each in parts),
        parts=dict(kinds),
        reasoning=sum(each.reasoning for each in parts),
        empty=all(each.empty for each in parts),
        alike=any(each.alike for each in parts),
    )


def unseen_total(runs: int, unseen: Sequence[Unseen]) -> UnseenTotal:
    """Returns what is not shown of all runs together.

    Args:
        runs: number of all runs.
        unseen: what is not shown of those that are not shown in full.
    """
    whole = combined(unseen)
    return UnseenTotal(
        runs=runs,
        cut_runs=sum(bool(each.cut_characters) for each in unseen),
        cut_characters=whole.cut_characters,
        longest=max((each.characters for each in unseen if each.cut_characters), default=0),
        invisible_characters=whole.invisible_characters,
        parts=whole.parts,
        reasoning=whole.reasoning,
        empty_runs=sum(each.empty for each in unseen),
        alike_runs=sum(each.alike for each in unseen),
    )


def _missing(text: str, longest: int) -> int:
    return len(text) - 2 * (longest // 2) if len(text) > longest else 0


def _is_alone(episode: Episode) -> bool:
    """Returns whether at most one speaker says something, who is a member: no names are needed."""
    speakers = {event.agent for event in episode.events if event.kind != "reward"}
    return len(speakers) <= 1 and speakers <= set(episode.agents)


def _whole(run: Run, is_named: bool, reasoning: bool) -> _Whole:
    """Returns a run as lines to read: who wrote or did what, and to whom, without rewards."""
    lines = [f"[tool definition] {each}" for each in run.definitions]
    hidden: list[str] = []
    events = [event for event in run.episode.events if event.kind != "reward"]
    for event in events:
        who = event.agent if is_named else ""
        if thinking := thinking_of(event.meta):
            if reasoning:
                lines.append(f"[{' '.join(filter(None, (who, '(reasoning)')))}] {thinking}")
            else:
                hidden.append(thinking)
        to = f"to {', '.join(event.to)}" if event.to else ""
        did = "" if event.kind == "message" else f"({event.kind})"
        tool = event.tool if event.kind == "action" else ""
        head = " ".join(filter(None, (who, to, did, tool)))
        lines.append(f"[{head}] {event.text}" if head else event.text)
    is_empty = not any(e.text.strip() or e.kind != "message" or thinking_of(e.meta) for e in events)
    return _Whole(tuple(lines), tuple(hidden), is_empty)


def _common(lines: Sequence[Sequence[str]]) -> int:
    """Returns how many lines all begin with, at most so many that each keeps a line of its own."""
    if len(lines) < 2:
        return 0
    same = 0
    for each in zip(*lines, strict=False):
        if len(set(each)) > 1:
            break
        same += 1
    return same if all(len(each) > same for each in lines) else max(0, same - 1)


def _alike(texts: Sequence[str], wholes: Sequence[_Whole]) -> list[bool]:
    """Returns [n] whether another run, which is not the same, is shown with the same text."""
    shown: dict[str, set[_Whole]] = {}
    for text, whole in zip(texts, wholes, strict=True):
        shown.setdefault(text, set()).add(whole)
    return [len(shown[text]) > 1 for text in texts]


def _differences(wholes: Sequence[_Whole], lines: Sequence[Sequence[str]]) -> str:
    """Returns in words in what runs differ that are shown with one text."""
    marks = [[mark for line in whole.lines for mark in marks_in(line)] for whole in wholes]
    kinds = dict.fromkeys(kind for each in marks for kind, _ in each)
    words = [
        plural_of(kind)
        for kind in kinds
        if len({tuple(digest for own, digest in each if own == kind) for each in marks}) > 1
    ]
    if len({whole.hidden for whole in wholes}) > 1:
        words.append("reasoning, which is not shown")
    if len({tuple(each) for each in lines}) > 1:
        words.append("what is cut out of their middle")
    return listed(words) or "invisible characters"


def _invisible(whole: _Whole, shown: Sequence[str]) -> int:
    """Returns how many characters `clean` takes out; a line end of two characters is one."""
    lines = [without_digests(line).replace("\r\n", "\n") for line in whole.lines]
    return sum(map(len, lines)) - sum(map(len, shown))


def _not_shown(unseen: Sequence[Unseen]) -> str:
    kinds = dict.fromkeys(kind for each in unseen for kind in each.parts)
    words = [f"{plural_of(kind)} (marked [{kind}])" for kind in kinds]
    words += ["reasoning"] if any(each.reasoning for each in unseen) else []
    return f"Not shown to you: {listed(words)}." if words else ""
