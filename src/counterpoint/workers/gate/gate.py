"""The files that a worker may not change: tests, and all files that decide how tests are run.

A gate knows the plan and the files of one commit. By the names of files it knows the configuration
and the plugins of test runners. Start with `Gate.why_not`.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, cached_property
from pathlib import Path
from posixpath import basename, dirname
from typing import Any, cast

from counterpoint.workers.plan import WorkPlan
from counterpoint.workers.repository.files import (
    SUBMODULE,
    File,
    Mode,
    TreeEntry,
    TreeLayout,
    normal,
)
from counterpoint.workers.repository.repository import Content, Repository

OURS = ("pytest", "_pytest", "pluggy", "iniconfig", "counterpoint_gate")
"""Modules of pytest and of the gate, which a test run imports wherever they are."""
PROTECTED = "it is protected"
SYSTEM = ("/usr", "/usr/local", "/usr/lib/python3/dist-packages")
"""Where a distribution keeps what is installed; inside, it is at the same place."""
_MODULE = re.compile(r"([^/.]++)(?:/__init__)?\.(?:[^/]*\.)?(?:py|pyw|pyc|so|pyd)")
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


def _is_test(plan: WorkPlan, name: str) -> bool:
    return any(matches_pattern(name, pattern) for pattern in plan.protected)


def _is_runner(plan: WorkPlan, name: str) -> bool:
    return plan.protect_runner and (
        any(matches_pattern(name, pattern) for pattern in RUNNER) or is_named_in(plan.tests, name)
    )


def matches_pattern(path: str, pattern: str) -> bool:
    """Returns whether a pattern means a path, or a folder above it.

    A pattern without "/" is that of a name: of the file, or of a folder above it. One with "/"
    holds below any folder. Upper and lower case are the same.
    """
    path, pattern = path.casefold(), normal(pattern).casefold()
    parts = path.split("/")
    if "/" not in pattern:
        return any(fnmatchcase(part, pattern) for part in parts)
    ends = ("/".join(parts[i:]) for i in range(len(parts)))
    return any(fnmatchcase(end, each) for end in ends for each in (pattern, pattern + "/*"))


@dataclass(frozen=True)
class Gate:
    """The rules on changes to one commit, by the patterns of a plan; without one all is new."""

    plan: WorkPlan
    content: Content | None = None

    @cached_property
    def entries(self) -> Mapping[str, TreeEntry]:
        """Returns path from the top to the entry of the commit."""
        return self.content.entries if self.content else {}

    def why_not(self, path: str, file: File, layout: TreeLayout | None = None) -> str:
        """Returns why a file may not be written at a path from the top, or "" if it may.

        The layout has everything else that will be there; by default it is that of the commit.
        """
        layout = layout or TreeLayout(self.entries)
        return self.protects(path, file) or layout.why_not(path, file)

    def protects(self, path: str, file: File | None = None) -> str:
        """Returns why a path is protected against a change, or "" if it is not.

        Args:
            path: from the top of the repository.
            file: the new file; None if the file is removed, or if it is not known.
        """
        name = normal(path)
        known = self.entries.get(name)
        if _is_runner(self.plan, name):
            same = known and file and self._same_settings(name, known, file)
            return "" if same else f"{PROTECTED}: it decides how tests are run"
        if _is_test(self.plan, name):
            return "" if self.is_new_test(name) else PROTECTED
        if module := self._shadowed(name):
            return f"{PROTECTED}: it would stand in front of the module {module}"
        if basename(name) == "__init__.py" and (known is None) != (file is None):
            folder = dirname(name) + "/"
            if self.plan.protect_runner and any(test.startswith(folder) for test in self._tests):
                return f"{PROTECTED}: it decides how the tests below are imported"
        return ""

    def is_edited_by_nobody(self, path: str) -> bool:
        """Returns whether a path is a test, or decides how tests are run."""
        return _is_test(self.plan, path) or _is_runner(self.plan, path)

    def is_new_test(self, path: str) -> bool:
        """Returns whether it is a test file that the commit does not have, and that may be added.

        It has to have the name of a test file: in a folder of tests, a file of any other name could
        be imported by old tests.
        """
        if not self.plan.new_tests or path in self.entries or _is_runner(self.plan, path):
            return False
        names = [pattern for pattern in self.plan.protected if "/" not in normal(pattern)]
        return any(matches_pattern(basename(path), pattern) for pattern in names)

    def _shadowed(self, path: str) -> str:
        """Returns the module that a new file would hide from the tests, or "" if there is none."""
        if not self.plan.protect_runner:
            return ""
        readable = map(str, self.plan.readable_folders)
        installed = _installed((*_python_path(self.plan), *readable, *SYSTEM))
        for folder in self._folders:
            match = _MODULE.fullmatch(path[len(folder) :]) if path.startswith(folder) else None
            if match and match[1] in installed:
                start = folder + match[1]
                if not any(known.startswith((f"{start}.", f"{start}/")) for known in self.entries):
                    return match[1]
        return ""

    @cached_property
    def _tests(self) -> tuple[str, ...]:
        return tuple(path for path in self.entries if _is_test(self.plan, path))

    @cached_property
    def _folders(self) -> frozenset[str]:
        """Returns the folders in which Python looks for modules: "", or with "/" at the end."""
        prefix = self.content.prefix if self.content else ""
        own = [part for part in _python_path(self.plan) if not part.startswith("/")]
        folders = {"", *(_folder(prefix + part) for part in ("", "src", *own))}
        for path in self._tests:
            if path.endswith(".py"):
                folder = dirname(path)
                while folder and f"{folder}/__init__.py" in self.entries:
                    folder = dirname(folder)
                folders.add(_folder(folder))
        return frozenset(folders)

    def _same_settings(self, path: str, known: TreeEntry, file: File) -> bool:
        if is_named_in(self.plan.tests, path) or known.mode != file.mode:
            return False
        assert self.content is not None  # or nothing would be known
        before = self.content.repository.blobs([known.oid])[known.oid]
        return same_settings(basename(path).casefold(), before, file.data)


def restore_protected(plan: WorkPlan, repository: Repository, head: str, tree: str) -> str:
    """Returns a merged tree with everything that is protected as the commit `head` has it."""
    gate, new = Gate(plan, repository.content(head)), repository.entries(tree)
    changed = repository.changed(head, tree)
    data = repository.blobs({each[path].oid for path in changed for each in (gate.entries, new)
                             if path in each and each[path].mode != SUBMODULE})  # fmt: skip

    def at(entries: Mapping[str, TreeEntry], path: str) -> File | None:
        entry = entries.get(path)
        known = entry and entry.oid in data
        return File(data[entry.oid], cast(Mode, entry.mode)) if entry and known else None

    back = {path: at(gate.entries, path) for path in changed
            if gate.protects(path, at(new, path))}  # fmt: skip
    return repository.changed_tree(tree, back) if back else tree


def without_new_tests(plan: WorkPlan, content: Content, planned: str) -> Content:
    """Returns the files of a commit without the tests that workers added after `planned`.

    The planner saw that commit last: it has made no tasks of later tests.
    """
    if not plan.new_tests:
        return content
    gate = Gate(plan, content.repository.content(planned))
    return content.edited({path: None for path in content.entries if gate.is_new_test(path)})


def _folder(path: str) -> str:
    name = normal(path)
    return f"{name}/" if name else ""


def _python_path(plan: WorkPlan) -> list[str]:
    return [part for part in plan.env.get("PYTHONPATH", "").split(":") if part]


@cache
def _installed(folders: tuple[str, ...]) -> frozenset[str]:
    """Returns the modules of the standard library and of what is installed in some folders."""
    names = {*sys.stdlib_module_names, *OURS}
    for folder in map(Path, folders):
        if not folder.is_absolute():
            continue
        for place in (folder, *folder.glob("lib/python3*/site-packages"),
                      *folder.glob("lib/python3*/dist-packages")):  # fmt: skip
            with contextlib.suppress(OSError):
                names |= {path.name.partition(".")[0] for path in place.iterdir()}
    return frozenset(names)


def is_named_in(command: str, path: str) -> bool:
    """Returns whether a word of a shell line is the end of a path from the top: its script, say.

    `-m name` means the file of the module.
    """
    return any(f"/{path}".endswith(f"/{word}") for word in _words(command))


@cache
def _words(command: str) -> frozenset[str]:
    try:
        words = shlex.split(command.replace(";", " ").replace("&", " ").replace("|", " "))
    except ValueError:
        words = command.split()
    endings: set[str] = set()
    for before, word in zip(["", *words], words, strict=False):
        if " " in word and word != command:
            endings |= _words(word)  # sh -c "..."
        module = word if before == "-m" else word[2:] if word.startswith("-m") else ""
        if module := module.replace(".", "/"):
            endings |= {f"{module}.py", f"{module}/__main__.py", f"{module}/__init__.py"}
        endings |= {word, word.partition("=")[2], word[2:] if word.startswith("-") else ""}
    return frozenset(name for word in endings if (name := normal(word)))


def same_settings(name: str, before: bytes, after: bytes) -> bool:
    """Returns whether two versions of a configuration say the same about tests.

    Whole files decide, but for `pyproject.toml` and `package.json` (in small letters), where keys
    decide.
    """
    if name not in FREE:
        return before == after
    read: Callable[[str], object] = tomllib.loads if name.endswith(".toml") else json.loads
    try:
        old, new = (_without(read(data.decode()), FREE[name]) for data in (before, after))
    except (ValueError, RecursionError):
        return False
    return bool(old == new)


def _without(value: Any, free: Any) -> Any:
    """Returns a value without its free keys, at any depth for which `free` has a table."""
    if not isinstance(value, dict):
        return value
    if isinstance(free, dict):
        return {key: _without(inner, free.get(key, ())) for key, inner in value.items()}
    return {key: inner for key, inner in value.items() if key not in free}
