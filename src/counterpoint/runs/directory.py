"""A run directory: the files of a training run, so that it can be stopped, killed and resumed.

    run.json        configuration, versions, revision, machine: written once
    status.json     running, finished, stopped or failed, and the closing numbers
    metrics.jsonl   the series
    episodes.jsonl  the texts of agents, if they speak: a line an update
    checkpoints/    the newest few, each in a folder named for its step
    seal.json       hashes of all of these, up to the last checkpoint: see seal.py
    lock            held while a process works here

Start with `RunDirectory.create` and `RunDirectory.open`; `status.py` reads a run without a lock.
"""

from __future__ import annotations

import contextlib
import errno
import shlex
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from counterpoint.errors import CounterpointError, OutputError, RunError
from counterpoint.machine.held import HeldFolder
from counterpoint.machine.locks import files_of
from counterpoint.machine.terminal import printable
from counterpoint.results.parts import Settings
from counterpoint.results.training import EvaluationTasks, Messages
from counterpoint.runs import checkpoint
from counterpoint.runs.checkpoint import LatestCheckpoint, Snapshot
from counterpoint.runs.files import is_partial, make_folder, sync_folder, write_atomically
from counterpoint.runs.index import Index
from counterpoint.runs.lock import Lock
from counterpoint.runs.metrics import Digest, Line, Loggable, Metrics, read_rows, rows_until
from counterpoint.runs.provenance import provenance
from counterpoint.runs.seal import (
    Seal,
    accepted_edits,
    edited,
    has_seal,
    manifests,
    read_seal,
    require_unedited,
    sealed_file,
    write_seal,
)
from counterpoint.runs.status import (
    CHECKPOINTS,
    LOCK,
    METRICS,
    RUN,
    SEAL,
    SERIES,
    RunStatus,
    axis_of,
    now,
    read_run,
    write_status,
)

NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)
"""Errors after which the work is saved beside a run directory: nothing in it can be written."""


class RunDirectory:
    """A run that this process works on; make one with `create` or `open`, close it with `with`.

    Left without `finish`, a run is `stopped` (interrupted, or simply left) or `failed` (an error).
    """

    def __init__(
        self, path: Path, lock: Lock, latest: LatestCheckpoint, keep: int, index: Index | None
    ) -> None:
        self.config = read_run(path).config
        self.resumed = latest
        """The checkpoint from which the run resumes; its `step` is None if the run starts from the
        beginning."""
        self.accepted = accepted_edits(path)
        """Edits of the run that a user accepted."""
        self.notes: tuple[str, ...] = ()
        """Sentences for the user about damaged parts that were skipped."""
        self._began, self._folder = path, HeldFolder(path)
        self._beside: Path | None = None
        self._plan = (path / RUN).read_bytes()
        self._files: list[str] = []
        self._lock, self._keep, self._index = lock, keep, index
        self._ended = False
        there = [name for name in SERIES if name == METRICS or (path / name).exists()]
        self._metrics: dict[str, Metrics] | None = {name: Metrics(path / name) for name in there}
        # The folder is fsynced with the status, and so are the names of the other files.
        self._write_status("running")
        self._record()

    @property
    def path(self) -> Path:
        """The folder, also after it was moved."""
        return self._folder.path

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
        require_empty(path)
        with _held(path) as lock:
            require_empty(path)  # another process may have begun one in the meantime
            try:
                written = provenance(config, "train").encode()
            except (TypeError, ValueError, OverflowError) as error:
                raise RunError(f"got a configuration that JSON cannot hold ({error})") from error
            # sealed before it is there: a run without its seal is one that lost it
            write_seal(path, _seal_of(written))
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
            EditedError: a file is not as it was written: see `seal.edits`.
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
                was_sealed = has_seal(path)
                require_unedited(path)
                latest = checkpoint.latest(folder)
                if latest.step is None and latest.damaged:  # it would start from the beginning
                    raise edited(path, [*latest.damaged.values()])
                kept = {
                    name: rows_until(path / name, latest.step)
                    for name in SERIES
                    if (path / name).exists()
                }
                # sealed before anything is cut: rows may follow a seal, and none may be missing
                seal = Seal(
                    series={name: Digest(data).sealed() for name, (data, _) in kept.items()},
                    checkpoints=manifests(path, -1 if latest.step is None else latest.step),
                    accepted=accepted_edits(path),
                )
                write_seal(path, _seal_of((path / RUN).read_bytes(), seal))
                for step in latest.damaged:
                    checkpoint.set_aside(folder, step)
                for name, (data, _) in kept.items():
                    if data != (path / name).read_bytes():
                        write_atomically(path / name, data)
                run = cls(path, lock, latest, keep, index)
            except CounterpointError:
                raise
            except OSError as error:
                reason = error.strerror or error
                raise OutputError(f"could not open run {path} ({reason})") from error
        notes = [f"{text}: moved to {step}.damaged" for step, text in latest.damaged.items()]
        if METRICS in kept and kept[METRICS][1]:
            notes.append(f"{path / METRICS}: damaged lines dropped: {kept[METRICS][1]}")
        if not was_sealed:
            notes.append(
                f"{path} had no seal, since an earlier version began it: edits until now are not "
                "known"
            )
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
            sync_folder(self.path)  # a seal that names it may not be there before it is
        files[series].append(row)

    def save(self, step: int, snapshot: Snapshot) -> Path:
        """Writes a checkpoint, and the series up to it; when this returns, neither is ever lost.

        If the folder was deleted or nothing can be written in it, the work is saved in a folder
        beside it, and the error names that.

        Raises:
            CheckpointError: the snapshot has a value that a checkpoint cannot hold.
            OutputError: it could not be written; every earlier checkpoint is intact.
        """
        self.require_folder(step, snapshot)
        self._sync()
        try:
            path = checkpoint.save(self.path / CHECKPOINTS, step, snapshot, keep=self._keep)
            self._write_seal()
        except OutputError as error:
            self.require_folder(step, snapshot)
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in NOT_WRITABLE:
                raise self._saved_beside(step, snapshot, "cannot be written to") from error
            raise
        self.require_folder(step, snapshot)
        self._record(acknowledged=True)
        return path

    def require_folder(self, step: int, snapshot: Snapshot) -> None:
        """Checks that the folder is still there; if it was deleted, the work is saved beside it.

        Raises:
            OutputError: it was deleted; the message names the folder that the work is in.
        """
        if not self._is_there():
            raise self._saved_beside(step, snapshot, "was deleted")

    def seal_file(self, path: Path) -> None:
        """Makes a file that this process wrote into the run a part of its last seal."""
        self._files.append(path.relative_to(self.path).as_posix())

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
        self._write_seal(closed=True)
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
            if self.path not in (self._began, self._beside):
                note = f"{self._began} was moved while it trained; the run went on in {self.path}"
                self.notes = (*self.notes, note)
                self._began = self.path
            if self._metrics is not None:
                for file in self._metrics.values():
                    file.close()
                self._metrics = None
            self._lock.release()
            self._record()
            self._folder.close()

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
                    said = printable(type(error).__name__ + message)  # a file holds it
                    self._write_status("failed", error=said)
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

    def _is_there(self) -> bool:
        return self._folder.is_there() and (self.path / RUN).is_file()

    def _record(self, *, acknowledged: bool = False) -> None:
        if self._index is not None and self._is_there():
            self._index.record(self.path, acknowledged=acknowledged)

    def _write_seal(self, *, closed: bool = False) -> None:
        path = self.path
        seal = Seal(
            files={name: sealed_file((path / name).read_bytes()) for name in self._files},
            series={name: file.digest.sealed() for name, file in self._series.items()},
            checkpoints=manifests(path),
            closed=closed,
            accepted=self.accepted,
        )
        write_seal(path, _seal_of(self._plan, seal))

    def _write_status(self, status: str, **closing: Any) -> None:
        if self._is_there():  # writing would make the folder again
            write_status(self.path, RunStatus(status=status, updated=now(), **closing))
        self._ended = status != "running"

    def _saved_beside(self, step: int, snapshot: Snapshot, why: str) -> OutputError:
        """Saves the whole run in a folder beside a lost one; returns the error that names it.

        The rows are still known: the files of the series are open.
        """
        lost = self.path
        for number in count(1):
            beside = lost.with_name(f"{lost.name}.saved" + (f"-{number}" if number > 1 else ""))
            if not beside.exists():
                break
        try:
            make_folder(beside)
            for name, file in self._series.items():
                write_atomically(beside / name, file.content())
            checkpoint.save(beside / CHECKPOINTS, step, snapshot, keep=self._keep)
            seal = Seal(
                series={name: file.digest.sealed() for name, file in self._series.items()},
                checkpoints=manifests(beside),
                accepted=self.accepted,
            )
            write_seal(beside, _seal_of(self._plan, seal))
            write_status(beside, RunStatus(status="stopped", updated=now()))
            write_atomically(beside / RUN, self._plan)  # last: now it is a run
        except OSError as error:
            return OutputError(f"{lost} {why}, and the work could not be saved beside it ({error})")
        self._ended = True
        self._folder.close()
        self._folder, self._beside = HeldFolder(beside), beside
        at = f"{axis_of(self.config)} {step}"
        return OutputError(
            f"{lost} {why} while the run went on; the work up to {at} is saved in {beside}: "
            f"counterpoint resume {shlex.quote(str(beside))}"
        )


def _seal_of(plan: bytes, seal: Seal | None = None) -> Seal:
    """Returns a seal with the plan of a run in it."""
    seal = seal or Seal()
    files = {RUN: sealed_file(plan), **seal.files}
    return replace(seal, plan=msgspec.json.decode(plan, type=dict[str, Any]), files=files)


def require_empty(path: Path) -> None:
    """Raises an error if no run can begin in a folder, as far as is known without a lock.

    Checkpoints and series of another run, or another trainer, would become this one's.

    Raises:
        RunError: there is something already, other than what a process has left that was killed
            while it began a run.
    """
    instead = "choose another folder with --out, or remove this one"
    if not (path / RUN).exists():
        left = (*files_of(path / LOCK), *([path / SEAL] if read_seal(path) else []))
        with contextlib.suppress(OSError):  # there is no folder, or no access: said when it is used
            others = sorted(each.name for each in path.iterdir()
                            if each not in left and not is_partial(each))  # fmt: skip
            if others:
                more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
                raise RunError(f"{path} is not empty: it holds {others[0]}{more}; {instead}")
        return
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
        for left in filter(is_partial, path.iterdir()):  # of a process that was killed meanwhile
            with contextlib.suppress(OSError):
                left.unlink()
        yield lock
    except BaseException:
        lock.release()
        raise
