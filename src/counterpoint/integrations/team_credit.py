"""`TeamCredit`: one scheme that computes advantages inside the trainer of another package.

It computes advantages, keeps running statistics for the trainer's checkpoint, writes a log that
`counterpoint diagnose` reads, and warns in the trainer's own logger. Each file beside this one only
converts a trainer's rewards and labels for it, and returns the advantages to the trainer.
"""

from __future__ import annotations

import json
import logging
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from counterpoint.arrays import Array, Columns, Floats, Ints
from counterpoint.credit import (
    AnyScheme,
    RunningState,
    Tally,
    advantages,
    catalogue,
    scheme_name,
    scheme_named,
)
from counterpoint.credit.memory import SavedJointState, SavedState
from counterpoint.credit.segments import arrays_of
from counterpoint.errors import SettingError, StateError
from counterpoint.integrations.draws import occurrences
from counterpoint.integrations.recorder import Recorder, as_table, plain_values
from counterpoint.integrations.warnings import Checked, EdgeCaseMonitor, Update, check_updates
from counterpoint.records import TRAINERS
from counterpoint.runs.files import write_atomically

SCHEMA = "counterpoint.team_credit/1"
WINDOW = 20_000
"""The number of rows of the latest updates that are diagnosed for warnings."""
UNNAMED = "custom"
"""The name that older versions gave to every scheme that is not in the catalogue."""
FIRST = 10
"""The number of updates before the first diagnosis: fewer rows give false alarms."""


class SavedCredit(TypedDict):
    """The state of a `TeamCredit` in a checkpoint, as plain values."""

    schema: str
    scheme: str
    """Name of the scheme."""
    updates: int
    total: dict[str, int]
    """Edge case to its count over all updates."""
    state: SavedState | SavedJointState | None


class CreditOptions(TypedDict, total=False):
    """The arguments of `TeamCredit` that an adapter passes on."""

    record: str | Path | None
    components: Sequence[str]
    check_every: int
    warn: Callable[[str], None] | None


class TeamCredit:
    """A scheme, its running statistics, its log and its warnings.

    Args:
        scheme: a `Scheme`, a `Mix`, a `PerRole`, or the name of one, such as `agent_wise` or
            `grpo_rows,floor=0.05` (`counterpoint schemes` lists them).
        record: a file to which the rows of every update are added, in the format that `counterpoint
            diagnose` reads; None records nothing. Give it in one process only.
        components: [K] names of the reward components, if there are several.
        check_every: the number of updates between two diagnoses of the latest updates; 0 for none.
            There is an early diagnosis after 10. Each warning is logged once.
        warn: a function that is called with each warning; by default a logger named `counterpoint`.

    Raises:
        UnknownNameError: no scheme has that name.
        SettingError: `check_every` is negative.
        OutputError: the log cannot be written.
    """

    def __init__(
        self,
        scheme: str | AnyScheme = "agent_wise",
        *,
        record: str | Path | None = None,
        components: Sequence[str] = (),
        check_every: int = 50,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        if check_every < 0:
            raise SettingError(f"got check_every={check_every}; wanted 0 or more")
        self.scheme = scheme_named(scheme) if isinstance(scheme, str) else scheme
        self.state: RunningState | None = None
        self.updates = 0
        """The number of calls so far, without those of evaluations."""
        self.recorder = None if record is None else Recorder(Path(record), tuple(components))
        self.trainer = ""
        """The trainer, one of `counterpoint.records.TRAINERS`: the adapter names it to the log."""
        self.check_every = check_every
        self.warn = warn or logging.getLogger("counterpoint").warning
        self.calls = 0
        """The number of updates in this process; a checkpoint does not change it."""
        self.latest: Floats = np.zeros(0)
        """[N] advantages of the last update, for `HookCheck`."""
        self.tally = Tally()
        """Edge cases of the last call."""
        self.total = Tally()
        """Edge cases of all updates so far, those before a checkpoint included."""
        self.metrics: dict[str, float] = {}
        """Metrics of the last call for the trainer's logger; each name begins `counterpoint/`."""
        self._kept: dict[str, float] = {}
        """The metrics of the latest diagnosis."""
        self._warned: set[str] = set()
        self._edge_cases = EdgeCaseMonitor(components)
        self._latest: deque[Update] = deque()

    def __call__(
        self, rewards: Array, labels: Columns, *, learning: bool = True, absent: Array | None = None
    ) -> Array:
        """Returns the advantage [N] of every row, in the kind of array that the rewards are.

        If the scheme has no memory, equal rewards have equal advantages in every update: earlier
        calls do not change what a missing component means.

        Args:
            rewards: [N] or [N, K], as in `advantages`.
            labels: name to [N] values. Without `rollout`, a row's rollout is its place among the
                rows of its prompt and agent. One more name is allowed: `action`, the action that
                was taken. Only warnings and the log use it.
            learning: false in an evaluation, which changes no running statistics and is not logged.
            absent: [N] booleans, true for rows that the trainer leaves out on purpose. Their
                advantage is 0, and they are neither logged nor counted as missing.

        Raises:
            RewardError, LabelError, SchemeError: as `advantages`.
            OutputError: the log cannot be written.
        """
        if absent is not None:
            there, a = np.flatnonzero(as_table(absent)[:, 0] == 0), arrays_of(rewards)
            whole = a.like(a.ones(len(rewards)) * 0, rewards)
            if len(there):
                kept = {name: _taken(column, there) for name, column in labels.items()}
                values = self(_taken(rewards, there), kept, learning=learning)
                if learning:
                    self.latest = np.append(self.latest, 0.0)  # the advantage of absent rows
                if a.name == "jax":
                    return whole.at[there].set(values)
                whole[there] = values
            return whole
        labels = dict(labels)
        if "rollout" not in labels and hasattr(rewards, "__len__"):
            prompt, agent = (
                plain_values(labels[n]) if n in labels else None for n in ("prompt", "agent")
            )
            labels["rollout"] = occurrences(prompt, agent, [0] * len(rewards))
        grouping = {name: column for name, column in labels.items() if name != "action"}
        credit = advantages(rewards, grouping, self.scheme, state=self.state)
        if not learning:
            return credit.values
        if self.recorder is not None and self.recorder.was_there and self.updates == 0:
            self.recorder.was_there = False
            self.warn(
                f"{self.recorder.path} holds rows of an earlier training, and this one counts its "
                "updates from 0 again: give record another file to keep them apart"
            )
        table, tally = as_table(rewards), credit.tally
        if self.recorder is not None:
            self.recorder.add(self.updates, table, labels, self.trainer)
        self.state, self.tally, self.total = credit.state, tally, self.total + tally
        self.latest, self.calls = as_table(credit.values)[:, 0], self.calls + 1
        self._measure(self.latest, labels)
        self.warn_once(
            self._edge_cases.sentences(self.updates, tally, ~np.isnan(table), self.scheme)
        )
        if self.check_every:
            self._latest.append((self.updates, table, labels))
            rows = sum(len(one) for _, one, _ in self._latest)
            while len(self._latest) > 1 and rows > WINDOW:  # an update longer than it stays whole
                rows -= len(self._latest.popleft()[1])
        self.updates += 1
        if self.check_every and (self.updates % self.check_every == 0 or self.updates == FIRST):
            self.check()
        return credit.values

    def by_group(
        self, rewards: Sequence[Sequence[float | None]], labels: Columns, *, learning: bool = True
    ) -> list[list[float]]:
        """Returns the advantages of ragged groups `[P][n]`; without a row nothing is an update.

        Args:
            rewards: `[P][n]` the reward of each row of each group; None or NaN is missing.
            labels: name to values [N] of the rows of all groups, one group after the other.
            learning: as in a call.

        Raises:
            RewardError, LabelError, SchemeError, OutputError: as a call.
        """
        flat = [reward for group in rewards for reward in group]
        values = iter(self(flat, labels, learning=learning) if flat else ())
        return [[float(next(values)) for _ in group] for group in rewards]

    def check(self) -> list[str]:
        """Diagnoses the latest updates, logs each new warning once, and returns all warnings.

        It never raises: a failed diagnosis must not end a training.
        """
        try:
            checked = check_updates(list(self._latest), self.scheme)
        except Exception as error:
            sentence = (
                "unchecked: the latest updates could not be diagnosed "
                f"({type(error).__name__}: {error}). Advantages are not affected, and the training "
                "goes on."
            )
            checked = Checked({"unchecked": sentence}, {})
        kept = checked.signal_kept
        self._kept = {f"counterpoint/signal_kept/{name}": x for name, x in kept.items()}
        self.metrics |= self._kept
        self.warn_once(checked.sentences)
        return list(checked.sentences.values())

    def warn_once(self, sentences: Mapping[str, str]) -> None:
        """Logs each sentence whose key is new.

        Args:
            sentences: a key of the kind of warning, and its sentence.
        """
        for key, text in sentences.items():
            if key not in self._warned:
                self._warned.add(key)
                self.warn(text)

    def _measure(self, values: Floats, labels: Columns) -> None:
        """Sets `metrics` for the advantages [N] of an update."""
        self.metrics = {f"counterpoint/{key}": float(n) for key, n in asdict(self.tally).items()}
        self.metrics |= self._kept
        agents = labels.get("agent")
        if agents is None:
            return
        names, own = np.unique(np.asarray(agents), return_inverse=True)
        rows = np.bincount(own)
        dead, squares = (np.bincount(own, x) / rows for x in (values == 0, values**2))
        for name, share, square in zip(names, dead.tolist(), squares.tolist(), strict=True):
            self.metrics[f"counterpoint/dead/{name}"] = share
            self.metrics[f"counterpoint/advantage_rms/{name}"] = math.sqrt(square)

    def state_dict(self) -> SavedCredit:
        """Returns the state that later updates depend on, for the trainer's checkpoint."""
        return {
            "schema": SCHEMA,
            "scheme": scheme_name(self.scheme),
            "updates": self.updates,
            "total": {name: int(count) for name, count in asdict(self.total).items()},
            "state": None if self.state is None else self.state.to_dict(),
        }

    def load_state_dict(self, saved: SavedCredit) -> None:
        """Resumes from a saved state; rows that were logged after it are removed from the log.

        Raises StateError if the state is not one of `TeamCredit`, or belongs to another scheme.
        """
        if not isinstance(saved, Mapping) or saved.get("schema") != SCHEMA:
            raise StateError(f"got a state that is none of {SCHEMA}; wanted what state_dict gave")
        kept, wrote, ours = saved.get("state"), saved.get("scheme"), scheme_name(self.scheme)
        if wrote == UNNAMED and ours not in catalogue():
            wrote = ours  # an older version had no name for it; the kernel compares the fields
        if (kept is not None or self.scheme.keeps_state) and wrote != ours:
            raise StateError(
                f"got a state written under {wrote}, which has other statistics than {ours}; go on "
                f"with {wrote}, or begin anew without that state"
            )
        if wrote != ours:
            self.warn(f"a training under {wrote} goes on under {ours}")
        self.state = None if kept is None else RunningState.from_dict(kept)
        self.updates, total = int(saved["updates"]), saved.get("total") or {}
        self.total = Tally(**{f.name: int(total.get(f.name, 0)) for f in fields(Tally)})
        self._latest.clear()
        if self.recorder is not None:
            self.recorder.go_back(self.updates)

    def save(self, file: Path) -> None:
        """Writes the state to a JSON file; raises OutputError if that is not possible."""
        write_atomically(file, json.dumps(self.state_dict()))

    def load(self, file: Path) -> None:
        """Resumes from a file that `save` wrote; without the file nothing changes.

        Raises StateError if the file cannot be read, or its state belongs to another scheme.
        """
        if file.is_file():
            try:
                self.load_state_dict(json.loads(file.read_text("utf-8")))
            except (ValueError, OSError) as error:
                raise StateError(f"could not read {file} ({error})") from error


SchemeSource = str | AnyScheme | TeamCredit
"""A scheme, the name of one, or a `TeamCredit` with its state and its log."""


def named_like(made: Any, base: Any) -> Any:
    """Returns the class `made`, with the name and the docstring of the trainer's class `base`."""
    made.__name__ = made.__qualname__ = base.__name__
    made.__doc__ = base.__doc__
    return made


def credit_of(scheme: SchemeSource, trainer: str, **options: Unpack[CreditOptions]) -> TeamCredit:
    """Returns a `TeamCredit` whose log names the trainer; a `TeamCredit` is changed only in that.

    Args:
        scheme: a scheme, the name of one, or a `TeamCredit`.
        trainer: one of `counterpoint.records.TRAINERS`.
        options: arguments of a new `TeamCredit`.

    Raises:
        UnknownNameError, SettingError, OutputError: as `TeamCredit`.
    """
    assert trainer in TRAINERS
    credit = scheme if isinstance(scheme, TeamCredit) else TeamCredit(scheme, **options)
    credit.trainer = trainer
    return credit


def _taken(column: Array, there: Ints) -> Array:
    """Returns the rows `there` of a column."""
    return [column[i] for i in there] if isinstance(column, list | tuple) else column[there]
