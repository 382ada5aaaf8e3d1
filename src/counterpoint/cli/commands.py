"""The commands by name, each with where it is written and one line on what it does.

A command is imported when somebody uses it, so that `counterpoint --help` costs little. To add
one, write its file beside this one and add a line to `GROUPS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import NamedTuple, Protocol

from counterpoint import __version__


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
    """What it does, in one line."""

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
            "diagnose", "Diagnose", "which agent's learning signal collapses in your log, and why"
        ),
        "compare": CommandEntry(
            "compare", "Compare", "train a team under several credit schemes, with a verdict"
        ),
        "schemes": CommandEntry("catalogue", "Schemes", "list the published credit schemes"),
        "worlds": CommandEntry(
            "catalogue", "Worlds", "list the worlds that teams can be trained in"
        ),
    },
    "Train": {
        "train": CommandEntry("train", "Train", "train one team of networks or of language models"),
        "resume": CommandEntry("resume", "Resume", "continue a run that was stopped or killed"),
        "runs": CommandEntry("runs", "Runs", "list runs, with their status and their last return"),
        "chat": CommandEntry("chat", "Chat", "talk to a trained team of language models"),
        "population": CommandEntry(
            "population", "PopulationCommand", "a population against one agent at a fixed budget"
        ),
        "model": CommandEntry("model", "Model", "fetch, list or check local language models"),
    },
    "Audit": {
        "audit": CommandEntry("audit", "Audit", "what a team's logs show, with intervals"),
        "audits": CommandEntry("audit", "Audits", "list the audits and what each needs"),
        "import": CommandEntry(
            "import_logs", "Import", "convert logs of other tools to our records"
        ),
        "compare-outcomes": CommandEntry(
            "audit", "CompareOutcomes", "whether a team beats its best member, task by task"
        ),
        "rank": CommandEntry("judge", "Rank", "rewards from a judge's ranking of rollouts"),
        "judge": CommandEntry(
            "judge", "JudgeCommand", "whether a judge can be trusted on your texts"
        ),
    },
    "Teams and games": {
        "team": CommandEntry("team", "TeamCommand", "a team of agents at work on a repository"),
        "topology": CommandEntry(
            "topology", "TopologyCommand", "who hears whom in a team, and whether it matters"
        ),
        "topologies": CommandEntry("topology", "Topologies", "list the communication topologies"),
        "game": CommandEntry("game", "GameCommand", "equilibria of a game, and where learners end"),
        "games": CommandEntry("game", "Games", "list the games"),
    },
    "Results": {
        "report": CommandEntry("report", "Report", "draw the page of a result, a run or a folder"),
        "serve": CommandEntry("serve", "Serve", "show a folder of results and runs in a browser"),
    },
}
"""Heading of the help to its commands, in the order in which the help lists them."""

COMMANDS: Mapping[str, CommandEntry] = {
    name: entry for group in GROUPS.values() for name, entry in group.items()
}


def help_page() -> str:
    """Returns what `counterpoint --help` prints."""
    width = max(map(len, COMMANDS))
    groups = "\n\n".join(
        f"{title}:\n"
        + "\n".join(f"  {name:{width}}  {entry.summary}" for name, entry in group.items())
        for title, group in GROUPS.items()
    )
    return f"""\
usage: counterpoint COMMAND [options]

Counterpoint {__version__}: reinforcement learning for teams of agents.

{groups}

Examples:
  counterpoint compare regions --set scale=10     train a team under every scheme
  counterpoint diagnose rewards.jsonl             find the agent that does not learn, and the cause
  counterpoint audit runs/                        check the logs of a team
  counterpoint team run plan.toml                 let a team work on a repository

'counterpoint COMMAND --help' explains a command and its options. Every command takes --json
(standard output is then JSON alone) and --debug (show tracebacks). Settings follow --set, or
stand alone as key=value. 'counterpoint --version' prints the version."""
