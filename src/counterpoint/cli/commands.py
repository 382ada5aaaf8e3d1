"""The commands by name, each with where it is written and one line on what it does.

A command is imported when somebody uses it, so that `counterpoint --help` costs little. To add
one, write its file beside this one and add a line to `GROUPS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from textwrap import wrap
from typing import NamedTuple, Protocol

from counterpoint import __version__
from counterpoint.cli.exits import Exit


class Command(Protocol):
    """A command with its parsed options."""

    def run(self) -> int:
        """Runs the command and returns its exit status."""
        ...


class CommandEntry(NamedTuple):
    """One command of the program."""

    module: str
    """Name of its file in this folder."""
    name: str
    """Name of its class, a dataclass whose fields are the options."""
    summary: str
    """What it does, in one line; the overview leaves one without it out."""
    names: str = ""
    """What the overview has in place of its name, where the line is for two commands."""

    def load(self) -> Callable[..., Command]:
        """Imports the command and returns its class."""
        command: Callable[..., Command] = getattr(
            import_module(f"counterpoint.cli.{self.module}"), self.name
        )
        return command


GROUPS: Mapping[str, Mapping[str, CommandEntry]] = {
    "Start": {
        "demo": CommandEntry("demo", "Demo", "show a collapse and its remedy in one comparison"),
        "doctor": CommandEntry(
            "doctor", "Doctor", "what this machine can run, and what is missing"
        ),
    },
    "Credit": {
        "diagnose": CommandEntry(
            "diagnose", "Diagnose", "which agent's learning signal collapses, and why"
        ),
        "compare": CommandEntry("compare", "Compare", "train a team under several credit schemes"),
        "schemes": CommandEntry(
            "catalogue", "Schemes", "list credit schemes, and worlds to train in", "schemes, worlds"
        ),
        "worlds": CommandEntry("catalogue", "Worlds", ""),
    },
    "Train": {
        "train": CommandEntry(
            "train", "Train", "train one team, or continue a run that was stopped", "train, resume"
        ),
        "resume": CommandEntry("resume", "Resume", ""),
        "sweep": CommandEntry(
            "sweep", "Sweep", "search for settings, and test them on fresh seeds"
        ),
        "runs": CommandEntry("runs", "Runs", "list runs, with their status and their last return"),
        "chat": CommandEntry(
            "chat", "Chat", "talk to a trained team; fetch local language models", "chat, model"
        ),
        "population": CommandEntry(
            "population", "PopulationCommand", "a population against one agent at a fixed budget"
        ),
        "model": CommandEntry("model", "Model", ""),
    },
    "Audit": {
        "audit": CommandEntry("audit", "Audit", "what a team's logs show, with intervals"),
        "import": CommandEntry(
            "import_logs", "Import", "convert logs of other tools to our records"
        ),
        "compare-outcomes": CommandEntry(
            "outcomes", "CompareOutcomes", "whether a team beats one agent, task by task"
        ),
        "contribution": CommandEntry("outcomes", "Contribution", "what each member adds to a team"),
        "rank": CommandEntry("judge", "Rank", "rewards from a judge's ranking of rollouts"),
        "judge": CommandEntry(
            "judge", "JudgeCommand", "whether a judge can be trusted on your texts"
        ),
    },
    "Teams": {
        "team": CommandEntry("team", "TeamCommand", "a team of agents at work on a repository"),
        "topology": CommandEntry(
            "topology", "TopologyCommand", "who hears whom in a team, and whether it matters"
        ),
        "game": CommandEntry("game", "GameCommand", "equilibria of a game, and where learners end"),
    },
    "Results": {
        "report": CommandEntry("report", "Report", "draw the page of a result, a run or a folder"),
        "serve": CommandEntry("serve", "Serve", "show a folder of results and runs in a browser"),
        "completion": CommandEntry("completion", "Completion", ""),
    },
}
"""Heading of the help to its commands, in the order in which the help lists them."""

COMMANDS: Mapping[str, CommandEntry] = {
    name: entry for group in GROUPS.values() for name, entry in group.items()
}
ALIASES = {"audits": "audit", "games": "game", "topologies": "topology"}
"""Earlier names of commands, which still work: without an argument the command is a list."""
MORE = """\
More: counterpoint help COMMAND | help exit-codes | completion SHELL | --version"""
STREAMS = """\
One line on standard error says why it is 2 or above; --debug shows the traceback of an error.
Standard output is the result, and with --json JSON alone; notes, progress and errors go to standard
error."""


def exit_codes_page() -> str:
    """Returns what `counterpoint help exit-codes` prints."""
    rows = [
        line
        for status in Exit
        for line in wrap(
            status.about, 90, initial_indent=f"  {status:<6}", subsequent_indent=" " * 8
        )
    ]
    return "\n".join(["exit status of every command:", *rows, "", STREAMS])


def help_page() -> str:
    """Returns what `counterpoint --help` prints: a screen of 24 lines and 80 columns."""
    first, second = max(map(len, GROUPS)), max(map(len, COMMANDS))
    lines = [f"usage: counterpoint COMMAND [options]      version {__version__}"]
    for title, group in GROUPS.items():
        for place, (name, entry) in enumerate(group.items()):
            if entry.summary:
                left = title if place == 0 else ""
                lines.append(f"{left:{first}}  {entry.names or name:{second}}  {entry.summary}")
    return "\n".join([*lines, MORE])
