"""A long training keeps its memory: slow, for as long as COUNTERPOINT_SOAK_SECONDS says."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

pytest.importorskip("torch")

from counterpoint.runs.directory import RunDirectory
from counterpoint.train.loop import train_to_end
from counterpoint.train.ppo.plan import TrainPlan
from counterpoint.train.ppo.settings import PolicySettings

SECONDS = float(os.environ.get("COUNTERPOINT_SOAK_SECONDS", "1800"))
SLOPE_MB = 1.0
"""Most that memory may grow in 10,000 steps."""


def resident_mb():
    with open("/proc/self/statm", encoding="ascii") as told:
        return int(told.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.fault("R23")
@pytest.mark.slow
def test_memory_grows_by_less_than_a_megabyte_in_ten_thousand_steps(tmp_path):
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("no /proc here to read the memory from")
    plan = TrainPlan("spread", "group_reward_decoupled", budget=10**9, policy=PolicySettings())
    seen: list[tuple[int, float]] = []
    begun = time.monotonic()

    def on_row(row):
        if row.update % 10 == 0:
            seen.append((row.step, resident_mb()))

    with RunDirectory.create(tmp_path / "run", plan.config()) as run:
        train_to_end(
            plan,
            run=run,
            on_row=on_row,
            should_stop=lambda: time.monotonic() - begun > SECONDS,
        )
    steps, memory = np.array(seen[len(seen) // 5 :]).T  # what is kept from the start on is no leak
    slope = np.polyfit(steps, memory, 1)[0] * 10_000
    assert slope < SLOPE_MB, f"{slope:+.4f} MB in 10,000 steps, {memory[-1]:.0f} MB at {steps[-1]}"
