"""`counterpoint schemes` and `counterpoint worlds`: what there is, with sources."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any

import tyro
from msgspec import to_builtins
from rich.table import Table

from counterpoint.cli.output import print_json, print_result
from counterpoint.credit import (
    AnyScheme,
    Mix,
    Scheme,
    baselines,
    entries,
    scheme_name,
    scheme_named,
)
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.worlds import FAMILIES, Kind, WorldEntry, find_world, worlds
from counterpoint.worlds.kind import settings_facts
from counterpoint.worlds.registry import WORLDS


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
        """List them, or show one."""
        known = scheme_facts()
        if self.name is not None:
            _show(_facts_of_scheme(self.name, known), self.json)
            return 0
        if self.json:
            print_json(known)
            return 0
        table = Table("scheme", "what it does", "source", title="Credit schemes and baselines")
        for name, facts in known.items():
            package = f" ({facts['package']})" if "package" in facts else ""
            table.add_row(name, facts["title"], f"{facts['citation']}{package}")
        print_result(table, "counterpoint schemes NAME shows one in full.")
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
        """List them, or show one."""
        if self.name is not None:
            _show(facts_of(find_world(self.name)), self.json)
            return 0
        known = {kind: {entry.name: facts_of(entry) for entry in worlds(kind)} for kind in Kind}
        if self.json:
            ours = {name: facts for several in known.values() for name, facts in several.items()}
            print_json({**ours, **{family.pattern: family._asdict() for family in FAMILIES}})
            return 0
        hint = "counterpoint worlds NAME shows its settings."
        print_result(*(TABLES[kind](facts) for kind, facts in known.items()), hint)
        return 0


def _exact_table(exact: dict[str, dict[str, Any]]) -> Table:
    table = Table("world", "what happens there", "agents", "source", title="Worlds")
    for name, facts in exact.items():
        table.add_row(name, facts["summary"], str(len(facts["agents"])), facts["source"])
    return table


def _steps_table(stepwise: dict[str, dict[str, Any]]) -> Table:
    columns = ("world", "what happens there", "agents", "random, good", "source")
    table = Table(*columns, title="Worlds of many steps")
    for name, facts in stepwise.items():
        scores = f"{facts['random']:.4g}, {facts['reference']:.4g}"
        what = f"{facts['summary']}\n(return: {facts['scale']})"
        table.add_row(name, what, str(len(facts["agents"])), scores, facts["source"])
    for family in FAMILIES:
        table.add_row(family.pattern, family.summary, "", "", family.source)
    return table


def _texts_table(texts: dict[str, dict[str, Any]]) -> Table:
    columns = ("world", "what happens there", "agents", "paid in", "random, good", "source")
    table = Table(*columns, title="Worlds of words, for teams of language models")
    for name, facts in texts.items():
        scores = ", ".join(_score(facts[which]) for which in ("random", "reference"))
        what = f"{facts['summary']}\n({facts['answers']}; success: {facts['scale']})"
        agents, paid = ", ".join(facts["agents"]), ", ".join(facts["components"])
        table.add_row(name, what, agents, paid, scores, facts["source"])
    return table


def _messages_table(messages: dict[str, dict[str, Any]]) -> Table:
    columns = ("world", "what happens there", "members", "prompts", "source")
    table = Table(*columns, title="Worlds in which a topology says who hears whom")
    for name, facts in messages.items():
        what = f"{facts['summary']}\n(score: {facts['scale']})"
        prompts = ", ".join(facts["prompts"])
        table.add_row(name, what, str(facts["members"]), prompts, facts["source"])
    return table


def _score(value: float | None) -> str:
    return "not known" if value is None else f"{value:.4g}"


TABLES = {
    Kind.EXACT: _exact_table,
    Kind.SEQUENTIAL: _steps_table,
    Kind.TEXT: _texts_table,
    Kind.MESSAGE: _messages_table,
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
    """Name to what is known of each scheme and baseline, ready for JSON."""
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
    """The facts of an entry or baseline, of another name of it, or of one with fields that differ.

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


def _show(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(facts)
        return
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for key, value in facts.items():
        rows = value.items() if isinstance(value, dict) else [("", value)]
        for i, (inner, told) in enumerate(rows):
            shown = _plain(told)
            table.add_row(key if i == 0 else "", f"{inner}: {shown}" if inner else shown)
    print_result(table)


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "(the whole batch)"
    if isinstance(value, dict):
        return f"{value['default']}. {value['about']}" if "about" in value else str(value)
    return str(value)
