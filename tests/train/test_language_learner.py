"""An update of a language team: the same bits again, its settings, and what it refuses."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
import torch
from language_teams import make_short, small_learner, trained, weights
from plain_forward import flat, plain_log_probs, stock

from counterpoint.credit import Scheme, advantages, catalogue, entries
from counterpoint.errors import SchemeError, SettingError, UnknownNameError
from counterpoint.speakers.local import LocalSpeaker
from counterpoint.speakers.speaker import Message, Request
from counterpoint.train.lora.learner import sample_asks
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.train.lora.words import calibrated
from counterpoint.train.session import plan_of
from counterpoint.worlds import Kind, worlds
from counterpoint.worlds.text.conventions import Lewis
from counterpoint.worlds.text.world import Ending, shared

PLAIN = [name for name, entry in entries().items() if not entry.needs]
COUPLED = [name for name in PLAIN if not catalogue()[name].groups_by_agent]
IDENTITY = [name for name in COUPLED if not catalogue()[name].ddof]
"""A deviation with n - 1 depends on how many samples share it, so that no decoupling is a no-op."""
MOVED_BY_AN_OFFSET = {
    name
    for name in COUPLED
    if catalogue()[name].weighting == "step" or catalogue()[name].baseline_floor is not None
} - {"none"}
"""Where rollouts, not decisions, are the samples, an offset of one agent is one of all rollouts."""


@pytest.mark.few(2)
@pytest.mark.parametrize("name", [entry.name for entry in worlds(Kind.TEXT)])
def test_the_same_seed_gives_the_same_bits(name):
    few = {"prompts": 1} if name == "relay" else {}
    found = [trained(small_learner(name, seed=seed, **few), 2) for seed in (4, 4, 5)]
    assert found[0] == found[1]
    assert found[0][1] != found[2][1]


@pytest.mark.few(9)
@pytest.mark.parametrize("world", ["schelling", "lewis"])
@pytest.mark.parametrize("scheme", IDENTITY)
def test_under_the_same_reward_decoupling_changes_not_a_bit(world, scheme):
    """All agents are paid the same, and equally often: pooled and own statistics are the same."""
    pair = catalogue()[scheme], catalogue()[scheme].decoupled()
    one, two = (trained(small_learner(world, how, rollouts=5, diagnose_every=0), 2) for how in pair)
    assert one[1] == two[1]
    for row, other in zip(one[0], two[0], strict=True):
        assert row.returned == other.returned
        for key in ("paid", "entropy", "gradient.speaker"):
            assert row.metrics[key] == other.metrics[key]


@pytest.mark.few(11)
@pytest.mark.parametrize("scheme", COUPLED)
@pytest.mark.parametrize("setting", ["speaker_offset", "speaker_noise"])
def test_paid_in_another_way_it_does(scheme, setting):
    pair = catalogue()[scheme], catalogue()[scheme].decoupled()
    one, two = (weights_after(make_short("lewis", **{setting: 3.0}), how, 2) for how in pair)
    moved = MOVED_BY_AN_OFFSET if setting == "speaker_offset" else set(COUPLED) - {"none"}
    assert (one != two) is (scheme in moved)


def weights_after(world, scheme, updates, **changes):
    learner = small_learner(world, scheme, **changes)
    for _ in range(updates):
        learner.update()
    return weights(learner)


@pytest.mark.few(34)
@pytest.mark.parametrize("world", [entry.name for entry in worlds(Kind.TEXT)])
@pytest.mark.parametrize("scheme", PLAIN)
def test_every_scheme_trains_in_every_world(world, scheme):
    given = {"speaker_offset": 1.0, "speaker_noise": 0.5}  # so that there is something to learn
    few = {"rollouts": 3, "rank": 2, "entropy": 0.0}
    learner = small_learner(make_short(world, **given), scheme, **few)
    before = weights(learner)
    played, told = learner.update()
    assert weights(learner) != before
    assert all(np.isfinite(value) for value in told.values())
    assert all(torch.isfinite(adam.weights).all() for adam in learner.adams.values())
    assert (learner.state is not None) is catalogue()[scheme].keeps_state
    assert learner.tally.rows == len(played.answers)


def test_a_scheme_of_ones_own_can_be_given():
    scheme = Scheme(center_by=("agent", "turn"), scale="none")
    learner = small_learner("solver_verifier", scheme)
    learner.update()
    assert learner.scheme == scheme


# the gradient


@pytest.mark.parametrize("parameters", ["separate", "shared"])
def test_the_gradient_of_an_update_is_that_of_the_mean_of_a_log_pi_and_the_entropy(parameters):
    """By the plain forward pass over every decision of the batch."""
    learner = small_learner(
        "lewis", "mappo_pooled", parameters=parameters, entropy=0.3, max_norm=1e9
    )
    for seed, adam in enumerate(learner.adams.values()):
        generator = torch.Generator().manual_seed(seed)
        adam.weights.add_(torch.randn(adam.weights.shape, generator=generator), alpha=0.05)
    plain, wanted = stock(), {}

    def look(played, credit):
        gain = 0.0
        for ask, answer, value in zip(played.asks, played.answers, credit.values, strict=True):
            prior = learner.words.priors[ask.agent, ask.words]
            adapter = learner.adapters[ask.agent]
            told = plain_log_probs(plain, ask, adapter, prior, learner.settings.kind)
            entropy = -(told.exp() * told).sum()
            gain = gain + float(value) * told[ask.words.index(answer.text)] + 0.3 * entropy
        for name, adapter in learner.own.items():
            grads = torch.autograd.grad(
                -gain / len(played.asks), [*adapter.parameters()], retain_graph=True
            )
            wanted[name] = flat(grads)

    _, told = learner.update(look)
    for name, adam in learner.adams.items():
        size = wanted[name].norm()
        assert (adam.gradient - wanted[name]).norm() < 1e-4 * size
        assert told[f"gradient.{name}"] == pytest.approx(float(size), rel=1e-4)


def test_what_is_told_of_an_update():
    learner = small_learner("lewis")
    seen = {}
    played, told = learner.update(lambda played, credit: seen.update(p=played, c=credit))
    assert seen["p"] is played
    agents = ("listener", "speaker")
    assert set(told) == {
        "entropy",
        *(f"{n}.{a}" for n in ("gradient", "decisions") for a in agents),
    }
    assert told["decisions.listener"] == told["decisions.speaker"] == len(played.answers) / 2
    by_hand = advantages(played.rewards.sum(axis=1), played.columns, learner.scheme)
    np.testing.assert_array_equal(seen["c"].values, by_hand.values)
    each = [learner.words.entropies[answer.handle[0]] for answer in played.answers]
    assert told["entropy"] == pytest.approx(np.mean(each), rel=1e-5)
    assert learner.expected == tuple(dict.fromkeys(played.asks))


def test_components_are_normalized_one_by_one_where_the_scheme_says_so():
    class TwoParts(Lewis):
        components = ("guess", "place")

        def ending(self, task, said):
            end = super().ending(task, said)
            return Ending(end.success, tuple((x, 5.0 * i) for i, (x,) in enumerate(end.rewards)))

    for scheme in ("gdpo", "mappo_pooled"):
        learner = small_learner(TwoParts(), scheme)
        seen = {}
        played, _ = learner.update(lambda played, credit, seen=seen: seen.update(c=credit))
        given = played.rewards if scheme == "gdpo" else played.rewards.sum(axis=1)
        wanted = advantages(given, played.columns, learner.scheme).values
        assert played.rewards.shape[1] == 2
        np.testing.assert_array_equal(seen["c"].values, wanted)


def test_running_statistics_are_taken_over():
    learner, state = small_learner("lewis", "group_reward_decoupled"), None
    for _ in range(3):
        seen = {}
        played, _ = learner.update(lambda played, credit, seen=seen: seen.update(c=credit))
        wanted = advantages(played.rewards.sum(axis=1), played.columns, learner.scheme, state=state)
        np.testing.assert_array_equal(seen["c"].values, wanted.values)
        state = wanted.state
    assert learner.state.to_dict() == state.to_dict()


# settings


def test_an_agent_whose_rate_is_0_stays_as_it_was():
    learner = small_learner("lewis", lr_of=" listener:0 , speaker:0.02")
    before = weights(learner)
    learner.update()
    after = weights(learner)
    assert after["listener"] == before["listener"]
    assert after["speaker"] != before["speaker"]
    assert learner.rates == {"listener": 0.0, "speaker": 0.02}
    assert small_learner("lewis", lr_of="listener:0.5").rates == {"listener": 0.5, "speaker": 0.01}


def test_the_first_step_of_adam_is_as_long_as_the_rate():
    learner = small_learner("lewis", lr=0.003, lr_of="listener:0.001")
    before = {name: adam.weights.clone() for name, adam in learner.adams.items()}
    learner.update()
    for name, rate in (("speaker", 0.003), ("listener", 0.001)):
        moved = (learner.adams[name].weights - before[name]).abs().max()
        assert float(moved) == pytest.approx(rate, rel=0.05)


def test_shared_parameters_are_one_adapter():
    learner = small_learner("lewis", parameters="shared")
    assert learner.adapters["speaker"] is learner.adapters["listener"]
    assert list(learner.own) == list(learner.adams) == ["shared"]
    _, told = learner.update()
    assert "gradient.shared" in told
    with pytest.raises(SettingError, match=r"lr_of.*shared"):
        small_learner("lewis", parameters="shared", lr_of="speaker:0.1")


def test_adapters_start_by_seed_and_name():
    one, two = small_learner("lewis"), small_learner("schelling")
    other = small_learner("lewis", seed=2)
    assert weights(one)["speaker"] == weights(two)["speaker"]
    assert weights(one)["speaker"] != weights(one)["listener"]
    assert weights(one)["speaker"] != weights(other)["speaker"]


def test_the_entropy_weight_falls_in_a_straight_line_to_the_end_of_the_budget():
    learner = small_learner("lewis", budget=5, entropy=0.4, entropy_end=0.1)
    found = []
    for _ in range(6):
        found.append(learner.entropy)
        learner.update()
    np.testing.assert_allclose(found, [0.4, 0.325, 0.25, 0.175, 0.1, 0.1])
    assert small_learner("lewis", budget=1, entropy=0.4, entropy_end=0.1).entropy == 0.4
    learner = small_learner("lewis", entropy=0.4)
    learner.updates = 9
    assert learner.entropy == 0.4


def test_the_entropy_bonus_makes_words_alike():
    """With nothing to be paid for, it alone moves the team."""
    learner = small_learner("schelling", "none", entropy=5.0, calibrate=False)
    learner.world.ending = lambda task, said: Ending(0.0, shared(0.0, said))
    told = [learner.update()[1]["entropy"] for _ in range(25)]
    assert told[0] < 1.3
    assert np.mean(told[-8:]) > 1.34
    assert max(told) <= np.log(4) + 1e-6


def test_a_gradient_is_cut_to_its_largest_norm():
    """Of each adapter by itself; what is told is its length before."""
    long = small_learner("lewis", max_norm=1e9)
    short = small_learner("lewis", max_norm=1e-3)
    _, told = long.update()
    _, cut = short.update()
    assert told == cut
    for name, adam in short.adams.items():
        assert float(adam.gradient.norm()) == pytest.approx(1e-3, rel=1e-2)
        assert float(long.adams[name].gradient.norm()) == pytest.approx(told[f"gradient.{name}"])


@pytest.mark.parametrize("world", ["schelling", "lewis", "solver_verifier"])
def test_after_calibration_words_are_alike_on_average_before_anything_is_learned(world):
    learner = small_learner(world, rollouts=32)
    assert learner.words.priors == {}
    learner.prepare()
    met = calibrated(sample_asks(learner.world, learner.settings, 1)[0])
    for key, prior in learner.words.priors.items():
        some = [ask for ask in met if (ask.agent, ask.words) == key]
        assert 0 < len(some) <= 16
        with torch.no_grad():
            logits = learner.words.logits(some)[:, : len(prior)]
        mean = logits.mean(dim=0)
        assert float(mean.max() - mean.min()) < 1e-5
    assert small_learner(world, rollouts=32, calibrate=False).words.priors == {}


def test_prompts_met_by_chance_are_in_one_order():
    """However texts are hashed: the solver is asked the same with and without a call left."""
    learner = small_learner("solver_verifier", rollouts=64)
    met, _ = sample_asks(learner.world, learner.settings, 1)
    assert met == sorted(met, key=lambda ask: (ask.agent, ask.user, ask.system, ask.words))
    alike = {(ask.agent, ask.user) for ask in met}
    assert len(alike) < len(met) == len({astuple(ask) for ask in met})


# what it was trained to


@pytest.mark.parametrize("calibrate", [True, False])
@pytest.mark.parametrize("parameters", ["separate", "shared"])
def test_an_answer_of_a_trained_agent_has_the_chances_that_it_was_trained_to(calibrate, parameters):
    learner = small_learner(
        "solver_verifier", prompts=6, calibrate=calibrate, parameters=parameters
    )
    for _ in range(4):
        learner.update()
    learner.words.forget()
    with torch.no_grad():
        played = learner.play(np.random.default_rng(0))
    kind = learner.settings.kind
    speaker = LocalSpeaker(
        learner.models["solver"], learner.adapters, learner.words.priors, kind=kind
    )
    asks = dict.fromkeys(played.asks)
    assert len(asks) > 5
    for ask in asks:
        request = Request(
            (Message("system", ask.system), Message("user", ask.user)), ask.agent, ask.words
        )
        found, row = speaker.probabilities(request), learner.words.rows[ask]
        np.testing.assert_allclose(found, learner.words.probs[row], atol=1e-5)


@pytest.mark.parametrize("adapter", ["plain", "activated", "last_token"])
def test_a_team_learns_a_signal_of_its_own(adapter):
    """A smoke test of the whole: two objects, two words."""
    told = {"rollouts": 16, "prompts": 4, "entropy": 0.02, "lr": 0.003, "adapter": adapter}
    learner = small_learner(make_short("lewis", objects=2), "mappo_pooled", seed=2, **told)
    won = [float(learner.update()[0].success.mean()) for _ in range(60)]
    assert np.mean(won[:10]) < 0.6
    assert np.mean(won[-10:]) > 0.95


# what is refused


@pytest.mark.parametrize(
    ("told", "error", "complaint"),
    [
        ({"given": {"colour": 3}}, UnknownNameError, "colour.*did you mean colours"),
        ({"given": {"entropi": 0.1}}, UnknownNameError, "entropi.*did you mean entropy"),
        ({"given": {"hidden": 0.1}}, UnknownNameError, "hidden"),
        ({"given": {"colours": 99}}, SettingError, "colours"),
        ({"given": {"rank": 0}}, SettingError, "rank"),
        ({"given": {"rank": "many"}}, SettingError, "rank.*wanted a whole number"),
        ({"given": {"targets": "some"}}, SettingError, "targets.*default, attention, all"),
        ({"given": {"parameters": "per_role"}}, SettingError, "parameters.*separate, shared"),
        ({"given": {"max_norm": 0}}, SettingError, "max_norm"),
        ({"given": {"temperature": 0}}, SettingError, "temperature"),
        ({"given": {"entropy_end": -1}}, SettingError, "entropy_end"),
        ({"given": {"lr_of": "speaker"}}, SettingError, "lr_of.*agent:rate"),
        ({"given": {"lr_of": "speaker:fast"}}, SettingError, "lr_of"),
        ({"given": {"lr_of": "listener:0.1"}}, SettingError, "lr_of.*partner, speaker"),
        ({"given": {"lr_of": "speaker:-1"}}, SettingError, "lr_of.*from 0"),
        ({"given": {"lr_of": "speaker:nan"}}, SettingError, "lr_of"),
        ({"given": {"lr_of": "speaker:.1", "parameters": "shared"}}, SettingError, "lr_of.*shared"),
        ({"scheme": "mapo_pooled"}, UnknownNameError, "mapo_pooled"),
        ({"scheme": "counterfactual"}, SchemeError, "baseline 'counterfactual' for a text world"),
        ({"scheme": "difference"}, SchemeError, "baseline 'difference' for a text world"),
        ({"budget": 0}, SettingError, "budget=0"),
        ({"seed": -1}, SettingError, "seed=-1"),
        ({"seconds": 0.0}, SettingError, "seconds"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(told, error, complaint):
    with pytest.raises(error, match=complaint) as refused:
        plan_of("schelling", **told)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("got ")


def test_words_that_begin_alike_are_refused_before_anything_is_played():
    class Zoo(Lewis):
        def __init__(self):
            super().__init__()
            self.signals = ("zebra", "zorilla", "red", "blue")

    for calibrate in (True, False):
        with pytest.raises(SettingError, match=r"'zebra' and 'zorilla'.*same token of tiny"):
            small_learner(Zoo(), calibrate=calibrate)


def test_what_stands_for_a_default_is_filled_in():
    """The tiny model has three layers; the last two of them get adapters."""
    free = LanguageSettings().filled(tiny=True, free=True)
    assert (free.targets, free.layers, free.rollouts, free.lr) == ("all", 2, 8, 0.003)
    large = LanguageSettings().filled(tiny=False, free=False)
    assert (large.targets, large.layers, large.rollouts, large.lr) == ("attention", 10, 32, 0.005)
    assert (free.adapter, large.adapter) == ("auto", "last_token")  # what is written decides it
    given = LanguageSettings(lr=0.5, layers=1, rollouts=3, targets="attention", adapter="plain")
    assert given.filled(tiny=True, free=False) == given
    assert large.filled(tiny=True, free=True) == large
    assert small_learner("lewis").words.readers["speaker"].first == 1
    assert small_learner("lewis", layers=9).words.readers["speaker"].first == 0
