"""Damaged input for every reader and loader: it is read, or refused in one line of ours.

`bench/mutants.py` does it, in a process for each loader that may take 512 MB more than the samples.
"""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from random import Random

import pytest

from loaders import HEAVY, LOADERS
from mutated_inputs import OTHERS, mutant, mutants

SCRIPT = Path(__file__).parents[1] / "bench" / "mutants.py"
LIGHT = [name for name in LOADERS if name not in HEAVY]
MANY = {"weights": 1000, "tokenizers": 1000}
"""Mutants of the loaders that are slow; 1,300 of the others."""


def tried(names, count, keep):
    ran = subprocess.run(
        [sys.executable, SCRIPT, *names, "--count", str(count), "--keep", keep, "--json"],
        capture_output=True, text=True,
    )  # fmt: skip
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [one["loader"] for one in told] == list(names), ran.stderr
    assert [line for one in told for line in one["failures"]] == []
    assert max(one["slowest_seconds"] for one in told) < 5
    assert max(one["more_mb"] for one in told) < 512
    return sum(one["tried"] for one in told)


@pytest.mark.fault("R37")
def test_a_few_mutants_of_every_reader(tmp_path, record_property):
    count = tried(LIGHT, 25, tmp_path)
    assert count == 25 * len(LIGHT)
    record_property("cases", count)


@pytest.mark.slow
@pytest.mark.fault("R37")
@pytest.mark.parametrize("name", LOADERS)
def test_many_mutants_of_a_loader(name, tmp_path, record_property):
    if name in HEAVY and not (find_spec("transformers") and find_spec("gguf")):
        pytest.skip("transformers or gguf is not installed")
    record_property("cases", tried([name], MANY.get(name, 1300), tmp_path))


def test_there_are_16_000():
    assert sum(MANY.get(name, 1300) for name in LOADERS) >= 16_000


def test_a_planted_fault_is_found(tmp_path):
    """A loader that lets through what `json` raises, says two lines, sleeps, or takes memory."""
    (tmp_path / "loaders.py").write_text(
        "import json, time\n"
        "from counterpoint.errors import LogError\n"
        "def planted(folder):\n"
        "    def read(path):\n"
        "        value = json.loads(path.read_text())\n"
        "        if value == {'a': 1, 'b': [2]}: return\n"
        "        if not isinstance(value, dict): bytearray(1 << 30)\n"
        "        raise LogError('one\\ntwo' if 'a' in value else 'one')\n"
        "    path = folder / 'x.json'\n"
        '    path.write_text(\'{"a": 1, "b": [2]}\')\n'
        "    return [(path, lambda: read(path))]\n"
        "LOADERS = {'planted': planted}\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys, runpy; sys.argv[0] = {str(SCRIPT)!r}; sys.path.insert"
         f"(0, {str(SCRIPT.parents[1] / 'tests')!r}); sys.path.insert(0, {str(tmp_path)!r}); "
         f"import loaders; runpy.run_path({str(SCRIPT)!r}, run_name='__main__')",
         "planted", "--inside", "--count", "200", "--keep", tmp_path / "kept"],
        capture_output=True, text=True,
    )  # fmt: skip
    failures = json.loads(ran.stdout.splitlines()[-1])["failures"]
    for what in ("JSONDecodeError", "MemoryError", "several lines"):
        assert any(what in line for line in failures), what
    assert len(list((tmp_path / "kept").iterdir())) == len(failures)


def test_mutants_differ_and_a_seed_gives_them_again():
    data = b'{"a": [1, 2, {"b": "text"}], "c": null}\n'
    made = list(mutants(data, 200, Random(1)))
    assert made == list(mutants(data, 200, Random(1)))
    assert len(set(made)) > 100
    assert sum(one == data for one in made) < 20
    assert len(OTHERS) > 10


@pytest.mark.parametrize("data", [b"", b"x", b"\xff\x00", b"[]", b"\n", b"{"])
def test_the_smallest_files_have_mutants(data):
    for seed in range(50):
        assert isinstance(mutant(data, Random(seed)), bytes)
