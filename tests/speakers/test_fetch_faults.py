"""Fetching a model in processes that are killed, or that are several: it is whole or not there."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("transformers")
pytest.importorskip("gguf")

from small_registry import NAME

from counterpoint.lm.models import SOURCES, model_problem, models_folder

SCRIPT = Path(__file__).with_name("small_registry.py")


def start():
    source = SOURCES[NAME]
    paths = [str(Path(__file__).parents[2] / "src"), *filter(None, sys.path)]
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), source.wheel_sha256, source.member_sha256],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def heard(process, beginning):
    for line in process.stdout:
        if line.startswith(beginning):
            return
    pytest.fail(process.stderr.read())


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode in (-signal.SIGKILL, 0)


def assert_it_goes_on(registry):
    """What the kill left is a whole model or none, and the next fetch clears up."""
    there = (models_folder() / NAME).exists()
    assert (model_problem(NAME, thoroughly=True) is None) == there
    out, err = (process := start()).communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.splitlines()[-1] == f"have {NAME}"
    assert model_problem(NAME, thoroughly=True) is None


def assert_tidy():
    """Nothing is left but the model, also not of the children of who was killed."""
    assert sorted(path.name for path in models_folder().iterdir()) == [f".{NAME}.lock", NAME]


@pytest.mark.slow
def test_killed_while_downloading(registry):
    registry.failing = "stalls"
    process = start()
    heard(process, "downloading")
    while registry.downloads == 0:
        time.sleep(0.01)
    kill(process)
    assert not (models_folder() / NAME).exists()
    registry.failing = None
    assert_it_goes_on(registry)
    assert_tidy()


def test_killed_while_converting_the_download_is_used_again(registry):
    process = start()
    heard(process, "converting")
    kill(process)
    assert not (models_folder() / NAME).exists()
    assert_it_goes_on(registry)
    assert_tidy()
    assert registry.downloads == 1


def kills_at_random(registry, count, longest_seconds):
    """How many of the killed fetches had made the model."""
    rng, made = random.Random(count), 0
    for _ in range(count):
        process = start()
        time.sleep(rng.uniform(0, longest_seconds))
        kill(process)
        there = (models_folder() / NAME).exists()
        assert (model_problem(NAME, thoroughly=True) is None) == there
        if there:
            made += 1
            shutil.rmtree(models_folder() / NAME)
    assert_it_goes_on(registry)
    assert_tidy()
    return made


def test_a_few_kills_at_random(registry):
    kills_at_random(registry, 4, 1.5)


@pytest.mark.slow
def test_many_kills_at_random(registry):
    assert 0 < kills_at_random(registry, 100, 2.0) < 100


def test_of_three_processes_one_downloads_and_the_others_wait(registry):
    processes = [start() for _ in range(3)]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert out.splitlines()[-1] == f"have {NAME}"
    assert registry.downloads == 1
    assert model_problem(NAME, thoroughly=True) is None
    assert_tidy()
