"""Every message world passes its conformance suite; every planted defect is found."""

import json

import numpy as np
import pytest

from counterpoint.testing import ConformanceError, check_message_world
from counterpoint.worlds import Kind, find_world, worlds
from counterpoint.worlds.message.hidden_profile import HiddenProfile
from counterpoint.worlds.message.idea_search import IdeaSearch


@pytest.mark.parametrize("name", [entry.name for entry in worlds(Kind.MESSAGE)])
@pytest.mark.parametrize("settings", [{}, {"members": 1}, {"members": 7}])
def test_our_worlds_pass(name, settings):
    check_message_world(lambda: find_world(name).make(settings))


def test_a_file_of_tasks_passes(tmp_path):
    task = {
        "description": "Who did it?",
        "shared_information": ["It rained."],
        "hidden_information": ["The cook was away.", "The gardener has no alibi."],
        "possible_answers": ["cook", "gardener"],
        "correct_answer": "gardener",
    }
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps([task, {**task, "description": "And whose knife was it?"}]))
    check_message_world(lambda: find_world(f"tasks:{file}").make())


class UnscaledScores(HiddenProfile):
    def score(self, items, answers):
        return 3 * super().score(items, answers)


class Forgetful(HiddenProfile):
    """Draws other items each time, whatever the generator."""

    def draw(self, rng, count):
        return super().draw(np.random.default_rng(), count)


class Welcoming(HiddenProfile):
    """Takes any prompt."""

    def parameters(self, prompt):
        return super().parameters(prompt if prompt in self.prompts else "naive")


class OutOfRange(IdeaSearch):
    def parameters(self, prompt):
        return tuple(9.0 for _ in super().parameters(prompt))


class OneAnswer(HiddenProfile):
    def single(self, items, prompt, turns, rng):
        return super().single(items, prompt, turns, rng)[:1]


class Speechless(HiddenProfile):
    def message_text(self, items, content, index):
        return None


class Undecided(HiddenProfile):
    def member_with(self, parameters):
        member = super().member_with(parameters)

        class Other:
            speak = member.speak

            def answer(self, items, seen, rng):
                answers, sure = member.answer(items, seen, rng)
                return answers, sure * np.nan

        return Other()


class NoOptions(HiddenProfile):
    def answer_from(self, items, index, text):
        return None


@pytest.mark.parametrize(
    ("world", "complaint"),
    [
        (UnscaledScores, "scores from"),
        (Forgetful, "another messages|another answers|another scores|another degrees"),
        (Welcoming, "a member for a prompt that there is not"),
        (OutOfRange, "parameters"),
        (OneAnswer, "1 answers of a single agent"),
        (Speechless, "texts, empty where nothing is said"),
        (Undecided, "finite numbers"),
        (NoOptions, "no answer for option"),
    ],
)
def test_a_planted_defect_is_found(world, complaint):
    with pytest.raises(ConformanceError, match=complaint):
        check_message_world(world)
