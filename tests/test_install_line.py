"""The line that installs an extra is right for where the package came from."""

import json
from importlib import metadata
from importlib.metadata import PackageNotFoundError

import pytest

from counterpoint import optional


class Installed:
    """A distribution that pip installed from `url`."""

    def __init__(self, url):
        self.url = url

    def read_text(self, name):
        assert name == "direct_url.json"
        return self.url and json.dumps({"url": self.url, "dir_info": {}})


@pytest.fixture
def installed_from(monkeypatch):
    def set_origin(url):
        monkeypatch.setattr(metadata, "distribution", lambda name: Installed(url))
        optional._origin.cache_clear()

    yield set_origin
    optional._origin.cache_clear()


def test_a_checkout_is_installed_again_with_the_extra(installed_from, tmp_path):
    folder = tmp_path / "my code"
    folder.mkdir()
    installed_from(folder.as_uri())
    assert optional.pip_line("torch") == f"pip install '{folder}[torch]'"
    assert optional.pip_line() == f"pip install '{folder}'"


@pytest.mark.parametrize(
    "url", [None, "https://example.org/counterpoint.git", "file:///gone/x.whl"]
)
def test_other_sources_are_installed_by_name(installed_from, url):
    installed_from(url)
    assert optional.pip_line("torch") == "pip install 'counterpoint-rl[torch]'"
    assert optional.pip_line() == "pip install counterpoint-rl"


def test_without_metadata_the_name_is_used(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    optional._origin.cache_clear()
    assert optional.pip_line() == "pip install counterpoint-rl"
    optional._origin.cache_clear()
