"""Adam steps where there is data, at the rate of the schedule; losses are normalized by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from language_teams import often_ending, settings, small_learner, small_plan, weights
from test_language_writing import ANSWERS, asked, team_of
from torch import nn

from counterpoint.errors import SettingError
from counterpoint.lm.generate import Text
from counterpoint.lm.model import open_model
from counterpoint.runs.checkpoint import Snapshot
from counterpoint.train.adam import Adam
from counterpoint.train.lora.answers import token_weights
from counterpoint.train.lora.episodes import Answer, PlayedBatch
from counterpoint.train.lora.plan import LanguagePlan
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.world import Ending, Prompt, TextSettings, TextWorld

KINDS = ("constant", "answer", "token")


class Mixed(TextWorld):
    """A chooser names a word, a writer writes; a guest chooses in every task of some batches."""

    name, summary = "mixed", "words and free text"
    agents = roles = ("chooser", "writer", "guest")
    speaker, longest, free = "chooser", 3, True
    references = References(0.0, 1.0, "what is paid")
    invited = True

    def tasks(self, rng, count):
        return [("a task",)] * count

    def prompts(self, task, said):
        words, asked = (
            ("red", "blue"),
            [Prompt("chooser", "You choose.", "Choose!", ("red", "blue"))],
        )
        if said:
            return ()
        asked.append(Prompt("writer", "You write.", "Write!", (), 4))
        if self.invited:
            asked.append(Prompt("guest", "You are a guest.", "Choose!", words))
        return tuple(asked)

    def ending(self, task, said):
        paid = [one.text.count("e") % 2 + float(one.text == "red") for one in said]
        return Ending(float(np.mean(paid)), tuple((x,) for x in paid))


def mixed(**changes):
    return small_learner(Mixed(TextSettings()), **changes)


# which adapters are moved


def test_without_a_decision_an_adapter_stays_where_it_was():
    """It would go on by its momentum: with `always` it does."""
    moved = {}
    for steps in ("decided", "always"):
        learner = mixed(optimizer_steps=steps)
        learner.update()
        learner.world.invited = False
        before = weights(learner)
        _, metrics = learner.update()
        after = weights(learner)
        moved[steps] = after["guest"] != before["guest"], learner.adams["guest"].steps
        assert after["chooser"] != before["chooser"]
        assert after["writer"] != before["writer"]
        assert metrics["decisions.guest"] == metrics["gradient.guest"] == 0.0
        assert metrics["decisions.chooser"] == 16.0
        learner.world.invited = True
        learner.update()
        assert learner.adams["guest"].steps == (2 if steps == "decided" else 3)
    assert moved == {"decided": (False, 1), "always": (True, 2)}


def test_words_have_one_step_where_text_has_several():
    for steps, of_words in (("decided", 1), ("always", 4)):
        learner = mixed(epochs=4, optimizer_steps=steps)
        learner.update()
        counts = {name: adam.steps for name, adam in learner.adams.items()}
        assert counts == {"chooser": of_words, "guest": of_words, "writer": 4}


def test_a_word_agent_moves_as_if_nobody_wrote_twice():
    """Its one step is that of one pass, bit for bit."""
    once, often = mixed(), mixed(epochs=4)
    for learner in (once, often):
        learner.update()
    for name in ("chooser", "guest"):
        assert weights(once)[name] == weights(often)[name]
    assert weights(once)["writer"] != weights(often)["writer"]


def test_a_shared_adapter_steps_in_every_pass_with_a_decision():
    learner = mixed(parameters="shared", epochs=3)
    learner.update()
    assert learner.adams["shared"].steps == 3
    learner.world.invited = False
    learner.update()
    assert learner.adams["shared"].steps == 6


@pytest.mark.parametrize("world", ["lewis", "relay"])
def test_where_everybody_decides_nothing_is_different(world):
    found = []
    for steps in ("decided", "always"):
        learner = small_learner(world, epochs=2, optimizer_steps=steps)
        for _ in range(3):
            learner.update()
        found.append(weights(learner))
    assert found[0] == found[1]


def test_the_first_step_after_a_pause_is_corrected_for_the_steps_that_were_made():
    """Adam's first step is as long as the rate; after 3 others without data it still is."""
    learner = mixed(lr=0.01)
    learner.world.invited = False
    for _ in range(3):
        learner.update()
    learner.world.invited = True
    before = learner.adams["guest"].weights.clone()
    learner.update()
    assert float((learner.adams["guest"].weights - before).abs().max()) == pytest.approx(
        0.01, rel=0.05
    )


def test_a_run_from_before_goes_on_as_it_began():
    config = small_plan("lewis").config()
    assert config["language"].pop("optimizer_steps") == "decided"
    assert LanguagePlan.from_config(config).language.optimizer_steps == "always"
    assert LanguagePlan.from_config(small_plan("lewis").config()) == small_plan("lewis")


def test_steps_are_counted_on_after_a_restart():
    whole, first, second = (mixed(epochs=2, warm_up=3, schedule="cosine") for _ in range(3))
    for learner in (whole, first):
        learner.update()
        learner.world.invited = False
        learner.update()
    kept = first.capture()
    second.restore(Snapshot(kept.arrays, kept.facts))
    for learner in (whole, second):
        learner.world.invited = True
        learner.update()
    assert weights(whole) == weights(second)
    counts = {name: adam.steps for name, adam in second.adams.items()}
    assert counts == {"chooser": 3, "guest": 2, "writer": 6}


# rates and decay


def test_rates_of_a_schedule_by_hand():
    """11 updates, of which 2 warm up: 1/3, 2/3, then from 1 to 0.2 in the 9 that are left."""
    straight = LanguageSettings(warm_up=2, schedule="linear", lr_end=0.2)
    found = [straight.rate_share(u, 11) for u in range(12)]
    wanted = [1 / 3, 2 / 3, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.2]
    np.testing.assert_allclose(found, wanted)
    bowed = replace(straight, schedule="cosine")
    found = [bowed.rate_share(u, 11) for u in (0, 2, 4, 6, 8, 10)]
    # 0.2 + 0.8 (1 + cos(x pi)) / 2 for x = 0, 1/4, 1/2, 3/4, 1
    half = math.sqrt(0.5)
    wanted = [1 / 3, 1, 0.2 + 0.4 * (1 + half), 0.6, 0.2 + 0.4 * (1 - half), 0.2]
    np.testing.assert_allclose(found, wanted)
    constant = LanguageSettings(warm_up=0.25)
    found = [constant.rate_share(u, 8) for u in range(4)]
    np.testing.assert_allclose(found, [1 / 3, 2 / 3, 1, 1])
    assert {LanguageSettings().rate_share(u, 5) for u in range(7)} == {1.0}
    assert LanguageSettings(schedule="linear").rate_share(0, 1) == 1.0


@given(
    budget=st.integers(1, 400),
    warm=st.floats(0, 0.99),
    end=st.floats(0, 1),
    schedule=st.sampled_from(["constant", "linear", "cosine"]),
)
def test_rates_rise_and_fall_once(budget, warm, end, schedule):
    given_settings = LanguageSettings(warm_up=warm, lr_end=end, schedule=schedule)
    try:
        warm_up = given_settings.warm_up_updates(budget)
    except SettingError:
        assert round(warm * budget) >= budget
        return
    shares = np.array([given_settings.rate_share(u, budget) for u in range(budget)])
    assert shares[warm_up] == pytest.approx(1.0)
    assert (np.diff(shares[: warm_up + 1]) > 0).all()
    assert (np.diff(shares[warm_up:]) <= 1e-12).all()
    assert (shares > 0).all() or end == 0
    if schedule != "constant" and budget - warm_up > 1:
        assert shares[-1] == pytest.approx(end, abs=1e-12)


def test_steps_are_as_long_as_the_schedule_says():
    learner = mixed(lr=0.009, warm_up=2, lr_of="writer:0.003")
    before = {name: adam.weights.clone() for name, adam in learner.adams.items()}
    learner.update()
    for name, rate in (("chooser", 0.003), ("writer", 0.001)):
        longest = float((learner.adams[name].weights - before[name]).abs().max())
        assert longest == pytest.approx(rate, rel=0.05)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"warm_up": 2.5}, "warm_up=2.5; wanted a whole number of updates, or a share below 1"),
        ({"warm_up": -1}, "warm_up=-1"),
        ({"lr_end": 1.5}, "lr_end=1.5"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"schedule": "square"}, "schedule='square'.*constant, linear, cosine"),
        ({"optimizer_steps": "never"}, "optimizer_steps.*decided, always"),
        ({"loss_normalization": "length"}, "loss_normalization.*constant, answer, token"),
    ],
)
def test_settings_out_of_range_are_refused(changes, complaint):
    with pytest.raises(SettingError, match=complaint):
        LanguageSettings(**changes)


def test_a_warm_up_as_long_as_the_training_is_refused():
    for warm_up in (4, 0.95):
        with pytest.raises(SettingError, match=r"which is 4 updates, of a budget of 4"):
            small_plan("lewis", language={"warm_up": warm_up})
    with pytest.raises(SettingError, match=r"warm_up=10"):
        mixed(warm_up=10)
    assert small_plan("lewis", language={"warm_up": 3}).language.warm_up == 3


def test_decay_by_hand():
    """Decoupled: without a gradient, a step takes off the share and nothing else."""
    network = nn.Linear(2, 1, bias=False)
    network.weight.data = torch.tensor([[2.0, -4.0]])
    adam = Adam([network], 1.0)
    adam.step(0.1, decay=0.5)
    torch.testing.assert_close(network.weight.data, torch.tensor([[1.9, -3.8]]))
    adam.step(0.1)
    torch.testing.assert_close(network.weight.data, torch.tensor([[1.9, -3.8]]))


def test_with_decay_it_is_adamw_of_torch():
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    adam = Adam([ours], 1e9)
    other = torch.optim.AdamW(theirs.parameters(), lr=0.05, eps=1e-5, weight_decay=0.3)
    chance = torch.Generator().manual_seed(0)
    for _ in range(6):
        x = torch.randn(4, 3, generator=chance)
        adam.zero()
        other.zero_grad()
        ours(x).square().sum().backward()
        theirs(x).square().sum().backward()
        adam.step(0.05, decay=0.3)
        other.step()
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)


def test_decay_makes_adapters_smaller():
    """B starts at 0 and A does not, so that A shrinks by (1 - 0.01 x 10) in each of two steps."""
    plain, decayed = mixed(lr=0.01), mixed(lr=0.01, weight_decay=10.0)
    start = plain.adams["guest"].weights.norm()
    for learner in (plain, decayed):
        for _ in range(2):
            learner.update()
    assert plain.adams["guest"].weights.norm() == pytest.approx(float(start), rel=0.05)
    assert decayed.adams["guest"].weights.norm() == pytest.approx(0.81 * float(start), rel=0.05)


# the normalization of the loss


LENGTHS = {agent: [len(tokens) for tokens in rows] for agent, rows in ANSWERS.items()}
"""a: 4, 1, 3; b: 2, 5. `asked` leaves room for 8, 9, 10 and for 8, 9 tokens."""
BY_HAND = {
    ("constant", "separate"): [1 / 8, 1 / 9, 1 / 10, 1 / 8, 1 / 9],
    ("answer", "separate"): [1 / 4, 1 / 1, 1 / 3, 1 / 2, 1 / 5],
    # 3 answers of 8 tokens, and 2 of 7
    ("token", "separate"): [3 / 8, 3 / 8, 3 / 8, 2 / 7, 2 / 7],
    ("constant", "shared"): [1 / 8, 1 / 9, 1 / 10, 1 / 8, 1 / 9],
    ("answer", "shared"): [1 / 4, 1 / 1, 1 / 3, 1 / 2, 1 / 5],
    # 5 answers of 15 tokens
    ("token", "shared"): [1 / 3] * 5,
}
LOSSES = {
    # -(4/8 - 1/9 + 2 x 3/10 + 0.5 x 2/8 - 2 x 5/9) / 5
    ("constant", "separate"): -(0.5 - 1 / 9 + 0.6 + 0.125 - 10 / 9) / 5,
    # every answer counts alike: -(1 - 1 + 2 + 0.5 - 2) / 5
    ("answer", "separate"): -0.1,
    # -(3/8 (4 - 1 + 6) + 2/7 (1 - 10)) / 5
    ("token", "separate"): -(27 / 8 - 18 / 7) / 5,
    # -(4 - 1 + 6 + 1 - 10) / 3 / 5
    ("token", "shared"): 0.0,
}


def batch_of(lengths, room, words=0):
    """A batch of answers, agent k's of these lengths, and of some choices by the first agent."""
    answers = [
        (k, Answer("", Text(None, (1,) * n, np.zeros(n))), Prompt("ab"[k], "", "", (), m))
        for k, (some, most) in enumerate(zip(lengths, room, strict=True))
        for n, m in zip(some, most, strict=True)
    ]
    answers += [(0, Answer("x", (0, 0)), Prompt("a", "", "", ("x", "y")))] * words
    agent = np.array([k for k, _, _ in answers], dtype=int)
    return PlayedBatch(
        tasks=[], messages=[], success=np.zeros(0), rewards=np.zeros((len(answers), 1)),
        asks=[ask for _, _, ask in answers], answers=[answer for _, answer, _ in answers],
        columns={"agent": agent}, episode=np.arange(len(answers)),
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "parameters"), list(BY_HAND))
def test_weights_of_tokens_by_hand(kind, parameters):
    how = LanguageSettings(loss_normalization=kind, parameters=parameters)
    played = batch_of(list(LENGTHS.values()), [[8, 9, 10], [8, 9]], words=2)
    wanted = [*BY_HAND[kind, parameters], 0, 0]
    np.testing.assert_allclose(token_weights(how, played), wanted)


@pytest.mark.parametrize(("kind", "parameters"), list(LOSSES))
def test_losses_by_hand(kind, parameters):
    """With one pass every ratio is 1, so that the loss is the weighted sum of advantages."""
    team = team_of(shared=parameters == "shared")
    asks, texts = asked(team)
    advantages = np.array([1.0, -1.0, 2.0, 0.5, -2.0])
    loss = team.loss(asks, texts, advantages, np.array(BY_HAND[kind, parameters]), 5)
    assert loss.item() == pytest.approx(LOSSES[kind, parameters], abs=1e-6)


@given(
    lengths=st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=2, max_size=2),
    parameters=st.sampled_from(["separate", "shared"]),
)
def test_what_the_weights_add_up_to(lengths, parameters):
    """`answer` and `token` give as much weight to an adapter: one for each answer. All tokens of
    an adapter weigh the same under `token`, and `constant` never gives more than `answer`."""
    played = batch_of(lengths, [[9] * len(some) for some in lengths])
    flat = np.concatenate(lengths)
    found = {
        kind: token_weights(
            LanguageSettings(loss_normalization=kind, parameters=parameters), played
        )
        for kind in KINDS
    }
    agent = played.columns["agent"] if parameters == "separate" else np.zeros(len(flat), dtype=int)
    for kind in ("answer", "token"):
        np.testing.assert_allclose(np.bincount(agent, found[kind] * flat), np.bincount(agent))
    for k in np.unique(agent):
        assert np.ptp(found["token"][agent == k]) == 0
    assert (found["constant"] <= found["answer"]).all()
    for k in np.unique(agent):
        if len(set(flat[agent == k])) == 1:
            np.testing.assert_allclose(found["token"][agent == k], found["answer"][agent == k])
    if set(flat) == {9}:
        np.testing.assert_allclose(found["constant"], found["token"])


@pytest.mark.parametrize("parameters", ["separate", "shared"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_does_not_depend_on_how_many_answers_a_pass_has(kind, parameters, monkeypatch):
    often_ending(open_model("tiny"), monkeypatch)
    found = []
    for rows in (1, 3, 1000):
        learner = small_learner(
            "relay", rows=rows, parameters=parameters, loss_normalization=kind, kl=0.3, max_norm=1e9
        )
        for seed, adam in enumerate(learner.adams.values()):
            chance = torch.Generator().manual_seed(seed)
            adam.weights.add_(torch.randn(adam.weights.shape, generator=chance), alpha=0.02)
        played, _ = learner.update()
        found.append(torch.cat([adam.gradient for adam in learner.adams.values()]))
    assert len({len(answer.handle.tokens) for answer in played.answers}) == 3
    for other in found[1:]:
        assert (other - found[0]).norm() <= 1e-5 * found[0].norm()
    assert found[0].norm() > 0


def test_the_kinds_differ_where_lengths_do(monkeypatch):
    often_ending(open_model("tiny"), monkeypatch)
    found = {}
    for kind in KINDS:
        learner = small_learner("relay", loss_normalization=kind)
        learner.update()
        found[kind] = weights(learner)
    assert len({tuple(sorted(one.items())) for one in found.values()}) == 3


def test_settings_reach_the_plan():
    """As every other setting of language models, by its name."""
    plan = small_plan("relay", language={"loss_normalization": "token", "weight_decay": 0.1})
    assert plan.config()["language"]["loss_normalization"] == "token"
    assert settings(SimpleNamespace(free=True), weight_decay=0.1).weight_decay == 0.1
