"""A learner written down whole, and back: networks, optimizer, statistics, generators, worlds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from counterpoint.credit import RunningState, Tally
from counterpoint.runs.snapshot import Snapshot
from counterpoint.train.policies import Learner


def capture(learner: Learner) -> Snapshot:
    """Everything that decides what a learner does next."""
    arrays: dict[str, NDArray[Any]] = {
        f"team.{name}": weight.detach().numpy().copy()
        for name, weight in learner.team.named_parameters()
    }
    for place, memory in learner.optimizer.state_dict()["state"].items():
        arrays |= {f"adam.{place}.{name}": x.numpy().copy() for name, x in memory.items()}
    played, facts = learner.player.capture()
    arrays |= played
    arrays |= {f"values.{name}": x for name, x in learner.valuer.capture().items()}
    state = None if learner.state is None else learner.state.to_dict()
    return Snapshot(
        arrays,
        {
            "updates": learner.updates,
            "shuffles": learner.shuffles.bit_generator.state,
            "player": facts,
            "running": state,
            "tally": asdict(learner.tally),
        },
    )


def restore(learner: Learner, snapshot: Snapshot) -> None:
    """Let a new learner of the same plan go on where `capture` was called."""
    arrays, facts = snapshot.arrays, snapshot.facts
    with torch.no_grad():
        for name, weight in learner.team.named_parameters():
            weight.copy_(torch.from_numpy(np.array(arrays[f"team.{name}"])))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in arrays.items():
        kind, _, rest = name.partition(".")
        if kind == "adam":
            place, _, what = rest.partition(".")
            state.setdefault(int(place), {})[what] = torch.from_numpy(np.array(array))
    groups = learner.optimizer.state_dict()["param_groups"]
    learner.optimizer.load_state_dict({"state": state, "param_groups": groups})
    learner.player.restore(arrays, facts["player"])
    learner.valuer.restore(
        {n.partition(".")[2]: x for n, x in arrays.items() if n.startswith("values.")}
    )
    learner.updates = facts["updates"]
    learner.shuffles.bit_generator.state = facts["shuffles"]
    learner.state = None if facts["running"] is None else RunningState.from_dict(facts["running"])
    learner.tally = Tally(**facts["tally"])
