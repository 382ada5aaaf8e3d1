"""Fixtures of the tests of runs."""

import os
import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def no_fsync(monkeypatch):
    """This process does not wait for the disk: for tests that open hundreds of runs."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def in_memory(tmp_path):
    """A folder in memory where the system has one: making and deleting trees is quick there."""
    shared = Path("/dev/shm")
    if not (shared.is_dir() and os.access(shared, os.W_OK)):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared, prefix="counterpoint-test-") as folder:
        yield Path(folder)
