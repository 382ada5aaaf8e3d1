"""`counterpoint`: find the command, run it, and turn our errors into one line.

The commands are listed in `commands.py`.
"""

from __future__ import annotations

import re
import signal
import sys
import warnings
from collections.abc import Sequence

from counterpoint import __version__
from counterpoint.cli.commands import (
    ALIASES,
    COMMANDS,
    Command,
    exit_codes_page,
    help_page,
)
from counterpoint.cli.exits import Exit, status_of
from counterpoint.cli.help import Help
from counterpoint.cli.messages import say
from counterpoint.cli.options import parsed
from counterpoint.errors import CounterpointError, SettingError, UnknownNameError, choices
from counterpoint.machine.signals import SIGNALS, can_be_heard
from counterpoint.machine.terminal import (
    forget_impossible_size,
    guard_streams,
    guarded_streams,
    one_line,
    open_standard_descriptors,
    silence,
)
from counterpoint.plugins import PluginWarning, failure

SWITCHES = (
    *(
        "--json",
        "--trust",
        "--follow",
        "--no-control",
        "--no-check",
        "--dry-run",
        "--learn",
        "--prune",
        "--again",
        "--accept-edits",
        "--all",
        "--large",
        "--merge",
        "--gguf",
    ),
    *("--open", "--skeleton", "--serve", "--watch"),
)
"""Flags that take no value: the word after them may be a setting."""
_PAIR = re.compile(r"[A-Za-z_][\w.-]*=")
_format = warnings.formatwarning


SIGNALLED: dict[int, str] = {
    Exit.INTERRUPTED: "interrupted",
    Exit.TERMINATED: "ended by SIGTERM",
    Exit.HUNG_UP: "ended by SIGHUP",
}
"""Exit status of a command that a signal ended, and how it is said."""


def run(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with its status: 143 if SIGTERM ended it, 129 if SIGHUP."""
    open_standard_descriptors()
    if sys.stdout is None:
        sys.stderr.write("counterpoint: standard output is closed; wanted a file or /dev/null\n")
        sys.exit(Exit.INPUT)
    for number in SIGNALS:
        if number != signal.SIGINT and can_be_heard(number):
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    warnings.formatwarning = _shown
    guard_streams()
    status = main(sys.argv[1:] if arguments is None else list(arguments))
    if status in SIGNALLED:  # a second signal says nothing new
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    sys.exit(status)


def main(arguments: list[str]) -> int:
    """Returns the exit status of one command line; `Exit` lists them."""
    forget_impossible_size()
    with guarded_streams():
        return _guarded_main(arguments)


def _guarded_main(arguments: list[str]) -> int:
    debug = "--debug" in arguments
    words = spread_settings([word for word in arguments if word != "--debug"])
    try:
        status = _answer(words)
        sys.stdout.flush()
        return status
    except CounterpointError as error:
        if debug:
            raise
        say(one_line(f"counterpoint: {error}"))
        return status_of(error)
    except (KeyboardInterrupt, SystemExit) as ended:
        return _interrupted(ended)
    except BrokenPipeError:
        silence(sys.stdout)  # the reader has left
        return 0
    except Exception as error:
        from counterpoint.optional import broken_package  # help needs no other room

        blamed = failure(error) or broken_package(error)
        if blamed and not debug:
            say(one_line(f"counterpoint: {blamed}; --debug shows the traceback"))
            return Exit.INPUT
        if debug or not isinstance(error, OSError):
            raise
        silence(sys.stdout)  # or it fails again at exit
        place = f"use {error.filename}" if error.filename else "write the output"
        line = one_line(f"counterpoint: could not {place} ({error.strerror or error})")
        sys.stderr.write(f"{line}\n")
        return Exit.INPUT


def _interrupted(ended: KeyboardInterrupt | SystemExit) -> int:
    """Prints one line about the signal that ended a command; returns the exit status."""
    status = Exit.INTERRUPTED if isinstance(ended, KeyboardInterrupt) else ended.code
    if not isinstance(status, int) or status not in SIGNALLED:
        raise ended
    line = "; ".join(getattr(ended, "__notes__", ())) or "nothing half-written was left behind"
    say(f"counterpoint: {SIGNALLED[status]}; {line}")
    return status


def _answer(words: list[str]) -> int:
    """Runs the command, or prints the version or the list of commands."""
    if words in (["--version"], ["version"]):
        sys.stdout.write(f"counterpoint {__version__}\n")
        return 0
    if not words or words[0] in ("-h", "--help", "help"):
        subject = next((word for word in words[1:] if not word.startswith("-")), "")
        if not subject:
            sys.stdout.write(help_page() + "\n")
        elif subject == "exit-codes":
            sys.stdout.write(exit_codes_page() + "\n")
        else:
            return _parse([subject, "--help"]).run()
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
        return f"counterpoint: {one_line(str(message))}\n"
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
    name = command_name(words[0])
    command = COMMANDS[name].load()
    if {"-h", "--help"} & set(words[1:]):
        return Help(name, command)
    return parsed(command, name, words[1:])


def command_name(word: str) -> str:
    """Returns the name of the command that a word names.

    Raises:
        SettingError: the word is an option.
        UnknownNameError: there is no such command; near ones are suggested.
    """
    if word.startswith("-"):
        raise SettingError(f"got option {word} and no command; see counterpoint --help")
    name = ALIASES.get(word, word)
    if name not in COMMANDS:
        raise UnknownNameError(
            f"got command '{word}'{choices(word, COMMANDS, 'counterpoint help')}"
        )
    return name
