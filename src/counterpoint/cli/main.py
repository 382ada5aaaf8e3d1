"""`counterpoint`: find the command, run it, and turn our errors into one line.

The commands are listed in `commands.py`.
"""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr
from itertools import groupby

from counterpoint import __version__
from counterpoint.cli.commands import COMMANDS, Command, help_page
from counterpoint.cli.messages import printable, say
from counterpoint.errors import CounterpointError, SettingError, UnknownNameError
from counterpoint.plugins import PluginWarning, failure
from counterpoint.settings import did_you_mean

SWITCHES = (
    *("--json", "--trust", "--follow", "--no-control", "--learn", "--prune", "--again"),
    "--open",
)
"""Flags that take no value: the word after them may be a setting."""
_PAIR = re.compile(r"[A-Za-z_][\w.-]*=")
_format = warnings.formatwarning
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def run(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with its status: 143 if SIGTERM ended it."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    warnings.formatwarning = _shown
    sys.exit(main(sys.argv[1:] if arguments is None else list(arguments)))


def main(arguments: list[str]) -> int:
    """Returns the exit status of one command line: 0, or 2 if the input was bad."""
    debug = "--debug" in arguments
    words = spread_settings([word for word in arguments if word != "--debug"])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name is never worth a traceback
    try:
        status = _answer(words)
        sys.stdout.flush()
        return status
    except CounterpointError as error:
        if debug:
            raise
        say(f"counterpoint: {error}")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("counterpoint: interrupted; nothing half-written was left behind\n")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has left
        return 0
    except Exception as error:
        blamed = failure(error)
        if blamed and not debug:
            say(f"counterpoint: {blamed}; --debug shows the traceback")
            return 2
        if debug or not isinstance(error, OSError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or it fails again at exit
        sys.stderr.write(f"counterpoint: could not write the output ({error.strerror or error})\n")
        return 2


def _answer(words: list[str]) -> int:
    """Runs the command, or prints the version or the list of commands."""
    if words in (["--version"], ["version"]):
        sys.stdout.write(f"counterpoint {__version__}\n")
        return 0
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(help_page() + "\n")
        return 0
    return _parse(words).run()


def _shown(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """Returns how a warning is printed: one about a plug-in is one line, like an error."""
    if issubclass(category, PluginWarning):
        return f"counterpoint: {printable(str(message))}\n"
    return _format(message, category, filename, lineno, line)


def spread_settings(words: Sequence[str]) -> list[str]:
    """Returns `--set a=1 b=2` and a bare `c=3` as one `--set` a pair, as the parser takes them."""
    spread: list[str] = []
    after_flag = setting = False
    for word in words:
        if word == "--set":
            after_flag, setting = False, True
            continue
        if setting or (_PAIR.match(word) and not after_flag):
            setting = False
            spread += ["--set", word]
            continue
        after_flag = word.startswith("--") and "=" not in word and word not in SWITCHES
        spread.append(word)
    return [*spread, "--set"] if setting else spread


def _parse(words: list[str]) -> Command:
    """Imports the command that is named first, and reads its options."""
    if words[0] not in COMMANDS:
        if words[0].startswith("-"):
            raise SettingError(f"got option {words[0]} and no command; see counterpoint --help")
        known, meant = ", ".join(COMMANDS), did_you_mean(words[0], COMMANDS)
        raise UnknownNameError(f"got command {words[0]!r}; wanted one of {known}{meant}")
    command = COMMANDS[words[0]].load()
    import tyro  # it takes a third of the time of `counterpoint --help`

    written = io.StringIO()
    try:
        with redirect_stderr(written):
            parsed: Command = tyro.cli(
                command,
                prog=f"counterpoint {words[0]}",
                args=words[1:],
                config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
            )
    except SystemExit as stop:
        if stop.code != 2:
            raise
        raise SettingError(complaint(written.getvalue(), f"counterpoint {words[0]}")) from None
    sys.stderr.write(written.getvalue())
    return parsed


def complaint(box: str, command: str) -> str:
    """Returns the error of a `command` in one line, from the box that the parser draws.

    Below a rule the box may suggest a flag and tell how to get help.
    """
    lines = [_ANSI.sub("", line).strip(" │|") for line in box.splitlines()[1:]]
    blocks = groupby(lines, key=lambda line: re.search(r"\w", line) is not None)
    parts = [" ".join(block) for has_words, block in blocks if has_words]
    parts = parts or ["it could not be read"]
    similar = [re.search(r"--[\w-]+", part) for part in parts if part.startswith("Perhaps")]
    meant = "".join(f"; did you mean {flag[0]}?" for flag in similar if flag)
    first = parts[0].rstrip(".")
    return f"{first[:1].lower()}{first[1:]}; see {command} --help{meant}"
