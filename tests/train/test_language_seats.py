"""Several base models in one team: each agent has the numbers of its own model."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from language_teams import make_short, small_learner, trained, weights
from mixed_teams import AGENTS, Chorus, mixed_learner, mixed_models, moved, stocks
from plain_forward import KINDS, flat, plain_log_probs, plain_text_log_probs
from test_language_order import listed

from counterpoint.errors import SettingError
from counterpoint.lm import model as models_module
from counterpoint.lm.model import open_models
from counterpoint.runs.remote import Here
from counterpoint.train.lora import writers as writers_module
from counterpoint.train.lora.learner import LanguageLearner
from counterpoint.train.lora.seats import agents_by_model
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.train.lora.words import Pass
from counterpoint.train.lora.writers import ShareMaker


def differences(found, slow):
    """How far each agent's gradient is from that of the full forward, as a share of its length."""
    return [float((a - b).norm() / b.norm()) for a, b in zip(found, slow, strict=True)]


@pytest.mark.few(3)
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_each_agent_agrees_with_the_full_forward_of_its_own_model(kind, checkpointing):
    learner = mixed_learner(adapter=kind, checkpointing=checkpointing, kl=0.3, epochs=2)
    bare = stocks()
    for seed, adapter in enumerate(learner.own.values()):
        moved(adapter, seed)
    played = learner.play(np.random.default_rng(0))
    rng, agents = np.random.default_rng(1), [ask.agent for ask in played.asks]
    assert Counter(agents) == dict.fromkeys(AGENTS, 16)
    places = [bool(ask.words) for ask in played.asks]
    values = rng.normal(size=len(agents))

    def plain(i):
        """The log-probabilities that the episode has, by the agent's own model."""
        ask, adapter = played.asks[i], learner.adapters[agents[i]]
        if ask.words:
            prior = learner.words.priors[ask.agent, ask.words]
            return plain_log_probs(bare[agents[i]], ask, adapter, prior, kind)
        tokens = played.answers[i].handle.tokens
        return plain_text_log_probs(bare[agents[i]], ask, adapter, tokens, 1.0, kind)

    # what was sampled from
    for i, answer in enumerate(played.answers):
        with torch.no_grad():
            wanted = plain(i)
        handle = answer.handle
        ours = np.log(learner.words.probs[handle[0]]) if places[i] else handle.log_probs
        np.testing.assert_allclose(ours, wanted, atol=1e-4)
    # the bare models
    nats = learner._bare_log_probs(played)
    assert len(nats) == places.count(False)
    for i, found in nats.items():
        ask, tokens = played.asks[i], played.answers[i].handle.tokens
        with torch.no_grad():
            wanted = plain_text_log_probs(bare[ask.agent], ask, None, tokens, 1.0, kind)
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    # the gradient of choices
    for adam in learner.adams.values():
        adam.zero()
    rows = [answer.handle for i, answer in enumerate(played.answers) if places[i]]
    chosen = [float(v) for v, word in zip(values, places, strict=True) if word]
    ((_, log_probs),) = learner.words.graphs()
    ours = sum(v * log_probs[r, w] for v, (r, w) in zip(chosen, rows, strict=True))
    ours.backward()
    found = [adam.gradient.clone() for adam in learner.adams.values()]
    words = [i for i, word in enumerate(places) if word]
    theirs = sum(
        v * plain(i)[rows[k][1]] for k, (v, i) in enumerate(zip(chosen, words, strict=True))
    )
    slow = [
        flat(torch.autograd.grad(theirs, list(own.parameters()), retain_graph=True))
        for own in learner.own.values()
    ]
    assert max(differences(found, slow)) < 1e-4
    # the gradient of texts, with the divergence from each bare model
    for adam in learner.adams.values():
        adam.zero()
    learner._learn_texts(played, values, nats)
    found = [adam.gradient.clone() for adam in learner.adams.values()]
    loss = 0.0
    for i in (i for i, word in enumerate(places) if not word):
        text, log_probs = played.answers[i].handle, plain(i)
        ratio = (log_probs - torch.from_numpy(text.log_probs)).exp()
        gain = torch.minimum(ratio * values[i], ratio.clamp(0.8, 1.2) * values[i])
        gap = torch.from_numpy(nats[i]) - log_probs
        loss = loss - (gain - 0.3 * (gap.exp() - gap - 1)).sum() / 5 / len(agents)
    slow = [
        flat(torch.autograd.grad(loss, list(own.parameters()), retain_graph=True))
        for own in learner.own.values()
    ]
    assert max(differences(found, slow)) < 1e-4


def test_a_pass_has_the_rows_of_one_model():
    learner = mixed_learner(together=3, rows=5, adapter="activated")
    parts, passes = [], []
    writers, team = learner.writers, learner.writing
    write, gradient = team.write_together, team.gradient

    def written(asks, draws):
        parts.append([ask.agent for ask in asks])
        return write(asks, draws)

    def learned(one: Pass):
        passes.append([ask.agent for ask in one.asks])
        return gradient(one)

    team.write_together, team.gradient = written, learned
    writers.here.team = team
    learner.update()
    models = learner.models
    assert all(len({models[name] for name in part}) == 1 for part in parts + passes)
    assert max(map(len, parts)) == 3
    assert max(map(len, passes)) == 5
    assert [len(agents) for agents in agents_by_model(models).values()] == [2, 2]


def test_the_order_of_agents_changes_nothing():
    found = []
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        learner = LanguageLearner(
            mixed_models(), listed(Chorus(), order), "mappo_per_agent",
            mixed_learner(lr_of="high:0.02").settings, 1, 10,
        )  # fmt: skip
        found.append(trained(learner, 2))
        assert learner.rates == {"ann": 0.01, "bob": 0.02, "cat": 0.01, "dan": 0.02}
    assert found[0] == found[1]
    assert len(set(found[0][1].values())) == 4


@pytest.mark.parametrize("changes", [{}, {"adapter": "plain", "kl": 0.1, "epochs": 2}])
def test_a_restored_team_goes_on_the_same(changes):
    straight, wanted = mixed_learner(**changes), []
    for _ in range(3):
        straight.update()
        wanted.append(straight.capture())
    other = mixed_learner(**changes)
    other.restore(wanted[0])
    other.update()
    other.update()
    assert weights(other) == weights(straight)
    assert other.rng.bit_generator.state == straight.rng.bit_generator.state


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", KINDS)
def test_several_processes_give_the_same_bits(kind, monkeypatch):
    """Both models get the same prompt, so that what one has read must not go to the other."""
    given = {"together": 3, "rows": 3, "adapter": kind, "kl": 0.1}
    alone = trained(mixed_learner(**given), 2)
    models = mixed_models()
    monkeypatch.setattr(writers_module, "open_team_models", lambda names, settings: models)
    split = mixed_learner(processes=3, **given)
    others = [ShareMaker.of(split.writers.team)() for _ in range(2)]
    split.writers._hosts = [Here(split.writers.here), *map(Here, others)]
    assert trained(split, 2) == alone


def test_a_model_named_for_an_agent_that_has_it_anyway_changes_nothing():
    for world in ("debate", "relay"):
        made = make_short(world)
        one = trained(small_learner(made), 2)
        names = dict.fromkeys(made.agents, "tiny")
        learner = LanguageLearner(
            {name: open_models([model])[model] for name, model in names.items()},
            made, "mappo_per_agent", small_learner(made).settings, 1, 10,
        )  # fmt: skip
        assert trained(learner, 2) == one


def test_each_model_has_its_own_defaults():
    given = {"layers": 0, "targets": "default", "lr": 0.0}
    learner = mixed_learner(**given, lr_of="dan:0.5")
    assert learner.rates == {"ann": 0.003, "bob": 0.005, "cat": 0.003, "dan": 0.5}
    tiny, made = learner.own["ann"].down, learner.own["bob"].down
    assert len(tiny) == 2 * 7
    assert len(made) == 3 * 2
    assert {name.split(".", 2)[2] for name in made} == {"self_attn.q_proj", "self_attn.v_proj"}
    for model, kept in ((learner.models["ann"], 1), (learner.models["bob"], 0)):
        firsts = {
            reader.first for reader in learner.words.readers.values() if reader.model is model
        }
        assert firsts == {kept}


def test_models_share_the_memory_of_prompts_and_the_one_that_needs_it_gets_it():
    learner = mixed_learner(cache_mb=8)
    readers = set(learner.writing.readers.values())
    (kept,) = {id(reader.kept): reader.kept for reader in readers}.values()
    assert len(readers) == 2
    assert kept.limit == 8_000_000
    learner.update()
    assert {key[0] for key in kept} == {reader.model for reader in readers}
    assert 0 < kept.nbytes == sum(kept.sizes.values()) <= kept.limit
    one, other = sorted(readers, key=lambda reader: reader.model.name)
    kept.clear()
    assert (kept.nbytes, len(kept.sizes)) == (0, 0)
    asks = [(("user", f"Question {i}"),) for i in range(40)]
    size = one.prefixes(asks[:1], [1])[0].nbytes
    kept.limit = 40 * size + size // 2  # room for one model's prompts, as long as it alone asks
    one.prefixes(asks, [1] * 40)
    assert sum(key[0] is one.model for key in kept) >= 36
    other.prefixes(asks[:1], [1])  # the oldest goes, whoever has read it
    assert any(key[0] is other.model for key in kept)
    assert kept.nbytes <= kept.limit


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parameters": "shared"}, r"parameters=shared and agents with different models.*separate"),
        (
            {"server": "http://127.0.0.1:1/v1", "handover": "none"},
            r"server=http.*and agents with different models.*one model",
        ),
    ],
)
def test_what_needs_one_model_is_refused(changes, message):
    with pytest.raises(SettingError, match=message) as error:
        mixed_learner(**changes)
    assert "\n" not in str(error.value)


def test_words_that_one_of_the_models_cannot_tell_apart_are_refused_with_its_name():
    class Alike(Chorus):
        def prompts(self, task, history):
            asks = super().prompts(task, history)
            return tuple(
                replace(ask, words=("zqx", "zqy")) if ask.words and ask.agent == "bob" else ask
                for ask in asks
            )

    with pytest.raises(SettingError, match=r"begin with the same token of made"):
        LanguageLearner(mixed_models(), Alike(), "mappo_pooled", mixed_learner().settings, 1, 10)


def test_models_of_a_team_are_opened_once_and_kept(monkeypatch):
    loaded = []
    whole = models_module.tiny_model

    def tiny_model():
        loaded.append("tiny")
        return whole()

    monkeypatch.setattr(models_module, "tiny_model", tiny_model)
    monkeypatch.setattr(
        models_module, "load_model", lambda name, dtype: (loaded.append(name), whole())[1]
    )
    monkeypatch.setattr(models_module, "_stamp", lambda name: ())
    monkeypatch.setattr(models_module, "OPEN", {})
    one = open_models(["tiny", "a", "tiny", "a"])
    assert loaded == ["tiny", "a"]
    assert list(one) == ["tiny", "a"]
    assert open_models(["a", "tiny"]) == one
    assert loaded == ["tiny", "a"]
    open_models(["a", "b"])  # another team: tiny is no longer kept
    assert loaded == ["tiny", "a", "b"]
    assert open_models(["a"])["a"] is one["a"]
    open_models(["tiny"])
    assert loaded == ["tiny", "a", "b", "tiny"]


def test_settings_without_a_model_of_their_own_are_filled_as_before():
    given = LanguageSettings()
    assert given.filled(tiny=None, free=False).on(tiny=True) == given.filled(tiny=True, free=False)
    assert given.filled(tiny=None, free=True).on(tiny=False) == given.filled(tiny=False, free=True)
