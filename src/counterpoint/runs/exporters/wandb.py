"""Weights & Biases: runs in `wandb/` of the current folder, without a network until they are
uploaded with `wandb sync`."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from counterpoint.optional import needs, pip_line
from counterpoint.runs.exporters.tracker import PROJECT, Plain, Tracker

BLOCK, HEADER = 32768, struct.Struct("<IHB")
"""An offline file is a log in blocks, in the format of LevelDB: each piece of a record has a header
of checksum, length and kind, and the file itself has one of the same length."""
FLUSH_SECONDS = 10.0
WHOLE, LAST = 1, 4
"""Kinds of the pieces that end a record."""


class WeightsAndBiases(Tracker):
    """Sends a run to Weights & Biases, offline unless WANDB_MODE says otherwise.

    Each session writes a file of its own, with the same identifier. WANDB_DIR, WANDB_PROJECT and
    the library's other variables hold.
    """

    name = "wandb"

    def open(self) -> str:
        self._mode = os.environ.get("WANDB_MODE", "offline")
        if self._mode == "offline":  # it reports errors to its server even then
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        with needs("the exporter wandb", pip_line("wandb")):
            import wandb
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=self.record.key,
            name=self.title,
            mode=self._mode,
            resume="allow",
            reinit="create_new",
            config=dict(self.settings),
            settings=wandb.Settings(
                silent=True, console="off", disable_git=True, save_code=False, x_disable_stats=True
            ),
        )
        self._folder, self._file = Path(self._run.dir).parent, f"run-{self.record.key}.wandb"
        return self.record.key

    def last_step(self) -> int:
        """Returns the last step of the server, or of the files of earlier sessions: a killed
        session may have lost all its rows."""
        if self._mode == "online":
            return int(self._run.step) - 1
        files = self._folder.parent.glob(f"*-{self.record.key}/{self._file}")
        records = (record for file in files for record in stored(file))
        return max((one.history.step.num for one in records if one.history.item), default=-1)

    def send(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=step)

    def end(self, status: str, summary: Mapping[str, Plain]) -> None:
        self._run.summary.update({f"final/{name}": value for name, value in summary.items()})
        self._run.finish(exit_code=1 if status == "failed" else 0)
        deadline = time.monotonic() + FLUSH_SECONDS
        while self._mode == "offline" and time.monotonic() < deadline:  # a file may be late
            if any(
                one.WhichOneof("record_type") == "exit" for one in stored(self._folder / self._file)
            ):
                return
            time.sleep(0.05)


def stored(file: Path) -> Iterator[Any]:
    """Yields the whole records of an offline file; a last one that was cut off is left out."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, record = file.read_bytes(), HEADER.size, b""
    while at + HEADER.size <= len(data):
        if BLOCK - at % BLOCK < HEADER.size:  # no header fits into the rest of a block
            at += BLOCK - at % BLOCK
            continue
        _, size, kind = HEADER.unpack_from(data, at)
        at += HEADER.size
        record += data[at : at + size]
        at += size
        if kind in (WHOLE, LAST) and at <= len(data):
            yield Record.FromString(record)
            record = b""
