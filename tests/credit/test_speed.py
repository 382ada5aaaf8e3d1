"""The promised speed, measured by `bench/speed.py`; the best of several runs, on one core."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytestmark = pytest.mark.slow
ROWS = 1_000_000


@pytest.fixture(scope="module")
def speed() -> ModuleType:
    path = Path(__file__).parents[2] / "bench" / "speed.py"
    spec = importlib.util.spec_from_file_location("bench_speed", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", autouse=True)
def one_core() -> Iterator[None]:
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.parametrize("name", ["gdpo", "agent_wise"])
def test_a_million_decisions(speed: ModuleType, name: str) -> None:
    found = speed.measured(name, speed.batch(ROWS), runs=7, loop_runs=2)
    assert found["best_seconds"] <= 0.5
    assert found["times_faster_than_dict_of_lists"] >= 20
    assert found["peak_memory_of_input"] <= 6


def test_rows_of_a_rollout_that_disagree(speed: ModuleType) -> None:
    given = speed.batch(ROWS)
    own = np.random.default_rng(1).normal(size=given.rewards.shape)
    gdpo = speed.catalogue()["gdpo"]
    assert min(speed.seconds(lambda: speed.advantages(own, given.labels, gdpo), 7)) <= 0.5


@pytest.mark.parametrize("name", ["gdpo", "agent_wise"])
def test_growth_is_linear(speed: ModuleType, name: str) -> None:
    """From 10^5 to 10^7 rows the exponent of the time is 1; below, the fixed cost shows, and
    from 10^5 to 10^6 the rows leave the caches of the processor, once."""
    per_row = speed.growth(name, largest=10_000_000, runs=3)
    exponent = 1 + np.log10(per_row[10_000_000] / per_row[100_000]) / 2
    assert exponent <= 1.35
    assert per_row[10_000_000] <= 2 * per_row[1_000_000]


def test_import(speed: ModuleType) -> None:
    assert speed.import_seconds(runs=7) <= 0.6
