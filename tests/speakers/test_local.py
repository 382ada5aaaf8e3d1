"""A model of this machine as a speaker: what it promises, and with which chances it answers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from counterpoint.errors import SettingError
from counterpoint.lm.adapters import TARGETS, Adapter
from counterpoint.lm.model import LanguageModel
from counterpoint.lm.tiny import tiny_model
from counterpoint.speakers import Message, Request
from counterpoint.speakers.local import LocalSpeaker
from counterpoint.testing import check_speaker

COLOURS = ("red", "blue", "green")
ASK = (Message("system", "Choose."), Message("user", "Which colour?"))


@pytest.fixture(scope="module")
def model():
    return LanguageModel(*tiny_model(), "tiny")


@pytest.fixture(scope="module")
def adapter(model):
    generator = torch.Generator().manual_seed(1)
    found = Adapter(model.places(TARGETS["all"], 2), 4, 8.0, generator)
    for up in found.up.values():
        up.data.normal_(0, 0.3, generator=generator)
    model.host(found)
    return found


def too_long(words):
    return Request((Message("user", "word " * 2100),), words=words)


@pytest.mark.parametrize("words", [COLOURS, None])
def test_it_keeps_what_a_speaker_promises(model, words):
    check_speaker(lambda: LocalSpeaker(model), failing=too_long(words))


def test_an_agent_with_an_adapter_keeps_it_too(model, adapter):
    check_speaker(lambda: LocalSpeaker(model, {"tester": adapter}, seed=3), failing=too_long(None))


def test_what_is_too_long_says_so(model):
    speaker = LocalSpeaker(model)
    (reply,) = speaker.answer([too_long(COLOURS)])
    assert reply.text == ""
    assert "2048" in reply.error
    with pytest.raises(SettingError, match="2048"):
        speaker.probabilities(too_long(COLOURS))
    with pytest.raises(SettingError, match="words"):
        speaker.probabilities(Request(ASK))


def by_hand(model, words):
    """Probability of each whole word and an end behind it, by the model's own forward pass."""
    prompt, chances = model.prompt(tuple((m.role, m.content) for m in ASK)), []
    (end,) = model.end_tokens
    for word in words:
        answer = [*model.spelled(word), end]
        with torch.no_grad():
            logits = model.model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0].double()
        told = torch.log_softmax(logits, dim=1)[len(prompt) - 1 : -1]
        chances.append(sum(told[i, token].item() for i, token in enumerate(answer)))
    weights = np.exp(chances)
    return weights / weights.sum()


def test_a_bare_model_takes_whole_words_however_many_tokens_they_have(model):
    words = ("red", "zorp", "move left", "redder")
    assert len({len(model.spelled(word)) for word in words}) > 1
    found = LocalSpeaker(model).probabilities(Request(ASK, words=words))
    np.testing.assert_allclose(found, by_hand(model, words), rtol=1e-4)
    assert found.sum() == pytest.approx(1)


def test_an_agent_that_nobody_trained_is_the_bare_model(model, adapter):
    speaker = LocalSpeaker(model, {"one": adapter})
    chances = [speaker.probabilities(Request(ASK, who, COLOURS)) for who in ("", "two", "one")]
    np.testing.assert_array_equal(chances[0], chances[1])
    assert abs(chances[0] - chances[2]).max() > 1e-3
    texts = [speaker.answer([Request(ASK, who, temperature=0)])[0].text for who in ("", "one")]
    assert texts[0] != texts[1]


def test_words_are_said_as_often_as_they_are_likely(model):
    speaker, n = LocalSpeaker(model), 150
    chances = speaker.probabilities(Request(ASK, words=COLOURS))
    said = [reply.text for reply in speaker.answer([Request(ASK, words=COLOURS)] * n)]
    for word, chance in zip(COLOURS, chances, strict=True):
        assert abs(said.count(word) - n * chance) < 5 * np.sqrt(n * chance * (1 - chance))


@pytest.mark.parametrize("heat", [0.0, 1e-320, 1e-30, 1e-3])
def test_without_heat_the_likeliest_word_is_said(model, heat):
    speaker = LocalSpeaker(model)
    likeliest = COLOURS[speaker.probabilities(Request(ASK, words=COLOURS)).argmax()]
    for seed in range(20):
        request = Request(ASK, words=COLOURS, temperature=heat, seed=seed)
        assert speaker.answer([request])[0].text == likeliest


def test_heat_flattens(model):
    speaker, n = LocalSpeaker(model), 150
    chances = speaker.probabilities(Request(ASK, words=COLOURS))
    wanted = chances ** (1 / 3) / (chances ** (1 / 3)).sum()
    requests = [Request(ASK, words=COLOURS, temperature=3, seed=i) for i in range(n)]
    said = [reply.text for reply in speaker.answer(requests)]
    for word, chance in zip(COLOURS, wanted, strict=True):
        assert abs(said.count(word) - n * chance) < 5 * np.sqrt(n * chance * (1 - chance))


def test_tokens_are_counted_and_nothing_is_paid(model):
    words, free = LocalSpeaker(model).answer(
        [Request(ASK, words=COLOURS), Request(ASK, max_tokens=5, seed=1)]
    )
    read = len(model.prompt((("system", "Choose."), ("user", "Which colour?"))))
    assert (words.prompt_tokens, words.completion_tokens, words.cost_dollars) == (read, 1, 0.0)
    assert free.prompt_tokens == read
    assert 1 <= free.completion_tokens <= 5
