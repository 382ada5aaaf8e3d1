"""`check_adapter`: a conformance suite for adapters, which put our credit into another trainer.

You write one function. It lays the rows of a `TeamBatch` out as the trainer has them, runs the
adapter and whatever the trainer does to its result, and returns the advantage with which each row
is trained. The suite compares that with `advantages` of the kernel in every situation of
`situations.py`, and checks states, guards, and that the module imports without its trainer.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from counterpoint.arrays import Bools, Floats
from counterpoint.credit import (
    AnyScheme,
    Mix,
    PerRole,
    RunningState,
    advantages,
    scheme_name,
    scheme_named,
)
from counterpoint.credit.scheme import Scheme, plain_schemes
from counterpoint.errors import CounterpointError, SettingError, choices
from counterpoint.integrations.team_credit import TeamCredit
from counterpoint.testing.batches import attempt, demand
from counterpoint.testing.situations import FEATURES, Situation, TeamBatch, situations

Adapter = Callable[[TeamBatch, TeamCredit], Sequence[float]]
"""Returns the advantage [N] with which the trainer trains each row of the batch."""

KERNEL = 1e-6
"""The largest difference from the kernel, relative to advantages above 1: float32 rounds so far."""
SCHEMES = (
    "agent_wise", "grpo_rows", "agent_wise,weighting=trajectory", "grpo", "mappo_per_agent",
    "mappo_pooled", "rank", "group_reward_decoupled",
)  # fmt: skip
"""Schemes that every adapter serves or refuses; the last one has running statistics. Three count a
rollout once, however many rows a trainer made of it."""
IMPORT_SECONDS = 120.0
"""The time that the import of a module may take in a new Python."""


def check_adapter(
    adapter: Adapter,
    *,
    module: str = "",
    peers: Sequence[str] = (),
    cannot: Mapping[str, str] | None = None,
    refuses: Collection[str] = (),
) -> None:
    """Checks every promise of an adapter.

    Args:
        adapter: a function of a batch and a `TeamCredit`, as above.
        module: the module of the adapter; an empty text skips the check of its import.
        peers: top-level packages of the trainer, such as `trl`; the module must import without.
        cannot: what the rows of this trainer cannot have, as a name of `FEATURES` and the reason.
            Situations are made without it.
        refuses: names out of `SCHEMES` that the adapter refuses, since it cannot serve them.

    Raises:
        ConformanceError: The first broken promise.
        SettingError: a feature or a scheme is unknown.
    """
    lacking = dict(cannot or {})
    for name in lacking:
        if name not in FEATURES:
            raise SettingError(f"got a feature {name!r}{choices(name, FEATURES)}")
    for name in refuses:
        if name not in SCHEMES:
            raise SettingError(f"got a scheme {name!r}{choices(name, SCHEMES)}")
    if module:
        check_import(module, peers)
    has = frozenset(FEATURES) - set(lacking)
    suite = _Suite(adapter, has, frozenset(refuses))
    for situation in situations(has):
        suite.check_kernel(situation)
    suite.check_order()
    suite.check_refusals()
    if "memory" in has:
        suite.check_memory()


def check_import(module: str, peers: Sequence[str]) -> None:
    """Checks that a module imports in a new Python in which its trainer cannot be imported."""
    script = (
        "import importlib.abc, sys\n"
        "class Absent(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {tuple(peers)!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        f"import {module}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        encoding="utf-8",
        timeout=IMPORT_SECONDS,
        check=False,
    )
    last = (done.stderr.strip().splitlines() or [""])[-1]
    demand(done.returncode == 0, f"{last} from importing {module}", "an import without its trainer")


@dataclass(frozen=True)
class _Suite:
    """The checks of one adapter."""

    adapter: Adapter
    has: frozenset[str]
    """Features that rows of the trainer can have."""
    refused: frozenset[str]
    """Schemes that the adapter must refuse."""

    @property
    def served(self) -> list[str]:
        """Returns the schemes without memory that the adapter serves."""
        return [
            name for name in SCHEMES
            if name not in self.refused and not scheme_named(name).keeps_state
        ]  # fmt: skip

    def check_kernel(self, situation: Situation) -> None:
        """Checks that a situation has the kernel's advantages under every scheme."""
        schemes = [scheme_named(name) for name in (*self.served, *situation.schemes)]
        if situation.roles:
            schemes += self.joint_schemes()
        for scheme in schemes:
            for name, batch in situation.batches.items():
                what = f"'{name}' under {scheme_name(scheme)}"
                credit = silent(scheme)
                values = self.of(batch, credit, what)
                _demand_equal(values, kernel(batch, scheme)[0], what)
                if situation.all_zero:
                    demand(not values.any(), f"{values} from {what}", "advantages of exactly 0")
                _demand_counts(credit, batch, what)

    def joint_schemes(self) -> list[AnyScheme]:
        """Returns schemes made of several schemes that the adapter serves."""
        plain = [scheme for name in self.served for scheme in plain_schemes(scheme_named(name))]
        first, second = plain[0], plain[min(1, len(plain) - 1)]
        other = replace(second, floor=2.0) if isinstance(second, Scheme) else second
        return [Mix(((1.0, first), (0.5, other))), PerRole((("lead", other),), default=first)]

    def check_order(self) -> None:
        """Checks that the order of rows, agents and groups changes no advantage."""
        ordinary = next(iter(situations(self.has))).batches
        for name, batch in ordinary.items():
            for scheme in self.served:
                plain = self.of(batch, silent(scheme), f"'{name}' under {scheme}")
                for way, order in batch.orders().items():
                    what = f"'{name}' under {scheme} with {way}"
                    values = self.of(batch.taken(order), silent(scheme), what)
                    _demand_equal(values, plain[order], what)

    def check_refusals(self) -> None:
        """Checks that invalid rows are refused, and what the messages say."""
        batch = next(iter(next(iter(situations(self.has))).batches.values()))
        for name in sorted(self.refused):
            self.refuses(batch, silent(name), f"the scheme {name}")
        infinite = list(batch.rewards)
        infinite[-1] = math.inf
        scheme = self.served[0]
        self.refuses(replace(batch, rewards=infinite), silent(scheme), "an infinite reward")
        if "names" in self.has and scheme_named(scheme).groups_by_agent:
            nameless = replace(batch, agent=None, role=None)
            self.refuses(nameless, silent(scheme), f"rows without an agent under {scheme}")

    def refuses(self, batch: TeamBatch, credit: TeamCredit, what: str) -> None:
        """Checks that the adapter raises one of our errors, whose message has both halves."""
        message = ""
        with attempt(what, "one of Counterpoint's errors", (CounterpointError,)):
            try:
                self.adapter(batch, credit)
            except CounterpointError as error:
                message = str(error)
        demand(bool(message), f"advantages from {what}", "a refusal")
        complete = "got" in message and "wanted" in message
        demand(complete, f"the message {message!r}", "one that says what it got and wanted")

    def check_memory(self) -> None:
        """Checks running statistics over several steps, and that a checkpoint changes no bit."""
        scheme = SCHEMES[-1]
        if scheme in self.refused:
            return
        whole, first = silent(scheme), silent(scheme)
        known: RunningState | None = None
        for step, batch in enumerate(steps(self.has)):
            what = f"step {step} under {scheme}"
            values = self.of(batch, whole, what)
            fresh = kernel(batch, scheme)[0]
            wanted, known = kernel(batch, scheme, known)
            _demand_equal(values, wanted, what, fresh)
            if step == 2:  # the state of two steps goes through a checkpoint
                saved, first = json.loads(json.dumps(first.state_dict())), silent(scheme)
                first.load_state_dict(saved)
            again = self.of(batch, first, what)
            same = np.array_equal(again, values)
            demand(same, f"{again} after a checkpoint", f"every bit of {values}")
        count = len(steps(self.has))
        demand(
            whole.updates == count,
            f"{whole.updates} updates of the statistics in {count} steps",
            "one a step, with all rows of the step",
        )

    def of(self, batch: TeamBatch, credit: TeamCredit, what: str) -> Floats:
        """Returns the adapter's advantages [N]."""
        with attempt(what, "advantages"):
            values = np.asarray([float(value) for value in self.adapter(batch, credit)])
        count = f"{len(values)} advantages for {len(batch)} rows from {what}"
        demand(len(values) == len(batch), count, "one for each row")
        return values


def silent(scheme: str | AnyScheme) -> TeamCredit:
    """Returns a `TeamCredit` that neither diagnoses nor warns."""
    return TeamCredit(scheme, check_every=0, warn=lambda text: None)


def kernel(
    batch: TeamBatch, scheme: str | AnyScheme, state: RunningState | None = None
) -> tuple[Floats, RunningState | None]:
    """Returns the kernel's advantages [N] of a batch, and the state after them."""
    resolved = scheme_named(scheme) if isinstance(scheme, str) else scheme
    credit = advantages(batch.rewards, batch.labels(), resolved, state=state)
    return np.asarray(credit.values, dtype=np.float64), credit.state


def steps(has: frozenset[str]) -> list[TeamBatch]:
    """Returns the batches of several steps, whose rewards differ."""
    first = next(iter(next(iter(situations(has))).batches.values()))
    return [first.shifted(step) for step in range(4)]


def _demand_equal(values: Floats, wanted: Floats, what: str, fresh: Floats | None = None) -> None:
    """Checks that advantages are those that are wanted, up to rounding in float32.

    Args:
        values: [N] the adapter's.
        wanted: [N] the kernel's.
        what: the situation and the scheme.
        fresh: [N] the kernel's without the statistics of earlier steps, if there were any.
    """
    bad = ~_close(values, wanted)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        demand(
            False,
            f"the advantage {values[row]:.9g} of row {row}, and {int(bad.sum())} of {len(bad)} "
            f"rows that differ, from {what}",
            f"{wanted[row]:.9g}, the kernel's{_pattern(values, wanted, fresh)}",
        )


def _close(values: Floats, wanted: Floats) -> Bools:
    """Returns [N] whether advantages are equal up to rounding in float32."""
    close: Bools = np.abs(values - wanted) / np.maximum(1.0, np.abs(wanted)) <= KERNEL
    return close


def _pattern(values: Floats, wanted: Floats, fresh: Floats | None) -> str:
    """Returns what wrong advantages have in common, which tells the likely mistake, or nothing."""
    if not np.isfinite(values).all():
        return ": some are NaN or infinite"
    if fresh is not None and _close(values, fresh).all():
        return ": those of a first step, as if the running statistics were lost between the steps"
    if len(values) > 1 and _close(np.sort(values), np.sort(wanted)).all():
        return ": the same numbers in another order, as if the rows were mixed up"
    if len(values) > 1 and not values.any():
        return ": all advantages are 0"
    shift, power = float(np.mean(values - wanted)), float(wanted @ wanted)
    if _close(values, wanted + shift).all():
        return f": all differ by {shift:.6g}, as if a mean were subtracted again"
    factor = float(values @ wanted) / power if power else 0.0
    if factor and _close(values, factor * wanted).all():
        again = "divided again" if factor > 0 else "taken for losses"
        return f": all are {factor:.6g} times as large, as if they were {again}"
    return ""


def _demand_counts(credit: TeamCredit, batch: TeamBatch, what: str) -> None:
    """Checks that every row was counted once; an adapter may keep several `TeamCredit`s."""
    if not credit.updates:
        return
    rows, out = credit.total.rows, credit.total.left_out
    parts = len(plain_schemes(credit.scheme)) if isinstance(credit.scheme, Mix) else 1
    demand(rows == len(batch), f"{rows} counted rows in {what}", f"the {len(batch)} of the batch")
    lost = sum(all(value is None for value in _row(reward)) for reward in batch.rewards)
    by_row = any(part.rollout_reward == "mean" for part in plain_schemes(credit.scheme))
    if by_row and parts == 1:
        demand(out == lost, f"{out} rows counted as left out in {what}", f"the {lost} without one")


def _row(reward: object) -> Sequence[object]:
    """Returns the components of a row's reward."""
    return reward if isinstance(reward, list | tuple) else (reward,)
