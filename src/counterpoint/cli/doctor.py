"""`counterpoint doctor`: is this machine ready, and for what."""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass
from importlib import metadata

from rich.table import Table

from counterpoint import __version__
from counterpoint.cli.output import print_json, print_result
from counterpoint.runs.executor import available_workers

CORE = ("numpy", "tyro", "rich", "jinja2", "msgspec")
EXTRAS = {
    "torch": "credit functions on torch tensors",
    "jax": "credit functions on JAX arrays",
    "safetensors": "checkpoints",
    "ray": "tasks over a cluster",
    "tensorboard": "--export tensorboard",
}


@dataclass(frozen=True)
class Doctor:
    """Look at this machine: versions, processors, and which optional packages are there."""

    json: bool = False
    """Print as JSON alone."""

    def run(self) -> int:
        """Look, and print; 2 where the core is incomplete."""
        packages = {name: _version(name) for name in (*CORE, *EXTRAS)}
        ready = all(packages[name] for name in CORE)
        facts = {
            "ready": ready,
            "counterpoint": __version__,
            "python": platform.python_version(),
            "processors": available_workers(),
            "packages": packages,
            "chromium": next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None),
        }
        if self.json:
            print_json(facts)
            return 0 if ready else 2
        table = Table("what", "found", "needed for", title="This machine")
        table.add_row("Counterpoint", __version__, "")
        table.add_row("Python", platform.python_version(), "at least 3.11")
        table.add_row("processors", str(facts["processors"]), "one worker on each")
        for name, version in packages.items():
            table.add_row(name, version or "not installed", EXTRAS.get(name, "the core"))
        table.add_row("Chromium", str(facts["chromium"] or "not found"), "tests of the report")
        print_result(table, "Ready." if ready else "Not ready: install counterpoint-rl again.")
        return 0 if ready else 2


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
