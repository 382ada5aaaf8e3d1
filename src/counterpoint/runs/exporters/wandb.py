"""Weights & Biases: runs in `wandb/` of the current folder, without a network until they are
uploaded with `wandb sync`."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from counterpoint.optional import needs, pip_line
from counterpoint.runs.exporters.tracker import PROJECT, Plain, Tracker

BLOCK, HEADER = 32768, struct.Struct("<IHB")
"""An offline file is a log in blocks, in the format of LevelDB: each piece of a record has a header
of checksum, length and kind, and the file itself has one of the same length."""
WHOLE, LAST = 1, 4
"""Kinds of the pieces that end a record."""


class WeightsAndBiases(Tracker):
    """Sends a run to Weights & Biases, offline unless WANDB_MODE says otherwise.

    Each session writes a file of its own, with the same identifier. WANDB_DIR, WANDB_PROJECT and
    the library's other variables hold.
    """

    name = "wandb"

    def open(self) -> str:
        with needs("the exporter wandb", pip_line("wandb")):
            import wandb
        self._mode = os.environ.get("WANDB_MODE", "offline")
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
        return self.record.key

    def last_step(self) -> int:
        """Returns the last step of the server, or of the files of earlier sessions: a killed
        session may have lost all its rows."""
        if self._mode == "online":
            return int(self._run.step) - 1
        key = self.record.key
        files = Path(self._run.dir).parents[1].glob(f"*-{key}/run-{key}.wandb")
        return max((step for file in files for step in stored_steps(file)), default=-1)

    def send(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=step)

    def end(self, status: str, summary: Mapping[str, Plain]) -> None:
        self._run.summary.update({f"final/{name}": value for name, value in summary.items()})
        self._run.finish(exit_code=1 if status == "failed" else 0)


def stored_steps(file: Path) -> Iterator[int]:
    """Yields the step of each row in an offline file."""
    from wandb.proto.wandb_internal_pb2 import Record

    for data in stored_records(file.read_bytes()):
        record = Record.FromString(data)
        if record.history.item:
            yield record.history.step.num


def stored_records(data: bytes) -> Iterator[bytes]:
    """Yields the whole records of an offline file; a last one that was cut off is left out."""
    at, record = HEADER.size, b""
    while at + HEADER.size <= len(data):
        if BLOCK - at % BLOCK < HEADER.size:  # no header fits into the rest of a block
            at += BLOCK - at % BLOCK
            continue
        _, size, kind = HEADER.unpack_from(data, at)
        at += HEADER.size
        record += data[at : at + size]
        at += size
        if kind in (WHOLE, LAST) and at <= len(data):
            yield record
            record = b""
