"""What an update says of each agent: gradients by hand and by autograd, None where undefined."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from language_teams import make_short, often_ending, small_learner

from counterpoint.credit import advantages, scheme_named
from counterpoint.diagnose import gradient_statistics
from counterpoint.lm.generate import Text
from counterpoint.lm.model import open_model
from counterpoint.train import series
from counterpoint.train.lora.answers import MICRO_BATCHES
from counterpoint.train.lora.episodes import Answer, PlayedBatch
from counterpoint.train.lora.probe import measure_adapters
from counterpoint.train.lora.words import WordTeam
from counterpoint.worlds.text.world import Prompt

PROBS = [np.array([0.75, 0.25]), np.array([0.5, 0.5])]


def by_hand(words, rewards, agents, rollouts=8, scheme="none"):
    """Episodes of two prompts, a decision each: words [2][rollouts], by agents [2]."""
    n = 2 * rollouts
    prompt, rollout = np.repeat([0, 1], rollouts), np.tile(np.arange(rollouts), 2)
    columns = {
        "prompt": prompt,
        "rollout": rollout,
        "agent": np.array(agents)[prompt],
        "role": np.array(agents)[prompt],
        "turn": np.zeros(n, dtype=int),
        "batch": np.zeros(n, dtype=int),
    }
    handles = [(int(p), int(words[p][g])) for p, g in zip(prompt, rollout, strict=True)]
    paid = np.array(rewards, dtype=float).reshape(n, 1)
    played = PlayedBatch(
        tasks=[("t",)] * n, messages=[()] * n, success=np.zeros(n), rewards=paid,
        asks=[Prompt("a", "", "")] * n, answers=[Answer("", handle) for handle in handles],
        columns=columns, episode=np.arange(n),
    )  # fmt: skip
    entropies = np.array([-(p * np.log(p)).sum() for p in PROBS])
    learner = SimpleNamespace(
        agents=("a", "b"),
        words=SimpleNamespace(probs=PROBS, entropies=entropies),
        micro={},
        scheme=scheme_named(scheme),
        settings=SimpleNamespace(parameters="separate"),
        entropy=0.0,
    )
    credit = advantages(paid[:, 0], columns, learner.scheme)
    return measure_adapters(learner, played, credit)


@pytest.fixture
def micro(monkeypatch):
    """The gradients [M, A, D] that were measured last."""
    seen = []

    def spy(gradients):
        seen.append(gradients)
        return gradient_statistics(gradients)

    monkeypatch.setattr(series, "gradient_statistics", spy)
    return seen


def test_two_words_at_two_prompts_by_hand(micro):
    """Agent a at both: first word always, paid 1 each. 16 decisions, two a micro-batch."""
    (a, b), team = by_hand([[0] * 8, [0] * 8], [1.0] * 16, [0, 0])
    assert micro[0].shape == (8, 2, 4)
    for m in range(8):  # A x 8 / 16 x (1 - p), at each prompt
        np.testing.assert_allclose(micro[0][m, 0], [0.125, -0.125, 0.25, -0.25])
        assert not micro[0][m, 1].any()
    assert a["norm"] == pytest.approx(np.sqrt(2 / 64 + 2 / 16))
    assert a["snr"] > 1e9  # all micro-batches agree
    assert a["share"] == 1.0
    assert a["entropy"] == pytest.approx((PROBS[0] @ -np.log(PROBS[0]) + np.log(2)) / 2)
    assert a["participation"] == 1.0
    assert a["net_mass"] == 1.0
    assert a["dead_rate"] == 0.0
    assert "kept.signal" in a  # an agent that decides nothing is not measured
    unknown = {name: None for name in a if not name.startswith("kept.")}
    assert b == unknown | {"participation": 0.0, "norm": 0.0, "share": 0.0}
    assert team["participation_ratio"] == 1.0


def test_words_and_rewards_that_differ_by_hand(micro):
    """Agent a at the first prompt, b at the second."""
    words = [[0, 1] * 4, [1] * 8]
    paid = [*([2.0, -1.0] * 4), *range(8)]
    (a, b), team = by_hand(words, paid, [0, 1])
    for m in range(8):
        value = 2.0 / 2 if m % 2 == 0 else -1.0 / 2
        taken = np.array([0.25, -0.25] if m % 2 == 0 else [-0.75, 0.75])
        np.testing.assert_allclose(micro[0][m, 0], [*(value * taken), 0, 0])
        np.testing.assert_allclose(micro[0][m, 1], [0, 0, -m / 4, m / 4], atol=1e-15)
    # means: a (0.25 + 0.375) / 2, b 28 / 8 / 4
    assert a["norm"] == pytest.approx(np.sqrt(2) * 0.3125)
    assert b["norm"] == pytest.approx(np.sqrt(2) * 0.875)
    assert b["share"] == pytest.approx(0.875**2 / (0.875**2 + 0.3125**2))
    assert (a["participation"], b["participation"]) == (0.5, 0.5)
    assert (a["net_mass"], b["net_mass"]) == (0.5, 3.5)
    assert b["dead_rate"] == 1 / 8
    assert team["effective_rank"] == pytest.approx(
        np.exp(-sum(p * np.log(p) for p in (0.3125 / 1.1875, 0.875 / 1.1875)))
    )


def test_what_cannot_be_known_is_none():
    """Too few rollouts to divide, or an agent in too few of the micro-batches."""
    gradients = ("snr", "snr_low", "snr_high", "cosine", "norm", "share")
    (a, b), team = by_hand([[0] * 7, [0] * 7], [1.0] * 14, [0, 1], rollouts=7)
    for agent in (a, b):
        assert all(agent[name] is None for name in gradients)
        assert agent["participation"] == 0.5
        assert agent["entropy"] is not None
    assert team == {"participation_ratio": None, "effective_rank": None}

    learner = small_learner("solver_verifier", "mappo_pooled", prompts=1)
    seen, script = {}, iter([1.0 - 1e-9] * 6)  # the solver is unsure in six episodes of eight

    class Chance:
        def random(self, n):
            return np.array([next(script, 0.2) for _ in range(n)])

    respond = learner.respond
    learner.respond = lambda asks, rng: respond(asks, Chance())
    learner.update(lambda played, credit: seen.update(x=measure_adapters(learner, played, credit)))
    solver, verifier = seen["x"][0]
    assert verifier["participation"] == 6 / 8
    assert verifier["norm"] is not None
    assert verifier["cosine"] is verifier["snr"] is verifier["snr_high"] is None
    assert solver["cosine"] is not None


def test_without_a_shared_divisor_nothing_is_inflated_in_parameters_of_ones_own():
    words, paid = [[0, 1] * 4, [0, 1] * 4], np.arange(16.0)
    (own, _), _ = by_hand(words, paid, [0, 1], scheme="center")
    assert own["norm_inflation"] is own["signal_share"] is None
    assert own["inflation"] is not None
    (scaled, _), _ = by_hand(words, paid, [0, 1], scheme="mappo_pooled")
    assert scaled["norm_inflation"] is not None
    learner, seen = small_learner("lewis", "center", parameters="shared"), {}
    learner.update(lambda played, credit: seen.update(x=measure_adapters(learner, played, credit)))
    assert seen["x"][0][0]["norm_inflation"] is not None


@pytest.mark.parametrize("parameters", ["separate", "shared"])
def test_it_is_the_gradient_with_respect_to_the_logits_that_learning_takes(
    parameters, micro, monkeypatch
):
    logits, run = [], WordTeam.logits

    def kept(team, asks, **told):
        found = run(team, asks, **told)
        if found.requires_grad:
            found.retain_grad()
            logits.append((list(asks), found))
        return found

    monkeypatch.setattr(WordTeam, "logits", kept)
    learner = small_learner(
        make_short("solver_verifier", speaker_offset=2.0),
        entropy=0.0,
        parameters=parameters,
        prompts=6,
    )
    for _ in range(2):
        logits.clear()
        learner.update(lambda played, credit: measure_adapters(learner, played, credit))
    of = {ask: -z.grad[i] for asks, z in logits for i, ask in enumerate(asks)}
    wanted = np.zeros((2, len(learner.words.probs), 8))
    for ask, row in learner.words.rows.items():
        wanted[learner.agents.index(ask.agent), row, : len(ask.words)] = of[ask][: len(ask.words)]
    assert len({len(ask.words) for ask in of}) > 1
    found = micro[-1].mean(axis=0).reshape(wanted.shape)
    np.testing.assert_allclose(found, wanted, atol=1e-7)
    assert abs(wanted).max() > 1e-3


@pytest.mark.parametrize("parameters", ["separate", "shared"])
@pytest.mark.parametrize(
    "changes",
    [
        {}, {"rows": 3}, {"epochs": 2}, {"loss_normalization": "answer"},
        {"loss_normalization": "token"},
    ],
)  # fmt: skip
def test_gradients_of_free_text_add_up_to_that_of_the_update(
    parameters, changes, micro, monkeypatch
):
    often_ending(open_model("tiny"), monkeypatch)
    found, whole = measured(parameters, **changes)
    size = len(whole) // (2 if parameters == "separate" else 1)
    assert found.shape == (8, 2, len(whole))
    np.testing.assert_allclose(
        found.mean(axis=0).sum(axis=0), whole, atol=1e-5 * np.linalg.norm(whole)
    )
    if parameters == "separate":
        assert not found[:, 0, size:].any()
        assert not found[:, 1, :size].any()
    assert (np.linalg.norm(found, axis=2) > 0).all()
    assert micro[-1].shape == (8, 2, 16)
    products = [np.einsum("mad,nbd->manb", x, x) for x in (micro[-1], found)]
    np.testing.assert_allclose(*products, atol=1e-12 * products[1].max())


def test_the_pull_towards_the_bare_model_is_left_aside():
    (plain, _), (found, whole) = measured(), measured(kl=0.4)
    np.testing.assert_array_equal(found, plain)
    assert abs(found.mean(axis=0).sum(axis=0) - whole).max() > 1e-4


def measured(parameters="separate", **changes):
    """The gradients [M, A, D] of free text of a team that has learned something, and that of an
    update that is not measured."""
    gradients = []
    for look in (True, False):
        learner = small_learner(
            "relay", "mappo_pooled", parameters=parameters, max_norm=1e9, **changes
        )
        for seed, adam in enumerate(learner.adams.values()):
            generator = torch.Generator().manual_seed(seed)
            adam.weights.add_(torch.randn(adam.weights.shape, generator=generator), alpha=0.02)
        first = first_gradients(learner)
        learner.update(look_of(learner) if look else None)
        if look:
            micro = learner.micro
        gradients.append(np.concatenate([first[name] for name in learner.own]))
    learned, whole = gradients
    np.testing.assert_allclose(learned, whole, atol=1e-5 * np.linalg.norm(whole))
    found, size = np.zeros((8, 2, len(whole))), len(whole) // len(learner.own)
    for (m, name), vector in micro.items():
        start = size * list(learner.own).index(learner.writing.owner(name))
        found[m, learner.agents.index(name), start : start + size] = -8 * vector.numpy()
    return found, whole


def look_of(learner):
    """Measures every update of a learner."""
    return lambda played, credit: measure_adapters(learner, played, credit)


def first_gradients(learner):
    """Maps each adapter to its gradient in the first pass, once that has been made."""
    first = {}
    for name, adam in learner.adams.items():
        step = adam.step
        adam.step = lambda lr, it=adam, name=name, step=step, **how: (
            first.setdefault(name, -it.gradient.numpy().copy()), step(lr, **how),
        )  # fmt: skip
    return first


def test_what_was_written_tells_its_entropy():
    learner, seen = small_learner("relay"), {}
    played, _ = learner.update(
        lambda played, credit: seen.update(x=measure_adapters(learner, played, credit))
    )
    for k, told in enumerate(seen["x"][0]):
        mine = [
            answer.handle.log_probs.sum()
            for answer, agent in zip(played.answers, played.columns["agent"], strict=True)
            if agent == k
        ]
        assert all(isinstance(answer.handle, Text) for answer in played.answers)
        assert told["entropy"] == pytest.approx(-np.mean(mine))
        assert told["participation"] == 1.0


@pytest.mark.parametrize(("world", "off"), [("lewis", 0.0), ("relay", 1e-4)])
def test_to_look_changes_rounding_alone_of_what_is_learned(world, off):
    """Free text is learned from micro-batch by micro-batch where it is measured."""
    found = []
    for look in (True, False):
        learner = small_learner(world)
        start = [adam.weights.numpy().copy() for adam in learner.adams.values()]
        for _ in range(2):
            learner.update(look_of(learner) if look else None)
        after = [adam.weights.numpy() for adam in learner.adams.values()]
        moved = [x - y for x, y in zip(after, start, strict=True)]
        found.append(np.concatenate(moved))
    assert abs(found[0] - found[1]).max() <= off * abs(found[1]).max()


def test_eight_micro_batches_hold_every_rollout_once():
    assert MICRO_BATCHES == 8
    (a, _), _ = by_hand([[0] * 16, [0] * 16], [1.0] * 32, [0, 0], rollouts=16)
    assert a["norm"] == pytest.approx(np.sqrt(2 / 64 + 2 / 16))
