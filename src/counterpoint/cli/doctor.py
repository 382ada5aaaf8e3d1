"""`counterpoint doctor`: is this machine ready, and for what."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from rich.table import Table
from rich.text import Text

from counterpoint import __version__
from counterpoint.audits import AUDITS
from counterpoint.cli.output import print_json, print_result
from counterpoint.credit import entries
from counterpoint.judge.catalogue import JUDGES
from counterpoint.lm.models import PACKAGES as LANGUAGE
from counterpoint.lm.models import SOURCES, model_problem, models_folder
from counterpoint.plugins import plugins
from counterpoint.readers.documents import FORMATS
from counterpoint.runs.executor import available_workers
from counterpoint.runs.exporters import EXPORTERS
from counterpoint.speakers.named import SPEAKERS
from counterpoint.workers.sandbox.cgroups import not_enforced
from counterpoint.workers.sandbox.sandbox import why_no_sandbox
from counterpoint.worlds.registry import WORLDS

CORE = ("numpy", "tyro", "rich", "jinja2", "msgspec")
EXTRAS = {
    "torch": "networks in worlds of many steps",
    "safetensors": "checkpoints",
    "transformers": "language models",
    "gguf": "fetching a language model",
    "pettingzoo": "foreign worlds",
    "mpe2": "mpe2:NAME",
    "lbforaging": "lbforaging:ID",
    "rware": "rware:ID",
    "openai": "language servers",
    "ray": "tasks over a cluster",
    "tensorboard": "--export tensorboard",
    "jax": "credit functions on JAX arrays",
}
ABILITIES = (
    ("compare and diagnose in small worlds and on logs", CORE, "pip install counterpoint-rl"),
    ("train teams of networks in worlds of many steps, stop and resume",
     ("torch", "safetensors"), "pip install 'counterpoint-rl[torch]'"),
    ("play PettingZoo, mpe2, foraging and warehouse worlds",
     ("pettingzoo", "mpe2", "lbforaging", "rware"), "pip install 'counterpoint-rl[worlds]'"),
    ("run tasks over a cluster", ("ray",), "pip install 'counterpoint-rl[ray]'"),
    ("watch runs in TensorBoard", ("tensorboard",), "pip install 'counterpoint-rl[tensorboard]'"),
    ("ask language servers", ("openai",), "pip install 'counterpoint-rl[llm]'"),
    ("train teams of language models, talk to them, fetch a small one", LANGUAGE,
     "pip install 'counterpoint-rl[language]'"),
)  # fmt: skip
"""What a machine can do, the packages that it takes, and how to get them."""
MEMORY = "0.5 GB a worker that trains the tiny model, 1.3 to 2.5 with smollm2"
"""What training language models takes, as docs/how-to/language.md measured it."""


@dataclass(frozen=True)
class Doctor:
    """Look at this machine: what it can run, versions, processors, and optional packages."""

    json: bool = False
    """Print as JSON alone."""

    def run(self) -> int:
        """Look, and print; 2 where the core is incomplete."""
        packages = {name: _version(name) for name in (*CORE, *EXTRAS)}
        ready = all(packages[name] for name in CORE)
        added = plugin_facts()
        facts = {
            "ready": ready,
            "counterpoint": __version__,
            "python": platform.python_version(),
            "processors": available_workers(),
            "memory_gb": memory_gb(),
            "packages": packages,
            "chromium": next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None),
            "sandbox": why_no_sandbox() is None,
            "sandbox_not_enforced": not_enforced(),
            "models": {name: model_problem(name) is None for name in SOURCES},
            "can": {what: not missing(names, packages) for what, names, _ in ABILITIES},
            "plugins": added,
        }
        if self.json:
            print_json(facts)
            return 0 if ready else 2
        table = Table("what", "found", "needed for", title="This machine")
        table.add_row("Counterpoint", __version__, "")
        table.add_row("Python", platform.python_version(), "at least 3.11")
        table.add_row("processors", str(facts["processors"]), "one worker on each")
        free = facts["memory_gb"]
        told = "not known" if free is None else f"{free:.1f} GB available"
        table.add_row("memory", told, MEMORY)
        for name, version in packages.items():
            table.add_row(name, version or "not installed", EXTRAS.get(name, "the core"))
        table.add_row("model tiny", "made where it is needed", "teams of language models")
        for name in SOURCES:
            problem = model_problem(name)
            shown = str(models_folder() / name) if problem is None else problem
            table.add_row(f"model {name}", Text(shown), "the same, with a model that knows English")
        why_not = why_no_sandbox()
        table.add_row("sandbox", Text(why_not or "ready"), "teams at work: counterpoint team run")
        loose = not_enforced()
        totals = f"not enforced: {', '.join(loose)}; no control group" if loose else "enforced"
        table.add_row("sandbox totals", totals, "memory and processes of a sandbox together")
        table.add_row("Chromium", str(facts["chromium"] or "not found"), "tests of the report")
        for each in added:
            table.add_row(f"plug-in {each['name']}", Text(each["problem"] or each["package"]),
                          each["group"])  # fmt: skip
        print_result(table, *map(Text, words(packages)))
        return 0 if ready else 2


def plugin_facts() -> list[dict[str, str]]:
    """Returns what installed packages add, ready for JSON; the problem of a sound one is empty."""
    return [
        {
            "group": plugin.group,
            "name": plugin.name,
            "package": plugin.package,
            "problem": registry.problem(plugin),
        }
        for registry in (entries(), AUDITS, FORMATS, JUDGES, SPEAKERS, EXPORTERS, WORLDS)
        for plugin in plugins(registry.group).values()
    ]


def memory_gb() -> float | None:
    """Memory that programs can have now; None where the system does not say."""
    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii")
        return int(told.split("MemAvailable:")[1].split()[0]) / 1e6
    except (OSError, ValueError, LookupError):
        return None


def words(packages: Mapping[str, str | None]) -> list[str]:
    """What this machine can run and what not, a sentence each."""
    said = []
    for what, names, install in ABILITIES:
        lacks = missing(names, packages)
        cannot = f"It cannot {what}: {', '.join(lacks)} not installed; {install}"
        said.append(cannot if lacks else f"It can {what}.")
    return said


def missing(names: Iterable[str], packages: Mapping[str, str | None]) -> list[str]:
    """Those of the packages that are not installed."""
    return [name for name in names if not packages[name]]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
