"""Finds the updates in which a scheme collapses an agent: other statistics keep more signal.

Start at `collapsed_updates`. What "keeps" means is in `kept.py`; here it applies to windows of
updates instead of whole trainings.
"""

from __future__ import annotations

import numpy as np

from counterpoint.arrays import Bools, Floats
from counterpoint.diagnose.evidence import Evidence
from counterpoint.diagnose.kept import LOW, best_candidate, noise_level, student, taken
from counterpoint.errors import StatisticsError

WORTH = 0.2
"""Where the best SNR of a window is below this, a window shows too little signal to say what a
scheme destroyed of it; a whole training may."""
WINDOW = 10
"""Measured updates that are judged together."""


def collapsed_updates(evidence: Evidence, improvable: Bools, window: int = WINDOW) -> Bools:
    """Returns the updates that belong to a window in which the scheme collapses the agent: [..., T,
    A].

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
    competing = np.nan_to_num(evidence.competing)
    signal = np.nan_to_num(evidence.signal)
    signals = [signal[..., 0, :], taken(signal, best)]
    levels = []
    for noise in (competing[..., 0, :], taken(competing, best)):
        live = _rolling((noise > 0).astype(np.float64), window)
        total = _rolling(noise, window)
        levels.append(np.where(live > 0, total / np.where(live > 0, live, 1.0), 1.0))
    means = [_rolling(s, window) for s in signals]
    (vx, vy), cov = (
        [_rolling(s**2, window) - m**2 for s, m in zip(signals, means, strict=True)],
        _rolling(signals[0] * signals[1], window) - means[0] * means[1],
    )
    lx, ly = levels
    spread = vx / lx**2 - 2 * LOW * cov / (lx * ly) + LOW**2 * vy / ly**2
    whole = _rolling(there.astype(np.float64), window) > 1 - 1e-9
    return means[0] / lx, means[1] / ly, np.maximum(spread, 0.0), whole


def _rolling(values: Floats, window: int) -> Floats:
    """Returns [..., T - W + 1, A] means of `window` values in a row."""
    view = np.lib.stride_tricks.sliding_window_view(values, window, axis=-2)
    return np.asarray(view.mean(axis=-1))
