"""`counterpoint schemes` and `counterpoint worlds`: lists of both, with sources."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal

import tyro
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace
from rich.console import RenderableType

from counterpoint.cli.messages import say_doubts
from counterpoint.cli.results import command_line, finish
from counterpoint.credit import (
    AnyScheme,
    Mix,
    Scheme,
    baselines,
    entries,
    scheme_name,
    scheme_named,
)
from counterpoint.report.terminal.tables import text_table
from counterpoint.report.toolkit.tables import Cell
from counterpoint.results import document_of
from counterpoint.train.algorithms import algorithms
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.worlds import FAMILIES, Kind, WorldEntry, find_world, worlds
from counterpoint.worlds.exact.world import ExactFacts
from counterpoint.worlds.foreign.names import search_current_folder
from counterpoint.worlds.kind import WorldFacts, settings_facts
from counterpoint.worlds.message.task_file import MessageFacts
from counterpoint.worlds.registry import WORLDS
from counterpoint.worlds.sequential.world import SequentialFacts
from counterpoint.worlds.text.entry import TextFacts

WHAT = "what happens there"
TABLES = {
    Kind.EXACT: ("Exact worlds", ("world", WHAT, "agents", "source")),
    Kind.SEQUENTIAL: (
        "Sequential environments", ("world", WHAT, "agents", "random, good", "source")
    ),
    Kind.TEXT: (
        "Text environments, for teams of language models",
        ("world", WHAT, "agents", "reward components", "random, good", "source"),
    ),
    Kind.MESSAGE: (
        "Message environments, in which a topology has an effect",
        ("world", WHAT, "members", "prompts", "source"),
    ),
}  # fmt: skip
"""Title and columns of the table of each kind of world."""


class SchemeFacts(Struct, frozen=True, kw_only=True):
    """The facts about a scheme, baseline or algorithm; a fact that is unset is not printed."""

    name: str | UnsetType = UNSET
    """The full name; set only if one scheme is shown alone."""
    kind: Literal["scheme", "mix", "baseline", "algorithm"]
    title: str | UnsetType = UNSET
    citation: str | UnsetType = UNSET
    note: str | UnsetType = UNSET
    needs: str | UnsetType = UNSET
    summary: str | UnsetType = UNSET
    """The effect of a baseline, and its limits."""
    fields: dict[str, str | float | tuple[str, ...] | None] | UnsetType = UNSET
    """Fields that differ from the default, and groupings; of a mix its parts."""
    package: str | UnsetType = UNSET
    """The installed package that adds it."""


@dataclass(frozen=True)
class Schemes:
    """List every credit scheme, baseline and algorithm with its source, or show one in full.

    Examples:
      counterpoint schemes
      counterpoint schemes gdpo
      counterpoint schemes grpo_rows,floor=0.05
    """

    name: Annotated[str | None, tyro.conf.Positional] = None
    """One scheme, baseline or algorithm; default: all of them."""
    json: bool = False
    """Print as JSON alone."""

    def run(self) -> int:
        """Lists them, or shows one."""
        known = scheme_facts()
        if self.name is not None:
            name = self.name
            if name not in known:  # an entry with fields that differ
                scheme = scheme_named(name, also=(*baselines(), *algorithms()))
                name = scheme_name(scheme)
                known.setdefault(name, SchemeFacts(kind="scheme", fields=_fields(scheme)))
            schemes = ",".join(dict.fromkeys(("mappo_pooled", name)))
            world = "spread" if known[name].kind == "algorithm" else "regions"
            then = command_line("compare", world, "--schemes", schemes)
            finish(replace(known[name], name=name), _facts_parts, None, self.json, then)
            return 0
        rows = []
        for name, facts in known.items():
            package = f" ({facts.package})" if facts.package else ""
            rows.append((name, str(facts.title), f"{facts.citation}{package}"))
        titles = ("scheme", "what it does", "source")
        table = text_table(titles, rows, title="Credit schemes, baselines and algorithms")
        finish(known, lambda _: [table], None, self.json, "counterpoint schemes NAME")
        return 0


@dataclass(frozen=True)
class Worlds:
    """List the worlds, or show one of them with all of its settings.

    An environment of your own or of another package is also checked: see `counterpoint train`.

    Examples:
      counterpoint worlds
      counterpoint worlds regions
      counterpoint worlds lewis
      counterpoint worlds mpe2:simple_tag_v3
    """

    name: Annotated[str | None, tyro.conf.Positional] = None
    """One world; default: all of them."""
    json: bool = False
    """Print as JSON alone."""

    def run(self) -> int:
        """Lists them, or shows one."""
        if self.name is not None:
            search_current_folder(self.name)
            entry = find_world(self.name)
            say_doubts(self.name, entry.check())
            then = command_line(entry.command, entry.name)
            finish(_document(entry, entry.describe()), _facts_parts, None, self.json, then)
            return 0
        document, parts = {}, list[RenderableType]()
        for kind, (title, columns) in TABLES.items():
            rows = []
            for entry in worlds(kind):
                facts = entry.describe()
                document[entry.name] = _document(entry, facts)
                rows.append(_row(facts))
            if kind is Kind.SEQUENTIAL:
                rows += [(family.pattern, family.summary, "", "", family.source)
                         for family in FAMILIES]  # fmt: skip
            parts.append(text_table(columns, rows, title=title))
        document |= {family.pattern: family._asdict() for family in FAMILIES}
        finish(document, lambda _: parts, None, self.json, "counterpoint worlds NAME")
        return 0


def _row(facts: WorldFacts) -> tuple[str | Cell, ...]:
    """Returns the row of a world in the table of its kind."""
    if isinstance(facts, ExactFacts):
        return facts.name, facts.summary, str(len(facts.agents)), facts.source
    if isinstance(facts, SequentialFacts):
        what = _cell(facts.summary, f"(return: {facts.scale})")
        return facts.name, what, str(len(facts.agents)), _scores(facts), facts.source
    if isinstance(facts, TextFacts):
        what = _cell(facts.summary, f"({facts.answers}; success: {facts.scale})")
        agents, components = ", ".join(facts.agents), ", ".join(facts.components)
        return facts.name, what, agents, components, _scores(facts), facts.source
    assert isinstance(facts, MessageFacts)
    what = _cell(facts.summary, f"(score: {facts.scale})")
    return facts.name, what, str(facts.members), ", ".join(facts.prompts), facts.source


def _cell(summary: str, scale: str) -> Cell:
    return Cell(summary, lines=(scale,))


def _scores(facts: SequentialFacts | TextFacts) -> str:
    scores = (facts.random, facts.reference)
    return ", ".join("not known" if score is None else f"{score:.4g}" for score in scores)


def _document(entry: WorldEntry[Any], facts: WorldFacts) -> dict[str, Any]:
    """Returns the facts as `--json` prints them, with the settings of agents that speak."""
    document: dict[str, Any] = document_of(facts)
    if entry.kind is Kind.TEXT:
        document["language"] = document_of(settings_facts(LanguageSettings))
    if package := WORLDS.package(entry.name):
        document["package"] = package
    return document


def scheme_facts() -> dict[str, SchemeFacts]:
    """Returns the facts about each scheme, baseline and algorithm, by its name."""
    facts = {
        name: SchemeFacts(
            kind="scheme" if isinstance(entry.scheme, Scheme) else "mix",
            title=entry.title,
            citation=entry.citation,
            note=entry.note,
            needs=entry.needs,
            fields=_fields(entry.scheme),
            package=entries().package(name) or UNSET,
        )
        for name, entry in entries().items()
    }
    facts |= {n: SchemeFacts(kind="baseline", **asdict(one)) for n, one in baselines().items()}
    return facts | {
        name: SchemeFacts(kind="algorithm", title=a.title, citation=a.citation, note=a.note)
        for name, a in algorithms().items()
    }


def _fields(scheme: AnyScheme) -> dict[str, str | float | tuple[str, ...] | None]:
    if isinstance(scheme, Mix):
        parts = [f"{weight:g} * ({scheme_name(part)})" for weight, part in scheme.parts]
        return {f"part {place}": part for place, part in enumerate(parts, start=1)}
    default = Scheme()
    return {
        spec.name: getattr(scheme, spec.name)
        for spec in fields(Scheme)
        if spec.name in ("center_by", "scale_by")
        or getattr(scheme, spec.name, None) != getattr(default, spec.name)
    }


def _facts_parts(facts: object) -> list[RenderableType]:
    """Returns one scheme or world in full: a row for each fact and for each setting."""
    rows = []
    for key, value in document_of(facts).items():
        pairs = value.items() if isinstance(value, dict) else [("", value)]
        for i, (inner, item) in enumerate(pairs):
            shown = _shown(item)
            rows.append((key if i == 0 else "", f"{inner}: {shown}" if inner else shown))
    return [text_table(("", ""), rows)]


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "(the whole batch)"
    if isinstance(value, dict) and "about" in value:
        return f"{value['default']}. {value['about']}"
    return str(value)
