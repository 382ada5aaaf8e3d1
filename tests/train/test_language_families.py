"""Small models of many families: words, texts and gradients are those of their own full forward."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import transformers
from plain_forward import KINDS, flat, plain_log_probs, plain_text_log_probs

from counterpoint.lm.adapters import TARGETS, Adapter
from counterpoint.lm.generate import Text
from counterpoint.lm.model import LanguageModel
from counterpoint.lm.tiny import tiny_tokenizer
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.train.lora.words import WordTeam, WritingTeam
from counterpoint.worlds.text.world import Prompt

FAMILIES = {
    "llama": ("Llama", {}),
    "llama tied": ("Llama", {"tie_word_embeddings": True}),
    "qwen2": ("Qwen2", {"tie_word_embeddings": True}),
    "qwen2 untied": ("Qwen2", {"tie_word_embeddings": False}),
    "qwen3": ("Qwen3", {}),
    "mistral, window": ("Mistral", {"sliding_window": 200}),
    "gemma": ("Gemma", {}),
    "gemma3": ("Gemma3Text", {"sliding_window": 200}),
    "smollm3": ("SmolLM3", {}),
    "llama, no template": ("Llama", {}),
}
SIZES = {
    "vocab_size": 1024, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 12, "pad_token_id": 0,
    "max_position_embeddings": 256, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
ANSWERS = ("red", "first\nsecond\n\nthird: 7", "zebra é 你 🤖")
"""One word, several lines, and what the tokenizer spells in bytes."""


def made(family):
    """A model of the family without anything of ours inside, and its tokenizer."""
    kind, changes = FAMILIES[family]
    config = getattr(transformers, f"{kind}Config")(**{**SIZES, **changes})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = getattr(transformers, f"{kind.removesuffix('Text')}ForCausalLM")(config)
        for x in model.parameters():
            x.data.normal_(1.0 if x.dim() == 1 else 0.0, 0.15)
    tokenizer = tiny_tokenizer()
    if "no template" in family:
        tokenizer.chat_template = None
    return model.eval().requires_grad_(False), tokenizer


def asked(agent, words=()):
    """A short and a long question, the long one after several lines."""
    return [
        Prompt(agent, f"You are {agent}.", "Choose now!", words, 0 if words else 24),
        Prompt(
            agent, f"You are {agent}.", "Line one\nline two: é 你\n\nWhich?" * 2, words,
            0 if words else 30,
        ),
    ]  # fmt: skip


def hosted(model):
    """Random adapters of two agents, which the model hosts."""
    adapters = {}
    for seed, agent in enumerate(("a", "b")):
        chance = torch.Generator().manual_seed(seed)
        adapters[agent] = Adapter(model.places(TARGETS["all"], 2), 4, 6.0, chance)
        for up in adapters[agent].up.values():
            up.data.normal_(0, 0.2, generator=chance)
        model.host(adapters[agent])
    return adapters


@pytest.mark.few(10)
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_agrees_with_its_own_full_forward(family, kind, checkpointing):
    stock = made(family)
    model = LanguageModel(copy.deepcopy(stock[0]), stock[1], family)
    adapters = hosted(model)
    parameters = [x for adapter in adapters.values() for x in adapter.parameters()]
    rng = np.random.default_rng(0)

    words = WordTeam(model, adapters, kind, recomputed=checkpointing)
    choices = [ask for agent in "ab" for ask in asked(agent, ("red", "blue", "green"))]
    rows = words.rows_of(choices)
    chosen = torch.from_numpy(rng.normal(size=(len(choices), 3))).float()
    wanted = [plain_log_probs(stock, ask, adapters[ask.agent], kind=kind) for ask in choices]
    ((_, log_probs),) = words.graphs()
    torch.testing.assert_close(log_probs[rows], torch.stack(wanted), atol=1e-4, rtol=0)
    found = torch.autograd.grad((chosen * log_probs[rows]).sum(), parameters)
    slow = torch.autograd.grad((chosen * torch.stack(wanted)).sum(), parameters)
    assert (flat(found) - flat(slow)).norm() < 1e-4 * flat(slow).norm()

    settings = LanguageSettings(temperature=1.0, adapter=kind, checkpointing=checkpointing)
    team = WritingTeam(model, adapters, settings)
    asks = [ask for agent in "ab" for ask in asked(agent) for _ in ANSWERS]
    answers = [tuple(model.spelled(text)) for text in ANSWERS] * 4
    with torch.no_grad():
        who = [adapters[ask.agent] for ask in asks]
        read = team.readers["a"].prefixes([a.messages for a in asks], [30] * len(asks), who)
    texts = [
        Text(prefix, tokens, np.zeros(len(tokens)))
        for prefix, tokens in zip(read, answers, strict=True)
    ]
    values, weights = rng.normal(size=len(texts)), np.full(len(texts), 0.1)
    loss = -team.loss(asks, texts, values, weights, 1)
    plain = sum(
        0.1 * float(v) * (nats - nats.detach()).exp().sum()
        for v, ask, text in zip(values, asks, texts, strict=True)
        for nats in [plain_text_log_probs(stock, ask, adapters[ask.agent], text.tokens, 1.0, kind)]
    )
    found, slow = torch.autograd.grad(loss, parameters), torch.autograd.grad(plain, parameters)
    assert (flat(found) - flat(slow)).norm() < 1e-4 * flat(slow).norm()
    written = team.write(asks, rng)
    for ask, text in zip(asks, written, strict=True):
        with torch.no_grad():
            nats = plain_text_log_probs(stock, ask, adapters[ask.agent], text.tokens, 1.0, kind)
        np.testing.assert_allclose(text.log_probs, nats, atol=1e-4)
    assert len({text.tokens for text in written}) > 6
