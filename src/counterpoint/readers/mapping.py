"""Which speakers are members of the team: rules, and a small file that overrides them.

agents = ["planner", "coder"]     # members, whatever the rules say
tools = ["shell"]                 # not members
ignore = ["logger"]               # their events are left out
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
"""Names of tools, people or parts of a framework, which are not members of a team."""


@dataclass(frozen=True)
class Names:
    """A user's mapping of the names in a log."""

    agents: tuple[str, ...] = ()
    """Members, even against the rules."""
    tools: tuple[str, ...] = ()
    """Speakers that are not members."""
    ignore: tuple[str, ...] = ()
    """Speakers whose events are left out."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """Old name to new name; the other fields have new names."""


def read_mapping(path: Path) -> Names:
    """Returns the mapping in a TOML file.

    Raises:
        LogError: The file cannot be read, or has other keys or types.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise LogError(f"got mapping {path}: {error}; wanted a TOML file") from None
    known = {"agents", "tools", "ignore", "rename"}
    if unknown := set(table) - known:
        raise LogError(
            f"got {', '.join(sorted(unknown))} in mapping {path}; wanted {', '.join(sorted(known))}"
        )
    for name in ("agents", "tools", "ignore"):
        value = table.get(name, [])
        if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
            raise LogError(f"got {name} in mapping {path}; wanted a list of names")
    rename = table.get("rename", {})
    if not isinstance(rename, dict) or not all(isinstance(x, str) for x in rename.values()):
        raise LogError(f"got rename in mapping {path}; wanted a table of names")
    return Names(
        tuple(table.get("agents", [])), tuple(table.get("tools", [])),
        tuple(table.get("ignore", [])), rename,
    )  # fmt: skip


def split(
    names: Sequence[str], outside: Sequence[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the members and the other speakers, by the rules.

    Args:
        names: speakers, in order of their first event.
        outside: speakers whom the format itself does not count as members.
    """
    members = tuple(n for n in names if n not in outside and not OUTSIDE.match(n))
    return members, tuple(name for name in names if name not in members)


def mapped(episode: Episode, mapping: Names) -> Episode:
    """Returns the episode under the user's mapping."""

    def renamed(name: str) -> str:
        return mapping.rename.get(name, name)

    kept: list[Event] = []
    for event in episode.events:
        agent = renamed(event.agent)
        if agent not in mapping.ignore:
            to = tuple(map(renamed, event.to))
            kept.append(replace(event, t=len(kept), agent=agent, to=to))
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
