"""One row a rollout: the advantages of trajectory weighting from fewer rows.

Under trajectory weighting a rollout counts once in its prompt, with the mean of its rows. Where
groups are made of whole rollouts, that mean may as well be taken first: a team of eight that shares
one reward then has one row a rollout instead of eight.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from counterpoint.credit.labels import Labels
from counterpoint.credit.rewards import Column, Rewards
from counterpoint.credit.scheme import Scheme
from counterpoint.credit.segments import Array, Arrays


@dataclass(frozen=True)
class Rollouts:
    """The rollouts of a batch, to be taken for its rows."""

    labels: Labels
    """Labels [R] of the rollouts."""
    scheme: Scheme
    """The scheme for them: every one counts once, with its value."""
    arrays: Arrays
    rollout: Array
    """[N] rollout of each row."""
    first: Array
    """[R] first row of each rollout."""
    rows: Array
    """[R] how many rows each rollout has."""

    @classmethod
    def of(cls, read: Rewards, labels: Labels, scheme: Scheme) -> Rollouts | None:
        """The rollouts, or None where rows are needed.

        They are where a group can hold a part of a rollout, where rows or single components are
        missing (then each component has rollouts of its own), where the last pass counts rows, and
        where shapes must be known (inside `jax.jit`).
        """
        by = {*scheme.center_by, *(scheme.scale_by or ())}
        parts = bool(by - {"prompt"}) or scheme.weighting == "step"
        summed = scheme.components == "sum_first" and read.used is None
        whole = read.missing is None or summed
        apart = scheme.whiten_weighting not in (None, "trajectory")
        if parts or apart or not whole or labels.traced or read.arrays.traced:
            return None
        ids, first = labels.rollouts()
        told = {n: column[first] for n, column in labels.columns.items() if n != "agent"}
        fewer = Labels(told, len(first), read.arrays)
        a = read.arrays
        once = replace(scheme, weighting="step", whiten_weighting=None)
        rows = a.beside(np.bincount(ids, minlength=len(first)))
        return cls(fewer, once, a, a.beside(ids), a.beside(first), rows)

    def column(self, given: Column) -> Column:
        """[R] the mean of each rollout's rows, from one value a row.

        It is the first row's value plus the mean difference from it, kept apart: rewards of 1e8
        keep their digits.
        """
        a, n = self.arrays, self.labels.rows
        values = given.values[self.first]
        size = None if given.size is None else a.max(given.size, self.rollout, n)
        off = given.values - values[self.rollout]
        if not off.any():
            return Column(values, None, size, given.weight)
        rest = a.sum(off, self.rollout, n) / self.rows
        up, down = a.max(off, self.rollout, n) - rest, rest - a.min(off, self.rollout, n)
        span = a.xp.where(up > down, up, down)
        return Column(values, None, size, given.weight, rest, span)

    def spread(self, values: Array) -> Array:
        """[N] the value of each row's rollout, from one for each rollout [R]."""
        return values[self.rollout]
