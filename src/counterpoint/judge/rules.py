"""Judges that are a rule: `Pattern` looks for a regular expression, `Command` runs a program."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
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
        SettingError: no pattern, one that is no regular expression, or a limit that is none.
    """

    pattern: str = ""
    """A regular expression of Python's: who matches it is better than who does not."""
    timeout_seconds: float = 10.0
    """For one text. Afterwards the search is killed, and the text counts as one without a match."""

    def __post_init__(self) -> None:
        _check_timeout(self.timeout_seconds)
        try:
            empty = not self.pattern or re.compile(self.pattern) is None
        except re.error as error:
            raise SettingError(f"got pattern={self.pattern!r}: {error}") from None
        if empty:
            raise SettingError("got no pattern; wanted one: --set pattern='the answer is 42'")


def _check_timeout(seconds: float) -> None:
    if not 0 < seconds <= 86_400:
        raise SettingError(f"got timeout_seconds={seconds}; wanted a number above 0, up to 86400")


_SEARCH = """
import json, re, sys
told = json.load(sys.stdin)
sought = re.compile(told["pattern"])
for text in told["texts"]:
    sys.stdout.write("01"[sought.search(text) is not None])
    sys.stdout.flush()
"""
"""Says 0 or 1 for each text as soon as it knows."""


class Pattern:
    """Ranks those whose text matches above those whose text does not.

    A pattern of a user's may take any time on a text of a stranger's, and nothing can interrupt it
    in this process: it runs in another one.

    Args:
        settings: what is looked for.
    """

    at_once = 64

    def __init__(self, settings: PatternSettings) -> None:
        self.settings = settings

    @property
    def facts(self) -> Mapping[str, str]:
        """The pattern."""
        return {"judge": "regex", "pattern": self.settings.pattern}

    def judge(self, sheets: Sequence[Sheet]) -> list[Opinion]:
        """One opinion for each sheet; each text is searched once.

        Raises:
            JudgeError: the search itself broke, for want of memory say.
        """
        texts = list(dict.fromkeys(each.text for sheet in sheets for each in sheet.shown))
        known = dict(zip(texts, self._scores(texts), strict=True))
        return [Opinion(written(s, [known[each.text] for each in s.shown])) for s in sheets]

    def _scores(self, texts: Sequence[str]) -> list[float]:
        found = list[float]()
        while len(found) < len(texts):
            asked = json.dumps({"pattern": self.settings.pattern, "texts": texts[len(found) :]})
            try:
                done = subprocess.run(
                    [sys.executable, "-I", "-c", _SEARCH], input=asked.encode(),
                    capture_output=True, timeout=self.settings.timeout_seconds, check=False,
                )  # fmt: skip
                said = done.stdout
                if len(said) < len(texts) - len(found):
                    raise JudgeError(
                        f"the search for pattern={self.settings.pattern!r} ended with status "
                        f"{done.returncode}: {done.stderr.decode(errors='replace')[-200:]}"
                    )
            except subprocess.TimeoutExpired as late:
                said = (
                    late.stdout or b"0"
                )  # a text that had all of the time for itself has no match
            found += [float(each == ord("1")) for each in said]
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
        _check_timeout(self.timeout_seconds)


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
