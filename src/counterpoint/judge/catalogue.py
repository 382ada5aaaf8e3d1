"""Judges by name: `make_judge`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.judge.judges import Judge
from counterpoint.judge.model import Likelihood, LikelihoodSettings
from counterpoint.judge.programmatic import Programmatic, ProgrammaticSettings
from counterpoint.judge.rules import Command, CommandSettings, Pattern, PatternSettings
from counterpoint.worlds.given import did_you_mean, settings_from

RULES: Mapping[str, tuple[type, type]] = {
    "programmatic": (Programmatic, ProgrammaticSettings),
    "regex": (Pattern, PatternSettings),
    "tests": (Command, CommandSettings),
    "likelihood": (Likelihood, LikelihoodSettings),
}
"""Name to a judge and its settings; `openai` and `human` are made where their arguments are."""
NAMES = (*RULES, "openai", "human")


def make_judge(name: str, given: Mapping[str, Any] | None = None) -> Judge:
    """A judge that is a rule or a local model.

    Args:
        name: one of `RULES`.
        given: its settings, as text or as values.

    Raises:
        UnknownNameError: there is no judge, or no setting, of that name.
        SettingError: a value of a wrong type or out of range.
    """
    if name not in RULES:
        raise UnknownNameError(
            f"got judge '{name}'; wanted one of {', '.join(NAMES)}{did_you_mean(name, NAMES)}"
        )
    kind, settings = RULES[name]
    made: Judge = kind(settings_from(given, settings, name))
    return made


def takes(name: str) -> tuple[str, ...]:
    """The settings that a judge has."""
    return tuple(f.name for f in fields(RULES[name][1])) if name in RULES else ()


def split(name: str, given: Mapping[str, Any], others: type) -> tuple[dict[str, Any], Any]:
    """Settings of the judge, and settings of what is asked of it, from one list.

    Args:
        name: of the judge.
        given: all of them.
        others: the class of the rest.

    Raises:
        UnknownNameError: a setting that neither has.
        SettingError: a value of a wrong type or out of range.
    """
    own = {key: value for key, value in given.items() if key in takes(name)}
    rest = {key: value for key, value in given.items() if key not in own}
    known = [field.name for field in fields(others)]
    for key in rest:
        if key not in known:
            both = [*takes(name), *known]
            raise UnknownNameError(
                f"got setting {key} for judge '{name}'; wanted one of {', '.join(both)}"
                f"{did_you_mean(key, both)}"
            )
    try:
        return own, settings_from(rest, others, name)
    except SettingError as error:
        raise SettingError(str(error).replace(" for world ", " for judge ")) from None
