"""Worlds by name: `catalogue()` lists them, `make` builds one, `describe` says what it takes."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from dataclasses import fields
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

from counterpoint.errors import CounterpointError, SettingError, UnknownNameError
from counterpoint.worlds.additive import (
    Homogeneous,
    HomogeneousSettings,
    UnequalStakes,
    UnequalStakesSettings,
)
from counterpoint.worlds.all_hands import AllHands, AllHandsSettings
from counterpoint.worlds.base import Settings, World
from counterpoint.worlds.idle_then_needed import IdleThenNeeded, IdleThenNeededSettings
from counterpoint.worlds.on_call import OnCall, OnCallSettings
from counterpoint.worlds.planner_worker import PlannerWorker, PlannerWorkerSettings
from counterpoint.worlds.regions import Regions, RegionsSettings
from counterpoint.worlds.variable_calls import VariableCalls, VariableCallsSettings


class Entry(NamedTuple):
    """A world in the catalogue."""

    world: type[World]
    """Called with the settings, or with None for the defaults."""
    settings: type[Settings]
    """The settings that it takes; each field has a docstring."""
    summary: str
    """One line: what happens there."""
    source: str
    """Where the idea comes from."""


_WORLDS: tuple[tuple[type[World], type[Settings]], ...] = (
    (Regions, RegionsSettings),
    (AllHands, AllHandsSettings),
    (OnCall, OnCallSettings),
    (UnequalStakes, UnequalStakesSettings),
    (VariableCalls, VariableCallsSettings),
    (IdleThenNeeded, IdleThenNeededSettings),
    (PlannerWorker, PlannerWorkerSettings),
    (Homogeneous, HomogeneousSettings),
)


def catalogue() -> dict[str, Entry]:
    """Name to `Entry`, in the order in which tables list them."""
    return {
        world.name: Entry(world, settings, world.summary, world.source)
        for world, settings in _WORLDS
    }


def make(name: str, settings: Mapping[str, Any] | None = None) -> World:
    """The world called `name`.

    Args:
        name: one of `catalogue()`.
        settings: field name to value; text is converted to the field's type (`scale="10"`).

    Raises:
        UnknownNameError: no world, or no setting of it, has that name.
        SettingError: a value of a wrong type or out of range.
    """
    worlds = catalogue()
    if name not in worlds:
        raise UnknownNameError(f"got world '{name}'; wanted one of {', '.join(worlds)}")
    given, entry = dict(settings or {}), worlds[name]
    known = [field.name for field in fields(entry.settings)]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UnknownNameError(
            f"got setting {', '.join(unknown)} for world '{name}'; wanted one of {', '.join(known)}"
        )
    try:
        return entry.world(msgspec.convert(given, entry.settings, strict=False))
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, CounterpointError):
            raise error.__cause__ from None
        raise SettingError(f"got settings {given} for world '{name}'; {error}") from None


def describe(name: str) -> dict[str, Any]:
    """What there is to know about a world with its default settings, ready for JSON.

    Raises:
        UnknownNameError: no world of that name.
    """
    world = make(name)
    about = _documented(type(world.settings))
    return {
        "summary": world.summary,
        "source": world.source,
        "agents": list(world.agents),
        "components": list(world.components),
        "baselines": list(world.baselines),
        "references": {"random": world.random, "optimal": world.optimal},
        "settings": {
            spec.name: {"default": getattr(world.settings, spec.name), "about": about[spec.name]}
            for spec in fields(world.settings)
        },
    }


def _documented(settings: type[Settings]) -> dict[str, str]:
    """Setting name to the docstring under it, those of the base class included."""
    found: dict[str, str] = {}
    for cls in settings.__mro__:
        if not issubclass(cls, Settings):
            continue
        body = ast.parse(inspect.getsource(cls)).body[0]
        for line, below in pairwise(body.body if isinstance(body, ast.ClassDef) else ()):
            match line, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found.setdefault(name, inspect.cleandoc(text).replace("\n", " "))
    return found
