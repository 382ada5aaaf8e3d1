"""Schemes made of schemes: `Mix` adds several up, `PerRole` gives each role its own.

`advantages` takes them wherever it takes a `Scheme`. Episode and step advantages of one rollout
(GiGPO), outcome and turn advantages (MT-GRPO) are mixes; a planner that is normalized in another
way than its workers is a scheme for each role.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_, or_
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Array, Columns, Ints
from counterpoint.credit.memory import JointState, RunningState
from counterpoint.credit.result import Credit, Tally
from counterpoint.credit.scheme import Scheme
from counterpoint.credit.segments import arrays_of, is_traced
from counterpoint.errors import LabelError, SchemeError, StateError


@dataclass(frozen=True)
class Mix:
    """A weighted sum of schemes: the advantage of a row is `sum of w_i A_i`.

    With one part of weight 1 it is that scheme. Edge cases are counted in each part; rows are
    counted once.

    Raises:
        SchemeError: no part, or a part that is no pair of a finite weight and a scheme.
    """

    parts: tuple[tuple[float, Scheme], ...]
    """Pairs of weight and scheme."""

    def __post_init__(self) -> None:
        try:
            parts = tuple((float(weight), scheme) for weight, scheme in self.parts)
        except (TypeError, ValueError, OverflowError) as error:
            raise SchemeError(f"got parts={self.parts!r}; wanted pairs (weight, Scheme)") from error
        if not parts or not all(np.isfinite(w) and isinstance(s, Scheme) for w, s in parts):
            raise SchemeError(
                f"got parts={self.parts!r}; wanted at least one pair (finite weight, Scheme)"
            )
        object.__setattr__(self, "parts", parts)

    @property
    def schemes(self) -> tuple[Scheme, ...]:
        """Returns the schemes of the parts, in order."""
        return tuple(scheme for _, scheme in self.parts)

    @property
    def keeps_state(self) -> bool:
        """Returns whether statistics of some part live longer than one call."""
        return any(scheme.keeps_state for scheme in self.schemes)

    @property
    def groups_by_agent(self) -> bool:
        """Returns whether some part has statistics for each agent (or role)."""
        return any(scheme.groups_by_agent for scheme in self.schemes)

    def decoupled(self) -> Mix:
        """Returns the same mix with per-agent statistics in every part."""
        return self.each(Scheme.decoupled)

    def coupled(self) -> Mix:
        """Returns the same mix with statistics that all agents share in every part."""
        return self.each(Scheme.coupled)

    def each(self, change: Callable[[Scheme], Scheme]) -> Mix:
        """Returns a mix in which every scheme is changed by `change`."""
        return Mix(tuple((weight, change(scheme)) for weight, scheme in self.parts))


@dataclass(frozen=True)
class PerRole:
    """A scheme for each role: the rows of a role share statistics among themselves alone.

    Every role is normalized as if the others were not there. `role` defaults to the agent, so that
    the keys may be agents' names.

    Raises:
        SchemeError: neither a role nor a default, a role twice, or something that is no scheme.
    """

    schemes: tuple[tuple[Any, Scheme], ...] = ()
    """Pairs of role and scheme; a mapping is taken too."""
    default: Scheme | None = None
    """The scheme of every other role; None makes another role an error."""

    def __post_init__(self) -> None:
        pairs = self.schemes.items() if isinstance(self.schemes, Mapping) else self.schemes
        try:
            pairs = tuple((role, scheme) for role, scheme in pairs)
        except (TypeError, ValueError) as error:
            raise SchemeError(f"got schemes={self.schemes!r}; wanted role to Scheme") from error
        given = [*(scheme for _, scheme in pairs), *([self.default] if self.default else [])]
        if not given or not all(isinstance(scheme, Scheme) for scheme in given):
            raise SchemeError(
                f"got schemes={self.schemes!r} and default={self.default!r}; wanted a Scheme for "
                "at least one role"
            )
        if len({role for role, _ in pairs}) < len(pairs):
            raise SchemeError(f"got roles {[role for role, _ in pairs]}; wanted each of them once")
        object.__setattr__(self, "schemes", pairs)

    @property
    def keeps_state(self) -> bool:
        """Returns whether statistics of some role live longer than one call."""
        return any(scheme.keeps_state for scheme in plain_schemes(self))

    @property
    def groups_by_agent(self) -> bool:
        """Returns whether agents have statistics of their own: roles do, always."""
        return True

    def decoupled(self) -> PerRole:
        """Returns the same with per-agent statistics within every role."""
        return self.each(Scheme.decoupled)

    def coupled(self) -> PerRole:
        """Returns the same with statistics that all agents of a role share."""
        return self.each(Scheme.coupled)

    def of(self, role: Any) -> Scheme:
        """Returns the scheme of a role.

        Raises:
            SchemeError: there is none, and no default.
        """
        scheme: Scheme | None = dict(self.schemes).get(role, self.default)
        if scheme is None:
            known = ", ".join(repr(name) for name, _ in self.schemes)
            raise SchemeError(f"got role {role!r}; wanted one of {known}, or a default scheme")
        return scheme

    def each(self, change: Callable[[Scheme], Scheme]) -> PerRole:
        """Returns a `PerRole` in which every scheme is changed by `change`."""
        pairs = tuple((role, change(scheme)) for role, scheme in self.schemes)
        return replace(self, schemes=pairs, default=change(self.default) if self.default else None)


AnyScheme = Scheme | Mix | PerRole
"""Every kind of scheme that `advantages` accepts."""


def plain_schemes(scheme: AnyScheme) -> tuple[Scheme, ...]:
    """Returns the plain schemes that a scheme consists of; a `Scheme` consists of itself."""
    if isinstance(scheme, Mix):
        return tuple(part for _, part in scheme.parts)
    if isinstance(scheme, PerRole):
        others = () if scheme.default is None else (scheme.default,)
        return (*(part for _, part in scheme.schemes), *others)
    return (scheme,)


class Computed(NamedTuple):
    """The credit of one `Scheme`, and what a mix must know of the rows."""

    credit: Credit
    used: Array | None
    """[N] rows of which some component counts; None = all."""
    incomplete: Array | None
    """[N] rows of which a component that has a weight is missing; None = none."""


def mixed(
    rewards: Array,
    labels: Columns,
    mix: Mix,
    state: RunningState | None,
    compute: Callable[..., Computed],
) -> Credit:
    """Returns the credit of a mix; see `advantages`."""
    old = _joint(state)
    parts = [compute(rewards, labels, scheme, old.of(i)) for i, scheme in enumerate(mix.schemes)]
    answers = [part.credit for part in parts]
    values = sum(weight * credit.values for (weight, _), credit in zip(mix.parts, answers,
                 strict=True))  # fmt: skip
    incomplete = [part.incomplete for part in parts if part.incomplete is not None]
    unused = [~part.used for part in parts if part.used is not None]
    left_out = reduce(and_, unused) if len(unused) == len(parts) else None
    tally = replace(
        _summed([credit.tally for credit in answers]),
        rows=answers[0].tally.rows,
        missing=_count(reduce(or_, incomplete)) if incomplete else 0,
        left_out=0 if left_out is None else _count(left_out),
    )
    return Credit(values, old.after([(i, c.state) for i, c in enumerate(answers)]), tally)


def _count(mask: Array) -> Any:
    return arrays_of(mask).count(mask)


def by_role(
    rewards: Array,
    labels: Columns,
    per: PerRole,
    state: RunningState | None,
    compute: Callable[..., Credit],
) -> Credit:
    """Returns the credit of each role by its own scheme; see `advantages`."""
    old = _joint(state)
    roles, rows_of = _roles(labels)
    plain = rewards if hasattr(rewards, "shape") else np.asarray(rewards, dtype=object)
    columns = {name: _column(column) for name, column in labels.items()}
    pieces, states, tallies = [], [], []
    for role in roles:
        rows = rows_of[role]
        part = plain[arrays_of(plain).beside(rows)]
        chosen = {name: column[rows] for name, column in columns.items()}
        credit = compute(part, chosen, per.of(role), state=old.of(role))
        pieces.append((rows, credit.values))
        states.append((role, credit.state))
        tallies.append(credit.tally)
    if not pieces:  # no row, thus no role: running statistics stay as they are
        empty = compute(rewards, labels, per.default or per.schemes[0][1])
        return replace(empty, state=old.after([]))
    values = _scattered(pieces, plain)
    return Credit(values, old.after(states), _summed(tallies))


def _roles(labels: Columns) -> tuple[list[Any], dict[Any, Ints]]:
    """Returns the roles in order of appearance, and the rows of each."""
    given = labels.get("role", labels.get("agent"))
    if given is None or is_traced(given):
        raise LabelError(
            f"got labels {sorted(labels)}; wanted labels['role'] (or 'agent') as known values, one "
            "for each row: PerRole has a scheme for each role"
        )
    places: dict[Any, list[int]] = {}
    for row, role in enumerate(_column(given).tolist()):
        places.setdefault(role, []).append(row)
    return list(places), {role: np.asarray(rows) for role, rows in places.items()}


def _column(column: Array) -> NDArray[Any]:
    if hasattr(column, "detach"):
        column = column.detach().cpu()
    if isinstance(column, list | tuple):
        out = np.empty(len(column), dtype=object)
        out[:] = column
        return out
    return np.asarray(column)


def _scattered(pieces: Sequence[tuple[Ints, Array]], like: Array) -> Array:
    """Returns the pieces' values in the order of the batch, in their kind of array."""
    order = np.argsort(np.concatenate([rows for rows, _ in pieces]), kind="stable")
    library, first = arrays_of(like).name, pieces[0][1]
    if library == "torch":
        import torch

        return torch.cat([values for _, values in pieces])[
            torch.as_tensor(order, device=first.device)
        ]
    if library == "jax":
        import jax.numpy as jnp

        return jnp.concatenate([values for _, values in pieces])[order]
    return np.concatenate([values for _, values in pieces])[order]


def _joint(state: RunningState | None) -> JointState:
    if not isinstance(state, JointState | None):
        raise StateError(
            f"got state of type {type(state).__name__} for a scheme made of schemes; wanted the "
            "JointState that it returned, or None"
        )
    return state or JointState(())


def _summed(tallies: Sequence[Tally]) -> Tally:
    total = tallies[0]
    for tally in tallies[1:]:
        total += tally
    return total
