"""`counterpoint import`: foreign logs of teams to our own JSON lines."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from counterpoint import __version__
from counterpoint.cli.messages import say
from counterpoint.cli.output import print_json, print_result
from counterpoint.errors import OutputError, SettingError
from counterpoint.readers.episodes import encode
from counterpoint.readers.lines import TornLogWarning
from counterpoint.readers.logs import read_logs
from counterpoint.readers.mapping import Names, read_mapping
from counterpoint.records import Episode


@dataclass(frozen=True)
class Import:
    """Read logs of a team, whatever wrote them, and write one episode a line.

    PATH is a file or a folder, read to its bottom. The format is found by content: CooperBench
    folders, OpenAI chat JSON lines, inspect_ai (.json, .eval), Who&When, AutoGen, LangGraph,
    CrewAI, OpenTelemetry spans (gen_ai.*), MAST rows, our own. A torn last line is left out and
    said; anything else that is broken is an error with its place. Files that are no log are
    skipped.

    Examples:
      counterpoint import runs/ -o runs.jsonl
      counterpoint import chat.jsonl -o runs.jsonl --mapping names.toml
    """

    path: Annotated[Path, tyro.conf.Positional]
    """A log, or a folder of logs."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The file to write."""
    mapping: Path | None = None
    """A TOML file that says who is a member: lists `agents`, `tools`, `ignore`, a table
    [rename]."""
    json: bool = False
    """Print the summary as JSON alone."""

    def run(self) -> int:
        """Read, write, tell."""
        if self.output.exists() and self.path.resolve() == self.output.resolve():
            raise SettingError(f"got {self.output} to be read and written; wanted two files")
        names = read_mapping(self.mapping) if self.mapping else None
        formats: Counter[str] = Counter()
        agents: set[str] = set()
        events, notes = 0, list[str]()
        temporary = self.output.with_name(f".{self.output.name}.{os.getpid()}")
        try:
            self.output.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                for episode in told_episodes(self.path, names, notes):
                    file.write(encode(episode))
                    formats[str(episode.meta.get("format", "?"))] += 1
                    agents.update(episode.agents)
                    events += len(episode.events)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.output)
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(
                f"could not write {self.output} ({error.strerror}); what was there is unchanged"
            ) from None
        finally:
            with suppress(OSError):
                temporary.unlink()
        document: dict[str, Any] = {
            "schema": "counterpoint.import/1",
            "version": __version__,
            "format": ", ".join(sorted(formats)),
            "formats": dict(formats),
            "episodes": formats.total(),
            "events": events,
            "agents": len(agents),
            "skipped": notes,
        }
        if warning := warning_of(notes):
            say(f"counterpoint: {warning}")
        if self.json:
            print_json(document)
        else:
            print_result(
                f"{document['episodes']} episodes ({document['format']}), {events} events, "
                f"{len(agents)} agents: {self.output}"
            )
        return 0


def told_episodes(path: Path, names: Names | None, notes: list[str]) -> Iterator[Episode]:
    """The episodes of a log, with progress; what is skipped or torn is printed, and noted.

    If members cannot be distinguished, and no mapping identifies them, the first note is a warning.
    """
    done = unnamed = 0

    def note(line: str) -> None:
        notes.append(line)
        if len(notes) <= 5:
            say(f"counterpoint: {line}")

    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always", TornLogWarning)
        for done, episode in enumerate(read_logs(path, names, note), 1):
            unnamed += names is None and "unnamed_messages" in episode.meta
            yield episode
            if done % 10_000 == 0:
                say(f"reading: {done} episodes")
    for warning in met:
        note(str(warning.message))
    if unnamed:
        notes.insert(0, unnamed_note(unnamed, done))
    if len(notes) > 5:
        say(f"counterpoint: {len(notes) - 5} more notes are in --json")


UNNAMED = "Messages carry no name"
"""The first words of the note that members cannot be distinguished."""


def warning_of(notes: Sequence[str]) -> str | None:
    """The note that members cannot be distinguished, which is printed before all findings."""
    return next((note for note in notes if note.startswith(UNNAMED)), None)


def unnamed_note(unnamed: int, episodes: int) -> str:
    """What to do where several members may stand under one role."""
    return (
        f"{UNNAMED} in {unnamed} of {episodes} episodes. All messages of the role count as one "
        "member, so findings about single members are not reliable. Write names into the messages. "
        "For LangGraph, log the list of what graph.stream(..., stream_mode='updates') yields. If "
        "there is only one member, name it with --mapping."
    )
