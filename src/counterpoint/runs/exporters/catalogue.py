"""The exporters by name: start at `exporter`.

To add one: a class with `log` and `close` in a file of its own, and a line in `EXPORTERS`, or one
in the group `counterpoint.exporters` of the entry points of your own package.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from counterpoint.errors import OutputError
from counterpoint.optional import pip_line, require_packages
from counterpoint.plugins import Registry
from counterpoint.runs.exporters.exporter import Exporter
from counterpoint.runs.exporters.mlflow import MLflow
from counterpoint.runs.exporters.tensorboard import TensorBoard
from counterpoint.runs.exporters.trackio import Trackio
from counterpoint.runs.exporters.wandb import WeightsAndBiases

EXPORTERS = Registry[Callable[[Path], Exporter]](
    "counterpoint.exporters",
    {
        TensorBoard.FOLDER: TensorBoard,
        WeightsAndBiases.name: WeightsAndBiases,
        MLflow.name: MLflow,
        Trackio.name: Trackio,
    },
    "a function of a run directory that makes an exporter",
    lambda name, part: callable(part),
)
"""Name to a function that makes an exporter for a run directory. The exporter has the folder of
that name there: from this folder a resumed run knows its exporters."""
PACKAGES = {
    TensorBoard.FOLDER: ("tensorboard",),
    WeightsAndBiases.name: ("wandb",),
    MLflow.name: ("mlflow", "sqlalchemy", "alembic"),
    Trackio.name: ("trackio",),
}
"""The packages of the exporters that ship with Counterpoint; the extra has the exporter's name."""


def require_exporters(names: Sequence[str]) -> None:
    """Raises an error if one of these exporters cannot be used; call it before any work begins.

    Raises:
        UnknownNameError: no exporter of that name.
        PluginError: the exporter is a plug-in that cannot be used.
        MissingPackageError: its package is not installed.
    """
    for name in names:
        EXPORTERS.named(name)
        require_packages(f"--export {name}", PACKAGES.get(name, ()), pip_line(name))


def exporters_of(run: Path) -> list[str]:
    """Returns the names of the exporters that a run has begun with."""
    return [name for name in EXPORTERS if (run / name).is_dir()]


def exporter(name: str, run: Path) -> Exporter:
    """Returns the exporter of that name, for a run directory.

    Raises:
        UnknownNameError: no exporter of that name.
        PluginError: the exporter is a plug-in that cannot be used.
        MissingPackageError: its package is not installed.
        OutputError: it cannot write.
    """
    make, folder = EXPORTERS.named(name), run / name
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"could not make {folder} ({error.strerror or error})") from error
    return make(run)
