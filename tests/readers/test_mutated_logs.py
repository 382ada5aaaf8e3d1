"""Damaged logs of every format are read and audited, or refused in one line: never a traceback."""

import json
import random
import time
import warnings
from pathlib import Path

import pytest

from counterpoint.audits import audit
from counterpoint.errors import LogError
from counterpoint.readers import read_logs
from mutated_inputs import mutants

HERE = Path(__file__).parents[1] / "data"
SHARED = [
    folder
    for parent in Path(__file__).parents
    for folder in (parent / "shared/data/real_logs", parent / "shared/cases")
    if folder.is_dir()
]
SLOWEST = 5.0
LARGEST = 200_000


def samples(folders):
    return [
        path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".json", ".jsonl", ".traj") and path.stat().st_size < LARGEST
    ]


def check(paths, count, tmp_path, seed):
    rng, tried, refusals = random.Random(seed), 0, []
    for path in paths:
        for data in mutants(path.read_bytes(), count, rng):
            target = tmp_path / f"log{path.suffix}"
            target.write_bytes(data)
            begun = time.perf_counter()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # a torn last line
                    if episodes := list(read_logs(target)):
                        audit(episodes)
            except LogError as error:
                refusals.append(str(error))
            assert time.perf_counter() - begun < SLOWEST, path
            tried += 1
    assert not [line for line in refusals if "\n" in line]
    return tried


@pytest.mark.fault("R37", cases=120)
def test_mutated_logs_of_our_own_are_read_or_refused(tmp_path):
    assert check(samples([HERE / "who_and_when"])[:6], 20, tmp_path, 0) == 120


@pytest.mark.fault("R37", cases=20_000)
@pytest.mark.slow
@pytest.mark.skipif(not SHARED, reason="the folder of real logs is not here")
def test_twenty_thousand_mutants_of_real_logs_are_read_or_refused(tmp_path):
    paths = samples(SHARED)
    assert check(paths, 20_000 // len(paths) + 1, tmp_path, 1) >= 20_000


# found by mutation: each of these once was a traceback
@pytest.mark.parametrize(
    "value",
    [
        {"messages": [{"type": "constructor", "id": 3.5, "kwargs": {"content": "x"}}]},
        {"messages": [{"role": "user", "content": "x"}, "x", {"role": "user", "content": "y"}]},
    ],
)
def test_what_mutation_found(value, tmp_path):
    (tmp_path / "x.json").write_text(json.dumps(value))
    with pytest.raises(LogError):
        list(read_logs(tmp_path / "x.json"))
