"""`counterpoint chat`: talk to a trained team, and watch who says what."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import tyro
from rich.text import Text

from counterpoint.cli.exits import Exit
from counterpoint.cli.messages import say
from counterpoint.cli.results import command_line, finish, print_result
from counterpoint.cli.resume import search_folder_of_run
from counterpoint.errors import CounterpointError, SettingError
from counterpoint.optional import require_language
from counterpoint.report.toolkit.safe_text import visible
from counterpoint.settings import LAST_SEED, require

if TYPE_CHECKING:
    from counterpoint.train.lora.chat import AgentAnswer, PlayedEpisode, TrainedTeam

HELP = """Enter plays an episode. AGENT: TEXT asks an agent. tasks lists tasks, quit ends."""


@dataclass(frozen=True)
class Chat:
    """Talk to a trained team of language models: watch episodes, or ask one agent something.

    Each episode shows its task, who said what to whom, and what it was worth. If you ask an agent
    in your own words, it answers as it was trained to answer: with one of its words (the
    probabilities are shown), or freely.

    If standard input is a pipe or a file (chat RUN < questions.txt), each of its lines asks an
    agent, AGENT: TEXT, and is answered at once; empty lines are left out.

    Examples:
      counterpoint chat counterpoint-out/train/lewis-mappo_per_agent-0
      counterpoint chat runs/lewis --episodes 5 --json
      counterpoint chat runs/lewis --ask "speaker: You see a key."
    """

    run_directory: Annotated[Path, tyro.conf.Positional]
    """A run in a text world (`counterpoint train` wrote it)."""
    episodes: int | None = None
    """Play this many episodes and end; default: a conversation in a terminal, else what standard
    input asks, else 3 episodes."""
    ask: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Ask an agent, AGENT: TEXT, and end; may be repeated."""
    seed: int = 0
    """Seed of the tasks and the answers."""
    json: bool = False
    """Print as JSON alone."""

    def run(self) -> int:
        """Loads the team, then plays or talks."""
        require("seed", self.seed, 0, LAST_SEED)
        if self.episodes is not None and self.episodes < 1:
            raise SettingError(f"got {self.episodes} episodes; wanted at least 1")
        for line in self.ask:
            addressed(line)
        require_language()
        from counterpoint.train.lora.chat import TrainedTeam

        search_folder_of_run(self.run_directory)
        team = TrainedTeam(self.run_directory, self.seed)
        for note in team.plan.notes:
            say(f"counterpoint: {note}")
        if not self.json:
            say(team.title)
        alone = self.episodes is None and not self.ask
        if alone and not self.json and sys.stdin.isatty():
            converse(team)
            return 0
        asked = [question(team, line) for line in self.ask]
        answers = [team.ask(*each) for each in asked]
        if alone:
            lines = (question(team, line) for line in piped_lines())
            for each in list(lines) if self.json else lines:  # JSON loses none: all lines are read
                answers.append(team.ask(*each))
                if not self.json:
                    show(lines_of_answer(answers[-1]))
            if answers and not self.json:
                return _status(answers)
        count = self.episodes if self.episodes is not None else 0 if answers else 3
        if not self.json:
            for answer in answers:
                show(lines_of_answer(answer))
        played = []
        for _ in range(count):
            played.append(team.episode())
            if not self.json:  # there may be thousands, and each takes its time
                show([*lines_of_episode(played[-1]), ""])
        document = {
            "run": str(self.run_directory),
            "episodes": msgspec.to_builtins(played),
            "asked": msgspec.to_builtins(answers),
        }
        then = command_line("chat", self.run_directory, "--ask", "AGENT: TEXT")
        if self.json:
            finish(document, lambda _: (), None, self.json)
        else:
            say(f"next: {then}")
        return _status(answers)


def _status(answers: Sequence[AgentAnswer]) -> Exit:
    """Returns the exit status, and says how many questions have no answer."""
    if lost := sum(answer.failed for answer in answers):
        say(f"counterpoint: no answer to {lost} of {len(answers)} questions; their lines say why")
        return Exit.PART if lost < len(answers) else Exit.NOTHING
    return Exit.DONE


def piped_lines() -> Iterator[str]:
    """Yields the lines of standard input that are not empty, if it is a pipe or a file.

    Raises:
        SettingError: a line that is no UTF-8.
    """
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):  # there is no standard input
        return
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)):
        return  # nothing is asked by /dev/null
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise SettingError(
                f"got line {number} of standard input, which is no UTF-8 ({error.reason}); wanted "
                "AGENT: TEXT"
            ) from None
        if text:
            yield text


def question(team: TrainedTeam, line: str) -> tuple[str, str]:
    """Returns `speaker: hello` as agent and text, if the team has such an agent.

    Raises:
        SettingError: the line names no agent or has no text.
        UnknownNameError: no agent of the team has this name, or it was never prompted.
    """
    agent, text = addressed(line)
    team.prompt_of(agent)
    return agent, text


def converse(team: TrainedTeam) -> None:
    """Reads lines until there are no more."""
    say(HELP)
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            return
        if line in ("quit", "exit"):
            return
        try:
            if line == "tasks":
                show(" ".join(task) for task in team.tasks())
            elif line:
                show(lines_of_answer(team.ask(*addressed(line))))
            else:
                show(lines_of_episode(team.episode()))
        except CounterpointError as error:
            say(f"counterpoint: {error}")


def texts(lines: Iterable[str]) -> Iterator[Text]:
    """Yields the lines that models wrote, with escapes for what a terminal would obey."""
    return (Text(visible(line)) for line in lines)


def show(lines: Iterable[str]) -> None:
    """Prints lines that models wrote."""
    print_result(*texts(lines))


def addressed(line: str) -> tuple[str, str]:
    """Returns `speaker: hello` as agent and text.

    Raises:
        SettingError: the line names no agent or has no text.
    """
    agent, colon, text = line.partition(":")
    if not colon or not agent.strip() or not text.strip():
        raise SettingError(f"got {line!r}; wanted AGENT: TEXT")
    return agent.strip(), text.strip()


def lines_of_episode(episode: PlayedEpisode) -> Iterator[str]:
    """Yields the lines that show an episode."""
    yield f"task: {' '.join(episode.task)}"
    for event in episode.events:
        to = f" to {event.to}" if event.to else ""
        yield f"  {event.agent}{to}: {event.text}"
    yield f"success: {episode.success:g}"


def lines_of_answer(answer: AgentAnswer) -> Iterator[str]:
    """Yields the line that shows an answer, with the likeliest words if it was a choice."""
    likely = sorted(answer.words.items(), key=lambda pair: -pair[1])[:4]
    words = ", ".join(f"{word} {100 * chance:.0f}%" for word, chance in likely)
    yield f"{answer.agent}: {answer.text}" + (f"   ({words})" if words else "")
