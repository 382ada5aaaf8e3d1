"""Choices by the fast path are those of the plain forward pass, and so are their gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from plain_forward import (
    KINDS,
    crowded,
    flat,
    learned,
    plain_log_probs,
    plain_logits,
    stock,
    tiny,
    word_team,
)

from counterpoint.errors import SettingError
from counterpoint.train.lora.words import WordTeam, choose_words, weights_of
from counterpoint.worlds.text.world import Prompt

TEAMS = {1: ("solo",), 2: ("speaker", "listener"), 4: ("d", "a", "c", "b")}
CASES = [
    *((n, shared, layers) for n in (1, 2) for shared in (False, True) for layers in (1, 3)),
    *((4, False, 2), (4, True, 2)),
]


def in_order(asks):
    return sorted(asks, key=lambda ask: ask.agent)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("agents", "shared", "layers"), CASES)
def test_logits_are_those_of_the_whole_prompt_through_the_whole_model(agents, shared, layers, kind):
    targets = "attention" if layers == 2 else "all"
    how = {"shared": shared, "layers": layers, "targets": targets, "kind": kind}
    team = word_team(tiny(), TEAMS[agents], **how)
    plain, asks = stock(), in_order(crowded(TEAMS[agents]))
    with torch.no_grad():
        found, bare = team.logits(asks), team.logits(asks, adapted=False)
        for row, ask in enumerate(asks):
            tokens = [plain[1].encode(word)[0] for word in ask.words]
            for logits, adapter in ((found, team.adapters[ask.agent]), (bare, None)):
                wanted = plain_logits(plain, ask.messages, adapter, kind=kind)[0, tokens]
                torch.testing.assert_close(logits[row, : len(tokens)], wanted, atol=1e-5, rtol=0)
    assert (found - bare).abs().max() > 0.05


@pytest.mark.few(6)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("agents", "shared", "layers"), CASES)
def test_the_gradient_is_that_of_the_whole_model_and_of_finite_differences(
    agents, shared, layers, kind
):
    """In 64 bits; the words' own logits are cut to 32, which is what the tolerance is for."""
    names = TEAMS[agents]
    how = {"shared": shared, "layers": layers, "kind": kind}
    team = word_team(tiny(double=True), names, double=True, **how)
    plain, asks = stock(double=True), crowded(names)
    rng = np.random.default_rng(agents)
    weight = torch.from_numpy(rng.normal(size=(len(asks), 4)))
    rows = team.rows_of(asks)
    ((_, log_probs),) = team.graphs()
    found_of = {ask: log_probs[row] for ask, row in zip(asks, rows, strict=True)}

    def objective(log_probs_of):
        return sum(
            (weight[i, : len(ask.words)] * log_probs_of(ask)[: len(ask.words)]).sum()
            for i, ask in enumerate(asks)
        )

    def slow(ask):
        return plain_log_probs(plain, ask, team.adapters[ask.agent], kind=kind)

    adapters = dict.fromkeys(team.adapters.values())
    parameters = [x for adapter in adapters for x in adapter.parameters()]
    fast = torch.autograd.grad(objective(found_of.get), parameters)
    wanted = torch.autograd.grad(objective(slow), parameters)
    size = flat(wanted).norm()
    assert (flat(fast) - flat(wanted)).norm() <= 1e-5 * size
    assert all(g.abs().max() > 0 for g in wanted)

    direction = [torch.from_numpy(rng.normal(size=x.shape)) for x in parameters]
    sides = []
    for step in (1e-5, -1e-5):
        with torch.no_grad():
            for x, d in zip(parameters, direction, strict=True):
                x.add_(d, alpha=step)
            sides.append(float(objective(slow)))
            for x, d in zip(parameters, direction, strict=True):
                x.sub_(d, alpha=step)
    along = float(sum((g * d).sum() for g, d in zip(fast, direction, strict=True)))
    assert along == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-4)


def test_probabilities_are_over_the_legal_words_alone():
    team, plain, asks = word_team(tiny(), ("a", "b")), stock(), crowded(("a", "b"))
    rows = team.rows_of(asks)
    ((_, log_probs),) = team.graphs()
    for ask, row in zip(asks, rows, strict=True):
        probs = team.probs[row]
        with torch.no_grad():
            wanted = plain_log_probs(plain, ask, team.adapters[ask.agent])
        assert probs.dtype == np.float64
        assert probs.shape == (len(ask.words),)
        assert probs.sum() == pytest.approx(1, abs=1e-15)
        np.testing.assert_allclose(np.log(probs), wanted, atol=1e-5)
        assert not log_probs[row, len(ask.words) :].any()
        entropy = -(probs * np.log(probs)).sum()
        assert team.entropies[row] == pytest.approx(entropy)


def test_a_prompt_met_twice_is_run_once(monkeypatch):
    team, asks, passes = word_team(tiny(), ("a", "b")), crowded(("a", "b")), []
    run = WordTeam.logits
    monkeypatch.setattr(
        WordTeam, "logits", lambda team, new, **k: passes.append(new) or run(team, new, **k)
    )
    rows = team.rows_of([*asks[:2], *asks[:2], asks[4]])
    assert rows[:2] == rows[2:4]
    assert passes == [[*asks[:2], asks[4]]]
    assert team.rows_of(asks[:2]) == rows[:2]
    team.rows_of(asks)
    assert passes[1:] == [[asks[2], asks[3], asks[5]]]
    assert [log_probs.shape for _, log_probs in team.graphs()] == [(6, 4)]
    assert team.rows_of([]) == []
    team.forget()
    assert team.rows == {}
    assert team.rows_of(asks[:1]) == [0]
    assert len(passes) == 3


def test_where_it_stands_in_a_batch_changes_a_prompt_by_rounding_alone():
    team, asks = word_team(tiny(), ("a", "b", "c")), in_order(crowded(("a", "b", "c")))
    with torch.no_grad():
        together = team.logits(asks)
        for row, ask in enumerate(asks):
            alone = team.logits([ask])[0]
            torch.testing.assert_close(together[row, : len(alone)], alone, atol=1e-5, rtol=0)


def test_prompts_and_joined_prompts_are_kept_up_to_a_limit():
    whole, asks = word_team(tiny(), ("a",)), crowded(("a",))
    with torch.no_grad():
        wanted = [whole.logits([ask]) for ask in asks]
    reader = whole.readers["a"]
    size = max(reader.kept.sizes.values())
    for limit, kept in ((0, 0), (3 * size, 2), (400 * size, len(asks))):
        team = WordTeam(reader.model, whole.adapters, "activated", limit)
        kept_prompts = team.readers["a"].kept
        for _ in range(2):
            with torch.no_grad():
                found = [team.logits([ask]) for ask in asks]
            assert all(map(torch.equal, found, wanted))
            for store, part in ((kept_prompts, 3 / 4), (team._memories, 1 / 4)):
                assert store.nbytes == sum(store.sizes.values()) <= limit * part
                assert store.keys() == store.sizes.keys()
        assert len(kept_prompts) == kept
        if not limit:  # as where prompts never come back
            assert len(team._memories) == kept_prompts.nbytes == 0


def test_what_was_read_stays_true_when_adapters_move():
    team, plain, asks = word_team(tiny(), ("a",)), stock(), crowded(("a",))
    team.rows_of(asks)
    team.adapters["a"].up["layers.1.mlp.up_proj"].data.add_(0.3)
    team.forget()
    for ask, row in zip(asks, team.rows_of(asks), strict=True):
        with torch.no_grad():
            wanted = plain_log_probs(plain, ask, team.adapters["a"])
        np.testing.assert_allclose(np.log(team.probs[row]), wanted, atol=1e-5)


# priors


def test_after_calibration_each_word_is_as_likely_as_the_others_on_average():
    """Before it learns: of each agent and set of words, over the prompts it was shown."""
    model = tiny()
    fresh = {name: learned(model, seed) for seed, name in enumerate("ab")}
    for adapter in fresh.values():
        for up in adapter.up.values():
            up.data.zero_()
    team, plain = WordTeam(model, fresh), stock()
    asks = [
        replace(ask, user=ask.user + more) for more in ("", " x", " y") for ask in crowded("ab")
    ]
    team.calibrate([*asks, *asks[:5]])  # once each, however often they are met
    for (agent, words), prior in team.priors.items():
        some = [ask for ask in asks if (ask.agent, ask.words) == (agent, words)]
        assert len(some) == 3
        with torch.no_grad():
            bare = [plain_log_probs(plain, ask, None) for ask in some]
            torch.testing.assert_close(prior, torch.stack(bare).mean(0), atol=1e-5, rtol=0)
            spread = team.logits(some)[:, : len(words)].mean(dim=0)
            assert float(spread.max() - spread.min()) < 1e-5
            wanted = [plain_log_probs(plain, ask, fresh[agent], prior) for ask in some]
        found = [np.log(team.probs[row]) for row in team.rows_of(some)]
        np.testing.assert_allclose(found, torch.stack(wanted), atol=1e-5)
    assert len(team.priors) == 6


def test_a_prior_is_of_an_agent_and_its_words():
    team, asks = word_team(tiny(), ("a", "b")), crowded(("a", "b"))
    before = [team.probs[row].copy() for row in team.rows_of(asks)]
    team.calibrate(asks[:1])
    team.forget()
    after = [team.probs[row] for row in team.rows_of(asks)]
    assert abs(before[0] - after[0]).max() > 1e-3
    np.testing.assert_allclose(np.concatenate(before[1:]), np.concatenate(after[1:]), atol=1e-6)


@pytest.mark.parametrize("words", [("red", "Red"), ("zebra", "red", "zoo")])
def test_words_that_begin_alike_are_refused(words):
    """Unknown words are spelled in bytes, and all of them begin with the mark of a new word."""
    team = word_team(tiny(), ("a",))
    with pytest.raises(SettingError, match=f"'{words[0]}' and '{words[-1]}'.*tiny.*wanted words"):
        team.rows_of([Prompt("a", "Choose.", "Now!", words)])


# sampling and sums


def test_a_word_is_the_one_at_its_quantile():
    probs = np.array([0.25, 0.0, 0.5, 0.25])
    quantiles = (0.0, 0.2499, 0.25, 0.7499, 0.75, 0.9999)
    assert [choose_words(probs, u) for u in quantiles] == [0, 0, 2, 2, 3, 3]
    assert choose_words(np.array([0.5, 0.5 - 1e-12]), 1 - 1e-13) == 1  # sums may fall short of 1
    assert choose_words(np.array([1.0]), 0.999) == 0


def test_weights_add_up_over_decisions():
    found = weights_of(
        np.array([0, 1, 0, 0]), np.array([1, 0, 1, 2]), np.array([1.0, 2.0, 4.0, 8.0]), (2, 3)
    )
    assert found.tolist() == [[0.0, 5.0, 8.0], [2.0, 0.0, 0.0]]
