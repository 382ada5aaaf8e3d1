"""`Programmatic`: a judge that knows the truth and errs as much as its settings say.

It tests everything between a judge's reply and a reward, and shows how good a judge has to be. It
reads `Candidate.truth` and never the text, so that nothing in a text can influence it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from counterpoint.errors import JudgeError
from counterpoint.judge.judges import Opinion, written
from counterpoint.judge.present import Candidate, Sheet
from counterpoint.settings import require

CANARY_BELOW = 2.0
"""How far a canary is below the worst run, in spreads of the runs' truths."""
MOST_NOISE = 1e3
"""The largest noise that is searched, in spreads."""


@dataclass(frozen=True)
class ProgrammaticSettings:
    """How much the judge errs. A spread is the largest difference of truths in a group.

    Raises:
        SettingError: a value is out of range.
    """

    accuracy: float = 0.9
    """Share of pairs of runs that it puts in the right order, from 0.5 (chance) to 1."""
    position_bias: float = 0.0
    """What the first text of a sheet gains over the last, in spreads; below 0 the last gains."""
    length_bias: float = 0.0
    """What the longest text of a sheet gains over an empty one, in spreads."""
    drift: float = 0.0
    """Standard deviation, in spreads, of a gain that all texts of a sheet share."""
    ties: float = 0.0
    """Two runs whose noisy values are no farther apart, in spreads, are tied."""
    broken: float = 0.0
    """Share of the replies that are cut in half."""

    def __post_init__(self) -> None:
        require("accuracy", self.accuracy, 0.5, 1)
        require("position_bias", self.position_bias, -1000, 1000)
        require("length_bias", self.length_bias, -1000, 1000)
        require("drift", self.drift, 0, 1000)
        require("ties", self.ties, 0, 1000)
        require("broken", self.broken, 0, 1)


class Programmatic:
    """Judges by `Candidate.truth`, with noise that gives the accuracy of its settings.

    Args:
        settings: how much it errs.
    """

    at_once = 64

    def __init__(self, settings: ProgrammaticSettings | None = None) -> None:
        self.settings = settings or ProgrammaticSettings()

    @property
    def facts(self) -> Mapping[str, str]:
        """Returns its settings."""
        return {"judge": "programmatic", **{k: repr(v) for k, v in asdict(self.settings).items()}}

    def judge(self, sheets: Sequence[Sheet]) -> list[Opinion]:
        """Returns one opinion for each sheet.

        Raises:
            JudgeError: a run's truth is not known.
        """
        return [self._opinion(sheet) for sheet in sheets]

    def _opinion(self, sheet: Sheet) -> Opinion:
        settings, rng = self.settings, np.random.default_rng([sheet.seed, 0x5EED])
        values = np.array([_truth(each) for each in sheet.candidates])
        spread = float(np.ptp(values)) or 1.0
        worst = float(values.min()) - CANARY_BELOW * spread
        scores = np.array([_truth(s.candidate) if s.candidate else worst for s in sheet.shown])
        lengths = np.array([len(s.text) for s in sheet.shown], dtype=float)
        places = np.linspace(1, 0, len(scores)) if len(scores) > 1 else np.ones(1)
        noise = noise_for(tuple(values.tolist()), settings.accuracy)
        scores += noise * rng.standard_normal(len(scores))
        scores += spread * settings.position_bias * places
        scores += spread * settings.length_bias * lengths / max(lengths.max(), 1.0)
        scores += spread * settings.drift * rng.standard_normal()
        # as a score, the worst canary is 0, and there is room above the best run
        scaled = (scores - worst) / (float(values.max()) + spread - worst)
        text = written(
            sheet, scaled.tolist(), settings.ties * spread / (values.max() + spread - worst)
        )
        if rng.random() < settings.broken:
            text = text[: len(text) // 2]
        return Opinion(text, tokens=len(sheet.prompt) // 4 + len(text) // 4, lasting=False)


def _truth(candidate: Candidate) -> float:
    if candidate.truth is None:
        raise JudgeError(
            f"got run '{candidate.id}' without a score; wanted one: a programmatic judge knows the "
            'truth ("score" or "success" in the run)'
        )
    return candidate.truth


@lru_cache(maxsize=1024)
def noise_for(truths: tuple[float, ...], accuracy: float) -> float:
    """Returns the standard deviation of noise on each value that gives the wanted accuracy.

        mean over pairs of Phi(|v_i - v_j| / (sqrt(2) sd)) = accuracy

    Args:
        truths: [n] true values; pairs of equal ones do not count.
        accuracy: from 0.5 to 1.

    Returns: the deviation: 0 for accuracy 1, and `MOST_NOISE` spreads for chance. If all truths are
        equal, it is that for a difference of 1.
    """
    gaps = [abs(a - b) for a, b in combinations(truths, 2) if a != b] or [1.0]
    if accuracy >= 1:
        return 0.0
    low, high = 0.0, MOST_NOISE * max(gaps)
    for _ in range(60):
        middle = (low + high) / 2
        right = 0.5 + 0.5 * sum(math.erf(gap / (2 * middle)) for gap in gaps) / len(gaps)
        low, high = (middle, high) if right > accuracy else (low, middle)
    return high
