"""Parts that other packages add: schemes, audits, readers, judges, speakers, exporters, worlds.

A package adds a part by one line in its pyproject.toml, under the entry-point group of its kind:

    [project.entry-points."counterpoint.schemes"]
    house = "house_rules:HOUSE"

Start at `Registry`, which holds the built-in parts of one kind and those of installed packages.
Installed packages are searched only for a list of parts, or for a name that is not built in, and a
plug-in is imported when it is looked up.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

from counterpoint.errors import PluginError, UnknownNameError, choices

T = TypeVar("T")

PREFIX = "counterpoint."
"""The prefix of our entry-point groups."""
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_packages: dict[str, str] = {}
"""Top module of each plug-in that was imported to its package."""


class PluginWarning(UserWarning):
    """A plug-in that cannot be used and is left out of a list."""


@dataclass(frozen=True)
class Plugin:
    """A part that an installed package declares; it is not imported yet."""

    group: str
    """The entry-point group."""
    name: str
    """The name of the part on the command line."""
    package: str
    """Name and version of the package."""
    target: str
    """The object, as `module:attribute`."""
    load: Callable[[], Any]
    """Imports the object and returns it."""
    rivals: tuple[str, ...] = ()
    """Other packages that declare a part of the same name in the same group."""

    def __str__(self) -> str:
        return f"plug-in '{self.name}' of {self.package} ({self.group}: {self.target})"


def plugins(group: str) -> Mapping[str, Plugin]:
    """Returns what installed packages declare in an entry-point group, by name.

    The packages are searched once in the life of a process.
    """
    return _declared().get(group, MappingProxyType({}))


@cache
def _declared() -> Mapping[str, Mapping[str, Plugin]]:
    """Returns all plug-ins of the environment: group to name to plug-in."""
    from importlib.metadata import distributions  # imports sockets and e-mail, which few need

    groups: dict[str, dict[str, Plugin]] = {}
    seen: set[str] = set()
    for distribution in distributions():
        if f"[{PREFIX}" not in (distribution.read_text("entry_points.txt") or ""):
            continue
        try:
            package = f"{distribution.name} {distribution.version}"
            lines = [line for line in distribution.entry_points if line.group.startswith(PREFIX)]
        except Exception as error:  # what a broken package raises differs by version of Python
            path = getattr(distribution, "_path", "a package")
            _warn(f"the entry points of {path} cannot be read ({_line_of(error)}); install it anew")
            continue
        if distribution.name in seen:  # a copy farther down in sys.path, which is never imported
            continue
        seen.add(distribution.name)
        for line in lines:
            group = groups.setdefault(line.group, {})
            first = group.get(line.name)
            rivals = (*first.rivals, first.package) if first else ()
            group[line.name] = Plugin(line.group, line.name, package, line.value, line.load, rivals)
    return groups


class Registry(Mapping[str, T]):
    """The parts of one kind by name: the built-in ones, then those of installed packages.

    A plug-in that cannot be used is left out of lists with a `PluginWarning`, and is a
    `PluginError` when it is looked up.

    Args:
        group: the entry-point group; its last word is the plural of what messages call a part.
        builtin: name to part.
        wanted: the requirement on a plug-in, in words.
        fits: whether an object may be the part of a name.
    """

    def __init__(
        self,
        group: str,
        builtin: Mapping[str, T],
        wanted: str,
        fits: Callable[[str, Any], bool],
    ) -> None:
        self.group = group
        self._builtin = builtin
        self._wanted, self._fits = wanted, fits
        self._loaded: dict[str, T] = {}
        self._problems: dict[str, str] = {}
        self._warned: set[str] = set()

    def __getitem__(self, name: str) -> T:
        if name in self._builtin:
            return self._builtin[name]
        plugin = plugins(self.group)[name]
        if problem := self.problem(plugin):
            raise PluginError(problem)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._builtin
        for name, plugin in plugins(self.group).items():
            problem = self.problem(plugin)
            if not problem:
                yield name
            elif name not in self._warned:
                self._warned.add(name)
                _warn(problem)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def named(self, name: str) -> T:
        """Returns the part called `name`.

        Raises:
            UnknownNameError: there is none; the message lists what there is.
            PluginError: there is one, and it cannot be used.
        """
        try:
            return self[name]
        except KeyError:
            kind = self.group.removeprefix(PREFIX).removesuffix("s")
            raise UnknownNameError(f"got {kind} '{name}'{choices(name, self)}") from None

    def package(self, name: str) -> str | None:
        """Returns the name and version of the package that adds a part; None if it is built in."""
        plugin = None if name in self._builtin else plugins(self.group).get(name)
        return plugin.package if plugin else None

    def problem(self, plugin: Plugin) -> str:
        """Returns in one line why a plug-in of this group cannot be used; nothing if it can."""
        if plugin.name not in self._problems:
            self._problems[plugin.name] = self._load(plugin)
        return self._problems[plugin.name]

    def _load(self, plugin: Plugin) -> str:
        """Imports and keeps a plug-in; returns the problem with it, or an empty text."""
        if not _NAME.fullmatch(plugin.name):
            return f"got {plugin}; wanted a name of letters, digits, _ and -"
        if plugin.rivals:
            rivals = " and ".join(plugin.rivals)
            return f"got {plugin}, and another of that name of {rivals}; uninstall one of them"
        if plugin.name in self._builtin:
            return f"got {plugin}, whose name is that of a built-in part; wanted another name"
        try:
            with redirect_stdout(sys.stderr):  # standard output may be JSON
                part = plugin.load()
        except (Exception, SystemExit) as error:
            return f"got {plugin}, which cannot be imported ({_line_of(error)})"
        _packages[plugin.target.partition(":")[0].partition(".")[0]] = plugin.package
        if not self._fits(plugin.name, part):
            kind = f"of type {type(part).__name__}"
            kind = f"the class {part.__name__}" if isinstance(part, type) else kind
            return f"got {plugin}, which is {kind}; wanted {self._wanted}"
        self._loaded[plugin.name] = part
        return ""


def failure(error: BaseException) -> str | None:
    """Returns one line about an error in the code of a plug-in; None for an error of other code."""
    blamed = None
    trace = error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if package := _packages.get(module.partition(".")[0]):
            place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
            blamed = f"the plug-in package {package} failed ({_line_of(error)}, at {place})"
        trace = trace.tb_next
    return blamed


def _warn(message: str) -> None:
    warnings.warn(message, PluginWarning, stacklevel=3)


def _line_of(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
