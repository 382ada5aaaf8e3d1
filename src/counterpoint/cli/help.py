"""What `counterpoint CMD --help` prints: start at `command_help`.

It is made from the docstring and the fields of the command: first what it does, then examples, then
the options, those of the command itself before those that many commands have.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, dataclass

from counterpoint.cli.commands import Command
from counterpoint.cli.options import Option, options_of

SHARED = {
    "Execution": ("seed", "seeds", "workers", "executor", "seconds", "config", "model", "base_url"),
    "Output": ("out", "output", "log", "store", "export", "branch", "follow", "json"),
}
"""Groups of options that many commands have, below those that belong to one command."""
WIDEST = 100
"""Maximum number of columns of a line of help."""
_ARGUMENT = re.compile(r"""(?:[^\s"']|"[^"]*"|'[^']*')+""")
ASIDE = 26
"""Columns of the flags; longer ones have a line of their own."""


@dataclass(frozen=True)
class Help:
    """The help of a command, as a command."""

    name: str
    command: Callable[..., Command]

    def run(self) -> int:
        """Prints it."""
        sys.stdout.write(command_help(self.name, self.command) + "\n")
        return 0


def width() -> int:
    """Returns the number of columns of the help."""
    columns = os.environ.get("COLUMNS", "")
    wide = int(columns) if columns.isdecimal() else 0
    return min(wide or shutil.get_terminal_size((80, 24)).columns, WIDEST)


def command_help(name: str, command: Callable[..., Command], wide: int | None = None) -> str:
    """Returns the help of a command.

    Args:
        name: of the command.
        command: its class.
        wide: maximum number of columns; those of the terminal if None.
    """
    room = wide or width()
    options = options_of(command)
    summary, paragraphs, examples = sections(command.__doc__ or "")
    lines = [*_wrapped(summary, room), "", *_usage(name, options, room)]
    if examples:
        lines += ["", "Examples:", *(line for one in examples for line in _example(one, room))]
    for paragraph in paragraphs:
        lines += ["", *_wrapped(paragraph, room)]
    for title, group in _grouped(options):
        lines += ["", f"{title}:", *(line for one in group for line in _described(one, room))]
    return "\n".join(lines)


def sections(document: str) -> tuple[str, list[str], list[str]]:
    """Returns the first sentence of a docstring, its other paragraphs, and its examples."""
    blocks = re.split(r"\n\s*\n", textwrap.dedent(f"    {document.strip()}"))
    paragraphs, examples = [], []
    for block in blocks:
        head, _, rest = block.strip().partition("\n")
        if head.strip() in ("Example:", "Examples:"):
            # a line that is indented more than the first one continues the one before
            joined = re.sub(r"\n {5,}(?=\S)", " ", textwrap.indent(textwrap.dedent(rest), "    "))
            examples += [line.strip() for line in joined.splitlines()]
        else:
            paragraphs.append(" ".join(block.split()))
    return paragraphs[0], paragraphs[1:], examples


def _usage(name: str, options: Sequence[Option], room: int) -> list[str]:
    words = [
        one.metavar if one.default is MISSING else f"[{one.metavar}]"
        for one in options
        if one.is_positional
    ]
    words += [f"{one.flags[-1]} {one.metavar}" for one in options
              if not one.is_positional and one.default is MISSING]  # fmt: skip
    return _wrapped(" ".join([f"usage: counterpoint {name}", *words, "[options]"]), room, "    ")


def _grouped(options: Sequence[Option]) -> Iterator[tuple[str, list[Option]]]:
    """Yields the groups that are not empty."""
    shared = {name: title for title, names in SHARED.items() for name in names}
    yield from (
        (title, group)
        for title, group in (
            ("Arguments", [one for one in options if one.is_positional]),
            ("Options", [one for one in options
                         if not one.is_positional and one.name not in shared]),
            *((title, [one for one in options
                       if not one.is_positional and shared.get(one.name) == title])
              for title in SHARED),
        )
        if group
    )  # fmt: skip


def _described(option: Option, room: int) -> Iterator[str]:
    """Yields the lines of one option."""
    flags = ", ".join(option.flags)
    head = f"  {flags} {option.metavar}".rstrip() if flags else f"  {option.metavar}"
    aside = min(ASIDE, room // 3)
    about = _wrapped(option.about + _default(option), room, " " * aside, " " * aside)
    if len(head) < aside - 1:
        about[0] = head.ljust(aside) + about[0][aside:]
        yield from about
    else:
        yield from (head, *about)


def _default(option: Option) -> str:
    """Returns the default in brackets, unless the text says it or there is none."""
    has_none = option.default in (MISSING, None, "", ()) or isinstance(option.default, bool)
    return "" if has_none or "efault" in option.about else f" (default: {option.default})"


def _example(line: str, room: int) -> list[str]:
    """Returns an example; a long one goes on behind a backslash, as a shell takes it."""
    words: list[str] = []
    for word in _ARGUMENT.findall(line):
        if words and words[-1].startswith("-") and " " not in words[-1] and word[0] != "-":
            words[-1] += f" {word}"  # an option and its value stay together
        else:
            words.append(word)
    parts = [""]
    for word in words:
        if parts[-1] and len(parts[-1]) + 1 + len(word) > room - 4:
            parts.append("   ")
        parts[-1] += f" {word}" if parts[-1] else word
    return [f"  {part}" + (" \\" if i + 1 < len(parts) else "") for i, part in enumerate(parts)]


def _wrapped(text: str, room: int, later: str = "", first: str = "") -> list[str]:
    return textwrap.wrap(
        text, room, initial_indent=first, subsequent_indent=later,
        break_long_words=False, break_on_hyphens=False,
    ) or [""]  # fmt: skip
