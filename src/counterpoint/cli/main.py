"""`counterpoint`: find the command, run it, and turn our errors into one line.

Start here to add a command: write its file beside this one, and name it in `COMMANDS`.
"""

from __future__ import annotations

import io
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from itertools import groupby
from typing import Protocol

import tyro

from counterpoint import __version__
from counterpoint.cli.audit import Audit, Audits, CompareOutcomes
from counterpoint.cli.catalogue import Schemes, Worlds
from counterpoint.cli.chat import Chat
from counterpoint.cli.compare import Compare
from counterpoint.cli.demo import Demo
from counterpoint.cli.diagnose import Diagnose
from counterpoint.cli.doctor import Doctor
from counterpoint.cli.game import GameCommand, Games
from counterpoint.cli.import_logs import Import
from counterpoint.cli.judge import JudgeCommand
from counterpoint.cli.model import Model
from counterpoint.cli.output import say
from counterpoint.cli.population import PopulationCommand
from counterpoint.cli.rank import Rank
from counterpoint.cli.report import Report
from counterpoint.cli.resume import Resume
from counterpoint.cli.runs import Runs
from counterpoint.cli.team import TeamCommand
from counterpoint.cli.topology import Topologies, TopologyCommand
from counterpoint.cli.train import Train
from counterpoint.errors import CounterpointError, SettingError, UnknownNameError
from counterpoint.worlds.given import did_you_mean


class Command(Protocol):
    """A parsed command."""

    def run(self) -> int:
        """Do it; the exit status."""
        ...


COMMANDS: dict[str, Callable[..., Command]] = {
    "compare": Compare,
    "train": Train,
    "resume": Resume,
    "chat": Chat,
    "diagnose": Diagnose,
    "audit": Audit,
    "audits": Audits,
    "compare-outcomes": CompareOutcomes,
    "import": Import,
    "rank": Rank,
    "judge": JudgeCommand,
    "topology": TopologyCommand,
    "topologies": Topologies,
    "team": TeamCommand,
    "game": GameCommand,
    "games": Games,
    "population": PopulationCommand,
    "report": Report,
    "runs": Runs,
    "schemes": Schemes,
    "worlds": Worlds,
    "model": Model,
    "demo": Demo,
    "doctor": Doctor,
}

DESCRIPTION = f"""Counterpoint {__version__}: reinforcement learning for teams of agents.

Find the credit scheme that your team needs:

  counterpoint compare regions --set scale=10     train a team under every scheme, get a verdict
  counterpoint train spread                       train one team in a run directory
  counterpoint diagnose rewards.jsonl             which agent collapses in your log, and why
  counterpoint rank groups.jsonl --judge regex    rewards from a judge's ranking of runs
  counterpoint audit runs/                        what a team's logs show, with intervals
  counterpoint topology hidden_profile            who hears whom, and whether it matters
  counterpoint team run plan.toml                 a team at work on a repository
  counterpoint schemes                            every published scheme, with its source

Every command takes --json (standard output is then JSON alone) and --debug (show tracebacks).
Settings go behind --set, or bare: key=value."""

SWITCHES = ("--json", "--trust", "--follow", "--no-control", "--learn", "--prune", "--again")
"""Flags that take no value: what stands behind them may be a setting."""
_PAIR = re.compile(r"[A-Za-z_][\w.-]*=")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status: 143 where it was told to terminate."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(main(sys.argv[1:] if arguments is None else list(arguments)))


def main(arguments: list[str]) -> int:
    """The exit status of one command line: 0, or 2 where the input was bad."""
    debug = "--debug" in arguments
    words = spread_settings([word for word in arguments if word != "--debug"])
    if words in (["--version"], ["version"]):
        words, _ = [], sys.stdout.write(f"counterpoint {__version__}\n")
        return 0
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name is never worth a traceback
    try:
        status = _parse(words).run()
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
    except OSError as error:
        if debug:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or it fails again at exit
        sys.stderr.write(f"counterpoint: could not write the output ({error.strerror or error})\n")
        return 2


def _terminated(number: int, frame: object) -> None:
    sys.exit(128 + number)


def spread_settings(words: Sequence[str]) -> list[str]:
    """`--set a=1 b=2` and a bare `c=3` as one `--set` a pair, which is what the parser takes."""
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
    if words and words[0] not in COMMANDS and not words[0].startswith("-"):
        known = ", ".join(COMMANDS)
        meant = did_you_mean(words[0], COMMANDS)
        raise UnknownNameError(f"got command {words[0]!r}; wanted one of {known}{meant}")
    told = io.StringIO()
    try:
        with redirect_stderr(told):
            parsed: Command = tyro.extras.subcommand_cli_from_dict(
                COMMANDS,
                prog="counterpoint",
                description=DESCRIPTION,
                args=words or ["--help"],
                config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
            )
    except SystemExit as stop:
        if stop.code != 2:
            raise
        command = " ".join(["counterpoint", *words[:1]]) if words[0] in COMMANDS else "counterpoint"
        raise SettingError(complaint(told.getvalue(), command)) from None
    sys.stderr.write(told.getvalue())
    return parsed


def complaint(box: str, command: str) -> str:
    """One line for the box in which the parser complains of a `command`: what it says first.

    Below a rule it may say what was meant, and how to get help.
    """
    lines = [_ANSI.sub("", line).strip(" │|") for line in box.splitlines()[1:]]
    parts = [" ".join(inside) for said, inside in groupby(lines, key=_says_something) if said] or [
        "it could not be read"
    ]
    similar = [re.search(r"--[\w-]+", part) for part in parts if part.startswith("Perhaps")]
    meant = "".join(f"; did you mean {flag[0]}?" for flag in similar if flag)
    first = parts[0].rstrip(".")
    return f"{first[:1].lower()}{first[1:]}; see {command} --help{meant}"


def _says_something(line: str) -> bool:
    return re.search(r"\w", line) is not None
