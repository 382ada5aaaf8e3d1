"""The options of a command as values: start at `options_of`; `parsed` reads a command line.

Help, completion and errors know an option by what is written here, so they name it alike.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import textwrap
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import MISSING, dataclass, field, fields, make_dataclass
from itertools import groupby, pairwise
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from counterpoint.cli.commands import Command
from counterpoint.cli.messages import say_crowd
from counterpoint.errors import SettingError, choices, nearest
from counterpoint.machine.files import special_file

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_WORDS: dict[type, tuple[str, str]] = {
    int: ("N", "a whole number"),
    float: ("X", "a number"),
    Path: ("PATH", "a path"),
    str: ("TEXT", "text"),
}
"""Type to its placeholder and its name."""
_METAVARS = {
    "agents": "LIST", "ask": "AGENT:TEXT", "base_url": "URL", "branch": "NAME", "columns": "PAIRS",
    "config": "FILE", "criteria": "TEXT", "export": "NAME", "fail_on": "AUDIT[.NAME]",
    "guard": "RULE", "here": "DIR", "judge": "NAME", "log": "DIR", "mapping": "FILE",
    "members": "LIST", "model": "MODEL", "only": "AUDIT", "out": "DIR", "outcomes": "FILE",
    "output": "FILE", "over": "NAME=RANGE", "own": "AUTHOR", "policy": "MODEL",
    "prompts": "LIST", "remedies": "LIST",
    "scheme": "NAME", "schemes": "LIST", "seconds": "SECONDS", "set": "KEY=VALUE",
    "status": "STATUS", "store": "FILE", "topologies": "LIST", "world": "NAME",
}  # fmt: skip
"""Name of an option to the placeholder of its value, if its type does not say it."""


_POSITIONALS = {"path": "LOG", "results": "DIR", "run_directory": "DIR", "where": "PLAN|DIR"}
"""Name of an argument to its placeholder, if that is not the name in capitals."""


_WRITTEN = ("out", "output")
"""Options that name what is written: a device is refused, or allowed, where it is written."""


@dataclass(frozen=True)
class Option:
    """One option or argument of a command."""

    name: str
    """The field of the command."""
    kind: Any
    """Type of its value, without None."""
    about: str
    """What it does, in whole sentences."""
    default: Any
    """`MISSING` if it has to be given."""
    is_positional: bool
    metavar: str
    """Placeholder of its value; empty if it takes none."""
    flags: tuple[str, ...] = ()
    repeats: bool = False

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that it can have; empty if there are too many to say."""
        return tuple(map(str, get_args(self.kind))) if get_origin(self.kind) is Literal else ()

    @property
    def shown(self) -> str:
        """Its flag, or what stands for it where it has none."""
        return self.metavar if self.is_positional else self.flags[-1]

    @property
    def wanted(self) -> str:
        """What its value is, in words."""
        return _WORDS[self.kind][1] if self.kind in _WORDS else "a value"


def options_of(command: Callable[..., Command]) -> list[Option]:
    """Returns the options of a command in the order in which it declares them."""
    hints = get_type_hints(command, include_extras=True)
    about = _documents(command)
    return [_option(spec, hints[spec.name], about) for spec in fields(command)]  # type: ignore[arg-type]


def _option(spec: Any, hint: Any, about: dict[str, str]) -> Option:
    extras = [str(extra) for extra in getattr(hint, "__metadata__", ())]
    arguments = [extra for extra in getattr(hint, "__metadata__", ()) if hasattr(extra, "metavar")]
    plain = hint
    while get_origin(plain) is Annotated:
        plain = get_args(plain)[0]
    kinds = [kind for kind in get_args(plain) if kind is not NoneType]
    if NoneType in get_args(plain):
        plain = kinds[0]
    repeats = get_origin(plain) is tuple
    kind = str if repeats else plain
    is_positional = any("Positional" in extra for extra in extras)
    name = spec.name.replace("_", "-")
    flags: tuple[str, ...] = () if is_positional else (f"--{name}",)
    metavar = next((one.metavar for one in arguments if one.metavar), "")
    helped = next((one.help for one in arguments if one.help), "") or about.get(spec.name, "")
    flags = (*(a for one in arguments for a in one.aliases or ()), *flags)
    if kind is bool:
        flags = (f"--no-{name}",) if spec.default else flags
    elif is_positional:
        metavar = metavar or _POSITIONALS.get(spec.name) or _choice(kind) or spec.name.upper()
    else:
        metavar = metavar or _metavar(spec.name, kind)
    return Option(spec.name, kind, helped, spec.default, is_positional, metavar, flags, repeats)


def _metavar(name: str, kind: Any) -> str:
    if kind is int:
        return "N"
    return _choice(kind) or _METAVARS.get(name) or _WORDS.get(kind, ("VALUE", ""))[0]


def _choice(kind: Any) -> str:
    """Returns `run|status` for the type of a choice, and nothing for another type."""
    return "|".join(map(str, get_args(kind))) if get_origin(kind) is Literal else ""


def _documents(command: Callable[..., Command]) -> dict[str, str]:
    """Returns the docstring under each field of a command."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(command))).body[0]
    about: dict[str, str] = {}
    for spec, text in pairwise(tree.body if isinstance(tree, ast.ClassDef) else []):
        if not (isinstance(spec, ast.AnnAssign) and isinstance(spec.target, ast.Name)):
            continue
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            about[spec.target.id] = " ".join(str(text.value.value).split())
    return about


def parsed(command: Callable[..., Command], name: str, words: Sequence[str]) -> Command:
    """Returns the command with the options that the words give it.

    Raises:
        SettingError: an option is unknown or missing, or its value is of a wrong type.
    """
    import tyro  # it takes a third of the time of `counterpoint --help`

    options = options_of(command)
    _require_values(words, options, name)
    hints = get_type_hints(command, include_extras=True)
    named: Any = make_dataclass(
        command.__name__,
        [
            (
                one.name,
                Annotated[hints[one.name], tyro.conf.arg(metavar=one.metavar or None, help="")]
                if one.metavar
                else hints[one.name],
                field() if one.default is MISSING else field(default=one.default),
            )
            for one in options
        ],
        bases=(command,),  # type: ignore[arg-type]
        frozen=True,
    )
    written = io.StringIO()
    try:
        with redirect_stderr(written):
            given = tyro.cli(
                named,
                prog=f"counterpoint {name}",
                args=words,
                config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
            )
    except SystemExit as stop:
        if stop.code != 2:
            raise
        box = complaint(written.getvalue())
        error = _clear(box, options)
        between = " See" if error.endswith("?") else "; see"
        raise SettingError(f"{error}{between} counterpoint {name} --help") from None
    values = {one.name: getattr(given, one.name) for one in options}
    for one in options:
        value = values[one.name]
        is_path = isinstance(value, Path) or (one.is_positional and isinstance(value, str))
        if is_path and one.name not in _WRITTEN:
            _require_plain(one, value)
    if values.get("executor") == "processes":
        say_crowd(values.get("workers"))
    return command(**values)


def _require_plain(option: Option, path: Path | str) -> None:
    """Refuses a pipe or a device, since reading one might never end."""
    if kind := special_file(path):
        raise SettingError(f"got {option.shown} {path}, which is {kind}; wanted a file or a folder")


def _require_values(words: Sequence[str], options: Sequence[Option], name: str) -> None:
    """Raises SettingError if a value is empty, as that of a shell variable that is not set.

    A list of commas is empty too. An option whose default is the empty text may have that.
    """
    may_be_empty = {flag for one in options if one.default == "" for flag in one.flags}
    for before, word in pairwise(("", *words)):
        flag, has_value, value = word.partition("=")
        if not (word.startswith("--") and has_value):
            flag, value = before, word
        if not value.strip(" ,") and (value or flag not in may_be_empty):
            what = f"{flag} {value!r}" if flag.startswith("-") else repr(value)
            raise SettingError(f"got {what}, which is empty; see counterpoint {name} --help")


def complaint(box: str) -> str:
    """Returns the error of the parser in one line, from the box that it draws.

    Below a rule the box may suggest a flag and tell how to get help.
    """
    lines = [_ANSI.sub("", line).strip(" │|") for line in box.splitlines()[1:]]
    blocks = groupby(lines, key=lambda line: re.search(r"\w", line) is not None)
    parts = [" ".join(block) for has_words, block in blocks if has_words]
    first = (parts or ["it could not be read"])[0].rstrip(".")
    return f"{first[:1].lower()}{first[1:]}"


def _clear(error: str, options: Sequence[Option]) -> str:
    """Returns an error of the parser in our words, if it is one of those that are known."""
    by_flag = {flag: one for one in options for flag in (*one.flags, one.name)}
    before, _, value = error.partition(" could be instantiated from ['")
    if before.startswith("error parsing ") and value:
        flag = before.removeprefix("error parsing ").partition(":")[0]
        wanted = by_flag[flag].wanted if flag in by_flag else "another value"
        given = value.removesuffix("']")
        return f"got {flag} {given}; wanted {wanted}"
    if match := re.match(r"invalid choice '(.*)' for argument '([^']*)'", error):
        option = by_flag[match[2]]
        given = f"'{match[1]}'" if option.is_positional else f"{match[2]} {match[1]}"
        return f"got {given}{choices(match[1], option.choices)}"
    if match := re.match(r"missing value for argument '([^']*)'", error):
        return f"got {match[1]} without a value; wanted {match[1]} {by_flag[match[1]].metavar}"
    if match := re.match(r"unrecognized options: (.*)", error):
        unknown = next((word for word in match[1].split(", ") if word.startswith("-")), "")
        if not unknown:
            return f"got {match[1]}, which is more than the command takes"
        near = nearest(unknown, [flag for flag in by_flag if flag.startswith("-")])
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        return f"got unknown option {unknown}{meant}"
    lacks = [one.shown for one in options if one.default is MISSING and one.shown in error]
    if error.startswith("missing from ") and lacks:
        return f"got no {' and no '.join(lacks)}"
    return error
