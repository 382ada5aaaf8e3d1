"""What pooled or per-agent statistics would have made of a batch, in worlds without prompts.

Both only multiply an agent's advantages by a number and add another: `a A + b`. So the gradient
under them is `a` times the measured one plus `b` times the gradient of log pi alone, and one more
backward pass gives the noise of all. The expected gradient is only multiplied by `a`, since `b` is
a baseline. So the kept share of the signal needs no estimate of the signal itself, which single
batches of networks do not show. Start with `affine_evidence`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from counterpoint.arrays import Floats, Ints
from counterpoint.diagnose.evidence import Evidence, bonus_noise, competing_noise

EXACT = 1e-6
"""A scheme is affine for an agent where it leaves less than this share of variance unexplained."""


def affine_evidence(
    micro: Floats,
    plain: Floats,
    advantages: Sequence[Floats],
    given: Sequence[Floats] | None,
    together: Sequence[Sequence[int]],
    entropy: float,
) -> Evidence:
    """Returns the evidence [V, A] of one batch under the scheme, pooled, and per-agent statistics.

    Args:
        micro: [M, A, D] gradients of micro-batches under the scheme.
        plain: [M, A, D] those of log pi with every advantage 1.
        advantages: [A][n] of each agent's decisions.
        given: [A][n] what the scheme was given for them; None where that is no advantage.
        together: the agents of each parameter set.
        entropy: weight of the entropy bonus.
    """
    a, b = affine_candidates(advantages, advantages if given is None else given)
    noise = _form(a, b, _covariances(micro, plain))
    power = _form(a, b, _products(micro, plain))
    mean = np.array([x.mean() if x.size else 0.0 for x in advantages])
    mean_square = np.array([(x**2).mean() if x.size else 0.0 for x in advantages])
    square = a**2 * mean_square + 2 * a * b * mean + b**2
    competing = np.array(noise)
    for members in together:
        competing[:, list(members)] = competing_noise(noise[:, list(members)], len(members) > 1)
    alive = mean_square > 0
    return Evidence(
        a**2 * alive, noise, competing + bonus_noise(noise, square, entropy), power, known=True
    )


def affine_candidates(
    advantages: Sequence[Floats], given: Sequence[Floats]
) -> tuple[Floats, Floats]:
    """Returns the factor and the offset of each agent's advantages under each candidate, [V, A]
    each.

    Statistics are of what was given. Where the scheme is not affine for an agent (ranks, or a sum
    of normalized components), they are of its advantages.
    """
    agents = len(advantages)
    raw = [y if _affine(x, y) else x for x, y in zip(advantages, given, strict=True)]
    pool = np.concatenate(raw) if agents else np.zeros(0)
    mean, deviation = (pool.mean(), pool.std()) if pool.size else (0.0, 0.0)
    a, b = np.zeros((2, 3, agents))
    a[0] = 1.0
    for k, (x, y) in enumerate(zip(advantages, raw, strict=True)):
        if not x.size or x.std() == 0:
            continue
        slope = y.std() / x.std()  # given per advantage
        a[2, k], b[2, k] = 1 / x.std(), -x.mean() / x.std()
        if deviation > 0:
            a[1, k] = slope / deviation
            b[1, k] = (y.mean() - slope * x.mean() - mean) / deviation
    return a, b


def split_by_agent(values: Floats, agent: Ints, agents: int) -> list[Floats]:
    """Returns the rows of each agent, [A][n]."""
    return [values[agent == k] for k in range(agents)]


def _affine(x: Floats, y: Floats) -> bool:
    """Returns whether advantages `x` are `y` times a positive number plus another, in any order."""
    if x.size != y.size or x.size < 2 or x.std() == 0 or y.std() == 0:
        return False
    return float(np.corrcoef(np.sort(x), np.sort(y))[0, 1]) ** 2 > 1 - EXACT


def _form(a: Floats, b: Floats, parts: tuple[Floats, Floats, Floats]) -> Floats:
    """Returns [V, A], the form `a^2 xx + 2 a b xy + b^2 yy`."""
    xx, xy, yy = parts
    return np.asarray(a**2 * xx + 2 * a * b * xy + b**2 * yy)


def _sums(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    each = np.einsum("mad,mad->a", x, y)
    return each, np.einsum("ad,ad->a", x.sum(axis=0), y.sum(axis=0))


def _covariances(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Returns traces of the sample covariances of x with x, x with y, and y with y, [A] each."""
    count = len(x)
    pairs = (_sums(x, x), _sums(x, y), _sums(y, y))
    # sum_m |x_m - mean|^2 = sum_m |x_m|^2 - |sum_m x_m|^2 / M
    xx, xy, yy = ((each - whole / count) / (count - 1) for each, whole in pairs)
    return xx, xy, yy


def _products(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Returns M times the mean inner product of different micro-batches, [A] each."""
    count = len(x)
    pairs = (_sums(x, x), _sums(x, y), _sums(y, y))
    # |sum_m x_m|^2 without the squares of each: only pairs of different micro-batches are left
    xx, xy, yy = ((whole - each) / (count - 1) for each, whole in pairs)
    return xx, xy, yy
