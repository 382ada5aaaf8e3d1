"""`counterpoint schemes` and `counterpoint worlds`: what there is, with sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any

import tyro
from msgspec import to_builtins
from rich.console import RenderableType

from counterpoint.cli.results import finish
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
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.worlds import FAMILIES, Kind, WorldEntry, find_world, worlds
from counterpoint.worlds.kind import settings_facts
from counterpoint.worlds.registry import WORLDS

Facts = Mapping[str, Mapping[str, Any]]
"""Name to what is known of a scheme or a world, as `--json` prints it."""
WHAT = "what happens there"


@dataclass(frozen=True)
class Schemes:
    """List every credit scheme and baseline with its source, or show one of them in full.

    Examples:
      counterpoint schemes
      counterpoint schemes gdpo
      counterpoint schemes grpo_rows,floor=0.05
    """

    name: Annotated[str | None, tyro.conf.Positional] = None
    """One scheme or baseline; all of them if not said."""
    json: bool = False
    """Print as JSON alone."""

    def run(self) -> int:
        """Lists them, or shows one."""
        known = scheme_facts()
        if self.name is not None:
            finish(_facts_of_scheme(self.name, known), _facts_parts, None, self.json)
        else:
            finish(known, _scheme_parts, None, self.json)
        return 0


@dataclass(frozen=True)
class Worlds:
    """List the worlds, or show one of them with all of its settings.

    Examples:
      counterpoint worlds
      counterpoint worlds regions
      counterpoint worlds lewis
      counterpoint worlds mpe2:simple_tag_v3
    """

    name: Annotated[str | None, tyro.conf.Positional] = None
    """One world; all of them if not said."""
    json: bool = False
    """Print as JSON alone."""

    def run(self) -> int:
        """Lists them, or shows one."""
        if self.name is not None:
            finish(facts_of(find_world(self.name)), _facts_parts, None, self.json)
            return 0
        known = {kind: {entry.name: facts_of(entry) for entry in worlds(kind)} for kind in Kind}
        document = {name: facts for several in known.values() for name, facts in several.items()}
        document |= {family.pattern: family._asdict() for family in FAMILIES}
        tables = [TABLES[kind](facts) for kind, facts in known.items()]
        hint = "counterpoint worlds NAME shows its settings."
        finish(document, lambda _: [*tables, hint], None, self.json)
        return 0


def _scheme_parts(known: Facts) -> list[RenderableType]:
    rows = []
    for name, facts in known.items():
        package = f" ({facts['package']})" if "package" in facts else ""
        rows.append((name, facts["title"], f"{facts['citation']}{package}"))
    titles = ("scheme", "what it does", "source")
    return [
        text_table(titles, rows, title="Credit schemes and baselines"),
        "counterpoint schemes NAME shows one in full.",
    ]


def _exact_table(exact: Facts) -> RenderableType:
    rows = [
        (name, facts["summary"], str(len(facts["agents"])), facts["source"])
        for name, facts in exact.items()
    ]
    return text_table(("world", WHAT, "agents", "source"), rows, title="Exact worlds")


def _sequential_table(sequential: Facts) -> RenderableType:
    rows: list[tuple[str | Cell, ...]] = [
        (name, _cell(facts["summary"], f"(return: {facts['scale']})"), str(len(facts["agents"])),
         f"{facts['random']:.4g}, {facts['reference']:.4g}", facts["source"])
        for name, facts in sequential.items()
    ]  # fmt: skip
    rows += [(family.pattern, family.summary, "", "", family.source) for family in FAMILIES]
    titles = ("world", WHAT, "agents", "random, good", "source")
    return text_table(titles, rows, title="Sequential environments")


def _text_table(texts: Facts) -> RenderableType:
    rows = [
        (name, _cell(facts["summary"], f"({facts['answers']}; success: {facts['scale']})"),
         ", ".join(facts["agents"]), ", ".join(facts["components"]),
         ", ".join(_score(facts[which]) for which in ("random", "reference")), facts["source"])
        for name, facts in texts.items()
    ]  # fmt: skip
    titles = ("world", WHAT, "agents", "reward components", "random, good", "source")
    return text_table(titles, rows, title="Text environments, for teams of language models")


def _message_table(messages: Facts) -> RenderableType:
    rows = [
        (name, _cell(facts["summary"], f"(score: {facts['scale']})"), str(facts["members"]),
         ", ".join(facts["prompts"]), facts["source"])
        for name, facts in messages.items()
    ]  # fmt: skip
    titles = ("world", WHAT, "members", "prompts", "source")
    return text_table(titles, rows, title="Message environments, in which a topology has an effect")


def _cell(summary: str, scale: str) -> Cell:
    return Cell(summary, (summary,), lines=(scale,))


def _score(value: float | None) -> str:
    return "not known" if value is None else f"{value:.4g}"


TABLES = {
    Kind.EXACT: _exact_table,
    Kind.SEQUENTIAL: _sequential_table,
    Kind.TEXT: _text_table,
    Kind.MESSAGE: _message_table,
}
"""The table of each kind of world."""


def facts_of(entry: WorldEntry[Any]) -> dict[str, Any]:
    """Returns the facts of a world, ready for JSON; with the settings of agents that speak.

    Raises:
        CounterpointError: as `WorldEntry.describe`.
    """
    facts: dict[str, Any] = to_builtins(entry.describe())
    if entry.kind is Kind.TEXT:
        facts["language"] = to_builtins(settings_facts(LanguageSettings))
    if package := WORLDS.package(entry.name):
        facts["package"] = package
    return facts


def scheme_facts() -> dict[str, dict[str, Any]]:
    """Returns name to what is known of each scheme and baseline, ready for JSON."""
    facts: dict[str, dict[str, Any]] = {}
    for name, entry in entries().items():
        facts[name] = {
            "kind": "scheme" if isinstance(entry.scheme, Scheme) else "mix",
            "title": entry.title,
            "citation": entry.citation,
            "note": entry.note,
            "needs": entry.needs,
            "fields": _fields(entry.scheme),
        }
        if package := entries().package(name):
            facts[name]["package"] = package
    for name, baseline in baselines().items():
        facts[name] = {"kind": "baseline", **asdict(baseline)}
    return facts


def _facts_of_scheme(name: str, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Returns the facts of an entry or baseline, or of an entry with fields that differ.

    Raises:
        CounterpointError: as `scheme_named`.
    """
    if name not in known:
        scheme = scheme_named(name, also=baselines())
        name = scheme_name(scheme)
        known = {name: {"kind": "scheme", "fields": _fields(scheme)}, **known}
    return {"name": name, **known[name]}


def _fields(scheme: AnyScheme) -> dict[str, Any]:
    """Fields that differ from the default, and groupings; of a mix those of its parts."""
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


def _facts_parts(facts: Mapping[str, Any]) -> list[RenderableType]:
    """Returns one thing in full: a row for each fact, and for each setting of it."""
    rows = []
    for key, value in facts.items():
        pairs = value.items() if isinstance(value, dict) else [("", value)]
        for i, (inner, item) in enumerate(pairs):
            shown = _plain(item)
            rows.append((key if i == 0 else "", f"{inner}: {shown}" if inner else shown))
    return [text_table(("", ""), rows)]


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "(the whole batch)"
    if isinstance(value, dict):
        return f"{value['default']}. {value['about']}" if "about" in value else str(value)
    return str(value)
