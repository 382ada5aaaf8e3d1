"""The control: the same world with everybody present, where decoupling provably does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from counterpoint.comparison.pairs import Pair
from counterpoint.comparison.probe import probe, untrained_log
from counterpoint.comparison.summary import band, interval
from counterpoint.credit import advantages
from counterpoint.train.tabular.learner import Training
from counterpoint.worlds.exact.world import World


def control_document(everyone: World, pair: Pair, trainings: Sequence[Training]) -> dict[str, Any]:
    """What a comparison document says of its control.

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
    return {
        "setting": ", ".join(f"{key}={value}" for key, value in (everyone.control or {}).items()),
        "schemes": {
            name: {
                "return": interval(done.returns[:, -1]),
                "curves": {
                    "update": list(range(done.returns.shape[1])),
                    "return": band(done.returns),
                },
            }
            for name, done in zip(names, trainings, strict=True)
        },
        "max_advantage_difference": float(np.abs(values[0] - values[1]).max()),
        "max_curve_difference": float(np.abs(coupled.returns - decoupled.returns).max()),
        "decoupling": probe(everyone, pair.reference)["verdict"],
    }
