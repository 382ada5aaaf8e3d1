"""The control: the same world with everybody present, where decoupling provably does nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from counterpoint.comparison.pairs import Pair
from counterpoint.comparison.probe import probe, untrained_log
from counterpoint.comparison.summary import band, interval
from counterpoint.credit import advantages
from counterpoint.diagnose.log import SAME
from counterpoint.results.comparison import Control, ControlScheme, Curves
from counterpoint.train.tabular.learner import Training
from counterpoint.worlds.exact.world import World


def trained_control(everyone: World, pair: Pair, trainings: Sequence[Training]) -> Control:
    """Returns the control of a comparison, trained as the comparison is.

    Args:
        everyone: the world with its `control` settings.
        pair: the scheme that agents share, and its exact decoupled twin.
        trainings: both of them, trained on the control.
    """
    coupled, decoupled = trainings
    log = untrained_log(everyone)
    columns = {**log.labels, "batch": log.step}
    values = [advantages(log.rewards, columns, scheme).values for scheme in pair.schemes]
    names = (pair.name, pair.decoupled_name or f"{pair.name}, by agent")
    return Control(
        setting=", ".join(f"{key}={value}" for key, value in (everyone.control or {}).items()),
        schemes={
            name: ControlScheme(
                returns=interval(done.returns[:, -1]),
                curves=Curves(
                    update=list(range(done.returns.shape[1])), returns=band(done.returns)
                ),
            )
            for name, done in zip(names, trainings, strict=True)
        },
        max_advantage_difference=float(np.abs(values[0] - values[1]).max()),
        max_curve_difference=float(np.abs(coupled.returns - decoupled.returns).max()),
        decoupling=probe(everyone, pair.reference).verdict,
    )


def untrained_control(setting: str, max_difference: float) -> Control:
    """Returns the control of a comparison whose advantages are compared before any training.

    Args:
        setting: what makes the world a control, in words.
        max_difference: largest difference of an advantage with and without per-agent statistics.
    """
    return Control(
        setting=setting,
        schemes={},
        max_advantage_difference=max_difference,
        max_curve_difference=None,
        decoupling="no-op" if max_difference <= SAME else "matters",
    )
