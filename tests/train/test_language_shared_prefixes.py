"""What prompts share is read once, and layers are run from their parts: the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from language_teams import small_learner
from plain_forward import KINDS
from test_language_families import FAMILIES, asked, hosted, made

from counterpoint.lm.generate import Text
from counterpoint.lm.layers import PlainLayer, plain_layers
from counterpoint.lm.memory import Prefix
from counterpoint.lm.model import LanguageModel
from counterpoint.lm.reader import Reader, common_prefixes
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.train.lora.words import WritingTeam, shared_prefixes_of
from counterpoint.worlds.text.world import Prompt

SHARED = tuple(range(1, 11))


def test_the_shared_prefix_of_a_group_is_what_all_its_prompts_begin_with():
    long = [(*SHARED, 20, 21), (*SHARED, 22), (*SHARED, 20, 30, 31)]
    assert common_prefixes([long]) == (SHARED,)
    assert common_prefixes([long, long[:2]]) == (SHARED,)  # each once
    assert common_prefixes([[(*SHARED, 20)] * 2]) == ()  # one prompt alone is kept whole
    assert common_prefixes([[(1, 2, 3, 20), (1, 2, 3, 21)]]) == ()  # too short
    assert common_prefixes([[]]) == ()


def test_the_shared_prefixes_of_a_team_are_those_of_its_agents():
    learner = small_learner("relay")
    (model,) = set(learner.models.values())
    asks = [Prompt(a, f"You are {a}.", f"{i}?") for a in "ab" for i in "12"]
    found = shared_prefixes_of(model, asks)
    assert len(found) == 2
    for shared, agent in zip(found, "ab", strict=True):
        assert f"you are {agent}." in model.tokenizer.decode(shared)
    for agent in learner.agents:
        words, writing = (team.readers[agent] for team in (learner.words, learner.writing))
        assert words.shared_prefixes == writing.shared_prefixes != ()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma"])
def test_answers_and_gradients_behind_a_shared_prefix_are_those_without(family, kind):
    model = LanguageModel(*made(family), family)
    adapters = hosted(model)
    other = Prompt("b", "Nothing in common", "What?", most_tokens=5)
    asks = [*asked("a"), *asked("b"), other]
    settings = LanguageSettings(adapter=kind).filled(tiny=True, free=True)
    found = []
    for opened in (False, True):
        team = WritingTeam(model, adapters, settings)
        if opened:
            (reader,) = set(team.readers.values())
            reader.shared_prefixes = shared_prefixes_of(model, asks[:4])
            assert len(reader.shared_prefixes) == 2
        texts = team.write(asks, np.random.default_rng(0))
        values = np.arange(1.0, 6.0)
        loss = team.loss(asks, texts, values, np.ones(5), 5)
        parameters = [x for adapter in adapters.values() for x in adapter.parameters()]
        gradient = torch.cat([x.flatten() for x in torch.autograd.grad(loss, parameters)])
        found.append((texts, gradient, team.bare_log_probs(asks, texts)))
    (alone, whole, bare), (texts, gradient, bare_too) = found
    assert [text.tokens for text in texts] == [text.tokens for text in alone]
    for x, y in zip(texts, alone, strict=True):
        np.testing.assert_allclose(x.log_probs, y.log_probs, atol=1e-4)
    for x, y in zip(bare, bare_too, strict=True):
        np.testing.assert_allclose(x, y, atol=1e-4)
    assert (gradient - whole).norm() < 1e-4 * whole.norm()


def test_what_is_read_beside_a_prompt_changes_no_bit_of_it():
    """With a shared prefix too: it is read by itself, whichever prompt needs it first."""
    model = LanguageModel(*made("llama"), "llama")
    prompts = [ask.messages for ask in asked("a")]
    prefixes = shared_prefixes_of(model, asked("a"))
    bits = []
    for order in ([0, 1], [1, 0], [0]):
        reader = Reader(model, "activated", 1)
        reader.shared_prefixes = prefixes
        found = reader.prefixes([prompts[i] for i in order], [1] * len(order))[order.index(0)]
        assert found.shared == prefixes[0]
        bits.append({i: x.numpy().tobytes() for i, x in found.keys.items()})
    assert bits[0] == bits[1] == bits[2]


def test_a_prompt_as_long_as_a_shared_prefix_is_read_whole():
    model = LanguageModel(*made("llama"), "llama")
    tokens = model.prompt(asked("a")[0].messages)
    reader = Reader(model, "last_token", 1)
    for shared, wanted in ((tokens, ()), (tokens[:-1], ()), (tokens[:-2], tokens[:-2])):
        reader.shared_prefixes = (shared, (999,))
        assert reader._shared_by(tokens) == wanted


def test_an_answer_keeps_of_its_prompt_what_learning_needs():
    """The keys and values of the layers with adapters; none where prompts are read again."""
    for kind, layers in (("activated", {1, 2}), ("plain", set())):
        learner = small_learner("relay", adapter=kind)
        played = learner.play(learner.rng)
        for answer in played.answers:
            text: Text = answer.handle
            assert set(text.prefix.keys) == set(text.prefix.values) == layers
    whole = Prefix({0: torch.ones(1), 1: torch.ones(1)}, {0: torch.ones(1), 1: torch.ones(1)}, (5,),
                   torch.ones(1, 1), 1)  # fmt: skip
    assert set(whole.above(1).keys) == {1}
    assert whole.above(1).tokens == whole.tokens == 2


# layers


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_are_run_from_their_parts_if_they_give_the_same_numbers(family):
    stock, tokenizer = made(family)
    plain = LanguageModel(stock, tokenizer, family)._plain
    assert bool(plain) == (not family.startswith("gemma"))


def test_a_layer_of_other_arithmetic_is_called_itself():
    """The twin with a residual twice as large has the same parts."""
    model = LanguageModel(*made("llama"), "llama")
    at = torch.tensor([[0, 1]])
    (turns,) = model._rotary(model.embed(at), at).values()

    def own(index, x, mask):
        options = {"attention_mask": mask, model._cache_name: None}
        return model.inner.layers[index](x, position_embeddings=turns, **options)

    def doubled(index, x, mask):
        return own(index, x, mask) + (x if index == 2 else 0)

    found = plain_layers(model.inner.layers, own, turns)
    assert [type(layer) for layer in found] == [PlainLayer] * 3
    assert plain_layers(model.inner.layers, doubled, turns) == []
