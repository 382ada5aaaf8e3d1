"""Speakers by name: what an installed package makes has to be a speaker."""

import pytest

from counterpoint.errors import PluginError
from counterpoint.speakers import Fixed, named


def test_what_a_package_makes_is_checked(monkeypatch):
    monkeypatch.setattr(named, "SPEAKERS", {"seven": lambda: 7, "yes": lambda: Fixed("yes")})
    assert isinstance(named.open_speaker("yes"), Fixed)
    with pytest.raises(PluginError, match=r"speaker 'seven'.* is int 7; wanted .*`answer`"):
        named.open_speaker("seven")
