"""Every text world passes its conformance suite; every planted defect is found."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest

from counterpoint.testing import ConformanceError, check_text_world
from counterpoint.worlds import Kind, find_world, worlds
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.conventions import Lewis, Schelling
from counterpoint.worlds.text.relay import Relay
from counterpoint.worlds.text.world import Ending, Prompt, Statement, TextSettings, TextWorld

VARIANTS = {
    "schelling": [{"colours": 2}, {"colours": 8, "speaker_scale": 9.0}],
    "lewis": [{"objects": 2}, {"objects": 8, "speaker_noise": 1.0}],
    "solver_verifier": [
        {"calls": 1, "largest": 1, "hidden": 1.0},
        {"calls": 4, "penalty": "local", "price": 2.0},
    ],
    "relay": [{"things": 1, "most_tokens": 1}, {"things": 4, "waste": 0.0}],
    "extract": [{"held_out": 0.5, "form": 0.0}],
    "debate": [{"rounds": 3}],
    "revise": [{"things": 4, "rounds": 3}],
    "questions": [{"held_out": 0.5, "split_seed": 3}],
}


@pytest.mark.parametrize("name", [entry.name for entry in worlds(Kind.TEXT)])
def test_every_text_world_keeps_its_promises(name):
    for settings in ({}, *VARIANTS[name]):
        check_text_world(lambda settings=settings: find_world(name).make(settings), episodes=400)


class TasksOfTheWorldAtLarge(Lewis):
    def tasks(self, rng, count):
        return [(random.choice(self.objects),) for _ in range(count)]


class TasksByHistory(Lewis):
    """A new world has another first batch than one that has drawn before."""

    def __init__(self):
        super().__init__()
        self.drawn = itertools.count()

    def tasks(self, rng, count):
        found = super().tasks(rng, count)
        return found if next(self.drawn) == 0 else found[::-1]


class OneTaskTooFew(Lewis):
    def tasks(self, rng, count):
        return super().tasks(rng, count)[:6]


class TasksThatAreNoText(Lewis):
    def tasks(self, rng, count):
        return [[*task] for task in super().tasks(rng, count)]


class NeverEnds(Lewis):
    def prompts(self, task, said):
        return super().prompts(task, said[:1])


class NeverBegins(Lewis):
    def prompts(self, task, said):
        return ()


class AsksAStranger(Lewis):
    def prompts(self, task, said):
        return tuple(replace(ask, agent="judge") for ask in super().prompts(task, said))


class ShowsNothing(Lewis):
    def prompts(self, task, said):
        return tuple(replace(ask, user="") for ask in super().prompts(task, said))


class SaysAWordTwice(Lewis):
    def prompts(self, task, said):
        return tuple(replace(a, words=(*a.words, a.words[0])) for a in super().prompts(task, said))


class SpacesAroundWords(Lewis):
    def prompts(self, task, said):
        return tuple(replace(a, words=(*a.words, " hm")) for a in super().prompts(task, said))


class ForgetsTheWords(Lewis):
    def prompts(self, task, said):
        return tuple(replace(ask, words=()) for ask in super().prompts(task, said))


class CountsItsAsks(Lewis):
    """Each time it asks, it asks in other words."""

    def __init__(self):
        super().__init__()
        self.asked = itertools.count()

    def prompts(self, task, said):
        number = next(self.asked)
        return tuple(replace(a, user=f"{a.user} ({number})") for a in super().prompts(task, said))


class EveryWorldItsOwnWords(Lewis):
    made = itertools.count()

    def __init__(self):
        super().__init__()
        self.number = next(self.made)

    def prompts(self, task, said):
        return tuple(
            replace(a, user=f"{self.number} {a.user}") for a in super().prompts(task, said)
        )


class PaysByMood(Lewis):
    def ending(self, task, said):
        return Ending(random.random(), super().ending(task, said).rewards)


class PaysTheLastAlone(Lewis):
    def ending(self, task, said):
        end = super().ending(task, said)
        return Ending(end.success, end.rewards[-1:])


class PaysInTwoParts(Lewis):
    def ending(self, task, said):
        end = super().ending(task, said)
        return Ending(end.success, tuple((*row, 0.0) for row in end.rewards))


class PaysWithoutEnd(Lewis):
    def ending(self, task, said):
        return Ending(super().ending(task, said).success, ((float("inf"),),) * len(said))


class NoNumberOfSuccess(Lewis):
    def ending(self, task, said):
        return Ending(float("nan"), super().ending(task, said).rewards)


class Mishears(Lewis):
    def statement(self, task, said, ask, text):
        return replace(super().statement(task, said, ask, text), text=text.upper())


class MixesUpWhoSpoke(Lewis):
    def statement(self, task, said, ask, text):
        return replace(super().statement(task, said, ask, text), agent="speaker")


class HeardByWalls(Lewis):
    def statement(self, task, said, ask, text):
        return Statement(ask.agent, text, to="walls")


class TalksToItself(Lewis):
    def statement(self, task, said, ask, text):
        return Statement(ask.agent, text, to=ask.agent)


class FirstIsFavoured(Schelling):
    """Goes by an agent's place, where it should go by its name."""

    def prompts(self, task, said):
        found = super().prompts(task, said)
        first = self.agents[0]
        return tuple(replace(a, user=f"{a.user}!") if a.agent == first else a for a in found)


class PaysByPlace(Lewis):
    def ending(self, task, said):
        end = super().ending(task, said)
        return replace(end, rewards=tuple((float(s.agent == self.agents[0]),) for s in said))


class ModestReference(Lewis):
    def __init__(self):
        super().__init__()
        self.references = References(0.1, 1.0, "share of objects guessed")


class BoastfulRandom(ModestReference):
    def __init__(self):
        super().__init__()
        self.references = References(0.5, 1.0, "share of objects guessed")


class BestIsNotBest(ModestReference):
    def __init__(self):
        super().__init__()
        self.references = References(0.25, 0.9, "share of objects guessed")


class UpsideDown(ModestReference):
    def __init__(self):
        super().__init__()
        self.references = References(1.0, 0.5, "share of objects guessed")


class OnNoScale(ModestReference):
    def __init__(self):
        super().__init__()
        self.references = References(0.25, 1.0, "")


class Namesakes(Lewis):
    agents = ("speaker", "speaker")


class ARoleIsMissing(Lewis):
    roles = ("speaker",)


class NobodySpeaks(Lewis):
    speaker = "narrator"


class NothingIsPaid(Lewis):
    components = ()


class NoRoomToWrite(Relay):
    def prompts(self, task, said):
        return tuple(replace(ask, most_tokens=0) for ask in super().prompts(task, said))


class WordsAmongText(Relay):
    def prompts(self, task, said):
        return tuple(replace(ask, words=("yes", "no")) for ask in super().prompts(task, said))


class CannotBearSilence(Relay):
    def ending(self, task, said):
        first = (said[1].text.split() or [None])[0]
        end = super().ending(task, said)
        return end if first else replace(end, success=float("nan"))


BROKEN = [
    (TasksOfTheWorldAtLarge, "the same generator, the same tasks"),
    (TasksByHistory, "the same generator, the same tasks"),
    (OneTaskTooFew, "as many as asked for"),
    (TasksThatAreNoText, "a tuple of texts"),
    (NeverEnds, "more than 8 decisions"),
    (NeverBegins, "got 0 decisions"),
    (AsksAStranger, "agent 'judge'"),
    (ShowsNothing, "wanted text"),
    (SaysAWordTwice, "each of them once"),
    (SpacesAroundWords, "no space around it"),
    (ForgetsTheWords, "words, or else free text"),
    (CountsItsAsks, "the same ones again"),
    (EveryWorldItsOwnWords, "the same ones again"),
    (PaysByMood, "another ending"),
    (PaysTheLastAlone, "2, one a decision"),
    (PaysInTwoParts, "one a component"),
    (PaysWithoutEnd, "finite numbers"),
    (NoNumberOfSuccess, "another ending|success nan"),
    (Mishears, "the agent and the text as they were"),
    (MixesUpWhoSpoke, "the agent and the text as they were"),
    (HeardByWalls, "another agent, or nobody"),
    (TalksToItself, "another agent, or nobody"),
    (FirstIsFavoured, "whatever the order in which agents are listed"),
    (PaysByPlace, "whatever the order in which agents are listed"),
    (ModestReference, "the random reference"),
    (BoastfulRandom, "the random reference"),
    (BestIsNotBest, "at most 0.9, the reference"),
    (UpsideDown, "random below it"),
    (OnNoScale, "words that say which"),
    (Namesakes, "different names"),
    (ARoleIsMissing, "1 roles"),
    (NobodySpeaks, "speaker 'narrator'"),
    (NothingIsPaid, "components"),
    (NoRoomToWrite, "room for an answer"),
    (WordsAmongText, "words, or else free text"),
    (CannotBearSilence, "another ending|success nan"),
]


@pytest.mark.parametrize(("broken", "complaint"), BROKEN)
def test_a_broken_text_world_is_rejected(broken, complaint):
    with pytest.raises(ConformanceError, match=complaint):
        check_text_world(broken)


class Echo(TextWorld):
    """The smallest text world: one agent repeats a word."""

    name, summary = "echo", "one agent says the word that it is shown"
    agents = roles = ("parrot",)
    speaker, longest = "parrot", 1
    references = References(0.5, 1.0, "share of words repeated")

    def tasks(self, rng, count):
        return [(str(word),) for word in rng.choice(["red", "blue"], count)]

    def prompts(self, task, said):
        return () if said else (Prompt("parrot", "Repeat.", task[0], ("red", "blue")),)

    def ending(self, task, said):
        success = float(said[0].text == task[0])
        return Ending(success, ((success,),))


def test_a_text_world_of_your_own_can_be_checked():
    check_text_world(lambda: Echo(TextSettings()))


def test_a_check_moves_no_chance_but_its_own():
    random.seed(1)
    before, legacy = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    check_text_world(lambda: Echo(TextSettings()), episodes=100)
    assert random.getstate() == before
    assert np.random.get_state()[1].tolist() == legacy  # noqa: NPY002
