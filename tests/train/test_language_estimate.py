"""What a training is expected to take: sums that hold, and what plain adapters add."""

from __future__ import annotations

import pytest

from counterpoint.train.lora.estimate import affordable_kind
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.train.session import plan_of
from counterpoint.worlds import find_world


@pytest.mark.parametrize("world", ["relay", "lewis"])
def test_an_estimate_adds_up_and_nothing_is_trained(world):
    given = {"prompts": "2", "rollouts": "4"}
    found = plan_of(world, budget=30, given=given, model="tiny").estimate()
    parts = found.reading_seconds, found.writing_seconds, found.learning_seconds
    assert found.seconds == pytest.approx(sum(parts), abs=0.01)
    reads = 1 if found.come_back else 30
    minutes = (reads * parts[0] + 30 * (parts[1] + parts[2])) / 60
    assert found.minutes == pytest.approx(minutes, abs=0.02)
    assert (found.writing_seconds > 0) is (world == "relay")
    assert (found.episodes, found.decisions, found.updates) == (8, 16, 30)
    assert 0 < found.prompt_tokens <= found.longest_prompt < found.most_tokens == 2048
    assert found.memory_gb > 0.1


def test_plain_adapters_are_the_default_where_they_are_affordable():
    settings = LanguageSettings().filled(tiny=False, free=True)
    measured = {
        "relay": {12: 1.22, 4: 1.36},
        "extract": {12: 1.44, 4: 1.59},
        "questions": {12: 1.22},
        "revise": {8: 1.44},
    }
    for name, times in measured.items():
        for most, factor in times.items():
            world = find_world(name).make({"most_tokens": most})
            assert affordable_kind(world, settings) == ("plain" if factor <= 1.5 else "activated")
