"""Worlds of many steps pass their conformance suite; every planted defect is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from counterpoint.testing import ConformanceError, check_step_world
from counterpoint.worlds import PermutedStepWorld, find_world
from counterpoint.worlds.sequential.particles import SpeakerListener, Spread, SpreadSettings
from counterpoint.worlds.sequential.world import References, StepWorld

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("spread", {}),
    ("spread", {"reward": "common", "agents": 5, "horizon": 9}),
    ("spread", {"continuous": True, "agents": 2}),
    ("speaker_listener", {}),
    ("speaker_listener", {"continuous": True}),
    ("foraging", {}),
    ("foraging", {"sight": 2, "agents": 3, "size": 6, "penalty": 0.1}),
    ("foraging", {"force_coop": True, "normalize": False, "max_food": 3}),
]


@pytest.mark.few(3)
@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_every_twin_keeps_its_promises(name, settings):
    check_step_world(lambda copies, seed: find_world(name).make(settings, copies, seed))


def test_a_reordered_world_keeps_them_too():
    check_step_world(
        lambda copies, seed: PermutedStepWorld(
            find_world("speaker_listener").make({}, copies, seed), [1, 0]
        )
    )


class HasNoLegalActions(Spread):
    def view(self):
        view = super().view()
        return replace(view, legal=np.zeros((*view.active.shape, 5), dtype=bool))


class ShowsTooMuch(SpeakerListener):
    def view(self):
        view = super().view()
        view.seen[:, 0, 3:] = 1.0
        return view


class ShowsDoubles(Spread):
    def view(self):
        view = super().view()
        return replace(view, seen=view.seen.astype(np.float64))


class ForgetsItsState(Spread):
    def view(self):
        return replace(super().view(), state=np.zeros((self.copies, 3), dtype=np.float32))


class PutsEverybodyToSleep(Spread):
    def view(self):
        view = super().view()
        return replace(view, active=np.zeros_like(view.active))


class ReusesItsArrays(Spread):
    def view(self):
        view = super().view()
        if not hasattr(self, "same"):
            self.same = view.seen.copy()
        self.same[...] = view.seen
        return replace(view, seen=self.same)


class PaysTwice(Spread):
    def step(self, actions):
        step = super().step(actions)
        return replace(step, reward=2 * step.own)


class PaysNothingFinite(Spread):
    def step(self, actions):
        step = super().step(actions)
        return replace(step, own=step.own * np.inf, reward=step.reward * np.inf)


class SharesTheMean(Spread):
    """Common reward: the mean instead of the sum."""

    def __init__(self, settings=None, **kwargs):
        super().__init__(SpreadSettings(reward="common"), **kwargs)

    def step(self, actions):
        step = super().step(actions)
        return replace(step, reward=step.reward / len(self.agents))


class HidesWhatItSawLast(Spread):
    def step(self, actions):
        step = super().step(actions)
        return replace(step, last=step.view)


class NeverEnds(Spread):
    def step(self, actions):
        self.held["time"][:] = 0
        return super().step(actions)


class OutlivesEverybody(Spread):
    def step(self, actions):
        step = super().step(actions)
        return replace(step, terminated=np.ones_like(step.terminated))


class KillsAgentsThatPlayOn(Spread):
    def step(self, actions):
        step = super().step(actions)
        step.terminated[:, 0] = True
        return step


class ForgetsItsDead(Spread):
    """The first agent never decides, and is terminated in every other step."""

    def reset(self, seed=None):
        self.steps = 0
        return self.alone(super().reset(seed))

    def step(self, actions):
        step = super().step(actions)
        self.steps += 1
        step.terminated[:, 0] = self.steps % 2
        return replace(step, view=self.alone(step.view), last=self.alone(step.last))

    def alone(self, view):
        active = view.active.copy()
        active[:, 0] = False
        return replace(view, active=active)


class GlobalChance(Spread):
    def begin(self, copies):
        self.rng = np.random.default_rng()
        super().begin(copies)


class LosesItsGenerator(Spread):
    def restore(self, arrays, facts):
        view = super().restore(arrays, facts)
        self.rng = np.random.default_rng(0)
        return view


class CapturesReferences(Spread):
    """Hands out its own arrays, which go on changing."""

    def capture(self):
        _, facts = super().capture()
        return dict(self.held), facts


class LeaksBetweenCopies(Spread):
    def advance(self, actions):
        own, over = super().advance(actions)
        return own - own.mean(axis=0), over


class WritesIntoActions(Spread):
    def step(self, actions):
        actions[:] = 0
        return super().step(actions)


class IsModest(Spread):
    measured = (-90.0, -22.5)


class IsUpsideDown(Spread):
    measured = (-22.5, -79.3)


class NamesAgentsAlike(Spread):
    def __init__(self, settings=None, **kwargs):
        super().__init__(settings, **kwargs)
        self.agents = ("agent",) * 3


class MixesRoles(SpeakerListener):
    def __init__(self, settings=None, **kwargs):
        super().__init__(settings, **kwargs)
        self.roles = ("talker", "talker")


class NamesMoreParts(Spread):
    components = ("near", "bumps")


class AddsUpWrongly(Spread):
    components = ("near", "bumps")

    def step(self, actions):
        step = super().step(actions)
        return replace(step, components=np.stack([step.reward, step.reward], axis=-1))


class HasNoScale(Spread):
    references = References(None, None, "")


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (HasNoLegalActions, "without a legal action"),
        (ShowsTooMuch, "numbers behind the 3 that speaker_0 sees"),
        (ShowsDoubles, "seen of type float64"),
        (ForgetsItsState, "state of shape"),
        (PutsEverybodyToSleep, "no agent active"),
        (ReusesItsArrays, "changes arrays of steps before|another last view"),
        (PaysTwice, "the world's own rewards"),
        (PaysNothingFinite, "not finite"),
        (SharesTheMean, "the sum of all agents"),
        (HidesWhatItSawLast, "shows the new episode"),
        (NeverEnds, "an episode of 26 steps"),
        (OutlivesEverybody, "continues without any agent"),
        (KillsAgentsThatPlayOn, "terminated and decides next"),
        (ForgetsItsDead, "neither terminated nor back"),
        (GlobalChance, "starts from one seed"),
        (LosesItsGenerator, "another course"),
        (CapturesReferences, "captured arrays that steps change"),
        (LeaksBetweenCopies, "feels what others do"),
        (IsModest, "a mean return of -7"),
        (IsUpsideDown, "random below"),
        (NamesAgentsAlike, "different names"),
        (MixesRoles, "the same kind of thing"),
        (NamesMoreParts, "components named but none played"),
        (AddsUpWrongly, "add up to something else"),
        (HasNoScale, "no scale"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_broken_world_is_rejected(broken: Callable[..., StepWorld], complaint: str):
    with pytest.raises(ConformanceError, match=complaint):
        check_step_world(lambda copies, seed: broken(copies=copies, seed=seed))


def test_actions_are_read_only_to_a_world():
    with pytest.raises(ConformanceError, match="actions that it may not write to"):
        check_step_world(lambda copies, seed: WritesIntoActions(copies=copies, seed=seed))
