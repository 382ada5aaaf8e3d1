"""`counterpoint diagnose`: which agent collapses in a log of rewards, and why."""

from __future__ import annotations

import io
import math
import re
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import numpy as np
import tyro
from msgspec.structs import replace

from counterpoint.cli.follow import Tail, latest_updates, news, rows_before, state_line
from counterpoint.cli.messages import say
from counterpoint.cli.results import encoded, finish, save
from counterpoint.credit import plain_scheme_named
from counterpoint.diagnose import diagnose
from counterpoint.errors import LogError, RewardError, SettingError
from counterpoint.readers import LogNotice, LogWarning, read_decisions
from counterpoint.records import Decisions
from counterpoint.report.terminal.parts import diagnosis_parts
from counterpoint.results import DiagnosisResult
from counterpoint.runs.stop import Stopper
from counterpoint.settings import split_list, split_pairs

COLUMNS = "NAME=MEANING with commas between, such as uid=prompt,score=reward"
LOOKS_EVERY = 1.0
"""Seconds between two looks at a log that is followed."""
COUNTS = re.compile(r"(?<!\w)[0-9][0-9,]*(?!\w)")
"""The counts in a note on how a log was read; they grow with the log."""
NOTHING, ANEW = -math.inf, math.inf
"""In place of the last update: nothing was diagnosed yet; nothing of the file as it is now."""


@dataclass(frozen=True)
class Diagnose:
    """Read a log of rewards and say which agent's learning signal collapses, and why.

    It reports first what is wrong with the log: no rewards, a constant reward, two runs in one
    file, too few rollouts for a verdict. Then it reports each agent's cause, how much of its signal
    the scheme keeps, and a scheme to use instead, if one is better on the same log. If all agents
    share one reward and are always present, decoupling provably changes nothing. Schemes with
    running statistics are recommended only in place of another such scheme, because their numbers
    depend on the history before the log.

    A log is JSON lines, CSV or .npz with one row a decision: prompt, rollout, agent, reward (or
    rewards: {component: number}), and optionally turn, role, context, step (the training update).
    The columns of TRL, verl, ms-swift, AReaL, ART, rLLM and verifiers are known by their names, and
    the meaning of each is printed.

    With --watch, a log is followed while a training adds lines to it, as the recorder of an adapter
    does. After each update, a line has the share that is kept of each agent's signal in the latest
    20,000 rows. When an agent loses its signal, a sentence says why, and what to change. An update
    is diagnosed when the next one has begun. Ctrl-C stops, and prints the whole diagnosis of the
    latest rows.

    Examples:
      counterpoint diagnose rewards.jsonl
      counterpoint diagnose rewards.csv --scheme grpo --out diagnosis
      counterpoint diagnose rollouts.jsonl --columns uid=prompt,score=reward
      cat rewards.jsonl | counterpoint diagnose - --json
      counterpoint diagnose rewards.jsonl --watch --scheme grpo
    """

    file: Annotated[str, tyro.conf.Positional]
    """The log; `-` reads standard input."""
    scheme: str = "mappo_pooled"
    """The scheme under which the agents of the log were trained; causes are computed for it."""
    columns: str = ""
    """The meaning of columns with other names, e.g. uid=prompt,score=reward,acc=ignore."""
    out: Path | None = None
    """Folder for report.html, results.json and run.json."""
    json: bool = False
    """Print the diagnosis as JSON alone."""

    watch: bool = False
    """Follow the log while it grows, until Ctrl-C; with --json, a line of JSON each time."""

    def run(self) -> int:
        """Reads, diagnoses, saves and prints."""
        plain_scheme_named(self.scheme)  # a log may be long, and a name wrong
        if self.watch:
            return self._follow()
        result = diagnosis_of(self.file, self.scheme, self.columns)
        finish(result, diagnosis_parts, self.out, self.json)
        return 0

    def _follow(self) -> int:
        """Diagnoses the latest updates each time that some were added."""
        if self.file == "-":
            raise SettingError("got - with --watch; wanted a file, to which a training adds lines")
        tail, reported, seen = Tail(Path(self.file)), dict[str, str](), dict[str, str]()
        last, waits = NOTHING, ""
        with Stopper() as stopper:
            while stopper.asked is None:
                changed = tail.poll()
                if changed and tail.again:
                    say(f"counterpoint: {self.file} was begun anew; reading it from its start")
                    last = last if last == NOTHING else ANEW
                if changed and tail.lines:
                    last = self._look(tail, last, seen, reported)
                before, waits = waits, tail.waits_for
                if waits and waits != before:
                    say(f"counterpoint: {self.file} {waits}")
                time.sleep(LOOKS_EVERY)
        tail.poll()
        try:
            result = judged(self._latest(tail, seen, ended=True), self.file, self.scheme)
        except (LogError, RewardError) as error:
            say(f"counterpoint: ended without a last diagnosis: {error}")
            return stopper.exit_status
        finish(result, diagnosis_parts, self.out, self.json)
        return stopper.exit_status

    def _look(
        self, tail: Tail, last: float, seen: dict[str, str], reported: dict[str, str]
    ) -> float:
        """Reports the latest whole updates if they are new since `last`; returns the last one."""
        try:
            latest = self._latest(tail, seen, ended=False)
        except LogError as error:
            if last == NOTHING:
                raise  # it is no log that can be read
            say(f"counterpoint: {error}; what was added is not diagnosed while this line is read")
            return last
        if latest.step is None:
            self._report(latest, None, reported)
            return 0
        end = int(latest.step.max()) if len(latest) else last
        if end != last:
            self._report(latest, int(end), reported)
        return end

    def _latest(self, tail: Tail, seen: dict[str, str], *, ended: bool) -> Decisions:
        """Returns the latest whole updates of a log, and says how it is read.

        A note that differs from an earlier one only in its counts is said again when all has ended.

        Args:
            tail: the lines.
            seen: note without its counts to the note as it was last said; it is brought up to date.
            ended: whether the last update is whole.
        """
        try:
            decisions, notes = interpreted(io.BytesIO(tail.content), self.columns)
        except LogError:  # said with the number that the line has in the file
            decisions, notes = interpreted(io.BytesIO(tail.numbered_content), self.columns)
        for note in notes:
            kind = COUNTS.sub("", note)
            if kind not in seen or (ended and seen[kind] != note):
                seen[kind] = note
                say(f"counterpoint: {note}")
        latest = latest_updates(decisions, cut=tail.cut, ended=ended)
        if len(decisions) == len(tail.lines):  # else a line has several rows
            tail.drop(rows_before(decisions, latest))
        return latest

    def _report(self, latest: Decisions, update: int | None, reported: dict[str, str]) -> None:
        """Prints what the latest updates say, and saves it where `--out` says so."""
        try:
            result = judged(latest, self.file, self.scheme)
        except RewardError as error:  # later windows no longer have these rows
            say(f"counterpoint: the latest updates could not be diagnosed: {error}")
            return
        if self.out is not None:
            save(result, self.out)
        if self.json:
            self._print(encoded(result))
        else:
            self._print("\n".join([state_line(result, update), *news(result, reported)]))

    def _print(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def diagnosis_of(source: str | Path, scheme: str, columns: str = "") -> DiagnosisResult:
    """Returns the diagnosis of a log; how the log was read goes to standard error."""
    decisions, notes = interpreted(source, columns)
    for note in notes:
        say(f"counterpoint: {note}")
    return judged(decisions, source, scheme)


def interpreted(source: str | Path | BinaryIO, columns: str) -> tuple[Decisions, list[str]]:
    """Returns the decisions of a log, and sentences on how it was read."""
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always", LogWarning)
        mapping = split_pairs(split_list(columns), "--columns", COLUMNS)
        decisions = read_decisions(source, mapping or None)
    torn = [str(w.message) for w in met if not issubclass(w.category, LogNotice)]
    return decisions, [*torn, *decisions.notices]


def judged(decisions: Decisions, source: str | Path, scheme: str) -> DiagnosisResult:
    """Returns the diagnosis of decisions, with the name of their log."""
    result = diagnose(decisions, scheme, rng=np.random.default_rng(0))
    name = "standard input" if source == "-" else Path(source).name
    config = {"source": name, "scheme": scheme}
    if decisions.writer:
        config["trainer"] = decisions.writer
    return replace(result, source=name, config=config)
