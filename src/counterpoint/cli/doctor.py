"""`counterpoint doctor`: what this machine can run, and what is missing."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata

from rich.text import Text

from counterpoint import __version__
from counterpoint.audits import AUDITS
from counterpoint.cli.results import finish
from counterpoint.credit import entries
from counterpoint.judge.catalogue import JUDGES
from counterpoint.lm.models import SOURCES, model_problem, models_folder
from counterpoint.machine.memory import available_memory
from counterpoint.machine.processes import available_workers
from counterpoint.optional import LANGUAGE, TORCH, pip_line
from counterpoint.plugins import plugins
from counterpoint.readers.formats.catalogue import FORMATS
from counterpoint.report.terminal.tables import text_table
from counterpoint.runs.exporters import EXPORTERS
from counterpoint.speakers.named import SPEAKERS
from counterpoint.workers.sandbox.cgroups import not_enforced
from counterpoint.workers.sandbox.sandbox import why_no_sandbox
from counterpoint.worlds.registry import WORLDS

CORE = ("numpy", "tyro", "rich", "jinja2", "msgspec")
EXTRAS = {
    "torch": "networks in sequential environments",
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
    "wandb": "--export wandb",
    "mlflow-skinny": "--export mlflow",
    "trackio": "--export trackio",
    "optuna": "sweep",
    "jax": "credit functions on JAX arrays",
}
ABILITIES = (
    ("compare and diagnose in small worlds and on logs", CORE, pip_line()),
    ("train teams of networks in sequential environments, stop and resume",
     TORCH, pip_line("torch")),
    ("play PettingZoo, mpe2, foraging and warehouse worlds",
     ("pettingzoo", "mpe2", "lbforaging", "rware"), pip_line("worlds")),
    ("run tasks over a cluster", ("ray",), pip_line("ray")),
    ("watch runs in TensorBoard", ("tensorboard",), pip_line("tensorboard")),
    ("send runs to Weights & Biases", ("wandb",), pip_line("wandb")),
    ("send runs to MLflow", ("mlflow-skinny",), pip_line("mlflow")),
    ("send runs to Trackio", ("trackio",), pip_line("trackio")),
    ("search for settings", ("optuna",), pip_line("sweep")),
    ("ask language servers", ("openai",), pip_line("llm")),
    ("train teams of language models, talk to them, fetch a small one", LANGUAGE,
     pip_line("language")),
)  # fmt: skip
"""Each ability of a machine, the packages that it needs, and the command that installs them."""
MODULES = {"mlflow-skinny": "mlflow"}
"""Package to its module, where the names differ."""
_IMPORTS = """
import importlib, os, sys
out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")
os.dup2(2, 1)  # what packages print is none of ours
for name in sys.argv[1:]:
    why = ""
    try:
        importlib.import_module(name)
    except BaseException as error:
        why = f"{type(error).__name__}: {error}"
    print(name, " ".join(why.split()), sep="\\t", file=out, flush=True)
os._exit(0)
"""
MEMORY = "0.5 GB a worker that trains the tiny model, 1.3 to 2.5 with smollm2"
"""The memory that training a language model needs, as measured in docs/how-to/language.md."""


@dataclass(frozen=True)
class Doctor:
    """Report what this machine can run, its versions, processors and optional packages."""

    json: bool = False
    """Print as JSON alone."""

    def run(self) -> int:
        """Looks and prints; returns 2 if the core is incomplete."""
        packages = {name: _version(name) for name in (*CORE, *EXTRAS)}
        failing = import_failures([name for name, version in packages.items() if version])
        ready = all(packages[name] and name not in failing for name in CORE)
        added, room, loose = plugin_facts(), available_memory(), not_enforced()
        memory = None if room is None else room / 1e9
        chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
        why_not = why_no_sandbox()
        problems = {name: model_problem(name) for name in SOURCES}
        facts = {
            "ready": ready,
            "counterpoint": __version__,
            "python": platform.python_version(),
            "processors": available_workers(),
            "memory_gb": memory,
            "packages": packages,
            "failing": failing,
            "chromium": chromium,
            "sandbox": why_not is None,
            "sandbox_not_enforced": loose,
            "models": {name: problem is None for name, problem in problems.items()},
            "can": {what: not lacking(names, packages, failing) for what, names, _ in ABILITIES},
            "plugins": added,
        }
        rows = [
            ("Counterpoint", __version__, ""),
            ("Python", platform.python_version(), "at least 3.11"),
            ("processors", str(available_workers()), "one worker on each"),
            ("memory", "not known" if memory is None else f"{memory:.1f} GB available", MEMORY),
            *((name, f"{version}; {failing[name]}" if name in failing
               else version or "not installed", EXTRAS.get(name, "the core"))
              for name, version in packages.items()),
            ("model tiny", "made where it is needed", "teams of language models"),
            *((f"model {name}", problem or str(models_folder() / name),
               "the same, with a model that knows English")
              for name, problem in problems.items()),
            ("sandbox", why_not or "ready", "teams at work: counterpoint team run"),
            ("sandbox totals",
             f"not enforced: {', '.join(loose)}; no control group" if loose else "enforced",
             "memory and processes of a sandbox together"),
            ("Chromium", chromium or "not found", "tests of the report"),
            *((f"plug-in {plugin['name']}", plugin["problem"] or plugin["package"], plugin["group"])
              for plugin in added),
        ]  # fmt: skip
        table = text_table(("what", "state", "needed for"), rows, title="This machine")
        able = map(Text, words(packages, failing))
        finish(facts, lambda _: [table, *able], None, self.json, "counterpoint demo")
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


def words(packages: Mapping[str, str | None], failing: Mapping[str, str]) -> list[str]:
    """Returns what this machine can run and what not, a sentence each."""
    sentences = []
    for what, names, install in ABILITIES:
        lacks = lacking(names, packages, failing)
        cannot = f"It cannot {what}: {', '.join(lacks)}; {install}"
        sentences.append(cannot if lacks else f"It can {what}.")
    return sentences


def lacking(
    names: Iterable[str], packages: Mapping[str, str | None], failing: Mapping[str, str]
) -> list[str]:
    """Returns those of the packages that are not installed or fail, and which of both."""
    return [f"{name} {failing.get(name, 'not installed')}" for name in names
            if name in failing or not packages[name]]  # fmt: skip


def import_failures(packages: Sequence[str]) -> dict[str, str]:
    """Returns which of the installed packages cannot be imported, and why; a process tries it."""
    line = [sys.executable, "-c", _IMPORTS, *(MODULES.get(name, name) for name in packages)]
    ended = subprocess.run(line, capture_output=True, encoding="utf-8", errors="replace")
    told = [line.split("\t", 1) for line in ended.stdout.splitlines() if "\t" in line]
    tried = dict(zip(packages, (why for _, why in told), strict=False))
    failing = {name: f"fails when it is imported ({why})" for name, why in tried.items() if why}
    if ended.returncode and len(tried) < len(packages):  # and what comes after it is not known
        failing[packages[len(tried)]] = f"ends Python when it is imported ({ended.returncode})"
    return failing


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
