"""A language team written down whole, and back: adapters, optimizers, statistics, chance."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from counterpoint.credit import RunningState, Tally
from counterpoint.runs.snapshot import Snapshot
from counterpoint.train.lora.learner import LanguageLearner
from counterpoint.worlds.text.world import Prompt


def capture(learner: LanguageLearner) -> Snapshot:
    """Everything that decides what a learner does next."""
    arrays = {
        f"{name}.{part}": x
        for name, adam in learner.adams.items()
        for part, x in adam.capture().items()
    }
    priors = []
    for i, ((agent, words), prior) in enumerate(learner.words.priors.items()):
        arrays[f"prior.{i}"] = prior.numpy().copy()
        priors.append([agent, list(words)])
    state = None if learner.state is None else learner.state.to_dict()
    return Snapshot(
        arrays,
        {
            "updates": learner.updates,
            "rng": learner.rng.bit_generator.state,
            "running": state,
            "tally": asdict(learner.tally),
            "priors": priors,
            "expected": [asdict(ask) for ask in learner.expected],
        },
    )


def restore(learner: LanguageLearner, snapshot: Snapshot) -> None:
    """Let a new learner of the same plan go on where `capture` was called."""
    arrays, facts = snapshot.arrays, snapshot.facts
    for name, adam in learner.adams.items():
        adam.restore({part: arrays[f"{name}.{part}"] for part in adam.capture()})
    learner.words.priors = {
        (agent, tuple(words)): torch.from_numpy(np.array(arrays[f"prior.{i}"]))
        for i, (agent, words) in enumerate(facts["priors"])
    }
    learner.updates = facts["updates"]
    learner.rng.bit_generator.state = facts["rng"]
    learner.state = None if facts["running"] is None else RunningState.from_dict(facts["running"])
    learner.tally = Tally(**facts["tally"])
    learner.expected = tuple(_ask(told) for told in facts["expected"])


def _ask(told: dict[str, Any]) -> Prompt:
    return Prompt(**{**told, "words": tuple(told["words"])})
