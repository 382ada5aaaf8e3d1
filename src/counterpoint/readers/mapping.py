"""Who is a member of the team: declared rules, and a small file that overrides them.

agents = ["planner", "coder"]     # members, whatever the rules say
tools = ["shell"]                 # no members
ignore = ["logger"]               # whose events are left out
[rename]
"assistant-1" = "planner"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from counterpoint.errors import LogError
from counterpoint.records import Episode, Event

OUTSIDE = re.compile(
    r"^(user|human|system|developer|tool|function|environment|observation|computer[_ ]?terminal"
    r"|terminal|shell|code[_ ]?executor|executor|user[_ ]?proxy|admin|chat[_ ]?manager|router)$",
    re.IGNORECASE,
)
"""Names that are tools, people or the frame, not members of a team."""


@dataclass(frozen=True)
class Names:
    """What a user says of names."""

    agents: tuple[str, ...] = ()
    """Members, whatever the rules say."""
    tools: tuple[str, ...] = ()
    """No members."""
    ignore: tuple[str, ...] = ()
    """Whose events are left out."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """Old name to new; the other lists have new names."""


def read_mapping(path: Path) -> Names:
    """The mapping in a TOML file.

    Raises:
        LogError: it cannot be read, or has other keys or types.
    """
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise LogError(f"got mapping {path}: {error}; wanted a TOML file") from None
    known = {"agents", "tools", "ignore", "rename"}
    if unknown := set(told) - known:
        raise LogError(
            f"got {', '.join(sorted(unknown))} in mapping {path}; wanted {', '.join(sorted(known))}"
        )
    for name in ("agents", "tools", "ignore"):
        value = told.get(name, [])
        if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
            raise LogError(f"got {name} in mapping {path}; wanted a list of names")
    rename = told.get("rename", {})
    if not isinstance(rename, dict) or not all(isinstance(x, str) for x in rename.values()):
        raise LogError(f"got rename in mapping {path}; wanted a table of names")
    return Names(
        tuple(told.get("agents", [])), tuple(told.get("tools", [])),
        tuple(told.get("ignore", [])), rename,
    )  # fmt: skip


def split(
    names: Sequence[str], outside: Sequence[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Members and others, by the rules.

    Args:
        names: speakers, in order of their first event.
        outside: those whom the format itself says are none.
    """
    members = tuple(n for n in names if n not in outside and not OUTSIDE.match(n))
    return members, tuple(name for name in names if name not in members)


def mapped(episode: Episode, mapping: Names) -> Episode:
    """The episode as the user says that it is to be read."""

    def renamed(name: str) -> str:
        return mapping.rename.get(name, name)

    kept: list[Event] = []
    for event in episode.events:
        who = renamed(event.agent)
        if who not in mapping.ignore:
            to = tuple(map(renamed, event.to))
            kept.append(replace(event, t=len(kept), agent=who, to=to))
    names = tuple(dict.fromkeys([*map(renamed, (*episode.agents, *episode.tools)),
                                 *(event.agent for event in kept)]))  # fmt: skip
    were = set(map(renamed, episode.agents))
    agents = tuple(
        name
        for name in names
        if name not in mapping.ignore
        and (name in mapping.agents or (name in were and name not in mapping.tools))
    )
    tools = tuple(n for n in names if n not in agents and n not in mapping.ignore)
    return replace(episode, events=tuple(kept), agents=agents, tools=tools)
