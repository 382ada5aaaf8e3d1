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
from counterpoint.errors import NothingDoneError, OutputError, SettingError
from counterpoint.readers.episodes import encode
from counterpoint.readers.logs import Notes, is_original, noted_episodes, read_mapping
from counterpoint.readers.skeleton import skeleton
from counterpoint.readers.walk import document
from counterpoint.report.toolkit.numerals import counted
from counterpoint.runs.files import require_replaceable


@dataclass(frozen=True)
class Import:
    """Read logs of a team, written by any tool, and write one episode a line.

    PATH is a file, or a folder that is read with all its subfolders. The format is recognized by
    content: OpenTelemetry spans, Langfuse, LangSmith, OpenAI and Claude, LangGraph, AutoGen,
    CrewAI, ADK, inspect_ai and more (`counterpoint doctor` lists all). A log of another shape is
    read with a mapping that has paths. An incomplete last line is left out, and a warning is
    printed. Anything else that is broken is an error that names its place. Files that are not logs
    are skipped.

    Examples:
      counterpoint import runs/ -o runs.jsonl
      counterpoint import strange.json --skeleton -o mapping.toml
      counterpoint import chat.jsonl -o runs.jsonl --mapping names.toml
    """

    path: Annotated[Path, tyro.conf.Positional]
    """A log, or a folder of logs."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The file to write; if it lies in the folder that is read, it is not read."""
    mapping: Path | None = None
    """A TOML file that names the members (lists `agents`, `tools`, `ignore`, a table [rename]), and
    may say with paths where everything stands (tables [episode], [message])."""
    skeleton: bool = False
    """Write a mapping to edit for a log of no known format, instead of episodes."""
    json: bool = False
    """Print the summary as JSON alone."""

    def run(self) -> int:
        """Reads, writes and prints a summary."""
        require_apart(self.output, self.path, self.mapping)
        require_replaceable(self.output)
        if self.output.name == "-":
            raise SettingError("got the output -; wanted a file")
        if self.skeleton:
            return self._write_skeleton()
        names = read_mapping(self.mapping) if self.mapping else None
        formats: Counter[str] = Counter()
        agents: set[str] = set()
        events, printer = 0, NotePrinter()
        notes = Notes(printer)
        temporary = self.output.with_name(f".{self.output.name}.{os.getpid()}")
        try:
            self.output.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file, ReadingDisplay() as counter:
                for episode in noted_episodes(
                    self.path, names, notes, counter, (self.output, temporary)
                ):
                    file.write(encode(episode))
                    formats[str(episode.meta.get("format", "?"))] += 1
                    agents.update(episode.agents)
                    events += len(episode.events)
                printer.finish()
                file.flush()
                os.fsync(file.fileno())
            if not formats:
                raise NothingDoneError(f"got no episode in {self.path}; wanted a log of a team")
            temporary.replace(self.output)
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise self._not_written(error) from None
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
            f"{counted(formats.total(), 'episode')} ({names_of_formats}), "
            f"{counted(events, 'event')}, {counted(len(agents), 'agent')}: {self.output}"
        )
        then = command_line("audit", self.output)
        finish(document, lambda _: [sentence], None, self.json, then)
        return 0

    def _write_skeleton(self) -> int:
        """Writes a mapping with guesses from the keys of the log."""
        if self.output.exists():
            raise OutputError(f"{self.output} is there already; choose another file for a mapping")
        if not self.path.is_file():
            raise SettingError(f"got {self.path} for --skeleton; wanted one file")
        text = skeleton(document(self.path))
        try:
            self.output.write_text(text, "utf-8")
        except OSError as error:
            raise self._not_written(error) from None
        sentence = Text(f"{self.output} has guesses: edit it, then import with --mapping")
        document_of = {"schema": "counterpoint.skeleton/1", "version": __version__, "mapping": text}
        finish(document_of, lambda _: [sentence], None, self.json)
        return 0

    def _not_written(self, error: OSError) -> OutputError:
        problem = f"could not write {self.output} ({error.strerror}); what was there is unchanged"
        return OutputError(problem)


def require_apart(output: Path, *inputs: Path | None) -> None:
    """Checks that an output replaces none of the files that are read.

    Raises:
        SettingError: it is one of them, or a log in a folder of logs.
    """
    for path in inputs if output.is_file() else ():
        if path is None or not path.exists():
            continue
        if path.samefile(output):
            raise SettingError(f"got {output} to be read and written; wanted two files")
        if path.resolve() in output.resolve().parents and is_original(output):
            raise SettingError(
                f"got {output} to be written, which is one of the logs in {path}; wanted a new file"
            )


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
            rest = counted(self.count - SHOWN, "more note")
            say(f"counterpoint: {rest} in the output of --json")
