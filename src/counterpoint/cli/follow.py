"""`counterpoint diagnose LOG --watch`: what the latest updates of a growing log say.

`Tail` has the lines, `latest_updates` the decisions, and `news` the sentences.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from counterpoint.arrays import Bools
from counterpoint.diagnose.causes import CAUSE_WORDS
from counterpoint.errors import LogError
from counterpoint.records import Decisions
from counterpoint.results import DiagnosisResult

LINES = 200_000
"""The most lines of a log that are kept in memory."""
ROWS = 20_000
"""Rows of the latest updates that are diagnosed together; a longer update stays whole."""


class Tail:
    """The latest complete lines of a file that grows.

    Args:
        path: a log of JSON lines, or CSV, whose first line is kept. It need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: deque[bytes] = deque(maxlen=LINES)
        self.head = b""
        """The first line of a CSV file, and the empty lines before the first that is none."""
        self.cut = False
        """Whether lines before the first of `lines` are no longer kept."""
        self.again = False
        """Whether the file was begun anew, or shortened, since `poll` was last called."""
        self._taken = 0
        self._place = (0, 0)
        self._offset = 0

    def poll(self) -> bool:
        """Reads what was added, and returns whether there is anything new.

        A file that was replaced or shortened, as by a training that resumes, is read anew.

        Raises:
            LogError: the file cannot be read, or is not one of lines.
        """
        try:
            with self.path.open("rb") as file:
                facts = os.fstat(file.fileno())
                place = (facts.st_dev, facts.st_ino)
                self.again = self._offset > 0 and not (
                    place == self._place and self._goes_on(file, facts.st_size)
                )
                if self.again or not self._offset:
                    self.lines.clear()
                    self._taken = 0
                    self._offset, self.head, self.cut, self._place = 0, b"", False, place
                file.seek(self._offset)
                return self._take(file) or self.again
        except FileNotFoundError:
            return False
        except OSError as error:
            raise LogError(
                f"got {str(self.path)!r}: {error.strerror or error}; wanted a log file"
            ) from error

    def _goes_on(self, file: BinaryIO, size: int) -> bool:
        """Returns whether a file still has the last line that was taken, where it was: a new file
        may have the number of a deleted one."""
        last = self.lines[-1] if self.lines else self.head
        file.seek(max(0, self._offset - len(last)))
        return size >= self._offset and file.read(len(last)) == last

    def _take(self, lines: Iterable[bytes]) -> bool:
        """Takes the complete lines that are left, and returns whether there were any."""
        any_taken = False
        for line in lines:
            if not line.endswith(b"\n"):
                break  # being written
            is_first = not self._taken and not self.head.strip()
            if is_first and not line.lstrip().startswith(b"{"):
                if line.lstrip().startswith(b"[") or b"\0" in line or line.startswith(b"\x1f\x8b"):
                    raise LogError(
                        f"got {str(self.path)!r}, which is not a file of lines; wanted JSON lines "
                        "or CSV with --watch: only these can be followed"
                    )
                self.head += line
            else:
                self.cut = self.cut or len(self.lines) == LINES
                self.lines.append(line)
                self._taken += 1
                any_taken = True
            self._offset += len(line)
        return any_taken

    def drop(self, count: int) -> None:
        """Forgets lines that later looks do not need.

        Args:
            count: number of the first lines. They end with a whole update, so that the first update
                that is left has all of its rows.
        """
        for _ in range(count):
            self.lines.popleft()
        self.cut = self.cut and not count

    @property
    def waits_for(self) -> str:
        """What the file lacks before anything can be diagnosed; empty if nothing."""
        if not self.path.exists():
            return "is not there; waiting for it"
        return "" if self.lines else "has no rows yet; waiting for them"

    @property
    def content(self) -> bytes:
        """The lines as a log."""
        return self.head + b"".join(self.lines)

    @property
    def numbered_content(self) -> bytes:
        """The same, with an empty line for each that is not kept: lines have the file's numbers."""
        return self.head + b"\n" * (self._taken - len(self.lines)) + b"".join(self.lines)


def latest_updates(decisions: Decisions, *, cut: bool, ended: bool) -> Decisions:
    """Returns the rows of the latest whole updates: `ROWS` of them, at least one update.

    Args:
        decisions: the rows of a log's last lines. Without steps, its last `ROWS` are taken.
        cut: whether the first update may lack rows.
        ended: whether the last update is whole; else only those before it are, which may be none.
    """
    if decisions.step is None:
        return rows_of(decisions, np.arange(len(decisions)) >= len(decisions) - ROWS)
    steps, counts = np.unique(decisions.step, return_counts=True)
    whole = np.ones(len(steps), dtype=bool)
    whole[0] &= not cut
    whole[-1] &= ended
    steps, counts = steps[whole], counts[whole]
    behind = counts[::-1].cumsum()[::-1]
    behind[-1:] = 0  # the last one stays, however long it is
    return rows_of(decisions, np.isin(decisions.step, steps[behind <= ROWS]))


def rows_before(decisions: Decisions, latest: Decisions) -> int:
    """Returns how many of the first rows belong to updates before the latest ones; 0 if a row of
    such an update also stands behind a newer one.

    Args:
        decisions: the rows of a log's last lines.
        latest: its `latest_updates`.
    """
    if decisions.step is None or latest.step is None:
        return len(decisions) - len(latest)
    if not len(latest):
        return 0
    older = decisions.step < latest.step.min()
    count = int(older.sum())
    return count if older[:count].all() else 0


def rows_of(decisions: Decisions, chosen: Bools) -> Decisions:
    """Returns the rows where `chosen` [N] is true."""
    return replace(
        decisions,
        rewards=decisions.rewards[chosen],
        labels={name: column[chosen] for name, column in decisions.labels.items()},
        step=None if decisions.step is None else decisions.step[chosen],
        action=None if decisions.action is None else decisions.action[chosen],
    )


def state_line(result: DiagnosisResult, update: int | None) -> str:
    """Returns one line about the latest updates, up to `update`: each agent's signal and cause."""
    when = "without updates" if update is None else f"update {update:,}"
    agents = []
    for name, agent in result.agents.items():
        kept = "unknown" if agent.signal_kept is None else f"{agent.signal_kept:.2f}"
        agents.append(f"{name} {kept}" + (f" ({agent.cause})" if agent.cause else ""))
    return f"{when} (latest {result.rows:,} rows): signal kept {', '.join(agents)}"


def news(result: DiagnosisResult, reported: dict[str, str]) -> list[str]:
    """Returns a sentence for each fault and each agent's cause that is new, or is gone.

    Args:
        result: the present diagnosis.
        reported: what has been said, key to the cause or sentence; it is brought up to date.
    """
    now = {f"fault {fault.code} {fault.agent or ''}": fault.sentence for fault in result.log_faults}
    causes = {name: agent.cause for name, agent in result.agents.items() if agent.cause}
    advice = result.recommendation
    lines = [f"log: {text}" for key, text in now.items() if key not in reported]
    for name, cause in causes.items():
        if reported.get(name) != cause:
            better = f" Use {advice.scheme}." if advice is not None else ""
            lines.append(
                f"{name}: {cause}: its learning signal is lost under {result.scheme} "
                f"({CAUSE_WORDS[cause]}). {result.agents[name].remedy}{better}"
            )
    gone = [name for name in reported if not name.startswith("fault ") and name not in causes]
    lines += [f"{name}: {reported[name]} is gone" for name in gone]
    reported.clear()
    reported.update(now | causes)
    return lines
