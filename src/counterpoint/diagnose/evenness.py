"""The share of a signal that loud prompts leave to quiet ones, corrected for chance.

An agent's prompts of one step meet in one update. Those whose advantages vary less than the step's
on average are quiet, and the noise of the others drowns them in part. But the variance of a few
rollouts differs by chance alone, and that is no loss. So the same number is computed after the
deviations of the step have been dealt out to its prompts, and averaged over many such deals. Start
at `evenness`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.credit.segments import ratio, segment_max
from counterpoint.diagnose.log import SAME, Ids

CROWDED = 50.0
"""A prompt whose advantages vary this many times less than the update's is drowned by the others:
the threshold of DROWNED."""

FEWEST_DEALS, MOST_DEALS = 2, 64
"""Limits on the number of deals. Their mean scatters less the more prompts there are, so that a
large log needs few."""

DEALT = 2**16
"""Samples that all deals together move, within these limits."""

CHUNK = 2**16
"""Samples that are moved at a time, which bounds the memory."""


def evenness(away: Floats, cell: Ids, step: Ids, agent: Ids, agents: int) -> tuple[Floats, Floats]:
    """Returns [A] the share of signal that loud prompts leave to quiet ones, and the share of
    decisions they drown.

    Write v for the variance of an agent's advantages in a prompt, V for its mean in the step, E for
    the mean over samples, and E' for the same after deals. The first is

        min(1, E min(1, v / V) / E' min(1, v / V)),

    and the second the share of samples with v / V <= 1 / `CROWDED`, less that of deals. With one
    prompt a step they are 1 and 0, without samples 0 and 0.

    A deal shuffles the deviations of each prompt, and the prompts. It takes one deviation of each
    prompt, then a second one of each, and fills one prompt after the other with them. So every
    prompt becomes as even a mix of all as their sizes allow. (Where all deviations change places
    freely, some prompts get more of the loud ones than others, and chance explains too much.)

    What is drawn depends on the deviations alone. Names of prompts, rollouts and agents change
    nothing, nor does the order of rows.

    Args:
        away: [M] deviation of each advantage from the mean of its cell.
        cell: [M] prompt, step and agent of each sample. A cell has at least two samples, and they
            differ.
        step: [M] index of the step of each sample.
        agent: [M] index of its agent, below `agents`.
        agents: A.

    Source: ours.
    """
    even, crowded = np.zeros(agents), np.zeros(agents)
    if not len(away):
        return even, crowded
    table = _Table.of(away, cell, step, agent)
    if len(table.moments) == len(table.n):  # one prompt a step: nothing changes places
        even[table.agent] = 1.0
        return even, crowded
    deals = int(np.clip(DEALT // len(away), FEWEST_DEALS, MOST_DEALS))
    left, drowned = table.quiet(table.var, table.n)
    by_chance, rarely = np.zeros_like(left), np.zeros_like(left)
    for values, n in table.dealt(deals):
        left_then, drowned_then = table.quiet(_variances(values, n), n)
        by_chance += left_then.sum(axis=0) / deals
        rarely += drowned_then.sum(axis=0) / deals
    even[table.agent] = np.minimum(1.0, ratio(left, by_chance, 0.0))
    crowded[table.agent] = np.maximum(drowned - rarely, 0.0)
    return even, crowded


@dataclass(frozen=True)
class _Table:
    """Cells by agent, step and content, and samples by cell and size, so that sums are of slices.

    A *moment* is one agent at one step.
    """

    n: Ids
    """[C] samples of each cell."""
    var: Floats
    """[C] unbiased variance of each cell."""
    moments: Ids
    """[W] first cell of each moment."""
    owners: Ids
    """[B] first cell of each agent."""
    agent: Ids
    """[B] the agent."""
    values: Floats
    """[M] the deviations."""
    cell_draw: Ids
    """[C] which random number each cell takes: by its step and place in the moment, so that equal
    agents take the same ones."""
    draw: Ids
    """[M] which random number each sample takes, likewise."""

    @classmethod
    def of(cls, away: Floats, cell: Ids, step: Ids, agent: Ids) -> _Table:
        """Returns the table of the arguments of `evenness`."""
        count = np.bincount(cell)
        its_step, its_agent = np.zeros_like(count), np.zeros_like(count)
        its_step[cell], its_agent[cell] = step, agent
        order = np.lexsort((its_step, its_agent))
        order = order[count[order] > 0]
        is_owner = np.diff(its_agent[order], prepend=-1) != 0
        is_first = is_owner | (np.diff(its_step[order], prepend=-1) != 0)
        moments, owners = np.flatnonzero(is_first), np.flatnonzero(is_owner)
        moment = np.zeros_like(count)  # of each cell
        moment[order] = np.cumsum(is_first) - 1
        rank = _ranks(away, moment[cell])
        # Cells of a moment stand in the order of a sum that only their deviations decide. Whole
        # numbers below 2^32 add up without rounding.
        code = np.random.default_rng(1).integers(2**32, size=int(rank.max()) + 1)
        content = np.bincount(cell, weights=code[rank].astype(np.float64))
        order = order[np.lexsort((content[order], moment[order]))]
        place = np.zeros_like(count)
        place[order] = np.arange(len(order))
        n, when = count[order], its_step[order][moments]
        return cls(
            n=n,
            var=np.bincount(cell, weights=away**2)[order] / (n - 1),
            moments=moments,
            owners=owners,
            agent=its_agent[order][owners],
            values=away[np.argsort(place[cell] * (int(rank.max()) + 1) + rank)],
            cell_draw=_by_step(np.diff(moments, append=len(n)), when),
            draw=_by_step(np.add.reduceat(n, moments), when),
        )

    def dealt(self, deals: int) -> Iterator[tuple[Floats, Ids]]:
        """Yields chunks of deals: deviations [K, M], cell by cell, and the cells' sizes [K, C]."""
        # Two streams, so that the size of a chunk makes no difference.
        of_prompts, of_samples = np.random.default_rng(0).spawn(2)
        cell = np.repeat(np.arange(len(self.n)), self.n)
        first = np.cumsum(self.n) - self.n
        moment = np.repeat(np.arange(len(self.moments)), np.diff(self.moments, append=len(self.n)))
        # Numbers the rounds of all moments: place in the cell, after the samples of former moments.
        turn = np.arange(len(cell)) - first[cell] + first[self.moments][moment][cell]
        size = max(1, CHUNK // len(cell))
        for start in range(0, deals, size):
            count = min(size, deals - start)
            prompts = of_prompts.random((count, int(self.cell_draw.max()) + 1))[:, self.cell_draw]
            samples = of_samples.random((count, int(self.draw.max()) + 1))[:, self.draw]
            shuffled = self.values[np.argsort(cell + samples, axis=1)]
            order = np.argsort(turn + prompts[:, cell], axis=1)
            sizes = self.n[np.argsort(moment + prompts, axis=1)]
            yield np.take_along_axis(shuffled, order, axis=1), sizes

    def quiet(self, var: Floats, n: Ids) -> tuple[Floats, Floats]:
        """Returns [..., B] the mean of min(1, variance of a cell / of its moment), and the share of
        samples that are drowned, from variances [..., C] of cells of sizes [..., C]."""
        cells = np.diff(self.moments, append=len(self.n))
        typical = _mean(self.var, self.n, self.moments)
        mean = _mean(var, n, self.moments)
        # Where nothing but rounding is left of all variances of a moment, they are equal.
        equal = np.repeat(mean <= SAME**2 * typical, cells, axis=-1)
        share = np.where(equal, 1.0, var / np.where(equal, 1.0, np.repeat(mean, cells, axis=-1)))
        left = _mean(np.minimum(1.0, share), n, self.owners)
        return left, _mean(share * CROWDED <= 1.0, n, self.owners)


def _mean(values: NDArray[Any], n: Ids, first: Ids) -> Floats:
    """Returns the means over samples of values [..., C] in the slices that start at `first`."""
    total = np.add.reduceat(n * values, first, axis=-1)
    return np.asarray(total / np.add.reduceat(n, first, axis=-1))


def _variances(values: Floats, n: Ids) -> Floats:
    """Returns [K, C] the unbiased variances of values [K, M] in cells of sizes [K, C]."""
    flat, sizes = values.ravel(), n.ravel()
    first = np.cumsum(sizes) - sizes
    away = flat - np.repeat(np.add.reduceat(flat, first) / sizes, sizes)
    return np.asarray(np.add.reduceat(away**2, first) / (sizes - 1)).reshape(n.shape)


def _ranks(away: Floats, moment: Ids) -> Ids:
    """Returns [M] the rank of each deviation in its moment; those equal up to rounding share it."""
    size = np.empty_like(moment)  # the place of each deviation among all
    size[np.argsort(away)] = np.arange(len(away))
    order = np.argsort(moment * len(away) + size)  # much faster than a sort by two keys
    value, ids = away[order], moment[order]
    gap = SAME * segment_max(abs(away), moment, int(moment.max()) + 1)[ids]
    is_first = np.diff(ids, prepend=-1) != 0
    number = np.cumsum(is_first | (np.diff(value, prepend=0.0) > gap))
    starts = np.flatnonzero(is_first)
    rank = np.empty_like(moment)
    rank[order] = number - np.repeat(number[starts], np.diff(starts, append=len(ids)))
    return rank


def _by_step(sizes: Ids, when: Ids) -> Ids:
    """Returns ids of the members of moments [W] of these sizes, at these steps: moments of one step
    share theirs, those of other steps do not."""
    longest = np.zeros(int(when.max()) + 1, dtype=np.int64)
    np.maximum.at(longest, when, sizes)
    start = (np.cumsum(longest) - longest)[when] - (np.cumsum(sizes) - sizes)
    return np.asarray(np.arange(int(sizes.sum())) + np.repeat(start, sizes))
