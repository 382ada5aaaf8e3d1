"""A run directory: the files of a training run, so that it can be stopped, killed and resumed.

    run.json        configuration, versions, revision, machine: written once
    status.json     running, finished, stopped or failed, and the closing numbers
    metrics.jsonl   the series
    episodes.jsonl  the texts of agents, if they speak: a line an update
    checkpoints/    the newest few, each in a folder named for its step
    lock            held while a process works here

Start with `RunDirectory.create` and `RunDirectory.open`; `status.py` reads a run without a lock.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from counterpoint.errors import CounterpointError, OutputError, RunError
from counterpoint.results.parts import Settings
from counterpoint.results.training import EvaluationTasks, Messages
from counterpoint.runs import checkpoint
from counterpoint.runs.checkpoint import LatestCheckpoint, Snapshot
from counterpoint.runs.files import make_folder, write_atomically
from counterpoint.runs.index import Index
from counterpoint.runs.lock import Lock
from counterpoint.runs.metrics import Line, Loggable, Metrics, cut_back, read_rows
from counterpoint.runs.provenance import provenance
from counterpoint.runs.status import (
    CHECKPOINTS,
    EPISODES,
    LOCK,
    METRICS,
    RUN,
    STATUS,
    RunStatus,
    now,
    read_run,
)


class RunDirectory:
    """A run that this process works on; make one with `create` or `open`, close it with `with`.

    Left without `finish`, a run is `stopped` (interrupted, or simply left) or `failed` (an error).
    """

    def __init__(
        self, path: Path, lock: Lock, latest: LatestCheckpoint, keep: int, index: Index | None
    ) -> None:
        self.path, self.config = path, read_run(path).config
        self.resumed = latest
        """The checkpoint from which the run resumes; its `step` is None if the run starts from the
        beginning."""
        self.notes: tuple[str, ...] = ()
        """Sentences for the user about damaged parts that were skipped."""
        self._lock, self._keep, self._index = lock, keep, index
        self._ended = False
        self._metrics: dict[str, Metrics] | None = {METRICS: Metrics(path / METRICS)}
        # The folder is fsynced with the status, and so are the names of the other files.
        self._write_status("running")
        self._record()

    @classmethod
    def create(
        cls,
        path: Path,
        config: Settings,
        *,
        keep: int = checkpoint.KEEP,
        index: Index | None = None,
    ) -> RunDirectory:
        """Begins a run in a folder that holds none.

        Args:
            path: the folder; it is made with its parents if it is missing.
            config: everything that is needed to do the run again, ready for JSON; the index reads
                `world`, `scheme`, `seed` and `budget` from it.
            keep: how many checkpoints stay.
            index: the index that lists the run; None for no index.

        Raises:
            RunError: there is a run already.
            BusyError: another process works there.
            OutputError: it cannot be written.
        """
        with _held(path) as lock:
            require_empty(path)
            try:
                written = provenance(config, "train").encode()
            except (TypeError, ValueError, OverflowError) as error:
                raise RunError(f"got a configuration that JSON cannot hold ({error})") from error
            write_atomically(path / RUN, written)
            return cls(path, lock, LatestCheckpoint(None, None, {}), keep, index)

    @classmethod
    def open(
        cls, path: Path, *, keep: int = checkpoint.KEEP, index: Index | None = None
    ) -> RunDirectory:
        """Continues a run from its newest intact checkpoint, or from the start.

        Rows after that checkpoint are cut from the series, so that the series becomes the same as
        without the interruption. Damaged checkpoints are renamed to `STEP.damaged`.

        Raises:
            RunError: there is no run, or its run.json is damaged.
            BusyError: another process works there.
            OutputError: it cannot be written.
            MissingPackageError: there are checkpoints, and safetensors is not installed.
        """
        read_run(path)  # before anything is written: this may be no run at all
        with _held(path) as lock:
            try:
                folder = path / CHECKPOINTS
                checkpoint.sweep(folder)
                latest = checkpoint.latest(folder)
                for step in latest.damaged:
                    checkpoint.set_aside(folder, step)
                lines = cut_back(path / METRICS, latest.step)
                cut_back(path / EPISODES, latest.step)
                run = cls(path, lock, latest, keep, index)
            except CounterpointError:
                raise
            except OSError as error:
                reason = error.strerror or error
                raise OutputError(f"could not open run {path} ({reason})") from error
        notes = [f"{text}: moved to {step}.damaged" for step, text in latest.damaged.items()]
        if lines:
            notes.append(f"{path / METRICS}: damaged lines dropped: {lines}")
        run.notes = tuple(notes)
        return run

    def rows(self) -> list[Line]:
        """Returns the rows of the series so far."""
        return read_rows(self.path / METRICS)[0]

    def log(self, row: Mapping[str, Loggable], series: str = METRICS) -> None:
        """Adds a row to a series: `{"step": 10, "return": 0.7}`; what is not finite becomes null.

        Args:
            row: with its whole number `step`.
            series: `METRICS`, or `EPISODES` for the texts of agents.

        Raises:
            RunError: it has no whole number `step`, or a value that JSON cannot hold.
            OutputError: it could not be written; earlier rows are whole.
        """
        files = self._series
        if series not in files:
            files[series] = Metrics(self.path / series)
        files[series].append(row)

    def save(self, step: int, snapshot: Snapshot) -> Path:
        """Writes a checkpoint, and the series up to it; when this returns, neither is ever lost.

        Raises:
            CheckpointError: the snapshot has a value that a checkpoint cannot hold.
            OutputError: it could not be written; every earlier checkpoint is intact.
        """
        self._sync()
        path = checkpoint.save(self.path / CHECKPOINTS, step, snapshot, keep=self._keep)
        self._record(acknowledged=True)
        return path

    def finish(
        self,
        *,
        step: int | UnsetType = UNSET,
        returned: float | UnsetType | None = UNSET,
        normalized: float | UnsetType | None = UNSET,
        messages: Messages | UnsetType = UNSET,
        evaluated: EvaluationTasks | UnsetType = UNSET,
    ) -> None:
        """Writes that the run has reached its end, and its closing numbers, which the index reads.

        Raises:
            OutputError: it could not be written.
        """
        self._sync()
        closing = {"step": step, "returned": returned, "normalized": normalized}
        self._write_status("finished", **closing, messages=messages, evaluated=evaluated)

    def close(self) -> None:
        """Leaves the run to others; one that did not finish is `stopped`.

        Raises:
            OutputError: its status could not be written; the run directory is unlocked all the
                same.
        """
        try:
            if not self._ended:
                self._write_status("stopped")
        finally:
            self._ended = True
            if self._metrics is not None:
                for file in self._metrics.values():
                    file.close()
                self._metrics = None
            self._lock.release()
            self._record()

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(*([OutputError] if kind else [])):  # the first error is the one
            try:
                if isinstance(error, Exception) and not self._ended:
                    # a foreign error may quote anything, so only words of ours are written down
                    message = f": {error}" if isinstance(error, CounterpointError) else ""
                    self._write_status("failed", error=type(error).__name__ + message)
            finally:
                self.close()

    @property
    def _series(self) -> dict[str, Metrics]:
        if self._metrics is None:
            raise RunError(f"got work for {self.path}, which is closed; open the run again")
        return self._metrics

    def _sync(self) -> None:
        for file in self._series.values():
            file.sync()

    def _record(self, *, acknowledged: bool = False) -> None:
        if self._index is not None:
            self._index.record(self.path, acknowledged=acknowledged)

    def _write_status(self, status: str, **closing: Any) -> None:
        document = RunStatus(status=status, updated=now(), **closing)
        write_atomically(self.path / STATUS, msgspec.json.encode(document, enc_hook=float) + b"\n")
        self._ended = status != "running"


def require_empty(path: Path) -> None:
    """Raises an error if no run can begin in a folder, as far as is known without a lock.

    Raises:
        RunError: there is a run already.
    """
    if not (path / RUN).exists():
        return
    instead = "choose another folder with --out, or remove this one"
    try:
        read_run(path)
    except RunError as error:
        raise RunError(f"{path} holds a {RUN} that is of no training run; {instead}") from error
    line = f"counterpoint resume {shlex.quote(str(path))}"
    raise RunError(f"{path} holds a run already; resume it ({line}), {instead}")


@contextlib.contextmanager
def _held(path: Path) -> Iterator[Lock]:
    """Locks a run directory for the block; the lock stays after the block unless the block
    raises."""
    try:
        make_folder(path)
    except OSError as error:
        raise OutputError(
            f"could not make {path} ({error.strerror or error}); choose another folder"
        ) from error
    lock = Lock(path / LOCK)
    try:
        for name in (RUN, STATUS, METRICS, EPISODES):
            for left in path.glob(f".{name}.*"):  # of a process that was killed while it wrote
                with contextlib.suppress(OSError):
                    left.unlink()
        yield lock
    except BaseException:
        lock.release()
        raise
