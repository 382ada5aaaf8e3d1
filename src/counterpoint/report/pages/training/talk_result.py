"""What agents said, out of a training document: what the tables of a language team read.

Whatever a model may have written is text here, and stays text: `open_document` has made every
string of the document safe to show.
"""

from __future__ import annotations

from dataclasses import dataclass

from counterpoint.report.toolkit.document import Document, items, mapping, number, text


@dataclass(frozen=True)
class Sample:
    """One way in which episodes of a task went."""

    update: float | None
    task: str
    count: float | None
    """Episodes that went so."""
    of: float | None
    """Episodes of this task in the same update."""
    success: float | None
    lines: tuple[str, ...]
    """`speaker to listener: red`, in order."""


@dataclass(frozen=True)
class Shown:
    """What an agent was shown in the last update, and what it said to it."""

    agent: str
    prompt: str
    said: tuple[tuple[str, float], ...]
    """Words and how often, the commonest first."""

    @property
    def times(self) -> float:
        """How often it was shown that."""
        return sum(count for _, count in self.said)


@dataclass(frozen=True)
class Talk:
    """What was said in a training."""

    samples: tuple[Sample, ...]
    words: tuple[Shown, ...]
    reason: str
    """Why there are no words."""


def read_talk(document: Document) -> Talk | None:
    """What was said, in the `talk` of a training document; None where nobody speaks."""
    talk = mapping(document, "talk")
    if not talk:
        return None
    samples = [
        _sample(number(moment.get("update")), _mapped(one))
        for moment in map(_mapped, items(talk, "moments"))
        for one in items(moment, "shown")
    ]
    words = tuple(_shown(_mapped(entry)) for entry in items(talk, "words"))
    return Talk(tuple(samples), words, text(talk.get("words_reason")))


def _sample(update: float | None, one: Document) -> Sample:
    lines = []
    for event in map(_mapped, items(one, "events")):
        to = f" to {text(event.get('to'))}" if event.get("to") else ""
        lines.append(f"{text(event.get('agent'))}{to}: {text(event.get('text'))}")
    count, of, success = (number(one.get(name)) for name in ("count", "of", "success"))
    return Sample(update, text(one.get("task")), count, of, success, tuple(lines))


def _shown(entry: Document) -> Shown:
    counts = {word: number(count) for word, count in mapping(entry, "said").items()}
    known = [(word, count) for word, count in counts.items() if count is not None]
    known.sort(key=lambda pair: -pair[1])
    return Shown(text(entry.get("agent")), text(entry.get("shown")), tuple(known))


def _mapped(value: object) -> Document:
    return mapping({"": value}, "")
