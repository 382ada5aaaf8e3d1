"""Judges that are a rule: `Pattern` looks for a regular expression, `Command` runs a program."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from counterpoint.errors import JudgeError, SettingError
from counterpoint.judge.judges import Opinion, written
from counterpoint.judge.present import Sheet, Shown
from counterpoint.judge.wire import parse_score


@dataclass(frozen=True)
class PatternSettings:
    """What is looked for.

    Raises:
        SettingError: no pattern, or one that is no regular expression.
    """

    pattern: str = ""
    """A regular expression of Python's: who matches it is better than who does not."""

    def __post_init__(self) -> None:
        try:
            empty = not self.pattern or re.compile(self.pattern) is None
        except re.error as error:
            raise SettingError(f"got pattern={self.pattern!r}: {error}") from None
        if empty:
            raise SettingError("got no pattern; wanted one: --set pattern='the answer is 42'")


class Pattern:
    """Ranks those whose text matches above those whose text does not.

    Args:
        settings: what is looked for.
    """

    at_once = 64

    def __init__(self, settings: PatternSettings) -> None:
        self.settings = settings
        self._sought = re.compile(settings.pattern)

    @property
    def facts(self) -> Mapping[str, str]:
        """The pattern."""
        return {"judge": "regex", "pattern": self.settings.pattern}

    def judge(self, sheets: Sequence[Sheet]) -> list[Opinion]:
        """One opinion for each sheet."""
        found = []
        for sheet in sheets:
            scores = [float(self._sought.search(each.text) is not None) for each in sheet.shown]
            found.append(Opinion(written(sheet, scores)))
        return found


@dataclass(frozen=True)
class CommandSettings:
    """Which program judges.

    Raises:
        SettingError: no command, or a limit that is none.
    """

    command: str = ""
    """It reads a run's text from standard input. It prints `{"score": number from 0 to 1}`, or
    nothing: then exit status 0 is 1, and any other is 0. No shell is started."""
    timeout_seconds: float = 10.0
    """Afterwards it is killed, and the score is 0."""

    def __post_init__(self) -> None:
        if not shlex.split(self.command):
            raise SettingError("got no command; wanted one: --set command='python check.py'")
        if not 0 < self.timeout_seconds <= 86_400:
            raise SettingError(
                f"got timeout_seconds={self.timeout_seconds}; wanted a number above 0, up to 86400"
            )


class Command:
    """Scores each run by a program of the user's, unit tests say. What it runs is its own affair.

    Args:
        settings: which program.
    """

    at_once = 64

    def __init__(self, settings: CommandSettings) -> None:
        self.settings = settings
        self._known: dict[str, float] = {}

    @property
    def facts(self) -> Mapping[str, str]:
        """The command and its limit."""
        told = self.settings
        return {"judge": "tests", "command": told.command, "timeout": repr(told.timeout_seconds)}

    def judge(self, sheets: Sequence[Sheet]) -> list[Opinion]:
        """One opinion for each sheet; each text is scored once.

        Raises:
            JudgeError: the program cannot be started, or prints something else than a score.
        """
        new = {
            each.text for sheet in sheets for each in sheet.shown if each.text not in self._known
        }
        with ThreadPoolExecutor(2) as pool:
            texts = sorted(new)
            self._known |= dict(zip(texts, pool.map(self._score, texts), strict=True))
        return [
            Opinion(written(sheet, [self._of(each) for each in sheet.shown])) for sheet in sheets
        ]

    def _of(self, shown: Shown) -> float:
        return self._known[shown.text]

    def _score(self, text: str) -> float:
        try:
            done = subprocess.run(
                shlex.split(self.settings.command),
                input=text.encode("utf-8", "replace"),
                capture_output=True,
                timeout=self.settings.timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return 0.0
        except OSError as error:
            raise JudgeError(
                f"got command={self.settings.command!r}: {error.strerror}; wanted a program"
            ) from None
        said = done.stdout.decode("utf-8", "replace").strip()
        return parse_score(said) if said else float(done.returncode == 0)
