"""`TeamCredit`: one scheme at work inside somebody else's trainer.

It computes advantages, keeps running statistics for the trainer's checkpoint, writes what it saw as
a log that `counterpoint diagnose` reads, and says in the trainer's own logger what goes wrong. Each
file beside this one only brings a trainer's rewards here and takes advantages back.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit import (
    AnyScheme,
    Credit,
    RunningState,
    Tally,
    advantages,
    catalogue,
    scheme_name,
    scheme_named,
)
from counterpoint.credit.segments import arrays_of
from counterpoint.errors import SettingError, StateError
from counterpoint.integrations.draws import occurrences
from counterpoint.integrations.dropped import Dropped
from counterpoint.integrations.recorder import Recorder, as_table, plain
from counterpoint.integrations.warnings import warnings_of

SCHEMA = "counterpoint.team_credit/1"
WINDOW = 20_000
"""Rows of the latest updates that warnings are read from."""


UNNAMED = "custom"
"""What older versions called every scheme that is not in the catalogue."""
FIRST = 10
"""After so many updates warnings are looked for the first time: fewer rows give false alarms."""


class TeamCredit:
    """A scheme, its running statistics, its log and its warnings.

    Args:
        scheme: what to compute: a `Scheme`, a `Mix`, a `PerRole`, or what names one, such as
            `agent_wise` or `grpo_rows,floor=0.05` (`counterpoint schemes`).
        record: a file to which the rows of every update are added, in the format that `counterpoint
            diagnose` reads; None records nothing. Give it in one process only.
        components: [K] names of reward components, where rewards have several.
        check_every: after so many updates the latest ones are looked at, and warnings are said;
            0 never does. There is an early look after 10. Each warning is said once.
        warn: what hears warnings; a logger named `counterpoint` by default.

    Raises:
        UnknownNameError: no scheme of that name.
        SettingError: a negative number of updates.
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
        """Calls so far that were for learning."""
        self.recorder = None if record is None else Recorder(Path(record), tuple(components))
        self.check_every = check_every
        self.warn = warn or logging.getLogger("counterpoint").warning
        self.tally = Tally()
        """Edge cases of the last call."""
        self.total = Tally()
        """Edge cases of all updates so far, those before a checkpoint included."""
        self.metrics: dict[str, float] = {}
        """What the last call was like, for the trainer's logger: `counterpoint/...` to numbers."""
        self._warned: set[str] = set()
        self._dropped = Dropped(components)
        self._latest: deque[tuple[int, NDArray[np.float64], dict[str, Any]]] = deque()

    def __call__(
        self,
        rewards: Any,
        labels: Mapping[str, Any],
        *,
        learning: bool = True,
        absent: Any = None,
    ) -> Any:
        """The advantage of every row.

        What a row's missing components mean depends on this call alone: the same rewards have the
        same advantages in every update of a scheme without memory.

        Args:
            rewards: [N] or [N, K], as `advantages` takes them.
            labels: name to [N] values; `rollout` is the row's place among those of its prompt and
                agent where it is not given. One more name is allowed, `action`: what was decided.
                It enters no advantage; warnings and the log read it.
            learning: false in an evaluation, which moves no running statistics and is not recorded.
            absent: [N] booleans, true for rows that the trainer leaves out on purpose, whatever
                their rewards say. They get 0, and are neither recorded nor counted as missing.

        Returns: [N] in the kind of the rewards.

        Raises:
            RewardError, LabelError, SchemeError: as `advantages`.
            OutputError: the log cannot be written.
        """
        if absent is not None:
            return self._without(absent, rewards, labels, learning)
        labels = dict(labels)
        if "rollout" not in labels and hasattr(rewards, "__len__"):
            prompt, agent = (plain(labels[n]) if n in labels else None for n in ("prompt", "agent"))
            labels["rollout"] = occurrences(prompt, agent, [0] * len(rewards))
        grouping = {name: column for name, column in labels.items() if name != "action"}
        credit: Credit = advantages(rewards, grouping, self.scheme, state=self.state)
        if not learning:
            return credit.values
        self._warn_of_earlier_rows()
        table, tally = as_table(rewards), credit.tally
        if self.recorder is not None:
            self.recorder.add(self.updates, table, labels)
        self.state, self.tally, self.total = credit.state, tally, self.total + tally
        self._measure(as_table(credit.values)[:, 0], labels)
        self._warn_once(self._dropped.sentences(self.updates, tally, ~np.isnan(table), self.scheme))
        self._keep(table, labels)
        self.updates += 1
        if self.check_every and (self.updates % self.check_every == 0 or self.updates == FIRST):
            self.check()
        return credit.values

    def check(self) -> list[str]:
        """Diagnose the latest updates; returns the warnings, and logs each sentence once.

        It never raises: a look at rewards must not end a training.
        """
        try:
            sentences = warnings_of(list(self._latest), self.scheme)
        except Exception as error:
            sentences = {
                "unchecked": (
                    f"unchecked: the latest updates could not be diagnosed "
                    f"({type(error).__name__}: {error}). Advantages are not affected, and the "
                    "training goes on."
                )
            }
        self._warn_once(sentences)
        return list(sentences.values())

    def _warn_once(self, sentences: Mapping[str, str]) -> None:
        """Give each sentence to the logger, the first time that its key comes."""
        for key, text in sentences.items():
            if key not in self._warned:
                self._warned.add(key)
                self.warn(text)

    def _warn_of_earlier_rows(self) -> None:
        """Say once that the log has rows of an earlier training already."""
        if self.recorder is not None and self.recorder.was_there and self.updates == 0:
            self.recorder.was_there = False
            self.warn(
                f"{self.recorder.path} holds rows of an earlier training, and this one counts its "
                "updates from 0 again: give record another file to keep them apart"
            )

    def _without(self, absent: Any, rewards: Any, labels: Mapping[str, Any], learning: bool) -> Any:
        """Advantages [N], 0 in the rows `absent` [N], which are in no statistic."""
        there = np.flatnonzero(as_table(absent)[:, 0] == 0)
        rows = _taken(rewards, there)
        if len(there):
            kept = {name: _taken(column, there) for name, column in labels.items()}
            rows = self(rows, kept, learning=learning)
        return _spread(rows, there, len(rewards))

    def _measure(self, values: NDArray[np.float64], labels: Mapping[str, Any]) -> None:
        """Set `metrics` for the advantages [N] of an update."""
        self.metrics = {f"counterpoint/{key}": float(n) for key, n in asdict(self.tally).items()}
        agents = labels.get("agent")
        if agents is None:
            return
        names = np.asarray(agents)
        for name in np.unique(names):
            own = values[names == name]
            self.metrics[f"counterpoint/dead/{name}"] = float((own == 0).mean())
            self.metrics[f"counterpoint/advantage_rms/{name}"] = float(np.sqrt((own**2).mean()))

    def _keep(self, table: NDArray[np.float64], labels: Mapping[str, Any]) -> None:
        if self.check_every:
            self._latest.append((self.updates, table, dict(labels)))
            rows = sum(len(one) for _, one, _ in self._latest)
            while len(self._latest) > 1 and rows > WINDOW:
                rows -= len(self._latest.popleft()[1])

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides what comes next, as plain values that any checkpoint can hold."""
        return {
            "schema": SCHEMA,
            "scheme": scheme_name(self.scheme),
            "updates": self.updates,
            "total": {name: int(count) for name, count in asdict(self.total).items()},
            "state": None if self.state is None else self.state.to_dict(),
        }

    def load_state_dict(self, told: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was called; rows recorded after that are taken off the log.

        Raises:
            StateError: that of something else, or of another scheme.
        """
        if not isinstance(told, Mapping) or told.get("schema") != SCHEMA:
            raise StateError(f"got a state that is none of {SCHEMA}; wanted what state_dict gave")
        kept, wrote, ours = told.get("state"), told.get("scheme"), scheme_name(self.scheme)
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
        self.updates, total = int(told["updates"]), told.get("total") or {}
        self.total = Tally(**{f.name: int(total.get(f.name, 0)) for f in fields(Tally)})
        self._latest.clear()
        if self.recorder is not None:
            self.recorder.go_back(self.updates)


def _taken(column: Any, there: NDArray[np.int64]) -> Any:
    """The rows `there` of a list, an array or a tensor."""
    return [column[i] for i in there] if isinstance(column, list | tuple) else column[there]


def _spread(values: Any, there: NDArray[np.int64], count: int) -> Any:
    """[count] the values at `there`, and 0 elsewhere, in their kind."""
    values = np.asarray(values, dtype=np.float64) if isinstance(values, list) else values
    a = arrays_of(values)
    whole = a.like(a.ones(count) * 0, values)
    if a.name == "jax":
        return whole.at[there].set(values)
    whole[there] = values
    return whole
