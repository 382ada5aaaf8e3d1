"""What a world is, in words and numbers that a person or a program can read."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import MISSING, fields, is_dataclass
from itertools import pairwise
from typing import Any

from counterpoint.errors import UnknownNameError
from counterpoint.settings import did_you_mean
from counterpoint.worlds.exact.catalogue import catalogue, make
from counterpoint.worlds.foreign.names import FAMILIES
from counterpoint.worlds.message.catalogue import make_message, message_catalogue
from counterpoint.worlds.sequential.catalogue import make_steps, step_catalogue
from counterpoint.worlds.sequential.world import StepSettings
from counterpoint.worlds.text.catalogue import make_text, text_catalogue, text_entry


def describe(name: str) -> dict[str, Any]:
    """The facts of the world called `name` with default settings, ready for JSON.

    Raises:
        UnknownNameError: no world has that name.
        MissingPackageError: the package of a foreign world is not installed.
        WorldError: a world of somebody's own cannot be played.
    """
    if name in message_catalogue():
        return describe_message(name)
    if name not in catalogue():
        return describe_steps(name) if text_entry(name) is None else describe_text(name)
    world, entry = make(name), catalogue()[name]
    return {
        "name": name,
        "summary": entry.summary,
        "source": entry.source,
        "agents": list(world.agents),
        "components": list(world.components),
        "baselines": list(world.baselines),
        "random": world.random,
        "optimal": world.optimal,
        "control": dict(world.control) if world.control else None,
        "settings": settings_facts(entry.settings),
    }


def describe_steps(name: str) -> dict[str, Any]:
    """The facts of the world of many steps called `name`, ready for JSON.

    Raises:
        UnknownNameError: no world has that name.
        MissingPackageError: the package of a foreign world is not installed.
        WorldError: a foreign world cannot be played.
    """
    ours = step_catalogue()
    if name not in ours and ":" not in name:
        known = [*catalogue(), *ours, *text_catalogue(), *message_catalogue()]
        patterns = [family.pattern for family in FAMILIES]
        raise UnknownNameError(
            f"got world '{name}'; wanted one of {', '.join([*known, *patterns])}"
            f"{did_you_mean(name, known)}"
        )
    world = make_steps(name)
    facts = {
        "name": name,
        "summary": world.summary,
        "source": world.source,
        "agents": list(world.agents),
        "roles": list(world.roles),
        "horizon": world.horizon,
        "observations": list(world.seen_sizes),
        "actions": [a.size for a in world.actions],
        "continuous": world.actions[0].continuous,
        "components": list(world.components),
        "random": world.references.random,
        "reference": world.references.reference,
        "scale": world.references.scale,
        "settings": settings_facts(ours[name].settings if name in ours else StepSettings),
    }
    world.close()
    return facts


def describe_text(name: str) -> dict[str, Any]:
    """The facts of the text world called `name`, ready for JSON.

    Raises:
        UnknownNameError: no text world has that name.
        MissingPackageError, WorldError: as `make_text`.
    """
    world = make_text(name)
    return {
        "name": name,
        "summary": world.summary,
        "source": world.source,
        "agents": list(world.agents),
        "roles": list(world.roles),
        "speaker": world.speaker,
        "answers": "free text" if world.free else "words",
        "longest": world.longest,
        "components": list(world.components),
        "random": world.references.random,
        "reference": world.references.reference,
        "scale": world.references.scale,
        "settings": settings_facts(world.settings_type),
    }


def describe_message(name: str) -> dict[str, Any]:
    """The facts of the message world called `name`, ready for JSON.

    Raises:
        UnknownNameError: no message world has that name.
    """
    world = make_message(name)
    return {
        "name": name,
        "summary": world.summary,
        "source": world.source,
        "members": world.settings.members,
        "prompts": dict(world.prompts),
        "scale": world.scale,
        "command": f"counterpoint topology {name}",
        "settings": settings_facts(world.settings_type),
    }


def families() -> list[dict[str, str]]:
    """What foreign worlds there are: how they are named, what they are, where they come from."""
    return [family._asdict() for family in FAMILIES]


def settings_facts(settings: type) -> dict[str, Any]:
    """Field name to its default and to what it is about."""
    about = documented_fields(settings)
    return {
        spec.name: {
            "default": None if spec.default is MISSING else spec.default,
            "about": about.get(spec.name, ""),
        }
        for spec in fields(settings)
    }


def documented_fields(settings: type) -> dict[str, str]:
    """Field name to the docstring under it, for a dataclass and those it inherits from."""
    about: dict[str, str] = {}
    for cls in reversed(settings.__mro__):
        if not is_dataclass(cls):
            continue
        try:
            source = inspect.getsource(cls)
        except (OSError, TypeError):  # it was made without a file
            continue
        tree = ast.parse(textwrap.dedent(source)).body[0]
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, text in pairwise(body):
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                about[field.target.id] = " ".join(str(text.value.value).split())
    return about
