"""Foreign worlds that fail: one error of ours that names the place, and nothing on our output."""

import asyncio
import sys

import pytest

from counterpoint.errors import SettingError, WorldError
from counterpoint.train.ppo.settings import PolicySettings, split_settings
from counterpoint.worlds import Kind, find_world
from counterpoint.worlds.foreign.names import foreign_code
from counterpoint.worlds.sequential.world import stakes_of


class Mute(Exception):
    def __str__(self):
        raise ValueError


UNTOLD = FileNotFoundError(2, "no such file", "data-\udcff.npy")


@pytest.mark.parametrize(
    "error",
    [ValueError("boom\nsecond line"), SystemExit(0), BaseException("a panic"), Mute(), UNTOLD,
     asyncio.CancelledError()],
)  # fmt: skip
def test_what_foreign_code_raises_is_told_in_one_line(error):
    with pytest.raises(WorldError) as told, foreign_code("mine:World", "step"):
        raise error
    message = str(told.value)
    assert "world 'mine:World' failed in step" in message
    assert type(error).__name__ in message
    assert "test_foreign_failures.py:" in message
    assert "\n" not in message
    assert message.encode()


def test_errors_of_ours_and_interrupts_pass():
    with pytest.raises(SettingError), foreign_code("mine:World", "step"):
        raise SettingError("ours")
    with pytest.raises(KeyboardInterrupt), foreign_code("mine:World", "step"):
        raise KeyboardInterrupt


def test_what_foreign_code_prints_goes_to_standard_error(capsys):
    with foreign_code("mine:World", "step"):
        sys.stdout.write("hello from step\n")
    assert capsys.readouterr() == ("", "hello from step\n")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"parameters": "role"}, "parameters='role'.*wanted one of shared, per_role, separate"),
        ({"hidden": "1.5"}, "hidden='1.5'.*wanted a whole number"),
        ({"anneal": "maybe"}, "anneal='maybe'.*wanted true or false"),
        ({"lr": "fast"}, "lr='fast'.*wanted a number"),
    ],
)
def test_a_setting_of_a_wrong_kind_says_what_is_wanted(given, wanted):
    with pytest.raises(SettingError, match=wanted):
        split_settings(find_world("spread", Kind.SEQUENTIAL), given, PolicySettings)


@pytest.mark.parametrize("stakes", ["1", "agent_0", "agent_0:-1", "agent_0:nan", ":3"])
def test_stakes_that_are_no_pairs_show_how_to_write_them(stakes):
    with pytest.raises(
        SettingError, match=r"got stakes.*(such as agent_0:10|wanted a positive number)"
    ):
        stakes_of(stakes, ("agent_0", "agent_1"), ("agent", "agent"))
