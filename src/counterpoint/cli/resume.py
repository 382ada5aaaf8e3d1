"""`counterpoint resume`: continue a training or a team at work."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from counterpoint.cli.messages import say
from counterpoint.cli.progress import TrainingDisplay
from counterpoint.cli.team import work_on
from counterpoint.cli.train import end_session, resumable
from counterpoint.errors import RunError
from counterpoint.optional import require_torch
from counterpoint.runs.index import Index
from counterpoint.runs.seal import accept_edits
from counterpoint.runs.status import axis_of, read_run
from counterpoint.train.session import resume_run
from counterpoint.workers.state import TEAM
from counterpoint.worlds.foreign.names import search_current_folder


@dataclass(frozen=True)
class Resume:
    """Resume a run that was stopped or killed, bit for bit.

    It resumes from its newest intact checkpoint, or from the start if it has none. A run that is
    finished stays as it is. If a file of the run was edited or damaged, resume names it and stops.
    A team at work continues too: tasks of workers that died are open
    again, and nothing that was merged is done again. If its folder comes from elsewhere and its
    plan reads folders of this machine, uses its network, sends files and a key to a model, or
    raises the limits of the sandbox, this is listed and refused unless --trust allows it.

    Examples:
      counterpoint resume counterpoint-out/train/spread-mappo_pooled-0
      counterpoint resume counterpoint-out/team/planner_workers-4
    """

    run_directory: Annotated[Path, tyro.conf.Positional]
    """A folder that `counterpoint train` (`counterpoint runs` lists them) or `team run` wrote."""
    trust: bool = False
    """Allow a team that was not started here what its plan takes from this machine."""
    accept_edits: bool = False
    """Go on although files of the run are not as they were written; the run records which, and its
    page says so."""
    json: bool = False
    """Print the summary as JSON alone."""

    def run(self) -> int:
        """Continues, saves and prints."""
        if (self.run_directory / TEAM).is_file():
            return work_on(self.run_directory, self.json, self.trust)
        if self.accept_edits:
            say_accepted(self.run_directory)
        config = read_run(self.run_directory).config
        axis, world = axis_of(config), str(config.get("world"))
        search_folder_of_run(self.run_directory)
        require_torch()
        title = f"{config.get('scheme')} on {world}"
        shown = TrainingDisplay(title, config.get("budget") or 1, axis)
        with resumable(self.run_directory, shown), shown:
            session = resume_run(self.run_directory, shown.add, on_doing=shown.doing)
        return end_session(session, self.json)


def say_accepted(path: Path) -> None:
    """Accepts what differs from the seal of a run or a result, and prints it.

    Raises:
        CounterpointError: as `accept_edits`.
    """
    for edit in accept_edits(path):
        say(f"counterpoint: accepted: {edit}")


def search_folder_of_run(path: Path) -> None:
    """Makes modules of the current folder importable if a run that was trained here needs them.

    The world of a run that comes from a stranger is not looked for there. Where there is no run,
    nothing happens: a result may have taken its place.
    """
    with contextlib.suppress(RunError):
        if Index().knows(path):
            search_current_folder(str(read_run(path).config.get("world")))
