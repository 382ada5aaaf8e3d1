"""Check the words that people read: `python docs/words.py` lists what breaks a rule, and where.

It reads the README, every page of docs/, and the texts in the source: docstrings and messages. The
rules are few, because a list of words cannot judge a sentence; each one was broken before.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
BANNED = {
    r"told from 0": "(not) significant; indistinguishable from 0",
    r"worlds? of many steps": "sequential environment",
    r"worlds? (of|in) words": "text environment",
    r"\bown (mean|deviation|statistics)\b": "per-agent mean, deviation, statistics",
    r"skipped and said": "skipped and listed",
    r"(is|are) no members?\b": "is not counted as a team member",
    r"taken for dead": "a worker whose lease has expired",
    r"\bgamed metric": "proxy gap",
    r"(?<![.\d-])\b1 (equilibria|agents|seeds|updates|episodes|members)\b": "singular",
}
"""Pattern to what is written instead."""
MINUS = re.compile(r"(?<![\w`.,/)\]−–:=-])-(?=\d)")
"""A hyphen in front of a number, where a minus sign belongs."""
GENERATED = ("commands.md", "schemes.md", "api")
"""Pages that are made of the source, which is checked itself."""


def pages() -> list[Path]:
    """Returns the README and the pages that somebody wrote."""
    written = [
        page
        for page in sorted((ROOT / "docs").rglob("*.md"))
        if page.name not in GENERATED and page.parent.name not in GENERATED
    ]
    return [ROOT / "README.md", *written]


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines of a page with their numbers, without code."""
    inside = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            yield number, re.sub(r"`[^`]*`", "x", line)


def texts(file: Path) -> Iterator[tuple[int, str]]:
    """Yields the texts in a source file that have a space, with the number of their first line."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


def faults() -> Iterator[str]:
    """Yields a line for each place that breaks a rule."""
    for page in pages():
        for number, line in prose(page):
            yield from _broken(f"{page.relative_to(ROOT)}:{number}", line)
            if not line.startswith("|") and MINUS.search(line):
                yield f"{page.relative_to(ROOT)}:{number}: a hyphen before a number; write −"
    for file in sorted((ROOT / "src").rglob("*.py")):
        for number, text in texts(file):
            yield from _broken(f"{file.relative_to(ROOT)}:{number}", text)


def _broken(where: str, text: str) -> Iterator[str]:
    flat = " ".join(text.split())
    for pattern, instead in BANNED.items():
        match = re.search(pattern, flat, re.IGNORECASE)
        if match:
            yield f"{where}: {match[0]!r}; write: {instead}"


if __name__ == "__main__":
    broken = list(faults())
    sys.stdout.write("".join(f"{line}\n" for line in broken))
    sys.exit(bool(broken))
