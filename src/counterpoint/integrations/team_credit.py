"""`TeamCredit`: one scheme at work inside somebody else's trainer.

It computes advantages, keeps running statistics for the trainer's checkpoint, writes what it saw as
a log that `counterpoint diagnose` reads, and says in the trainer's own logger what goes wrong. Each
file beside this one only brings a trainer's rewards here and takes advantages back.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit import (
    Credit,
    RunningState,
    Scheme,
    Tally,
    advantages,
    plain_scheme_named,
)
from counterpoint.diagnose import scheme_name
from counterpoint.errors import SettingError, StateError
from counterpoint.integrations.recorder import Recorder, as_table, places, plain
from counterpoint.integrations.warnings import warnings_of

SCHEMA = "counterpoint.team_credit/1"
WINDOW = 20_000
"""Rows of the latest updates that warnings are read from."""


FIRST = 10
"""After so many updates warnings are looked for the first time: fewer rows give false alarms."""


class TeamCredit:
    """A scheme, its running statistics, its log and its warnings.

    Args:
        scheme: what to compute: a `Scheme`, or the name of one (`counterpoint schemes`).
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
        scheme: str | Scheme = "agent_wise",
        *,
        record: str | Path | None = None,
        components: Sequence[str] = (),
        check_every: int = 50,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        if check_every < 0:
            raise SettingError(f"got check_every={check_every}; wanted 0 or more")
        self.scheme = plain_scheme_named(scheme) if isinstance(scheme, str) else scheme
        self.state: RunningState | None = None
        self.updates = 0
        """Calls so far that were for learning."""
        self.has: dict[str, list[bool]] = {}
        """Agent to which reward components it has ever had."""
        self.recorder = None if record is None else Recorder(Path(record), tuple(components))
        self.check_every = check_every
        self.warn = warn or logging.getLogger("counterpoint").warning
        self.tally = Tally()
        """Edge cases of the last call."""
        self.metrics: dict[str, float] = {}
        """What the last call was like, for the trainer's logger: `counterpoint/...` to numbers."""
        self._said: set[str] = set()
        self._latest: deque[tuple[int, NDArray[np.float64], dict[str, Any]]] = deque()

    def __call__(self, rewards: Any, labels: Mapping[str, Any], *, learning: bool = True) -> Any:
        """The advantage of every row.

        Args:
            rewards: [N] or [N, K], as `advantages` takes them.
            labels: name to [N] values; `rollout` is the row's place among those of its prompt and
                agent where it is not given.
            learning: false in an evaluation, which moves no running statistics and is not recorded.

        Returns: [N] in the kind of the rewards.

        Raises:
            RewardError, LabelError, SchemeError: as `advantages`.
            OutputError: the log cannot be written.
        """
        labels = dict(labels)
        if "rollout" not in labels and hasattr(rewards, "__len__"):
            prompt, agent = (plain(labels[n]) if n in labels else None for n in ("prompt", "agent"))
            labels["rollout"] = places(prompt, agent, len(rewards))
        table = as_table(rewards)
        rewards = self._whole(rewards, table, labels.get("agent"), learning)
        credit: Credit = advantages(rewards, labels, self.scheme, state=self.state)
        if not learning:
            return credit.values
        self._say_if_there()
        if self.recorder is not None:
            self.recorder.add(self.updates, table, labels)
        self.state, self.tally = credit.state, credit.tally
        self._measure(credit, labels)
        self._keep(table, labels)
        self.updates += 1
        if self.check_every and (self.updates % self.check_every == 0 or self.updates == FIRST):
            self.check()
        return credit.values

    def check(self) -> list[str]:
        """Look at the latest updates; what was found, each said once."""
        found = warnings_of(list(self._latest), self.scheme)
        for key, text in found.items():
            if key not in self._said:
                self._said.add(key)
                self.warn(text)
        return list(found.values())

    def _whole(self, rewards: Any, table: NDArray[np.float64], agent: Any, learning: bool) -> Any:
        """The rewards, with 0 where a component is summed that an agent has never had.

        A reward function that answers for one agent alone leaves NaN in the others' rows: it is no
        part of their reward, as `counterpoint diagnose` takes it too. What is missing now and then
        stays missing.
        """
        if (
            table.ndim != 2
            or table.shape[1] < 2
            or agent is None
            or self.scheme.components == "normalize_first"
        ):
            return rewards
        names = np.array([str(name) for name in plain(agent)])
        given, never = ~np.isnan(table), np.zeros(table.shape, dtype=bool)
        for name in np.unique(names):
            own = names == name
            has = given[own].any(axis=0) | np.array(self.has.get(name, [False] * table.shape[1]))
            if learning:
                self.has[str(name)] = has.tolist()
            if has.any():
                never[own] = ~has
        if not never.any():
            return rewards
        if hasattr(rewards, "masked_fill"):
            return rewards.masked_fill(rewards.new_tensor(never, dtype=bool), 0.0)
        return np.where(never, 0.0, table)

    def _say_if_there(self) -> None:
        """Once: that the log has rows of an earlier training already."""
        if self.recorder is not None and self.recorder.was_there and self.updates == 0:
            self.recorder.was_there = False
            self.warn(
                f"{self.recorder.path} holds rows of an earlier training, and this one counts its "
                "updates from 0 again: give record another file to keep them apart"
            )

    def _measure(self, credit: Credit, labels: Mapping[str, Any]) -> None:
        values = as_table(credit.values)[:, 0]
        told = asdict(credit.tally)
        self.metrics = {f"counterpoint/{key}": float(told[key])
                        for key in ("missing", "singletons", "constants", "cold")}  # fmt: skip
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
            "components": self.has,
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
        if (kept is not None or self.scheme.keeps_state) and wrote != ours:
            raise StateError(
                f"got a state written under {wrote}, which has other statistics than {ours}; go on "
                f"with {wrote}, or begin anew without that state"
            )
        if wrote != ours:
            self.warn(f"a training under {wrote} goes on under {ours}")
        self.state = None if kept is None else RunningState.from_dict(kept)
        self.updates, self.has = int(told["updates"]), dict(told.get("components") or {})
        self._latest.clear()
        if self.recorder is not None:
            self.recorder.go_back(self.updates)
