"""What the teams of a comparison said, in files that `counterpoint audit` reads."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import msgspec
import numpy as np

from counterpoint.readers.episodes import encode
from counterpoint.runs.files import make_folder, write_atomically
from counterpoint.topology.design import CHANCE, ITEMS, Plan
from counterpoint.topology.members import seats_of
from counterpoint.topology.play import play
from counterpoint.topology.records import episodes, outcomes


def write_logs(plan: Plan, folder: Path) -> list[Path]:
    """A folder for each topology x prompt, with `episodes.jsonl` and `outcomes.jsonl` of seed 0.

    Members are asked for their answers before and after the talk; these decide nothing.

    Raises:
        OutputError: something could not be written.
    """
    world = plan.make()
    items = world.draw(np.random.default_rng([0, ITEMS]), plan.items)
    seats = seats_of(world, plan.model, plan.base_url)
    written = []
    for t, told in enumerate(plan.topologies):
        for p, prompt in enumerate(plan.levels()):
            rng = np.random.default_rng([0, CHANCE, t, p, 0])
            played = play(plan.seatings(told)[0], items, plan.items, seats.members(prompt, None),
                          rng, guards=plan.guards, ask_all=True)  # fmt: skip
            run = f"{told}.{prompt}".replace(":", "_").replace("=", "_")
            make_folder(folder / run)
            lines = b"".join(encode(one) for one in episodes(world, items, played, run))
            write_atomically(folder / run / "episodes.jsonl", lines)
            rows = [msgspec.json.encode(asdict(one)) for one in outcomes(world, items, played)]
            write_atomically(folder / run / "outcomes.jsonl", b"\n".join(rows) + b"\n")
            written.append(folder / run)
    return written
