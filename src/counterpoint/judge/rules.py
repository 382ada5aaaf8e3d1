"""Judges that are a rule: `PatternJudge` searches for a pattern, `CommandJudge` runs a program."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shlex
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from counterpoint.errors import JudgeError, SettingError
from counterpoint.judge.judges import Opinion, parse_score, written
from counterpoint.judge.present import Sheet
from counterpoint.machine.files import read_ordinary
from counterpoint.machine.processes import end_group
from counterpoint.machine.signals import awaited

PATIENCE_SECONDS = 2.0
"""Seconds in which what a killed program printed has to arrive."""
START_SECONDS = 30.0
"""Seconds that a search may take to begin."""
TIMER = getattr(signal, "SIGALRM", 0)
"""The signal that ends a search at the limit of a text."""
MOST_PRINTED = 1 << 16
"""Bytes that a program may print about one text; it is killed if it prints more."""


@dataclass(frozen=True)
class PatternSettings:
    """The pattern to search for.

    Raises:
        SettingError: the pattern is missing or no regular expression, or the limit is out of range.
    """

    pattern: str = ""
    """A regular expression of Python's: a text that matches is better than one that does not."""
    timeout_seconds: float = 2.0
    """Limit of the search in one text; afterwards the text counts as one without a match."""

    def __post_init__(self) -> None:
        _check_timeout(self.timeout_seconds)
        if not self.pattern:
            raise SettingError("got no pattern; wanted one: --set pattern='the answer is 42'")
        try:
            with warnings.catch_warnings(action="ignore", category=FutureWarning):
                re.compile(self.pattern)  # such as [[a], which may mean a set some day
        except (re.error, OverflowError, RecursionError) as error:
            raise SettingError(f"got pattern={self.pattern!r:.80}: {error}") from None


def _check_timeout(seconds: float) -> None:
    if not 0 < seconds <= 86_400:
        raise SettingError(f"got timeout_seconds={seconds}; wanted a number above 0, up to 86400")


_SEARCH = """
import json, re, signal, sys
task = json.load(sys.stdin)
sought = re.compile(task["pattern"])
for text in task["texts"]:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, task["seconds"])
    sys.stdout.write("01"[sought.search(text) is not None])
    sys.stdout.flush()
"""
"""Writes 0 or 1 for each text as soon as it is known. The system ends it at the limit of a text,
also when nobody waits for it any more; without such timers it is ended from outside."""


class PatternJudge:
    """Ranks texts that match above texts that do not.

    A pattern may take any time on a text from elsewhere, and nothing can interrupt a search in this
        process: it runs in another process.

    Args:
        settings: the pattern and its limit.
    """

    at_once = 64

    def __init__(self, settings: PatternSettings) -> None:
        self.settings = settings

    @property
    def facts(self) -> Mapping[str, str]:
        """Returns the pattern and the limit."""
        timeout = repr(self.settings.timeout_seconds)
        return {"judge": "regex", "pattern": self.settings.pattern, "timeout": timeout}

    def judge(self, sheets: Sequence[Sheet]) -> list[Opinion]:
        """Returns one opinion for each sheet; each text is searched once.

        Raises:
            JudgeError: the search itself failed, for example for lack of memory.
        """
        texts = list(dict.fromkeys(each.text for sheet in sheets for each in sheet.shown))
        found = self._found(texts)
        if cut := found.count(None):
            warnings.warn(
                f"the search for pattern={self.settings.pattern!r:.60} took longer than "
                f"{self.settings.timeout_seconds:g} s in {cut} of {len(texts)} texts: they count "
                "as texts without a match",
                stacklevel=2,
            )
        known = {text: float(each or False) for text, each in zip(texts, found, strict=True)}
        return [Opinion(written(s, [known[each.text] for each in s.shown])) for s in sheets]

    def _found(self, texts: Sequence[str]) -> list[bool | None]:
        """Returns whether each text matches; None where the search was cut."""
        found: list[bool | None] = []
        seconds = self.settings.timeout_seconds
        while left := texts[len(found) :]:
            task = {"pattern": self.settings.pattern, "texts": left, "seconds": seconds}
            try:
                done = subprocess.run(
                    [sys.executable, "-I", "-c", _SEARCH], input=json.dumps(task).encode(),
                    capture_output=True, timeout=START_SECONDS + len(left) * seconds, check=False,
                )  # fmt: skip
                output, was_cut = done.stdout, done.returncode == -TIMER
                if len(output) < len(left) and not was_cut:
                    raise JudgeError(
                        f"the search for pattern={self.settings.pattern!r} ended with status "
                        f"{done.returncode}: {done.stderr.decode(errors='replace')[-200:]}"
                    )
            except subprocess.TimeoutExpired as late:
                output, was_cut = late.stdout or b"", True
            found += [each == ord("1") for each in output]
            if was_cut and len(output) < len(left):
                found.append(None)
        return found


@dataclass(frozen=True)
class CommandSettings:
    """The program that judges.

    Raises:
        SettingError: the command is missing, or the limit is out of range.
    """

    command: str = ""
    """It reads a run's text from standard input. It prints `{"score": number from 0 to 1}`, or
    nothing: then exit status 0 is 1, and any other is 0. No shell is started."""
    timeout_seconds: float = 10.0
    """The limit for one text. Afterwards the program is killed, and the score is 0."""

    def __post_init__(self) -> None:
        if not shlex.split(self.command):
            raise SettingError("got no command; wanted one: --set command='python check.py'")
        _check_timeout(self.timeout_seconds)


class CommandJudge:
    """Scores each run by a program of the user's, such as unit tests, without a sandbox.

    Args:
        settings: the program and its limit.
    """

    at_once = 64

    def __init__(self, settings: CommandSettings) -> None:
        self.settings = settings
        self._known: dict[str, float] = {}
        self._running: set[subprocess.Popen[bytes]] = set()
        self._is_over = threading.Event()
        self._files = _digest_of_files(shlex.split(settings.command))

    @property
    def facts(self) -> Mapping[str, str]:
        """Returns the command, its limit, and what is in the files that it names."""
        command, timeout = self.settings.command, repr(self.settings.timeout_seconds)
        return {"judge": "tests", "command": command, "timeout": timeout, "files": self._files}

    def judge(self, sheets: Sequence[Sheet]) -> list[Opinion]:
        """Returns one opinion for each sheet; each text is scored once.

        Raises:
            JudgeError: the program cannot be started, or prints something other than a score.
        """
        texts = sorted({each.text for sheet in sheets for each in sheet.shown} - set(self._known))
        with ThreadPoolExecutor(2) as pool:
            try:
                futures = {text: pool.submit(self._score, text) for text in texts}
                scores = {text: awaited(future) for text, future in futures.items()}
            except BaseException:  # nobody waits for what runs: a signal, or a program that fails
                self._is_over.set()
                pool.shutdown(wait=False, cancel_futures=True)
                for process in list(self._running):
                    end_group(process)
                raise
        if cut := sum(score is None for score in scores.values()):
            warnings.warn(
                f"{self.settings.command!r:.60} ran longer than {self.settings.timeout_seconds:g} "
                f"s, or printed more than {MOST_PRINTED:,} bytes, for {cut} of {len(texts)} texts: "
                "they score 0",
                stacklevel=2,
            )
        self._known |= {text: score or 0.0 for text, score in scores.items()}
        return [Opinion(written(s, [self._known[each.text] for each in s.shown])) for s in sheets]

    def _score(self, text: str) -> float | None:
        """Returns the score of a text, or None if the program was killed."""
        try:
            process = subprocess.Popen(
                shlex.split(self.settings.command), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise JudgeError(
                f"got command={self.settings.command!r}: {error.strerror}; wanted a program"
            ) from None
        self._running.add(process)
        if self._is_over.is_set():  # since it was started
            end_group(process)
        printed: list[bytes] = []
        reader = threading.Thread(target=_read, args=(process, printed), daemon=True)
        feeder = threading.Thread(target=_feed, args=(process, text), daemon=True)
        reader.start()
        feeder.start()
        try:
            status = process.wait(self.settings.timeout_seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:  # also those that the program has started, who may hold the pipe
            end_group(process)
            process.wait()
            self._running.discard(process)
            reader.join(PATIENCE_SECONDS)
            feeder.join(PATIENCE_SECONDS)
        if not printed or len(printed[0]) > MOST_PRINTED:
            return None
        shown = printed[0].decode("utf-8", "replace").strip()
        return parse_score(shown) if shown else float(status == 0)


def _digest_of_files(words: Sequence[str]) -> str:
    """Returns one hash of the files that a command names: an edited program is another judge."""
    digest = hashlib.sha256()
    for word in words:
        with contextlib.suppress(OSError, ValueError):  # a word that names no file
            digest.update(hashlib.sha256(read_ordinary(Path(word))).digest())
    return digest.hexdigest()


def _read(process: subprocess.Popen[bytes], printed: list[bytes]) -> None:
    """Adds what a program prints, up to one byte too many; then it is killed."""
    assert process.stdout is not None
    with contextlib.suppress(OSError, ValueError), process.stdout:
        output = process.stdout.read(MOST_PRINTED + 1)
        if len(output) > MOST_PRINTED:
            end_group(process)
        printed.append(output)


def _feed(process: subprocess.Popen[bytes], text: str) -> None:
    """Writes a text to a program, as far as it reads."""
    assert process.stdin is not None
    with contextlib.suppress(OSError, ValueError), process.stdin:
        process.stdin.write(text.encode("utf-8", "replace"))
