"""Tests whether an agent's gradient differs from 0, by signal and noise of micro-batches.

Start at `gradient_statistics`. Write g_m for the gradient of micro-batch m of M, `mu` for its
expectation and `Sigma` for its covariance. Everything follows from one ratio,

    F = M |mean_m g_m|^2 / (trace of the sample covariance of the g_m),

whose expectation is about 1 + SNR, with SNR = M |mu|^2 / tr(Sigma): the power of the signal in
the whole batch's gradient over the power of its noise. The *half-batch cosine* is what is left
of the same ratio on a bounded scale: summed over all ways to split the M micro-batches into two
halves with mean gradients a and b,

    cosine = sum <a, b> / sum (|a|^2 + |b|^2) / 2 = (F - 1) / (F + 1) = SNR / (SNR + 2).

So the splits need no enumeration. The intervals come from flipping signs: where there is no
signal, a micro-batch's gradient is as likely as its negative, so F among all sign patterns is a
draw at random. `F / F_high - 1 <= SNR <= F / F_low - 1` with the 2.5% quantiles of the flipped F
includes 0 about 95% of the time under pure noise, for any spectrum and any tails (the calibration
table has the rates), and is on the safe side where there is signal.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats, Ints
from counterpoint.credit.segments import ratio
from counterpoint.errors import StatisticsError

FEWEST_MICRO_BATCHES = 7
"""With 6, the smallest probability of a sign pattern is 1/32 > 2.5%: nothing is significant."""

ENUMERATED_MICRO_BATCHES = 10
"""Up to here all 2^(M-1) sign patterns are taken; above, `DRAWN_PATTERNS` of them."""

DRAWN_PATTERNS = 512
"""Sign patterns above `ENUMERATED_MICRO_BATCHES`: the same ones in every call."""

TAIL = 0.025
"""Probability left out at either end of an interval."""

RESOLUTION = 8 * float(np.finfo(np.float64).eps)
"""Noise below this share of the signal is rounding: SNR ends at about M / RESOLUTION."""


@dataclass(frozen=True)
class GradientStatistics:
    """What the micro-batches say of each agent's gradient; all are finite if intervals were."""

    snr: Floats
    """[..., A] power of the signal over power of the noise in the batch's gradient. Unbiased to
    first order, so small values scatter around 0 and may be negative."""
    snr_low: Floats
    """[..., A] lower end of its 95% interval, at least -1."""
    snr_high: Floats
    """[..., A] upper end of its 95% interval."""
    cosine: Floats
    """[..., A] cosine between the gradients of two half batches, over all splits."""
    cosine_low: Floats
    """[..., A] lower end of its 95% interval; at or below 0, it is indistinguishable from 0."""
    cosine_high: Floats
    """[..., A] upper end of its 95% interval."""
    share: Floats
    """[..., A] the agent's part of the sum of squared gradient norms; 0 for all if all are 0."""
    norm: Floats
    """[..., A] length of the batch's gradient, the mean over micro-batches."""
    participation_ratio: Floats
    """[...] `(sum_k |g_k|^2)^2 / sum_k |g_k|^4`: how many agents carry the gradient, 0 to A."""
    effective_rank: Floats
    """[...] exp of the entropy of the singular values of the [A, D] gradient matrix, 0 to A."""


def gradient_statistics(gradients: NDArray[Any], *, intervals: bool = True) -> GradientStatistics:
    """Returns signal-to-noise ratio, half-batch cosine, share and norm of each agent's gradient.

    A gradient that is zero in every micro-batch has SNR and cosine 0 with the widest interval
    ([-1, 1] for the cosine); if all agents' are, shares, participation ratio and rank are 0.

    Args:
        gradients: [..., M, A, D] gradient of each of M >= 7 equal micro-batches, for each of A
            agents, in D parameters. Leading axes are independent.
        intervals: whether to flip signs for intervals, which is most of the cost; NaN without.

    Returns:
        Statistics of shape [..., A], and [...] for those of the whole team.

    Raises:
        StatisticsError: fewer than three axes, fewer than 7 micro-batches, or a gradient that is
            not finite.

    Source:
        effective rank: Roy & Vetterli, "The effective rank", EUSIPCO 2007, with p_i the singular
        values over their sum; the sign-flip interval is ours.
    """
    checked = _checked(gradients)
    by_agent = np.ascontiguousarray(np.moveaxis(checked, -2, -3))  # [..., A, M, D]
    mean = by_agent.mean(axis=-2)
    if intervals:
        snr, low, high = _signal_to_noise(by_agent @ np.swapaxes(by_agent, -1, -2))
    else:
        snr = _plain_ratio(by_agent, mean)
        low = high = np.full(snr.shape, np.nan)
    gram = mean @ np.swapaxes(mean, -1, -2)
    power = np.einsum("...kk->...k", gram)
    total = power.sum(axis=-1)
    return GradientStatistics(
        snr=snr,
        snr_low=low,
        snr_high=high,
        cosine=snr / (snr + 2.0),
        cosine_low=low / (low + 2.0),
        cosine_high=high / (high + 2.0),
        share=ratio(power, total[..., None], 0.0),
        norm=np.sqrt(power),
        participation_ratio=ratio(total, ratio((power**2).sum(axis=-1), total, 0.0), 0.0),
        # Singular values of the [A, D] matrix are roots of the eigenvalues of its [A, A] products.
        effective_rank=rank_of_orthogonal(np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0.0))),
    )


def _checked(gradients: NDArray[Any]) -> Floats:
    """Returns gradients [..., M, A, D] as floats."""
    values = np.asarray(gradients, dtype=np.float64)
    if values.ndim < 3 or 0 in values.shape:
        raise StatisticsError(
            f"got gradients of shape {values.shape}; wanted [..., M, A, D]: micro-batches, agents, "
            "parameters"
        )
    if values.shape[-3] < FEWEST_MICRO_BATCHES:
        raise StatisticsError(
            f"got {values.shape[-3]} micro-batches; wanted at least {FEWEST_MICRO_BATCHES}: fewer "
            "cannot tell a gradient from zero at 95%; split the batch further"
        )
    if not np.isfinite(values).all():
        raise StatisticsError(
            "got gradients that are not finite; wanted finite ones: look for a division by a "
            "standard deviation or probability of zero in the update before"
        )
    return values


def _signal_to_noise(gram: Floats) -> tuple[Floats, ...]:
    """Returns SNR and its interval, each [...], from inner products [..., M, M]."""
    count = gram.shape[-1]
    signs, first, second = _sign_patterns(count)
    size = np.einsum("...mm->...", gram)[..., None] / count
    cross = gram[..., first, second] @ signs / len(first)  # [..., patterns], pattern 0 is as drawn
    noise = np.maximum(size - cross, RESOLUTION * size)
    f = np.divide(size + (count - 1) * cross, noise, out=np.ones_like(noise), where=noise > 0)
    f = np.maximum(f, 0.0)
    # Two order statistics are all that the interval needs, and a partition is faster than a sort.
    observed, tail = f[..., 0], int(TAIL * f.shape[-1])
    ordered = np.partition(f, (tail, f.shape[-1] - 1 - tail), axis=-1)
    low, high = ordered[..., tail], ordered[..., -1 - tail]
    empty = size[..., 0] == 0
    snr_low = np.where(empty, -1.0, observed / np.maximum(high, RESOLUTION) - 1.0)
    snr_high = np.where(empty, 1 / RESOLUTION, observed / np.maximum(low, RESOLUTION) - 1.0)
    return observed - 1.0, snr_low, np.minimum(snr_high, count / RESOLUTION)


def _plain_ratio(by_agent: Floats, mean: Floats) -> Floats:
    """Returns SNR [..., A] without interval, from gradients [..., A, M, D] and their means."""
    count = by_agent.shape[-2]
    size = np.einsum("...md,...md->...", by_agent, by_agent) / count
    # The squared length of the mean holds every product of two micro-batches, and the squares.
    cross = (count * np.einsum("...d,...d->...", mean, mean) - size) / (count - 1)
    noise = np.maximum(size - cross, RESOLUTION * size)
    f = np.divide(size + (count - 1) * cross, noise, out=np.ones_like(noise), where=noise > 0)
    return np.asarray(np.maximum(f, 0.0) - 1.0)


@cache
def _sign_patterns(count: int) -> tuple[Floats, Ints, Ints]:
    """Returns products of signs [pairs, patterns], all +1 in the first pattern, and the pairs."""
    if count <= ENUMERATED_MICRO_BATCHES:
        signs = np.array([(1, *rest) for rest in itertools.product((1, -1), repeat=count - 1)])
    else:
        # A fixed design, not chance: the interval of the same gradients is always the same.
        signs = np.random.default_rng(0).choice((1, -1), size=(DRAWN_PATTERNS, count))
        signs[0] = 1
    first, second = np.triu_indices(count, 1)
    return (signs[:, first] * signs[:, second]).T.astype(np.float64), first, second


def rank_of_orthogonal(norm: Floats) -> Floats:
    """Returns the effective rank [...] of gradients of these lengths [..., A] that are orthogonal.

    Gradients that share no parameter are; of others, take the singular values as lengths.
    """
    total = norm.sum(axis=-1, keepdims=True)
    share = norm / np.where(total > 0, total, 1.0)
    entropy = -(share * np.log(np.where(share > 0, share, 1.0))).sum(axis=-1)
    return np.where(total[..., 0] > 0, np.exp(entropy), 0.0)
