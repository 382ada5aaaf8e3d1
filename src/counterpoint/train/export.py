"""A run's series in the format of TensorBoard."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from counterpoint.runs.metrics import read_rows
from counterpoint.runs.status import METRICS
from counterpoint.train.needs import require_tensorboard

FOLDER = "tensorboard"


def to_tensorboard(run: Path) -> Path:
    """Write every number of the series as a scalar by its step, anew; the folder.

    Raises:
        MissingPackageError: tensorboard is not installed.
    """
    require_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    folder = run / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    with SummaryWriter(str(folder)) as writer:
        for row in read_rows(run / METRICS)[0]:
            for name, value in scalars(row):
                writer.add_scalar(name, value, row["step"])
    return folder


def scalars(row: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a row, by their path: `agents/agent_0/snr`."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from scalars(value, f"{under}{name}/")
        elif isinstance(value, int | float) and name != "step":
            yield under + name, float(value)
