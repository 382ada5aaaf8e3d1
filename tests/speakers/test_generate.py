"""Free text: greedy as Hugging Face's own, sampled at quantiles, alone as beside others."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from counterpoint.errors import SettingError
from counterpoint.lm import reader as reader_module
from counterpoint.lm.adapters import TARGETS, Adapter
from counterpoint.lm.generate import Text, decode_answer, generate
from counterpoint.lm.memory import Memory
from counterpoint.lm.model import LanguageModel
from counterpoint.lm.reader import Reader
from counterpoint.lm.tiny import tiny_model

PROMPTS = tuple(
    (("system", "you are in a test." * n), ("user", text))
    for n, text in enumerate(["say red", "what do you see?", "a ball, a key or a cup?", "7", "go"])
)
ROUNDING = 2e-5
"""Log-probabilities in a batch and alone differ by so many nats, sums being in another order."""


@pytest.fixture
def model():
    return LanguageModel(*tiny_model(), "tiny")


def adapters(model, count):
    found = []
    for seed in range(count):
        generator = torch.Generator().manual_seed(seed)
        found.append(Adapter(model.places(TARGETS["all"], 2), 4, 8.0, generator))
        for up in found[-1].up.values():
            up.data.normal_(0, 0.3, generator=generator)
        model.host(found[-1])
    return found


def greedy(model, prompts, room):
    prefixes = [model.read(prompt) for prompt in prompts]
    return generate(model, prefixes, [], room, np.zeros((len(room), max(room))), 0.0)


def whole(model, prompt, answer):
    """[n, vocabulary] log-probabilities by the model's own forward pass over prompt and answer."""
    tokens = torch.tensor([[*model.prompt(prompt), *answer]])
    with torch.no_grad():
        found = torch.log_softmax(model.model(input_ids=tokens).logits[0].double(), dim=1)
    return found[len(model.prompt(prompt)) - 1 : -1]


# greedy


def test_greedy_text_is_that_of_hugging_face(model):
    texts = greedy(model, PROMPTS, [12] * len(PROMPTS))
    for prompt, text in zip(PROMPTS, texts, strict=True):
        tokens = torch.tensor([model.prompt(prompt)])
        theirs = model.model.generate(
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=12,
            do_sample=False,
        )[0, tokens.shape[1] :].tolist()
        assert list(text.tokens) == theirs
    assert len({text.tokens for text in texts}) == len(PROMPTS)


def test_an_answer_ends_with_an_end_token_and_hugging_face_agrees(model):
    first = greedy(model, PROMPTS[:1], [12])[0].tokens
    end = first[4]
    model.ends = torch.tensor([end, 3])
    model.end_tokens = frozenset([end, 3])
    for prompt, text in zip(PROMPTS, greedy(model, PROMPTS, [12] * 5), strict=True):
        tokens = torch.tensor([model.prompt(prompt)])
        theirs = model.model.generate(
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=12,
            do_sample=False,
            eos_token_id=[end, 3],
        )[0, tokens.shape[1] :].tolist()
        assert list(text.tokens) == theirs
    (text,) = greedy(model, PROMPTS[:1], [12])
    assert text.tokens == first[: first.index(end) + 1]
    assert decode_answer(model, text) == model.tokenizer.decode(first[: first.index(end)])


def test_rows_end_each_where_they_end(model):
    """The token after which a row ends is its last, whatever the others go on to write."""
    alone = [greedy(model, [prompt], [9])[0].tokens for prompt in PROMPTS]
    ends = {alone[0][2], alone[3][5]}
    model.ends, model.end_tokens = torch.tensor(sorted(ends)), frozenset(ends)
    for one, text in zip(alone, greedy(model, PROMPTS, [9] * 5), strict=True):
        stop = next((i for i, token in enumerate(one) if token in ends), 8)
        assert text.tokens == one[: stop + 1]
        assert len(text.log_probs) == stop + 1


def test_each_row_has_room_of_its_own(model):
    room = [1, 7, 3, 2, 5]
    alone = [greedy(model, [prompt], [7])[0].tokens for prompt in PROMPTS]
    for one, text, most in zip(alone, greedy(model, PROMPTS, room), room, strict=True):
        assert text.tokens == one[:most]


# sampling


def test_the_same_uniforms_give_the_same_text_alone_and_beside_others(model):
    """A token could only differ where its uniform lies within ROUNDING of a border."""
    team = adapters(model, 2)
    rng = np.random.default_rng(0)
    for order in ([0, 1, 2, 3, 4], [4, 0, 2], [3, 3, 1]):
        who = [team[i % 2] for i in order]
        places = sorted(range(len(order)), key=lambda i: id(who[i]))
        order, who = [order[i] for i in places], [who[i] for i in places]
        uniforms = rng.random((len(order), 6))
        prefixes = [model.read(PROMPTS[i]) for i in order]
        together = generate(model, prefixes, who, [6] * len(order), uniforms, 1.3)
        for row, (prefix, adapter) in enumerate(zip(prefixes, who, strict=True)):
            (alone,) = generate(model, [prefix], [adapter], [6], uniforms[row : row + 1], 1.3)
            assert alone.tokens == together[row].tokens
            np.testing.assert_allclose(
                alone.log_probs, together[row].log_probs, rtol=0, atol=ROUNDING
            )


def test_the_same_batch_gives_the_same_bits(model):
    uniforms = np.random.default_rng(1).random((5, 6))
    prefixes = [model.read(prompt) for prompt in PROMPTS]
    one, two = (generate(model, prefixes, [], [6] * 5, uniforms) for _ in range(2))
    for first, second in zip(one, two, strict=True):
        assert first.tokens == second.tokens
        np.testing.assert_array_equal(first.log_probs, second.log_probs)


@pytest.mark.parametrize("heat", [1.0, 0.5, 3.0])
def test_a_token_is_the_one_at_its_quantile_and_so_are_log_probabilities(model, heat):
    uniforms = np.random.default_rng(2).random((5, 4))
    prefixes = [model.read(prompt) for prompt in PROMPTS]
    texts = generate(model, prefixes, [], [4] * 5, uniforms, heat)
    for prompt, text, row in zip(PROMPTS, texts, uniforms, strict=True):
        exact = torch.log_softmax(whole(model, prompt, text.tokens) / heat, dim=1).numpy()
        taken = exact[range(len(text.tokens)), text.tokens]
        np.testing.assert_allclose(text.log_probs, taken, rtol=0, atol=ROUNDING)
        for step, token in enumerate(text.tokens):
            below = np.exp(exact[step, :token]).sum()
            assert below - ROUNDING <= row[step] <= below + np.exp(exact[step, token]) + ROUNDING


def test_tokens_are_drawn_as_often_as_they_are_likely(model):
    prefix, n = model.read(PROMPTS[0]), 2000
    uniforms = ((np.arange(n) + 0.5) / n)[:, None]
    texts = generate(model, [prefix] * n, [], [1] * n, uniforms)
    found = np.bincount([text.tokens[0] for text in texts], minlength=1024) / n
    wanted = whole(model, PROMPTS[0], [0]).exp().numpy()[0]
    assert abs(found - wanted).max() <= 1 / n + ROUNDING


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-53])
def test_the_ends_of_the_quantiles_are_tokens_too(model, uniform):
    (text,) = generate(model, [model.read(PROMPTS[0])], [], [3], np.full((1, 3), uniform))
    assert len(text.tokens) == 3
    assert all(0 <= token < 1024 for token in text.tokens)
    assert text.tokens[0] == (0 if uniform == 0 else 1023)
    assert np.isfinite(text.log_probs).all()


@pytest.mark.parametrize("heat", [1e-6, 1e-30, 1e-320])
def test_almost_no_heat_is_none(model, heat):
    prefixes = [model.read(prompt) for prompt in PROMPTS]
    found = generate(model, prefixes, [], [4] * 5, np.full((5, 4), 0.5), heat)
    assert [text.tokens for text in found] == [t.tokens for t in greedy(model, PROMPTS, [4] * 5)]
    if heat > 1e-31:
        assert all(abs(text.log_probs).max() < 1e-5 for text in found)


# what it is made of


def test_a_prompt_is_read_once_and_by_itself(model):
    reader, fresh = Reader(model), LanguageModel(*tiny_model(), "tiny")
    reader.prefixes(PROMPTS, [0] * len(PROMPTS))
    (one,), two = reader.prefixes([PROMPTS[2]], [0]), fresh.read(PROMPTS[2])
    assert reader.prefixes([PROMPTS[2]], [0])[0] is one
    assert one.tail == two.tail == model.prompt(PROMPTS[2])[-1:]
    for here, there in ((one.keys, two.keys), (one.values, two.values)):
        assert here.keys() == there.keys() == set(range(3))
        for layer, x in here.items():
            assert torch.equal(x, there[layer])
            assert x.shape[1] == len(model.prompt(PROMPTS[2])) - 1 == one.length


def test_read_side_by_side_a_prompt_is_what_it_is_alone(model, monkeypatch):
    """As on a GPU, where batches are faster."""
    alone = Reader(model, "activated", 1).prefixes(PROMPTS, [0] * 5)
    monkeypatch.setattr(model, "device", torch.device("meta"))
    reader, sizes = Reader(model, "activated", 1), []
    encode = model.encode
    monkeypatch.setattr(reader_module, "READ_TOGETHER", 3 * len(model.prompt(PROMPTS[2])))

    def on_cpu(prompts, *how):
        sizes.append(len(prompts))
        monkeypatch.setattr(model, "device", torch.device("cpu"))
        return encode(prompts, *how)

    monkeypatch.setattr(model, "encode", on_cpu)
    together = reader.prefixes(PROMPTS, [0] * 5)
    assert sum(sizes) == 5
    assert 1 < max(sizes) < 5
    for one, other in zip(alone, together, strict=True):
        assert one.tail == other.tail
        torch.testing.assert_close(one.hidden, other.hidden, atol=2e-6, rtol=1e-5)
        for layer in one.keys:
            torch.testing.assert_close(one.keys[layer], other.keys[layer], atol=2e-5, rtol=1e-4)
            torch.testing.assert_close(one.values[layer], other.values[layer], atol=2e-5, rtol=1e-4)


def test_a_prompt_and_the_longest_answer_to_it_have_one_limit(model):
    tokens, reader = len(model.prompt(PROMPTS[0])), Reader(model)
    room = model.most_tokens - tokens
    reader.prefixes(PROMPTS[:1], [room])
    for _ in range(2):  # whether it was read before or not
        complaint = rf"prompt of {tokens} tokens and an answer of up to {room + 1};.*most 2048"
        with pytest.raises(SettingError, match=complaint):
            reader.prefixes(PROMPTS[:1], [room + 1])
        reader = Reader(model)


def test_memory_with_room_is_memory_without(model):
    """Written one at a time or read in one pass: the same hidden states."""
    prefixes = [model.read(prompt) for prompt in PROMPTS[:3]]
    tokens = torch.tensor([[*prefix.tail, 5, 9, 700] for prefix in prefixes])
    with torch.no_grad():
        at_once = model.extend(model.embed(tokens), Memory(prefixes))
        memory = Memory(prefixes, room=4)
        steps = [model.extend(model.embed(tokens[:, i : i + 1]), memory) for i in range(4)]
        pairs = Memory(prefixes, room=4)
        by_two = [model.extend(model.embed(tokens[:, i : i + 2]), pairs) for i in (0, 2)]
    torch.testing.assert_close(torch.cat(steps, 1), at_once, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(torch.cat(by_two, 1), at_once, atol=2e-5, rtol=1e-5)


def test_the_words_of_an_answer_are_without_its_end(model):
    tokenizer = model.tokenizer
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    text = Text(model.read(PROMPTS[0]), (*tokenizer.encode("red, blue"), end), np.zeros(4))
    assert model.end_tokens == {end}
    assert decode_answer(model, text) == "red, blue"
    assert decode_answer(model, Text(text.prefix, (end,), np.zeros(1))) == ""
