"""What decides how tests are run, by the names of files: runners' configuration and plugins."""

from __future__ import annotations

import json
import shlex
import tomllib
from functools import cache
from typing import Any

from counterpoint.workers.repository.paths import normal

RUNNER = (
    # Python: pytest, tox, nox, coverage, what the interpreter runs by itself, plugins
    "conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini",
    "tox.toml", "setup.cfg", "pyproject.toml", "noxfile.py", ".coveragerc", "sitecustomize.py",
    "usercustomize.py", "sitecustomize", "usercustomize", "*.pth", "*.egg-link", "*.egg-info",
    "*.dist-info", "pyvenv.cfg",
    # make and its like
    "Makefile", "GNUmakefile", "justfile", ".justfile", "Rakefile",
    # JavaScript
    "package.json", ".npmrc", "jest.config.*", "vitest.config.*", "vitest.workspace.*",
    "vite.config.*", "karma.conf.*", ".mocharc*", ".babelrc*", "babel.config.*",
    # git: what is checked out, and what is done to it there
    ".gitmodules", ".gitattributes",
)  # fmt: skip
"""Patterns of paths, as in `WorkPlan.protected`; upper and lower case are the same."""
FREE = {
    "pyproject.toml": {"project": {
        "version", "description", "readme", "authors", "maintainers", "keywords", "classifiers",
        "urls", "license", "license-files", "dependencies", "optional-dependencies",
        "requires-python",
    }},
    "package.json": {
        "version", "description", "author", "contributors", "license", "keywords", "homepage",
        "bugs", "repository", "funding", "dependencies", "peerDependencies",
        "optionalDependencies", "files",
    },
}  # fmt: skip
"""File to the keys (or table to the keys) that do not decide about tests: these can change."""


def named_in(command: str, path: str) -> bool:
    """Returns whether a word of a command is the end of a path: the script that it runs, say.

    Args:
        command: a shell line; `-m name` means the module's file.
        path: from the top of the repository, without "." parts.
    """
    return any(f"/{path}".endswith(f"/{word}") for word in _words(command))


@cache
def _words(command: str) -> frozenset[str]:
    try:
        words = shlex.split(command.replace(";", " ").replace("&", " ").replace("|", " "))
    except ValueError:
        words = command.split()
    found: set[str] = set()
    for before, word in zip(["", *words], words, strict=False):
        if " " in word and word != command:
            found |= _words(word)  # sh -c "..."
        module = word if before == "-m" else word[2:] if word.startswith("-m") else ""
        if module := module.replace(".", "/"):
            found |= {f"{module}.py", f"{module}/__main__.py", f"{module}/__init__.py"}
        found |= {word, word.partition("=")[2], word[2:] if word.startswith("-") else ""}
    return frozenset(name for word in found if (name := normal(word)))


def says_the_same(name: str, before: bytes, after: bytes) -> bool:
    """Returns whether two versions of a configuration say the same about tests.

    Whole files decide, but for `pyproject.toml` and `package.json`, where keys do.

    Args:
        name: of the file, in small letters.
        before: its content.
        after: its new content.
    """
    if name not in FREE:
        return before == after
    try:
        old, new = (_read(name, data) for data in (before, after))
    except (ValueError, RecursionError):
        return False
    return bool(_without(old, FREE[name]) == _without(new, FREE[name]))


def _read(name: str, data: bytes) -> Any:
    text = data.decode()
    return tomllib.loads(text) if name.endswith(".toml") else json.loads(text)


def _without(told: Any, free: Any) -> Any:
    if not isinstance(told, dict):
        return told
    if isinstance(free, dict):
        return {key: _without(value, free.get(key, ())) for key, value in told.items()}
    return {key: value for key, value in told.items() if key not in free}
