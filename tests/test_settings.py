"""Settings that are checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from counterpoint.errors import SettingError
from counterpoint.settings import CheckedSettings, Range, settings_from


@dataclass(frozen=True, kw_only=True)
class Walk(CheckedSettings):
    pace: Literal["slow", "fast"] = "slow"
    steps: Annotated[int, Range(1, 10)] = 5
    rest: Annotated[float | None, Range(0.5, 1.0)] = None


@dataclass(frozen=True, kw_only=True)
class LongWalk(Walk):
    steps: int = 10


@pytest.mark.parametrize("walk", [Walk, LongWalk])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pace": "none"}, "got pace='none'; wanted one of slow, fast"),
        ({"steps": 0}, "got steps=0; wanted a number from 1 to 10"),
        ({"steps": 11}, "got steps=11; wanted a number from 1 to 10"),
        ({"rest": 0.4}, r"got rest=0.4; wanted a number from 0.5 to 1.0"),
        ({"rest": float("nan")}, "got rest=nan"),
    ],
)
def test_a_value_outside_its_range_is_refused_in_subclasses_too(walk, given, message):
    with pytest.raises(SettingError, match=message):
        walk(**given)


def test_the_ends_of_a_range_and_none_are_taken():
    assert Walk(steps=1, rest=1.0).steps == Walk(steps=10).steps - 9 == 1
    assert settings_from({"steps": "7", "rest": ".5"}, LongWalk, "walk") == LongWalk(
        steps=7, rest=0.5
    )
