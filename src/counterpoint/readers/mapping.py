"""Which speakers are members of the team: rules, and a small file that overrides them.

agents = ["planner", "coder"]     # members, whatever the rules say
tools = ["shell"]                 # not members
ignore = ["logger"]               # their events are left out
[rename]
"assistant-1" = "planner"
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from counterpoint.errors import LogError
from counterpoint.records import Episode, Event


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user's mapping of the names in a log."""

    agents: tuple[str, ...] = ()
    """Members, even against the rules."""
    tools: tuple[str, ...] = ()
    """Speakers that are not members."""
    ignore: tuple[str, ...] = ()
    """Speakers whose events are left out."""
    rename: dict[str, str] = {}
    """Old name to new name; the other fields have new names."""


def read_mapping(path: Path) -> Names:
    """Returns the mapping in a TOML file.

    Raises:
        LogError: The file cannot be read, or has other keys or types.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Names)
    except (OSError, ValueError) as error:
        wanted = "a TOML file with lists agents, tools and ignore, and a table rename"
        raise LogError(f"got mapping {path}: {error}; wanted {wanted}") from None


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
