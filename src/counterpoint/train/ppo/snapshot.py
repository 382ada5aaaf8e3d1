"""A learner written down whole, and back: networks, optimizer, statistics, generators, worlds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from numpy.typing import NDArray

from counterpoint.credit import RunningState, Tally
from counterpoint.errors import StateError
from counterpoint.runs.snapshot import Snapshot
from counterpoint.train.ppo.learner import Learner


def capture(learner: Learner) -> Snapshot:
    """Everything that decides what a learner does next."""
    arrays = {f"adam.{name}": x for name, x in learner.adam.capture().items()}
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
    """Let a new learner of the same plan go on where `capture` was called.

    Raises:
        StateError: the snapshot is that of another plan.
    """
    arrays, facts = snapshot.arrays, snapshot.facts
    for name, mine in capture(learner).arrays.items():
        found = arrays[name].shape if name in arrays else None
        if not name.startswith("world.") and found != mine.shape:
            raise StateError(
                f"got a checkpoint with {name} of shape {found}; wanted {mine.shape}, as run.json "
                "has it: give world and policies in run.json the settings they were trained with"
            )
    learner.adam.restore(_of("adam", arrays))
    learner.player.restore(arrays, facts["player"])
    learner.valuer.restore(_of("values", arrays))
    learner.updates = facts["updates"]
    learner.shuffles.bit_generator.state = facts["shuffles"]
    learner.state = None if facts["running"] is None else RunningState.from_dict(facts["running"])
    learner.tally = Tally(**facts["tally"])


def _of(part: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays of one part, by the names that it gave them."""
    return {n.partition(".")[2]: x for n, x in arrays.items() if n.startswith(f"{part}.")}
