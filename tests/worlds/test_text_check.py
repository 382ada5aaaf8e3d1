"""The check of a text world before a team is trained: state, chance of its own, odd answers."""

from __future__ import annotations

import itertools
import random
import time

import numpy as np
import pytest

from counterpoint.errors import WorldError
from counterpoint.worlds import (
    Ending,
    Kind,
    Prompt,
    References,
    Statement,
    TextEntry,
    TextWorld,
    worlds,
)
from counterpoint.worlds.text import check
from counterpoint.worlds.text.check import check_world

COLOURS = ("red", "blue")


class Sound(TextWorld):
    """One sees a colour and names one, the other hears it and names one."""

    name = summary = "sound"
    agents = roles = ("eye", "ear")
    speaker = "eye"
    references = References(0.5, 1.0, "share")

    def tasks(self, rng, count):
        return [(COLOURS[i],) for i in rng.integers(0, 2, count)]

    def prompts(self, task, history):
        if not history:
            return (Prompt("eye", "", f"You see {task[0]}.", COLOURS),)
        return (Prompt("ear", "", f"You hear {history[0].text}.", COLOURS),) * (len(history) == 1)

    def ending(self, task, history):
        won = float(history[-1].text == task[0])
        return Ending(won, ((won,), (won,)))


class Writes(Sound):
    """Both write."""

    free = True

    def prompts(self, task, history):
        most = {"words": (), "most_tokens": 9}
        given = [(one.agent, one.system, one.user) for one in super().prompts(task, history)]
        return tuple(Prompt(*one, **most) for one in given)


@pytest.mark.parametrize("world", [Sound, Writes, *(one.make for one in worlds(Kind.TEXT))])
def test_a_sound_world_passes_without_a_line_and_in_a_moment(world):
    begun = time.process_time()
    assert check_world(world) == ()
    assert time.process_time() - begun < 0.25


def test_the_check_of_the_entry_is_for_worlds_of_users_alone():
    class Lonely(Sound):
        agents = roles = ("eye", "ear", "nose")

    assert TextEntry(Lonely).check() == ()
    (doubt,) = TextEntry(Lonely, "some:Lonely").check()
    assert doubt.startswith("agent 'nose' got no prompt in 24 episodes")
    assert __file__ in doubt


# worlds that are no functions of the history


class Counts(Sound):
    turn = 0

    def prompts(self, task, history):
        self.turn += 1
        first, *more = super().prompts(task, history) or (None,)
        return () if first is None else (Prompt("eye", "", f"Turn {self.turn}", COLOURS), *more)


class CountsForAll(Sound):
    numbers = itertools.count()

    def prompts(self, task, history):
        return tuple(
            Prompt(one.agent, f"Call {next(self.numbers)}", one.user, one.words)
            for one in super().prompts(task, history)
        )


class Shuffles(Sound):
    def prompts(self, task, history):
        mixed = tuple(random.sample(["red", "blue", "green", "grey"], 4))
        return tuple(
            Prompt(one.agent, one.system, one.user, mixed) for one in super().prompts(task, history)
        )


class OwnGenerator(Sound):
    def __init__(self, settings=None):
        super().__init__(settings)
        self.rng = np.random.default_rng(0)

    def prompts(self, task, history):
        if len(history) == 1 and self.rng.random() < 0.5:
            return ()
        return super().prompts(task, history)

    def ending(self, task, history):
        return Ending(0.0, ((0.0,),) * len(history))


class Remembers(Sound):
    """It takes the episode that it was last asked about for the present one."""

    def prompts(self, task, history):
        if not history:
            self.seen = task[0]
        found = super().prompts(task, history)
        return tuple(Prompt(one.agent, self.seen, one.user, one.words) for one in found)


class Clock(Sound):
    def prompts(self, task, history):
        now = str(time.perf_counter_ns())
        return tuple(
            Prompt(one.agent, now, one.user, one.words) for one in super().prompts(task, history)
        )


@pytest.mark.parametrize("world", [Counts, CountsForAll, Shuffles, OwnGenerator, Remembers, Clock])
def test_other_prompts_after_the_same_history_are_refused(world):
    with pytest.raises(WorldError) as caught:
        check_world(world)
    line = str(caught.value)
    assert (" and then " in line) != ("It did not fail the first time" in line)
    assert "wanted prompts that are the same for the same task and history" in line
    assert f"{__file__}:" in line


def test_rewards_and_tasks_of_their_own_chance_are_doubts():
    class Noisy(Sound):
        def ending(self, task, history):
            return Ending(0.0, ((random.random(),), (0.0,)))

    class AnyTask(Sound):
        def tasks(self, rng, count):
            return [(random.choice(COLOURS),) for _ in range(count)]

    (noise,) = check_world(Noisy)
    assert "end in other rewards each time" in noise
    assert "speaker_noise" in noise
    (chance,) = check_world(AnyTask)
    assert "tasks differ with the same generator" in chance


def test_the_chance_of_others_is_left_as_it_was():
    random.seed(5)
    expected = random.random()
    random.seed(5)
    check_world(Sound)
    assert random.random() == expected


# what models may write


@pytest.mark.parametrize(
    ("reads", "kind"),
    [
        (lambda text: text.split()[0], "IndexError"),
        (lambda text: text.encode("ascii"), "UnicodeEncodeError"),
        (lambda text: ("yes", "no").index(text.strip()), "ValueError"),
        (lambda text: 1 / (40 - text.count("word")), "ZeroDivisionError"),
    ],
)
def test_an_ending_that_not_every_answer_has_is_refused(reads, kind):
    class Reads(Writes):
        def ending(self, task, history):
            reads(history[0].text)
            return super().ending(task, history)

    with pytest.raises(WorldError, match=f"failed in ending of task .* after .*{kind}"):
        check_world(Reads)


# parts that teach nothing


def test_an_agent_without_a_choice_is_a_doubt():
    class Forced(Sound):
        def prompts(self, task, history):
            return tuple(
                Prompt(one.agent, "", one.user, one.words[: 2 if one.agent == "eye" else 1])
                for one in super().prompts(task, history)
            )

    (doubt,) = check_world(Forced)
    assert "agent 'ear' has one word in each of its 24 prompts" in doubt


def test_a_wrong_free_is_a_doubt_and_a_mixed_world_none():
    class Forgot(Writes):
        free = False

    class Claims(Sound):
        free = True

    class Mixed(Sound):
        free = True

        def prompts(self, task, history):
            first = Prompt("eye", "", f"You see {task[0]}.", most_tokens=9)
            return super().prompts(task, history) if history else (first,)

    assert [len(check_world(world)) for world in (Forgot, Claims, Mixed)] == [1, 1, 0]
    assert "write free = True in the class" in check_world(Forgot)[0]
    assert "leave it out of the class" in check_world(Claims)[0]


def test_an_endless_world_is_refused_and_a_slow_one_is_not_played_to_the_end(monkeypatch):
    class Endless(Sound):
        def prompts(self, task, history):
            return super().prompts(task, ())

    with pytest.raises(WorldError, match="more than 8 decisions"):
        check_world(Endless)

    played = []

    class Slow(Sound):
        def statement(self, task, history, prompt, text):
            played.append(task)
            return Statement(prompt.agent, text)

    monkeypatch.setattr(check, "MOST_SECONDS", 0.0)
    assert check_world(Slow) == ()
    assert len(played) == 2
