"""What is searched, read from the command line."""

import pytest

from counterpoint.errors import SettingError
from counterpoint.results.sweep import Dimension
from counterpoint.sweep.space import combinations, fitted, lowest, read_over, rounded


def test_ranges_and_lists():
    assert read_over(["lr=1e-4..1e-2:log", "hidden=8..64", "gae=.5..1.0", "memory=none, gru"]) == (
        Dimension(name="lr", low=1e-4, high=1e-2, log=True),
        Dimension(name="hidden", low=8, high=64, whole=True),
        Dimension(name="gae", low=0.5, high=1),
        Dimension(name="memory", values=["none", "gru"]),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr", "NAME=LOW..HIGH"),
        ("lr=1..x", "wanted a number"),
        ("lr=2..1", "a lower end below"),
        ("lr=0..1:log", "above 0 for :log"),
        ("lr=1..2:sqrt", "wanted :log or nothing"),
        ("lr=1..inf", "a lower end below"),
        ("lr=1,1", "two different values"),
    ],
)
def test_what_cannot_be_searched_is_refused(text, message):
    with pytest.raises(SettingError, match=message):
        read_over([text])


def test_nothing_to_search_is_refused():
    with pytest.raises(SettingError, match="got no --over"):
        read_over([])


def test_a_setting_that_is_a_fraction_is_searched_as_one():
    (gae,) = read_over(["gae=0..1"])
    assert (gae.whole, lowest(gae)) == (True, 0)
    config = {"policy": {"gae": 0.95, "hidden": 8}, "budget": 5}
    assert not fitted(gae, config).whole
    (hidden,) = read_over(["hidden=8..64"])
    assert fitted(hidden, config).whole


def test_numbers_can_be_typed():
    assert rounded(0.00123456) == 0.001235
    assert (rounded(12), rounded("none")) == (12, "none")


def test_combinations_of_lists_alone():
    assert combinations(read_over(["a=1,2", "b=x,y"])) == [
        {"a": "1", "b": "x"}, {"a": "1", "b": "y"}, {"a": "2", "b": "x"}, {"a": "2", "b": "y"},
    ]  # fmt: skip
    assert combinations(read_over(["a=1,2", "b=1..2"])) is None
