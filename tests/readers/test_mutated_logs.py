"""Damaged logs of every format are read and audited, or refused in one line: never a traceback."""

import copy
import json
import random
import time
import warnings
from pathlib import Path

import pytest

from counterpoint.audits import audit
from counterpoint.errors import LogError
from counterpoint.readers import read_logs

HERE = Path(__file__).parents[1] / "data"
SHARED = [
    folder
    for parent in Path(__file__).parents
    for folder in (parent / "shared/data/real_logs", parent / "shared/cases")
    if folder.is_dir()
]
OTHERS = (None, True, 0, -1, 1e308, 10**30, "", "x", "\ud800", "a" * 3000, [], {}, [[]], {"a": 1},
          [None], "2024-99-99", float("nan"), "\x00")  # fmt: skip
WORDS = ("role", "type", "content", "name", "events", "messages")
SLOWEST = 5.0
LARGEST = 200_000


def samples(folders):
    return [
        path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".json", ".jsonl", ".traj") and path.stat().st_size < LARGEST
    ]


def mutated(value, rng):
    """A copy with up to five values that are replaced, removed, repeated, renamed or wrapped."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice([1, 1, 2, 5])):
        node, path = value, []
        while isinstance(node, dict | list) and node and rng.random() < 0.85:
            key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
            path.append((node, key))
            node = node[key]
        if not path:
            return copy.deepcopy(rng.choice(OTHERS))
        parent, key = path[-1]
        kind = rng.choice("rrrrdwmc")
        if kind == "d":
            del parent[key]
        elif kind == "m" and isinstance(parent, dict):
            parent[rng.choice(WORDS)] = copy.deepcopy(parent[key])
        elif kind == "c" and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        else:
            parent[key] = [parent[key]] if kind == "w" else copy.deepcopy(rng.choice(OTHERS))
    return value


def damaged_bytes(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice([1, 3, 20])):
        if data:
            at = rng.randrange(len(data))
            if rng.random() < 0.5:
                data[at] = rng.randrange(256)
            else:
                del data[at : at + rng.randrange(1, 50)]
    return bytes(data)


def mutants(path, count, rng):
    data = path.read_bytes()
    try:
        values, end = [json.loads(data)], ""
    except ValueError:
        try:
            values, end = [json.loads(line) for line in data.splitlines() if line.strip()], "\n"
        except ValueError:
            values, end = [], ""
    for _ in range(count):
        if values and rng.random() < 0.85:
            others = list(values)
            at = rng.randrange(len(others))
            others[at] = mutated(others[at], rng)
            yield "".join(json.dumps(each) + end for each in others).encode()
        else:
            yield damaged_bytes(data, rng)


def check(paths, count, tmp_path, seed):
    rng, tried, refusals = random.Random(seed), 0, []
    for path in paths:
        for data in mutants(path, count, rng):
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
