"""`Tracker`: what the exporters to experiment trackers have in common.

A tracker keeps its runs in a store of its own, where its dashboard looks for them; in the run
directory stands only which of them is ours. A tracker takes no row back, so each step is sent
once: rows that it has are not sent again when a run is resumed, since a resumed run repeats them,
and rows that it lacks are sent from the series.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import msgspec

from counterpoint.errors import OutputError
from counterpoint.machine.files import read_ordinary
from counterpoint.runs.exporters.exporter import scalars
from counterpoint.runs.files import write_atomically
from counterpoint.runs.metrics import Json, Loggable, read_rows
from counterpoint.runs.status import METRICS, read_facts, read_run
from counterpoint.settings import NOT_JSON

PROJECT = "counterpoint"
"""Name of the project, or experiment, of all runs, unless the tracker's own setting names one."""
RECORD = "tracker.json"
Plain = str | int | float | bool
"""A value that every tracker can show."""


class Record(msgspec.Struct, frozen=True):
    """Which run of the tracker belongs to a run directory."""

    key: str
    """An identifier that no other run has."""
    tracked: str = ""
    """The identifier that the tracker itself gave the run; empty before the first session."""


class Tracker(ABC):
    """An exporter that continues one run of a tracker over all sessions of a training.

    Args:
        run: the run directory.

    Raises:
        RunError: it holds no run.
        MissingPackageError: the tracker's package is not installed.
        OutputError: the record of the tracker's run cannot be written, or is damaged.
    """

    name: ClassVar[str]
    """Name of the exporter, of its folder and of its extra."""

    def __init__(self, run: Path) -> None:
        self.run, self.file = run, run / self.name / RECORD
        self.settings = plain(read_run(run).config)
        """Every setting of the training by name: `policy/lr`."""
        self.record = self._read()
        self.record = Record(self.record.key, self.open())
        self.file.parent.mkdir(exist_ok=True)
        write_atomically(self.file, msgspec.json.encode(self.record) + b"\n")
        self.last = self.last_step()
        for row in read_rows(run / METRICS)[0]:
            self.log(row)

    @abstractmethod
    def open(self) -> str:
        """Opens the run in the tracker, and gives it the settings if the run is new; returns the
        tracker's identifier of it."""

    @abstractmethod
    def last_step(self) -> int:
        """Returns the last step that the tracker has; -1 before the first."""

    @abstractmethod
    def send(self, step: int, numbers: Mapping[str, float]) -> None:
        """Sends the numbers of one step."""

    @abstractmethod
    def end(self, status: str, summary: Mapping[str, Plain]) -> None:
        """Writes the summary, and ends the session.

        Args:
            status: `finished`, `stopped` or `failed`.
            summary: the end of the run: see `summary_of`.
        """

    @property
    def title(self) -> str:
        """The name under which the tracker shows the run."""
        return f"{self.run.resolve().name}-{self.record.key[:6]}"

    def log(self, row: Mapping[str, Loggable]) -> None:
        """Sends the numbers of a row, unless the tracker has that step already; text, null and
        numbers that are not finite are left out."""
        step = row["step"]
        assert isinstance(step, int)
        if step > self.last:
            self.last = step
            self.send(step, {name: x for name, x in scalars(row) if name != "step"})

    def close(self) -> None:
        """Sends the remaining rows and the summary of the run.

        Raises:
            OutputError: the tracker lacks rows that it took.
        """
        summary = summary_of(self.run)
        self.end(str(summary["status"]), summary)
        if (kept := self.last_step()) < self.last:
            raise OutputError(f"{self.name} has the rows up to step {kept}, not to {self.last}")

    def _read(self) -> Record:
        if not self.file.exists():
            return Record(uuid4().hex)
        try:
            return msgspec.json.decode(read_ordinary(self.file), type=Record)
        except (OSError, *NOT_JSON) as error:
            raise OutputError(
                f"could not read {self.file} ({error}); without it another run begins"
            ) from error


def summary_of(run: Path) -> dict[str, Plain]:
    """Returns the end of a run as a tracker shows it: its status, its return, and the verdict on
    each agent at the last measurement."""
    facts = read_facts(run)
    known = {"step": facts.step, "return": facts.returned, "normalized": facts.normalized}
    summary: dict[str, Plain] = {"status": facts.status}
    summary |= {name: value for name, value in known.items() if value is not None}
    measured = [row["agents"] for row in read_rows(run / METRICS)[0] if row.get("agents")]
    agents: Json = measured[-1] if measured else {}
    for agent, verdict in agents.items() if isinstance(agents, Mapping) else ():
        if isinstance(verdict, Mapping) and verdict.get("collapsed") is not None:
            cause = str(verdict.get("cause") or "cause not known")
            summary[f"verdict/{agent}"] = (
                f"collapsed: {cause}" if verdict["collapsed"] else "not collapsed"
            )
    return summary


def plain(settings: Mapping[str, object], within: str = "") -> dict[str, Plain]:
    """Returns nested settings as one mapping, `{"policy": {"lr": 1}}` as `policy/lr`; what is not
    set is left out, and a list is text."""
    flat: dict[str, Plain] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= plain(value, f"{within}{key}/")
        elif value is not None:
            kept = isinstance(value, str | int | float | bool)
            flat[f"{within}{key}"] = value if kept else str(value)  # type: ignore[assignment]
    return flat
