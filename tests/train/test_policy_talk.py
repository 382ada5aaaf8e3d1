"""Teams that talk, that do not, and that cannot; and the loss that makes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench_modules import bench_module
from counterpoint.errors import SettingError
from counterpoint.report.pages.messages import messages_sentence
from counterpoint.results.training import Messages, talk_verdict
from counterpoint.stats.information import mutual_information
from counterpoint.train.loop import train_to_end
from counterpoint.train.ppo.improve import policy_losses, split_by_set
from counterpoint.train.ppo.learner import Learner
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.train.ppo.talk import (
    Speaking,
    signalling_bonus,
    speaking_of,
)
from counterpoint.train.session import plan_of
from counterpoint.train.talk import EVERY, Recorder, information_now, measure_messages
from counterpoint.worlds.sequential.channels import (
    COPIES,
    Channel,
    ExchangedMessages,
    find_channels,
)
from counterpoint.worlds.sequential.particles import MOVES, SpeakerListener, head_for
from counterpoint.worlds.sequential.world import returns

LISTENER = 1
(CHANNEL,) = find_channels(SpeakerListener(copies=COPIES))


def moves(seen: np.ndarray, heeds: bool) -> np.ndarray:
    """[N] moves to the landmark that was named, or to the mean of all."""
    landmarks = seen[:, 2:8].reshape(-1, 3, 2)
    share = np.full((len(seen), 3), 1 / 3)
    if heeds:
        share = np.where(seen[:, 8:].any(axis=1, keepdims=True), seen[:, 8:], share)
    target = (landmarks * share[..., None]).sum(axis=1)
    return head_for(target.T, np.zeros((2, len(seen))), seen[:, :2].T)


class Scripted:
    """A team that speaks or babbles, and heeds or does not."""

    def __init__(self, speaks: bool, heeds: bool) -> None:
        self.speaks, self.heeds = speaks, heeds

    def __call__(self, world, view, rng):
        goal = view.seen[:, 0, :3].argmax(axis=1)
        chance = rng.integers(3, size=len(goal))
        return np.stack([goal if self.speaks else chance, moves(view.seen[:, 1], self.heeds)], 1)

    def probabilities(self, agent, seen, legal):
        assert agent == LISTENER
        return np.eye(MOVES)[moves(seen, self.heeds)]

    def played(self, copies=64) -> Recorder:
        recorder, world = Recorder(), SpeakerListener(copies=copies, seed=5)
        view, rng = world.reset(), np.random.default_rng(0)
        for _ in range(world.horizon):
            actions = self(world, view, rng)
            step = world.step(actions)
            recorder.add(view.seen.swapaxes(0, 1), actions.T, view.active.T, None, step.ended)
            view = step.view
        return recorder

    def messages(self, policy=True) -> Messages:
        recorder = self.played()
        plain = SpeakerListener(copies=64, seed=6)
        other = ExchangedMessages(SpeakerListener(copies=64, seed=6), [CHANNEL])
        worth = returns(plain, self, 64) - returns(other, self, 64)
        return measure_messages(
            plain.agents, (3, MOVES), [CHANNEL], recorder,
            self.probabilities if policy else None, worth, 64.5, 0,
        )  # fmt: skip


def test_a_team_that_talks_is_found():
    measured = Scripted(speaks=True, heeds=True).messages()
    (spoken,), (listened,) = measured.said, measured.heard
    assert spoken.bits > 1.5 > 0.2 > spoken.chance
    assert 0.5 < listened.bits <= listened.most == pytest.approx(np.log2(3))
    assert measured.verdict == "talks"
    assert measured.worth > 20
    assert messages_sentence(measured).startswith("This team talks")


def test_a_team_that_is_not_heeded_does_not_talk_and_one_that_babbles_does_not_either():
    deaf = Scripted(speaks=True, heeds=False).messages()
    assert deaf.said[0].bits > 1.5
    assert deaf.heard[0].bits == 0
    assert (deaf.worth, deaf.worth_low, deaf.worth_high) == (0, 0, 0)
    assert deaf.verdict == "does not talk yet"
    babbling = Scripted(speaks=False, heeds=True).messages()
    assert babbling.said[0].bits < 0.02
    assert babbling.heard[0].bits > 0.5
    assert babbling.verdict == "does not talk yet"
    assert "does not talk yet" in messages_sentence(babbling)


def test_the_series_has_what_is_said_and_heard():
    def now(speaks: bool, heeds: bool) -> tuple[float, float]:
        team = Scripted(speaks=speaks, heeds=heeds)
        measured = information_now([CHANNEL], team.played(), team.probabilities)
        return measured["said_bits"], measured["heard_bits"]

    said, heard = now(speaks=True, heeds=True)
    assert 1.4 < said < np.log2(3)  # a little less than all: what chance gives is subtracted
    assert 0.5 < heard < np.log2(3)
    said, heard = now(speaks=True, heeds=False)
    assert said > 1.4
    assert heard == 0
    said, heard = now(speaks=False, heeds=True)
    assert said < 0.02
    assert heard > 0.5
    alone = Scripted(speaks=True, heeds=True)
    assert information_now([CHANNEL], alone.played(copies=1), None) == {}
    assert information_now([CHANNEL], Recorder(), alone.probabilities) == {}


def test_words_that_say_nothing_of_rich_observations_count_as_nothing():
    rng, recorder = np.random.default_rng(3), Recorder()
    channel = Channel(0, np.arange(4), (), np.zeros(0, dtype=np.int64))
    copies, late = 40, np.arange(40) >= 20
    seen = rng.integers(50, size=(1, copies, 1)).astype(np.float32)  # for the whole episode
    word = rng.integers(4, size=(1, copies))
    for t in range(10):
        active = ~late[None] if t == 9 else np.ones((1, copies), dtype=bool)
        recorder.add(seen, word, active, None, np.zeros(copies, dtype=bool))
    plain = mutual_information(np.unique(seen, return_inverse=True)[1].ravel(), word[0])
    assert plain > 1
    assert information_now([channel], recorder, None)["said_bits"] < 0.25


@pytest.mark.parametrize("scheme", ["none", "vdn"])
def test_what_messages_carry_is_measured_every_few_updates(scheme):
    given = SMALL if scheme == "none" else {k: SMALL[k] for k in ("hidden", "copies")}
    rows = train_to_end(plan_of("speaker_listener", scheme, budget=1400, given=given)).rows
    measured = [row.update for row in rows if "said_bits" in row.metrics]
    assert len(rows) == 7
    assert measured == [row.update for row in rows if "heard_bits" in row.metrics] == [1, 1 + EVERY]
    spread = train_to_end(plan_of("spread", scheme, budget=200, given=given)).rows
    assert not {"said_bits", "heard_bits"} & set(spread[0].metrics)


def test_what_a_team_that_remembers_does_with_messages_is_not_measured():
    given = {**SMALL, "memory": "gru"}
    (row,) = train_to_end(plan_of("speaker_listener", budget=200, given=given)).rows
    assert "said_bits" in row.metrics
    assert "heard_bits" not in row.metrics


def test_what_is_not_known_is_not_said():
    measured = Scripted(speaks=True, heeds=True).messages(policy=False)
    assert measured.heard[0].bits is None
    alone = replace_worth(measured, np.zeros(1))
    assert (alone.worth, alone.verdict) == (None, "cannot tell")
    assert "annot tell" in messages_sentence(alone)


def test_a_worth_far_below_the_scale_of_the_world_is_little():
    assert talk_verdict(0.1, 0.7, 64.5) == "talks a little"
    assert talk_verdict(0.1, 3.3, 64.5) == "talks"  # 5% of 64.5 are 3.2
    assert talk_verdict(0.1, 0.7, None) == "talks"
    assert talk_verdict(-0.1, 0.7, 64.5) == "does not talk yet"


def replace_worth(measured: Messages, worth: np.ndarray) -> Messages:
    interval = (None, None) if len(worth) < 2 else (worth.min(), worth.max())
    return Messages(
        said=measured.said, heard=measured.heard, worth=None if len(worth) < 2 else worth.mean(),
        worth_low=interval[0], worth_high=interval[1], episodes=len(worth),
    )  # fmt: skip


def test_messages_that_cost_return_mislead():
    measured = Scripted(speaks=False, heeds=False).messages()
    misled = replace_worth(measured, np.array([-3.0, -2.0]))
    assert misled.verdict == "is misled"
    assert "mislead" in messages_sentence(misled)


def test_the_bonus_by_hand():
    sure = torch.tensor([[0.0, -30.0], [-30.0, 0.0]])[None, :, None]  # [1, 2, 1, 2]
    unsure = torch.zeros(1, 2, 1, 2)
    speaking, bit = [Speaking(0, torch.eye(2))], np.log(2)
    assert float(signalling_bonus(sure, speaking, None)) == pytest.approx(bit)
    assert float(signalling_bonus(unsure, speaking, None)) == pytest.approx(bit - bit / 2)
    one_word = [Speaking(0, torch.ones(2, 1))]
    assert float(signalling_bonus(sure, one_word, None)) == pytest.approx(0, abs=1e-6)
    second = torch.tensor([[[1.0], [0.0]]])  # only the first decision was taken
    assert float(signalling_bonus(sure, speaking, second)) == pytest.approx(0, abs=1e-6)


def test_only_the_speakers_of_a_set_count_and_actions_that_say_the_same_are_one_word():
    channel = CHANNEL._replace(words=np.array([0, 1, 0]))
    (one,) = speaking_of([channel], (0, 1), MOVES, torch.device("cpu"))
    assert (one.row, one.says.tolist()) == (0, [[1, 0], [0, 1], [1, 0], [0, 0], [0, 0]])
    assert speaking_of([channel], (1,), MOVES, torch.device("cpu")) == ()


SMALL = {"hidden": 8, "layers": 1, "copies": 8, "steps": 25, "diagnose_every": 0}


@pytest.mark.parametrize("scheme", ["none", "vdn"])
def test_an_evaluation_says_what_messages_carry(scheme):
    given = SMALL if scheme == "none" else {k: SMALL[k] for k in ("hidden", "copies")}
    plan = plan_of("speaker_listener", scheme, budget=200, given=given)
    trained = train_to_end(replace(plan, episodes=8))
    assert trained.messages is not None
    assert trained.messages.verdict == "does not talk yet"
    assert trained.messages.episodes == 8
    assert 0 <= trained.messages.heard[0].bits < 0.2
    spread = plan_of("spread", scheme, budget=200, given=given)
    assert train_to_end(replace(spread, episodes=2)).messages is None


def test_signalling_needs_somebody_who_speaks():
    with pytest.raises(SettingError, match="no agent is known to speak"):
        plan_of("spread", given={"signalling": 0.1})
    with pytest.raises(SettingError, match="no agent is known to speak"):
        plan_of("speaker_listener", given={"signalling": 0.1, "continuous": True})
    with pytest.raises(SettingError, match="signalling"):
        plan_of("speaker_listener", given={"signalling": -1})


def test_signalling_is_added_to_the_loss_with_its_weight():
    world = SpeakerListener(copies=4)
    settings = PolicySettings(hidden=8, layers=1, copies=4, steps=5, signalling=0.7)
    learner = Learner(world, "none", settings, 0, channels=[CHANNEL])
    batch = learner.collector.play(learner.team)
    estimate = learner.estimate(batch)
    (part,) = split_by_set(batch, estimate.advantage, estimate.target, learner.critics)
    (actor,) = learner.team.actors
    with torch.no_grad():
        loss, losses = policy_losses(actor, part, settings)
        plain, same = policy_losses(actor, part, replace(settings, signalling=0.0))
        out, _ = actor.respond(part.seen)
        bonus = float(signalling_bonus(out, actor.speaking, None))
    assert float(plain - loss) == pytest.approx(0.7 * bonus, rel=1e-4)
    assert losses == same


def test_a_team_talks_from_the_fifth_batch_on_whose_mean_is_high_enough():
    bench = bench_module("talk")
    returns = [-30.0, None, -20.0, -18.0, -18.0, -17.0, -17.0, -17.0]  # means: -20.6, -18, -17.4
    steps = [10.0 * i for i in range(1, 9)]
    assert bench.steps_to(-18.0, steps, returns) == 70
    assert bench.steps_to(-17.4, steps, returns) == 80
    assert bench.steps_to(-17.0, steps, returns) is None
    assert bench.steps_to(-40.0, steps[:5], returns[:5]) is None  # four batches
    known = [bench.Seed(i, steps, -15.0, 20.0, 1.5) for i, steps in enumerate([300, None, 100])]
    assert "| qmix | 2 of 3 | 300 [100, never] | -15.0 [-15.0, -15.0] |" in bench.table(
        {"qmix": known}
    )
    assert "| never [300, never] |" in bench.table({"qmix": known[:2]})


@pytest.mark.slow
def test_a_team_learns_to_talk():
    """Five seeds passed -18 within 150,400 steps; the best team that does not talk gets -30.7."""
    given = {"lr": 0.003, "parameters": "separate", "epochs": 8, "diagnose_every": 0}
    plan = plan_of("speaker_listener", budget=160_000, given={**given, "signalling": 0.3})
    done = train_to_end(replace(plan, episodes=400))
    assert done.returns.mean() > -19
    assert done.messages is not None
    assert done.messages.verdict == "talks"
