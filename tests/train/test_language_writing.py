"""Free text: the loss is that of the plain forward pass, and PPO's numbers are worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from plain_forward import KINDS, flat, learned, plain_logits, plain_text_log_probs, stock, tiny

from counterpoint.credit import advantages
from counterpoint.lm.generate import Text
from counterpoint.train.lora.learner import LanguageLearner
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.train.lora.words import WritingTeam
from counterpoint.worlds import find_world
from counterpoint.worlds.text.world import Prompt

ANSWERS = {
    "a": ((5, 90, 700, 2), (33,), (900, 900, 7)),
    "b": ((12, 2), (4, 3, 2, 1, 600)),
}
"""Answers of different lengths; 2 ends one, and the others were cut off."""


def team_of(agents=("a", "b"), *, shared=False, layers=3, double=False, **changes):
    model = tiny(double=double)
    one = learned(model, 9, layers=layers, double=double)
    adapters = {
        name: one if shared else learned(model, seed, layers=layers, double=double)
        for seed, name in enumerate(agents)
    }
    return WritingTeam(model, adapters, LanguageSettings(**{"temperature": 1.0, **changes}))


def read_by(team, ask):
    """The prompt as the team has read it."""
    with torch.no_grad():
        adapters = [team.adapters[ask.agent]]
        return team.readers[ask.agent].prefixes([ask.messages], [ask.most_tokens], adapters)[0]


def asked(team, answers=ANSWERS, most_tokens=8):
    """Asks with prompts of different lengths, and what was answered."""
    asks, texts = [], []
    for agent, rows in answers.items():
        for i, tokens in enumerate(rows):
            ask = Prompt(agent, "You write.", f"Write! {'again ' * (4 * i)}", (), most_tokens + i)
            asks.append(ask)
            old = np.full(len(tokens), -3.0)
            texts.append(Text(read_by(team, ask), tokens, old))
    return asks, texts


def loss_of(team, asks, texts, advantages, total):
    """The loss of answers divided by the room for them, with the divergence if it has a weight."""
    weights = 1 / np.array([ask.most_tokens for ask in asks])
    bare = team.bare_log_probs(asks, texts) if team.settings.kl else None
    return team.loss(asks, texts, advantages, weights, total, bare)


def plain_loss(plain, team, asks, texts, advantages, total):
    """-A log pi over tokens, divided by the room for them, by the plain forward pass."""
    loss = 0.0
    for ask, text, advantage in zip(asks, texts, advantages, strict=True):
        told = plain_text_log_probs(
            plain, ask, team.adapters[ask.agent], text.tokens, team.settings.temperature,
            team.settings.kind,
        )  # fmt: skip
        loss = loss - float(advantage) * told.sum() / ask.most_tokens
    return loss / total


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("layers", "temperature"), [(3, 1.0), (2, 1.0), (1, 0.6)])
def test_the_gradient_is_that_of_the_plain_forward_pass(
    shared, layers, temperature, kind, checkpointing
):
    how = {"temperature": temperature, "adapter": kind, "checkpointing": checkpointing}
    team = team_of(shared=shared, layers=layers, double=True, **how)
    asks, texts = asked(team)
    advantages, plain = np.array([1.5, -0.5, 2.0, -1.0, 0.25]), stock(double=True)
    parameters = [
        x for adapter in dict.fromkeys(team.adapters.values()) for x in adapter.parameters()
    ]
    fast = torch.autograd.grad(loss_of(team, asks, texts, advantages, 11), parameters)
    wanted = torch.autograd.grad(plain_loss(plain, team, asks, texts, advantages, 11), parameters)
    assert (flat(fast) - flat(wanted)).norm() <= 1e-5 * flat(wanted).norm()
    assert all(g.abs().max() > 0 for g in wanted)

    rng = np.random.default_rng(0)
    direction = [torch.from_numpy(rng.normal(size=x.shape)) for x in parameters]
    sides = []
    for step in (1e-5, -1e-5):
        with torch.no_grad():
            for x, d in zip(parameters, direction, strict=True):
                x.add_(d, alpha=step)
            sides.append(float(plain_loss(plain, team, asks, texts, advantages, 11)))
            for x, d in zip(parameters, direction, strict=True):
                x.sub_(d, alpha=step)
    along = float(sum((g * d).sum() for g, d in zip(fast, direction, strict=True)))
    assert along == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_log_probabilities_of_what_was_written_are_the_same_when_learned_from(temperature, kind):
    """Those of writing, of learning, and of the plain forward pass."""
    team = team_of(temperature=temperature, adapter=kind)
    asks, _ = asked(team)
    texts = team.write(asks, np.random.default_rng(0))
    longest = max(len(text.tokens) for text in texts)
    written = torch.zeros(len(texts), longest, dtype=torch.long)
    for row, text in enumerate(texts):
        written[row, : len(text.tokens)] = torch.tensor(text.tokens)
    plain = stock()
    with torch.no_grad():
        found = team._log_probs(asks, texts, written)
        for row, (ask, text) in enumerate(zip(asks, texts, strict=True)):
            n = len(text.tokens)
            assert 1 <= n <= ask.most_tokens
            wanted = plain_text_log_probs(
                plain, ask, team.adapters[ask.agent], text.tokens, temperature, kind
            )
            torch.testing.assert_close(found[row, :n], wanted, atol=2e-5, rtol=0)
            np.testing.assert_allclose(text.log_probs, wanted, atol=2e-5)


def one_answer(team, tokens, ratios, most_tokens=4):
    """An answer that was written with other probabilities than now: now / then = ratios."""
    ask = Prompt("a", "You write.", "Write!", (), most_tokens)
    with torch.no_grad():
        now = plain_text_log_probs(stock(), ask, team.adapters["a"], tokens).double().numpy()
    return ask, Text(read_by(team, ask), tokens, now - np.log(ratios))


@pytest.mark.parametrize(
    ("advantage", "ratio", "clip", "wanted", "moves"),
    [
        (1.0, 1.5, 0.2, 1.2, False),  # good, and already likelier: enough
        (1.0, 0.5, 0.2, 0.5, True),
        (-1.0, 1.5, 0.2, -1.5, True),
        (-1.0, 0.5, 0.2, -0.8, False),  # bad, and already rarer: enough
        (2.0, 1.1, 0.2, 2.2, True),
        (2.0, 1.5, 0.6, 3.0, True),
        (1.0, 3.0, 0.0, 1.0, False),
        (0.0, 1.5, 0.2, 0.0, False),
    ],
)
def test_ppo_by_hand(advantage, ratio, clip, wanted, moves):
    """One token of four that there is room for, of 3 decisions in the batch."""
    team = team_of(("a",), epochs=2, clip=clip)
    ask, text = one_answer(team, (7,), [ratio])
    loss = loss_of(team, [ask], [text], np.array([advantage]), 3)
    assert loss.item() == pytest.approx(-wanted / 4 / 3, rel=1e-4, abs=1e-7)
    gradient = flat(torch.autograd.grad(loss, [*team.adapters["a"].parameters()]))
    plain = plain_text_log_probs(stock(), ask, team.adapters["a"], (7,))[0]
    score = flat(torch.autograd.grad(plain, [*team.adapters["a"].parameters()]))
    along = -advantage * ratio / 4 / 3 * score if moves else 0 * score
    torch.testing.assert_close(gradient, along, atol=1e-4 * float(score.norm()), rtol=1e-3)


def test_each_token_is_clipped_by_itself_and_padding_counts_for_nothing():
    team = team_of(("a",), epochs=2)
    long, short = (
        one_answer(team, (7, 90, 2), [1.5, 1.0, 0.5]),
        one_answer(team, (5,), [0.9], most_tokens=2),
    )
    asks, texts = [long[0], short[0]], [long[1], short[1]]
    # (1.2 + 1 + 0.5) / 4 for the long one, -(0.9) / 2 for the short one, over 2 decisions
    loss = loss_of(team, asks, texts, np.array([1.0, -1.0]), 2)
    assert loss.item() == pytest.approx(-(2.7 / 4 - 0.9 / 2) / 2, rel=1e-4)
    apart = [
        loss_of(team, [ask], [text], np.array([value]), 2).item()
        for ask, text, value in zip(asks, texts, (1.0, -1.0), strict=True)
    ]
    assert loss.item() == pytest.approx(sum(apart), rel=1e-5)


def test_with_one_pass_the_ratio_is_one_whatever_was_remembered():
    """The batch is on-policy: rounding of old log-probabilities must not come in."""
    team = team_of(("a",), epochs=1)
    ask, text = one_answer(team, (7, 90), [3.0, 0.1])
    loss = loss_of(team, [ask], [text], np.array([1.5]), 1)
    assert loss.item() == pytest.approx(-1.5 * 2 / 4, rel=1e-6)


def test_kl_by_hand():
    """Schulman's third estimator of KL(agent, bare model): exp(d) - d - 1, d = log bare / agent."""
    team = team_of(("a",), kl=0.7)
    ask, text = one_answer(team, (7, 90), [1.0, 1.0])
    plain = stock()
    with torch.no_grad():
        now = plain_text_log_probs(plain, ask, team.adapters["a"], text.tokens)
        bare = plain_text_log_probs(plain, ask, None, text.tokens)
    gaps = (bare - now).tolist()
    assert max(map(abs, gaps)) > 0.1
    each = sum(math.exp(gap) - gap - 1 for gap in gaps)
    loss = loss_of(team, [ask], [text], np.array([0.0]), 1)
    assert loss.item() == pytest.approx(0.7 * each / 4, rel=1e-4)
    gradient = flat(torch.autograd.grad(loss, [*team.adapters["a"].parameters()]))
    scores = plain_text_log_probs(plain, ask, team.adapters["a"], text.tokens)
    slope = sum((1 - math.exp(gap)) * score for gap, score in zip(gaps, scores, strict=True))
    wanted = flat(torch.autograd.grad(0.7 * slope / 4, [*team.adapters["a"].parameters()]))
    torch.testing.assert_close(gradient, wanted, atol=1e-4 * float(wanted.norm()), rtol=1e-3)


def test_the_third_estimator_is_one_of_the_divergence():
    """Its mean over all first tokens is KL(agent, bare) exactly."""
    team = team_of(("a",))
    ask, plain = Prompt("a", "You write.", "Write!", (), 1), stock()
    with torch.no_grad():
        now, bare = (
            torch.log_softmax(plain_logits(plain, ask.messages, x)[0].double(), 0)
            for x in (team.adapters["a"], None)
        )
    kl = float((now.exp() * (now - bare)).sum())
    gap = bare - now
    assert float((now.exp() * (gap.exp() - gap - 1)).sum()) == pytest.approx(kl, rel=1e-6)


# writing


def test_many_answers_are_written_some_at_a_time():
    team = team_of(together=2)
    asks, _ = asked(team)
    found = team.write(asks, np.random.default_rng(1))
    rng = np.random.default_rng(1)
    by_two = [team.write(asks[first : first + 2], rng) for first in range(0, len(asks), 2)]
    assert [text.tokens for text in found] == [text.tokens for some in by_two for text in some]
    assert len(found) == len(asks)
    assert team.write([], rng) == []


# passes


RELAY = {"most_tokens": 3, "things": 1}


def learner(**changes):
    given = {"prompts": 2, "rollouts": 4, "rows": 5, "diagnose_every": 0, **changes}
    settings = LanguageSettings(**{"temperature": 1.0, **given}).filled(tiny=True, free=True)
    return LanguageLearner(
        tiny(), find_world("relay").make({**RELAY, "waste": 0.3}), "mappo_pooled", settings, 3, 10
    )


def test_each_pass_over_a_batch_of_text_is_a_step_of_its_own():
    """Three passes are three steps on the same answers, each clipped against how it was written."""
    found, by_hand = learner(epochs=3, clip=0.05, lr=0.02), learner(epochs=3, clip=0.05, lr=0.02)
    played, _ = found.update()
    credit = advantages(played.rewards.sum(axis=1), played.columns, found.scheme)
    values = credit.values.astype(np.float32).astype(float)
    assert abs(values).max() > 0
    order = sorted(range(len(values)), key=lambda i: played.asks[i].agent)
    for _ in range(3):
        for adam in by_hand.adams.values():
            adam.zero()
        for first in range(0, len(order), 5):
            some = order[first : first + 5]
            loss_of(
                by_hand.writing,
                [played.asks[i] for i in some],
                [played.answers[i].handle for i in some],
                values[some],
                len(order),
            ).backward()
        for name, adam in by_hand.adams.items():
            adam.step(by_hand.rates[name])
    for name, adam in found.adams.items():
        assert adam.steps == 3
        torch.testing.assert_close(adam.weights, by_hand.adams[name].weights, rtol=0, atol=1e-6)
    one = learner(epochs=1, lr=0.02)
    one.update()
    assert all(adam.steps == 1 for adam in one.adams.values())


def test_how_many_rows_are_in_a_pass_changes_nothing_but_rounding():
    found = []
    for rows in (1, 3, 64):
        team = learner(rows=rows)
        team.update()
        found.append(team.adams["planner"].weights)
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-5)
    torch.testing.assert_close(found[0], found[2], rtol=0, atol=1e-5)
