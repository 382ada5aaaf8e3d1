"""Signal kept by a scheme in an agent's gradient, and the task noise that no scheme removes.

Every scheme makes advantages of the same rewards, and a gradient is linear in its advantages. So
the samples of one scheme's training also show the gradients that other statistics would have given:
pooled, per agent, per prompt, and per prompt and agent (`FAMILY`). Write SNR for the power of the
signal over the power of the noise in a batch's gradient of one agent. Then

    signal kept = SNR under the scheme / the best SNR in the family,
    task noise  = 1 / (1 + the best SNR in the family),

The first is a loss that other statistics would repair, the second one that none of them repairs.

One update says little: estimates of signal scatter around 0, and their ratio means nothing. So
both numbers divide sums over many updates, never updates. Start at `signal_kept` and
`task_noise`, which read the trainings of one scheme; `collapsed_updates` says when, by windows of
updates instead of whole trainings.

- *Signal* is the mean inner product of different micro-batches: without bias, often below 0.
- *Noise* is the agent's own, or, where agents share parameters or a step size, the mean of all
  agents' if that is more: loud agents' noise disturbs the parameters of the quiet one. An entropy
  bonus of weight b pulls as strongly as the noise of advantages of size 10 b would (`bonus_noise`).
- *The best* of several noisy estimates is too good. So the updates are dealt into two halves: what
  one half shows to be better than the scheme (Student's test) is evaluated in the other. Where
  nothing is, the scheme is the best itself and keeps everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.diagnose.evidence import Evidence
from counterpoint.errors import StatisticsError
from counterpoint.stats.estimate import interquartile_means

LOW = 0.25
"""A scheme that keeps less than this of an agent's signal collapses it: four times the rollouts
would be needed for what other statistics give."""
FEWEST = 6
"""Fewer updates than this give no number."""
WIDE = 0.75
"""A share whose interval is wider than this says nothing, and is not given."""
WORTH = 0.2
"""Where the best SNR of a window is below this, a window shows too little signal to say what a
scheme destroyed of it; a whole training may."""
WINDOW = 10
"""Measured updates that are judged together."""
RESAMPLES = 2000
TAIL = 0.025


@dataclass(frozen=True)
class ShareInterval:
    """A number in [0, 1] with a 95% interval; NaN where it is unknown."""

    value: Floats
    low: Floats
    high: Floats

    @property
    def first(self) -> ShareInterval:
        """Returns the numbers of the first training alone."""
        return ShareInterval(self.value[0], self.low[0], self.high[0])


def signal_kept(evidence: Evidence, improvable: Bools) -> ShareInterval:
    """Returns the share of each agent's signal that a scheme keeps, [A], over S trainings.

    Several trainings: the interquartile mean of the scheme's SNR over that of the best candidate,
    which is one for all trainings, with a bootstrap over trainings. One: see `kept_in_each`.

    Args:
        evidence: [S, T, V, A].
        improvable: [S, T, A] whether the agent could still improve; other updates are left out.
    """
    if len(evidence.signal) == 1:
        return kept_in_each(evidence, improvable).first
    ours, best, _ = (_mean(x) for x in _compared(evidence, improvable, together=True))
    out = np.full((3, ours.shape[-1]), np.nan)
    for k in range(ours.shape[-1]):
        known = np.isfinite(ours[:, k]) & np.isfinite(best[:, k])
        if known.sum() < 2:
            continue
        x, y = ours[known, k], best[known, k]
        draws = _draws(len(x))
        over, under = interquartile_means(x[draws]), interquartile_means(y[draws])
        if np.quantile(under, TAIL) > 0:  # else the best shows no signal, and no ratio is known
            ratios = over / np.maximum(under, np.finfo(np.float64).tiny)
            value = interquartile_means(x) / interquartile_means(y)
            out[:, k] = np.clip([value, *np.quantile(ratios, (TAIL, 1 - TAIL))], 0.0, 1.0)
    return _narrow(*out)


def task_noise(evidence: Evidence, improvable: Bools) -> ShareInterval:
    """Returns the noise under the best candidate as a share of the gradient's power, [A].

    Args: as for `signal_kept`.
    """
    if len(evidence.signal) == 1:
        return noise_in_each(evidence, improvable).first
    _, _, clear = _compared(evidence, improvable, together=True)
    per_training = _mean(clear)
    out = np.full((3, per_training.shape[-1]), np.nan)
    for k, values in enumerate(per_training.T):
        known = values[np.isfinite(values)]
        if len(known) >= 2:
            drawn = interquartile_means(known[_draws(len(known))])
            out[:, k] = interquartile_means(known), *np.quantile(drawn, (TAIL, 1 - TAIL))
    return _noise_share(*out)


def kept_in_each(evidence: Evidence, improvable: Bools) -> ShareInterval:
    """Returns the signal kept in each training alone, [..., A].

    The interval is Fieller's: all shares `k` for which the mean over updates of (SNR under the
    scheme - k x best SNR) is not significant by Student's test. Without two ends there is no
    number: the best candidate shows no signal either.

    Args:
        evidence: [..., T, V, A].
        improvable: [..., T, A].

    Source: Fieller 1954, Some problems in interval estimation; the two halves are ours.
    """
    ours, best, _ = _compared(evidence, improvable, together=False)
    n = np.isfinite(ours).sum(axis=-2)
    x, y = _mean(ours), _mean(best)
    dx, dy = ours - x[..., None, :], best - y[..., None, :]
    # Squaring the test gives a k^2 - 2 b k + c <= 0, which has two ends only where a > 0.
    reach = student(n - 1) ** 2 / np.maximum(n - 1, 1)
    a = y**2 - reach * _mean(dy**2)
    b = x * y - reach * _mean(dx * dy)
    c = x**2 - reach * _mean(dx**2)
    known = (n >= FEWEST) & (y > 0) & (a > 0)
    under = np.where(known, a, 1.0)
    root = np.sqrt(np.maximum(b**2 - a * c, 0.0))
    value, low, high = (
        np.where(known, np.clip(v, 0.0, 1.0), np.nan)
        for v in (x / np.where(known, y, 1.0), (b - root) / under, (b + root) / under)
    )
    return _narrow(value, low, high)


def noise_in_each(evidence: Evidence, improvable: Bools) -> ShareInterval:
    """Returns the task noise in each training alone, [..., A], with Student's interval."""
    _, _, clear = _compared(evidence, improvable, together=False)
    n = np.isfinite(clear).sum(axis=-2)
    mean = _mean(clear)
    deviation = np.sqrt(_mean((clear - mean[..., None, :]) ** 2))
    reach = student(n - 1) * deviation / np.sqrt(np.maximum(n - 1, 1))
    return _noise_share(mean, mean - reach, mean + reach)


def _compared(
    evidence: Evidence, improvable: Bools, together: bool
) -> tuple[Floats, Floats, Floats]:
    """Returns SNR [..., T, A] under the scheme, under the best, and of the best with its own noise
    alone; NaN where nothing was measured or the agent could not improve."""
    there = np.asarray(improvable, dtype=bool) & np.isfinite(evidence.signal[..., 0, :])
    use = np.broadcast_to(there[..., None, :], evidence.signal.shape)
    competing = np.where(use, evidence.signal / noise_level(evidence.competing, use), np.nan)
    best = best_candidate(competing, together)
    own = np.where(use, evidence.power / noise_level(evidence.noise, use), np.nan)
    return competing[..., 0, :], taken(competing, best), taken(own, best)


def noise_level(noise: Floats, use: Bools) -> Floats:
    """Returns [..., 1, V, A] the mean noise of the updates that are not dead; 1 where all are."""
    live = use & (noise > 0)
    count = live.sum(axis=-3, keepdims=True)
    total = np.where(live, noise, 0.0).sum(axis=-3, keepdims=True)
    return np.where(count > 0, total / np.maximum(count, 1), 1.0)


def best_candidate(snr: Floats, together: bool) -> Ints:
    """Returns [..., T, A] the candidate with the highest mean SNR over the *other* half of updates.

    Another candidate than the scheme is taken only where Student's test shows there that it is
    better: of several that are as good, one is always ahead by chance.

    Args:
        snr: [..., T, V, A].
        together: the first axis is trainings, which share one choice, made on the updates of all.
    """
    halves = np.arange(snr.shape[-3]) % 2  # dealt in turn: both halves see all of the training
    choice = np.zeros((*snr.shape[:-2], snr.shape[-1]), dtype=np.int64)
    for half in (0, 1):
        samples = np.moveaxis(snr[..., halves != half, :, :], -3, -1)  # [..., V, A, T / 2]
        if together:
            samples = np.concatenate(list(samples), axis=-1)[None]  # [1, V, A, S x T / 2]
        gain = samples - samples[..., :1, :, :]  # over the scheme that trains, candidate 0
        n = np.isfinite(gain).sum(axis=-1)
        mean = _mean(gain, axis=-1, fewest=2)
        square = _mean((gain - mean[..., None]) ** 2, axis=-1, fewest=2)
        ahead = mean > student(n - 1) * np.sqrt(square / np.maximum(n - 1, 1))
        mean = np.where(ahead & (n >= 2), mean, 0.0)
        choice[..., halves == half, :] = mean.argmax(axis=-2)[..., None, :]
    return choice


def taken(values: Floats, choice: Ints) -> Floats:
    """Returns [..., T, A] the values [..., T, V, A] of the chosen candidates."""
    return np.take_along_axis(values, choice[..., None, :], axis=-2)[..., 0, :]


def _mean(values: Floats, axis: int = -2, fewest: int = FEWEST // 2) -> Floats:
    """Returns the mean of what is known along `axis`; NaN where fewer than `fewest` are."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.where(count >= fewest, total / np.maximum(count, 1), np.nan)


def _narrow(value: Floats, low: Floats, high: Floats) -> ShareInterval:
    """Returns the shares with informative intervals; NaN for the others."""
    known = high - low <= WIDE
    return ShareInterval(*(np.where(known, x, np.nan) for x in (value, low, high)))


def _draws(n: int) -> Ints:
    """Returns [R, n] resamples, the same in every call: equal trainings have equal intervals."""
    return np.random.default_rng(0).integers(n, size=(RESAMPLES, n))


def _noise_share(snr: Floats, low: Floats, high: Floats) -> ShareInterval:
    """Returns 1 / (1 + SNR) with its interval, whose low end is that of the highest SNR."""
    return ShareInterval(*(1.0 / (1.0 + np.maximum(x, 0.0)) for x in (snr, high, low)))


def student(freedom: NDArray[Any]) -> Floats:
    """Returns the 97.5% quantile of Student's t, to .001 from 5 degrees of freedom on.

    Source: Abramowitz & Stegun 1964, 26.7.5.
    """
    v = np.maximum(np.asarray(freedom, dtype=np.float64), 1.0)
    z = 1.959963984540054
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return np.asarray(z + sum(term / v ** (i + 1) for i, term in enumerate(terms)))


def collapsed_updates(evidence: Evidence, improvable: Bools, window: int = WINDOW) -> Bools:
    """Returns [..., T, A] whether an update is in a window in which the scheme collapses the agent.

    It does where the whole interval of signal kept lies below `LOW`, the best candidate shows
    signal worth keeping (`WORTH`), and the agent could still improve at every update of the
    window. One gradient that is indistinguishable from 0 is no collapse.

    Args:
        evidence: [..., T, V, A].
        improvable: [..., T, A].
        window: updates that are judged together, at least 2.

    Raises:
        StatisticsError: a window below 2.
    """
    if window < 2:
        raise StatisticsError(f"got a window of {window} updates; wanted at least 2")
    moments = _windows(evidence, improvable, window)
    shape = np.shape(improvable)
    if moments is None:
        return np.zeros(shape, dtype=bool)
    ours, best, spread, whole = moments
    reach = float(student(np.array(window - 1))) * np.sqrt(spread / (window - 1))
    worth = best > (0.0 if evidence.known else WORTH)
    low = whole & worth & (ours - LOW * best + reach < 0)
    covered = np.zeros(shape, dtype=bool)
    for shift in range(window):  # every update of such a window
        covered[..., shift : shift + low.shape[-2], :] |= low
    return covered


def kept_in_windows(evidence: Evidence, improvable: Bools, window: int = WINDOW) -> Floats:
    """Returns [T, A] signal kept in the window that ends at each update, all S trainings together.

    NaN before the first window is full, and where the best candidate's signal is not worth it.

    Args:
        evidence: [S, T, V, A].
        improvable: [S, T, A].
        window: updates that are judged together.
    """
    out = np.full(np.shape(improvable)[1:], np.nan)
    moments = _windows(evidence, improvable, window, together=True)
    if moments is None:
        return out
    ours, best, _, whole = moments
    count = whole.sum(axis=0)
    above, below = (np.where(whole, x, 0.0).sum(axis=0) for x in (ours, best))
    # The mean of more trainings is known better: the sum needs to grow with the root alone.
    worth = below > (0.0 if evidence.known else WORTH) * np.sqrt(count)
    share = np.divide(above, below, out=np.full(above.shape, np.nan), where=worth & (count > 0))
    out[window - 1 :] = np.clip(share, 0.0, 1.0)
    return out


def _windows(
    evidence: Evidence, improvable: Bools, window: int, together: bool = False
) -> tuple[Floats, Floats, Floats, Bools] | None:
    """Returns for each window [..., T - W + 1, A] the SNR under the scheme and under the best, the
    variance over updates of their difference at `LOW`, and whether the window is whole."""
    if window > np.shape(improvable)[-2]:
        return None
    there = np.asarray(improvable, dtype=bool) & np.isfinite(evidence.signal[..., 0, :])
    use = np.broadcast_to(there[..., None, :], evidence.signal.shape)
    whole_level = noise_level(evidence.competing, use)
    best = best_candidate(np.where(use, evidence.signal / whole_level, np.nan), together)
    # Updates that were not measured count as 0 in the sums; `whole` leaves their windows out.
    competing = np.nan_to_num(evidence.competing)
    signal = np.nan_to_num(evidence.signal)
    signals = [signal[..., 0, :], taken(signal, best)]
    levels = []
    for noise in (competing[..., 0, :], taken(competing, best)):
        live = _rolling((noise > 0).astype(np.float64), window)
        total = _rolling(noise, window)
        levels.append(np.where(live > 0, total / np.where(live > 0, live, 1.0), 1.0))
    means = [_rolling(s, window) for s in signals]
    vx, vy = (_rolling(s**2, window) - m**2 for s, m in zip(signals, means, strict=True))
    cov = _rolling(signals[0] * signals[1], window) - means[0] * means[1]
    lx, ly = levels
    # The variance of (SNR under the scheme - LOW x best SNR), by the rule for a weighted sum.
    spread = vx / lx**2 - 2 * LOW * cov / (lx * ly) + LOW**2 * vy / ly**2
    whole = _rolling(there.astype(np.float64), window) > 1 - 1e-9
    return means[0] / lx, means[1] / ly, np.maximum(spread, 0.0), whole


def _rolling(values: Floats, window: int) -> Floats:
    """Returns [..., T - W + 1, A] means of `window` values in a row."""
    view = np.lib.stride_tricks.sliding_window_view(values, window, axis=-2)
    return np.asarray(view.mean(axis=-1))
