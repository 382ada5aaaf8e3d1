"""GGUF files: what transformers and a real llama.cpp server make of them is what we wrote."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from llama_cpp import llama_server
from made_models import FAMILIES, made_model
from plain_forward import acting

from counterpoint.errors import ModelError, OutputError
from counterpoint.lm.adapters import TARGETS, Adapter
from counterpoint.lm.gguf_file import _paired, write_adapter, write_model
from counterpoint.lm.model import LanguageModel
from counterpoint.lm.tiny import tiny_model

CONVERSATIONS = (
    [{"role": "user", "content": "Write two lines."}],
    [
        {"role": "system", "content": "You're short."},
        {"role": "user", "content": "Name a colour, 1234567 of them!"},
        {"role": "assistant", "content": "Blue.\nOr red,\n\n  or grün."},
        {"role": "user", "content": "And 日本?\nIt's the last\tone."},
    ],
)
"""One turn; and two, with an answer of several lines and other scripts than Latin."""
NEW = 12


def learned(model, tokenizer, strength=0.2):
    """An adapter at every place of a stock model, as it may be after training."""
    generator = torch.Generator().manual_seed(0)
    places = LanguageModel(model, tokenizer, "made").places(TARGETS["all"], 2)
    adapter = Adapter(places, 4, 6.0, generator).requires_grad_(False)
    for up in adapter.up.values():
        up.normal_(0, strength, generator=generator)
    return adapter


def prompt_of(tokenizer, messages):
    told = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)
    return told["input_ids"]


def partial_tokens(model, tokenizer):
    """Tokens that are no whole characters, and rows of the embedding that are no tokens."""
    rows = range(model.config.vocab_size)
    return [i for i in rows if i >= len(tokenizer) or "\ufffd" in tokenizer.decode([i])]


def assert_same(server, model, tokenizer, messages, adapter=None, start=0, atol=1e-4, **more):
    """The server writes what the stock model with the adapter from `start` on writes."""
    prompt, banned = prompt_of(tokenizer, messages), partial_tokens(model, tokenizer)
    tokens, found = server.complete(prompt, NEW, banned, **more)
    with torch.no_grad(), acting(model, adapter, start):
        logits = model(input_ids=torch.tensor([[*prompt, *tokens]])).logits[0]
    logits = logits[len(prompt) - 1 : -1].float()
    wanted = logits.log_softmax(dim=1)[range(len(tokens)), tokens].tolist()
    np.testing.assert_allclose(found, wanted, atol=atol, rtol=0)
    logits[:, banned] = -torch.inf
    assert logits.argmax(dim=1).tolist() == tokens
    return tokens


def test_rows_of_heads_are_paired_by_hand():
    """Two heads of four rows: the halves of each head stand side by side."""
    x = torch.arange(8.0)[:, None]
    assert _paired(x, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    assert _paired(x[:, 0], 1).tolist() == [0, 4, 1, 5, 2, 6, 3, 7]


@pytest.mark.few(2)
@pytest.mark.parametrize("name", FAMILIES)
def test_llama_cpp_serves_a_model_and_a_plain_adapter(name, tmp_path):
    """Tokens are ours, the chat template is, and log-probabilities within 1e-4; text is equal."""
    pytest.importorskip("xllamacpp")
    model, tokenizer = made_model(name)
    adapter = learned(*made_model(name))
    write_model(model, tokenizer, tmp_path / "base.gguf")
    write_adapter(adapter, model.config, tmp_path / "plain.gguf")
    with llama_server(tmp_path / "base.gguf") as server:
        bare = []
        for messages in CONVERSATIONS:
            text = server.post("/apply-template", {"messages": messages})["prompt"]
            assert server.tokens(text) == prompt_of(tokenizer, messages)
            bare.append(assert_same(server, model, tokenizer, messages))
    with llama_server(tmp_path / "base.gguf", tmp_path / "plain.gguf") as server:
        for messages, other in zip(CONVERSATIONS, bare, strict=True):
            assert assert_same(server, model, tokenizer, messages, adapter) != other


def test_llama_cpp_switches_an_adapter_on_where_the_opening_begins(tmp_path):
    """It acts from one token before its invocation on: the file leaves the first one out.

    Earlier answers that the server keeps were read with the adapter; `cache_prompt` forbids that.
    """
    pytest.importorskip("xllamacpp")
    model, tokenizer = made_model()
    adapter = learned(*made_model())
    opening = tokenizer.encode("<|im_start|>assistant\n", add_special_tokens=False)
    write_model(model, tokenizer, tmp_path / "base.gguf")
    write_adapter(adapter, model.config, tmp_path / "activated.gguf", opening[1:])
    with llama_server(tmp_path / "base.gguf", tmp_path / "activated.gguf") as server:
        for messages in CONVERSATIONS:
            start = len(prompt_of(tokenizer, messages)) - len(opening)
            assert_same(server, model, tokenizer, messages, adapter, start)
        kept = [*CONVERSATIONS[1], {"role": "assistant", "content": "No.\nNone."}]
        kept += [{"role": "user", "content": "Why?"}]
        start = len(prompt_of(tokenizer, kept)) - len(opening)
        server.complete(prompt_of(tokenizer, kept[:-1]), 1)
        assert_same(server, model, tokenizer, kept, adapter, start, cache_prompt=False)
    write_adapter(adapter, model.config, tmp_path / "whole.gguf", opening)
    with llama_server(tmp_path / "base.gguf", tmp_path / "whole.gguf") as server:
        start = len(prompt_of(tokenizer, CONVERSATIONS[1])) - len(opening)
        assert_same(server, model, tokenizer, CONVERSATIONS[1], adapter, start - 1)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_transformers_reads_the_same_weights_back(dtype, tmp_path):
    """Matrices are rounded once, vectors are as they were, and the tokenizer is the same."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = made_model("qwen2")
    write_model(model, tokenizer, tmp_path / "model.gguf", dtype)
    told = {"gguf_file": "model.gguf", "local_files_only": True}
    again = AutoModelForCausalLM.from_pretrained(tmp_path, **told, dtype=torch.float32)
    for name, wanted in model.state_dict().items():
        rounded = wanted.to(getattr(torch, dtype)).float() if wanted.dim() > 1 else wanted
        assert torch.equal(again.state_dict()[name].float(), rounded), name
    tokens = AutoTokenizer.from_pretrained(tmp_path, **told)
    for text in ("Which word, 日本?\n\nIt's 12345.", "<|im_start|>assistant\n"):
        wanted = tokenizer.encode(text, add_special_tokens=False)
        assert tokens.encode(text, add_special_tokens=False) == wanted


def test_what_is_not_covered_is_refused_with_the_converter_to_use(tmp_path):
    model, tokenizer = made_model()
    path = tmp_path / "model.gguf"
    with pytest.raises(ModelError, match=r"tokenizer .*convert_hf_to_gguf\.py"):
        write_model(*tiny_model(), path)
    model.config.model_type = "gemma3_text"
    with pytest.raises(ModelError, match=r"'gemma3_text'.*convert_hf_to_gguf\.py"):
        write_model(model, tokenizer, path)
    model.config.model_type = "llama"
    model.config.rope_parameters["rope_type"] = "yarn"
    with pytest.raises(ModelError, match=r"scaled \(yarn\)"):
        write_model(model, tokenizer, path)
    model.config.rope_parameters["rope_type"] = "default"
    with pytest.raises(ModelError, match="dtype int8"):
        write_model(model, tokenizer, path, "int8")
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_model(*made_model(), tmp_path / "file" / "model.gguf")
