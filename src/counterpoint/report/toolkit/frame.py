"""The parts of every page: its heading, its verdict, its definitions and its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from counterpoint.report.toolkit.tables import Cure, Figure, Table
from counterpoint.results.parts import Settings

LONG = 24
"""A value of more characters than this gets a line of its own."""


@dataclass(frozen=True)
class Place:
    """A place of a log to look at."""

    title: str
    what: str
    """What is seen there."""
    quote: str
    where: str
    cost: str
    link: str
    """`#` and a name on the page, or a percent-encoded path from the page on; or nothing."""


@dataclass(frozen=True)
class Entry:
    """One event of a transcript as its page shows it."""

    name: str
    """Its name on the page."""
    agent: str
    head: str
    """What it is, when it was and what it cost."""
    text: str
    """What is shown of its text."""
    fold: str
    """The line over a text that is folded; nothing if it is open."""
    more: str
    """What is left out of the text."""
    error: str
    marks: tuple[str, ...]
    """The cases that end with it."""
    gap: str
    """What is left out before it."""
    tone: str
    """A class of the style sheet."""


Content = (
    Table | Figure | str
    | Sequence[str | Cure | tuple[str | Table | None, ...]] | Sequence[Place] | Sequence[Entry]
    | None
)  # fmt: skip
"""The content of a template: tables, figures, drawings, sentences, and lists of them."""


MOST_WORDS = 15
"""Maximum number of words in a headline, if each name is one word."""


@dataclass(frozen=True)
class Definition:
    """One quantity; `key` is where the heads of the tables link to."""

    key: str
    term: str
    text: str
    own: bool = False
    """Whether the word means something else here than in the glossary, whose entry is left out."""


@dataclass(frozen=True)
class Fact:
    """One of the numbers that stand beside the verdict."""

    title: str
    value: str
    below: str
    note: str = ""


@dataclass(frozen=True)
class Headline:
    """The conclusion of a page."""

    sentence: str
    why: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, kw_only=True)
class Page:
    """The content of one page."""

    template: str
    """Name of its file."""
    title: str
    kind: str
    """The kind of the result, in a word."""
    subject: str
    """The subject of the result."""
    file_name: str = ""
    """The subject in the names of its files, if it differs from the subject of the page."""
    details: Sequence[str]
    """The text after the subject."""
    verdict: Headline
    definitions: Sequence[Definition]
    settings: Sequence[tuple[str, str]]
    picture: str = ""
    """Name of the content that stands on the first screen, if there is one."""
    caption: str = ""
    """What that shows, if it is a drawing without a caption of its own."""
    contents: Mapping[str, Content]
    """The parts between the verdict and the definitions, by their names in the template."""


def flatten(config: Settings) -> dict[str, str]:
    """Returns every setting by its own name, however deep it lies, in the order of the document."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(dict(value))
        else:
            flat[key] = written(value)
    return flat


def setting_rows(config: Settings) -> list[tuple[str, str]]:
    """Returns names and values of settings; those that need their own line come last."""
    return sorted(flatten(config).items(), key=lambda setting: len(setting[1]) > LONG)


def set_words(settings: Settings) -> list[str]:
    """Returns `--set key=value ...` for a command line, unquoted; nothing without settings."""
    pairs = [f"{key}={value}" for key, value in flatten(settings).items()]
    return ["--set", *pairs] if pairs else []


def written(value: Any) -> str:
    """Returns the value of a setting as a command line has it."""
    if isinstance(value, list):
        return ", ".join(map(written, value))
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
