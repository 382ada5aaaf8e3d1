"""`counterpoint import`: converts logs of other tools to our own JSON lines."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.text import Text

from counterpoint import __version__
from counterpoint.cli.messages import say
from counterpoint.cli.progress import ReadingDisplay
from counterpoint.cli.results import command_line, finish
from counterpoint.errors import OutputError, SettingError
from counterpoint.readers.episodes import encode
from counterpoint.readers.logs import Notes, noted_episodes, read_mapping


@dataclass(frozen=True)
class Import:
    """Read logs of a team, written by any tool, and write one episode a line.

    PATH is a file, or a folder that is read with all its subfolders. The format is recognized by
    content: CooperBench folders, OpenAI chat JSON lines, inspect_ai (.json, .eval), Who&When,
    AutoGen, LangGraph, CrewAI, OpenTelemetry spans (gen_ai.*), MAST rows, our own. An incomplete
    last line is left out, and a warning is printed. Anything else that is broken is an error that
    names its place. Files that are not logs are skipped.

    Examples:
      counterpoint import runs/ -o runs.jsonl
      counterpoint import chat.jsonl -o runs.jsonl --mapping names.toml
    """

    path: Annotated[Path, tyro.conf.Positional]
    """A log, or a folder of logs."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The file to write."""
    mapping: Path | None = None
    """A TOML file that names the members: lists `agents`, `tools`, `ignore`, a table [rename]."""
    json: bool = False
    """Print the summary as JSON alone."""

    def run(self) -> int:
        """Reads, writes and prints a summary."""
        if self.output.exists() and self.path.resolve() == self.output.resolve():
            raise SettingError(f"got {self.output} to be read and written; wanted two files")
        if self.output.exists() and not self.output.is_file():  # a rename would replace a device
            raise OutputError(
                f"could not write {self.output}, which is no file; choose another one"
            )
        names = read_mapping(self.mapping) if self.mapping else None
        formats: Counter[str] = Counter()
        agents: set[str] = set()
        events, printer = 0, NotePrinter()
        notes = Notes(printer)
        temporary = self.output.with_name(f".{self.output.name}.{os.getpid()}")
        try:
            self.output.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file, ReadingDisplay() as counter:
                for episode in noted_episodes(self.path, names, notes, counter):
                    file.write(encode(episode))
                    formats[str(episode.meta.get("format", "?"))] += 1
                    agents.update(episode.agents)
                    events += len(episode.events)
                printer.finish()
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
        names_of_formats = ", ".join(sorted(formats))
        document = {
            "schema": "counterpoint.import/1",
            "version": __version__,
            "format": names_of_formats,
            "formats": dict(formats),
            "episodes": formats.total(),
            "events": events,
            "agents": len(agents),
            "skipped": notes.lines,
        }
        if notes.warning:
            say(f"counterpoint: {notes.warning}")
        sentence = Text(
            f"{formats.total()} episodes ({names_of_formats}), {events} events, "
            f"{len(agents)} agents: {self.output}"
        )
        then = command_line("audit", self.output)
        finish(document, lambda _: [sentence], None, self.json, then)
        return 0


SHOWN = 5
"""Maximum number of notes on a log that are printed; all are in the JSON."""


class NotePrinter:
    """Prints the first notes on a log as they come, and at the end how many there are besides."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, line: str) -> None:
        self.count += 1
        if self.count <= SHOWN:
            say(f"counterpoint: {line}")

    def finish(self) -> None:
        """Prints how many notes were not printed."""
        if self.count > SHOWN:
            say(f"counterpoint: {self.count - SHOWN} more notes are in --json")
