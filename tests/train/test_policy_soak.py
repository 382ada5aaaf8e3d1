"""A long training keeps its memory: slow, for as long as COUNTERPOINT_SOAK_SECONDS says."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from counterpoint.runs.directory import RunDirectory
from counterpoint.train.loop import train_to_end
from counterpoint.train.ppo.plan import TrainPlan
from counterpoint.train.ppo.settings import PolicySettings
from soak import HAS_PROC, SECONDS, Growth

SLOPE_MB = 1.0
"""Most that memory may grow in 10,000 steps."""


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 600)
@pytest.mark.fault("R23")
@pytest.mark.skipif(not HAS_PROC, reason="no /proc here to read the memory from")
def test_memory_grows_by_less_than_a_megabyte_in_ten_thousand_steps(tmp_path, record_property):
    plan = TrainPlan("spread", "group_reward_decoupled", budget=10**9, policy=PolicySettings())
    growth = Growth()

    def on_row(row):
        if row.update % 10 == 0:
            growth.note(row.step)

    with RunDirectory.create(tmp_path / "run", plan.config()) as run:
        train_to_end(plan, run=run, on_row=on_row, should_stop=growth.is_over)
    record_property("measured", f"training, {growth.told()}")
    memory, files = growth.ahead(10_000)
    assert memory < SLOPE_MB, growth.told()
    assert abs(files) < 0.5, growth.told()
