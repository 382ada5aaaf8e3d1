"""Which models can be run layer by layer: those that then say what they say themselves."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
import transformers

from counterpoint.errors import SettingError
from counterpoint.lm.adapters import TARGETS, Adapter
from counterpoint.lm.memory import Memory
from counterpoint.lm.model import LanguageModel
from counterpoint.lm.tiny import tiny_model, tiny_tokenizer

SIZES = {
    "vocab_size": 1024, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 12, "pad_token_id": 0,
    "max_position_embeddings": 256, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
PROMPTS = (
    (("user", "say red"),),
    (("system", "you are in a test."), ("user", "which of them: a ball, a key or a cup?")),
)


def stock(kind, **changes):
    """A small model of that kind with random parameters."""
    config = getattr(transformers, f"{kind}Config")(**{**SIZES, **changes})
    kind = kind.removesuffix("Text")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = getattr(transformers, f"{kind}ForCausalLM")(config)
        for x in model.parameters():
            x.data.normal_(1.0 if x.dim() == 1 else 0.0, 0.2)
    return model.eval()


def opened(kind, dtype=torch.float32, **changes):
    return LanguageModel(stock(kind, **changes).to(dtype), tiny_tokenizer(), kind.lower())


@pytest.mark.parametrize(
    "kind", ["Llama", "Qwen2", "Qwen3", "Mistral", "SmolLM3", "Gemma", "Gemma3Text"]
)
def test_models_that_are_built_alike_say_the_same_layer_by_layer(kind):
    model = opened(kind, torch.float64)
    for prompt in PROMPTS:
        tokens, prefix = torch.tensor([model.prompt(prompt)]), model.read(prompt)
        with torch.no_grad():
            found = model.extend(model.embed(tokens[:, -1:]), Memory([prefix]))[0, 0]
            wanted = model.model(input_ids=tokens).logits[0, -1]
        torch.testing.assert_close(found @ model.unembedding.T, wanted, atol=1e-12, rtol=1e-12)
    adapter = Adapter(model.places(TARGETS["all"], 2), 2, 2.0, torch.Generator())
    model.host(adapter)
    assert len(adapter.down) == 14


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("Gemma2", {"final_logit_softcapping": 2.0}),
        ("Granite", {"embedding_multiplier": 3.0, "logits_scaling": 2.0}),
        ("Cohere", {}),
    ],
)
def test_models_that_do_more_than_their_layers_are_refused(kind, changes):
    with pytest.raises(SettingError, match=rf"{kind.lower()}.*one after the other.*wanted"):
        opened(kind, **changes)


def test_models_of_other_parts_are_refused():
    with pytest.raises(SettingError, match=r"gptneox.*has no layers.*wanted"):
        opened("GPTNeoX")
    with pytest.raises(SettingError, match=r"phi3.*no self_attn\.q_proj.*wanted"):
        opened("Phi3").places(TARGETS["attention"], 1)


def test_a_prompt_is_as_long_as_every_token_can_see():
    """A window that slides would hide the beginning of a prompt, which is read without it."""
    assert opened("Mistral", sliding_window=None).most_tokens == 256
    model = opened("Mistral", sliding_window=64)
    assert model.most_tokens == 64
    for words, fits in ((40, True), (60, False)):
        prompt = (("user", "word " * words),)
        if fits:
            assert model.read(prompt).keys[0].shape[1] == len(model.prompt(prompt)) - 1
            continue
        with pytest.raises(SettingError, match="takes at most 64"):
            model.read(prompt)


def test_any_number_of_tokens_may_end_an_answer():
    for ends, wanted in ((2, {2}), ([2, 7], {2, 7}), (7, {2, 7}), (None, {2})):
        model, tokenizer = tiny_model()
        model.generation_config.eos_token_id = ends
        assert LanguageModel(model, tokenizer, "tiny").end_tokens == wanted


def test_words_are_told_apart_by_their_first_token():
    model = LanguageModel(*tiny_model(), "tiny")
    red, blue = model.first_tokens(("red", "blue"))
    assert [red, blue] == [model.spelled("red")[0], model.spelled("blue")[0]]
    with pytest.raises(SettingError, match=r"'zorp' and 'quux'.*same token of tiny"):
        model.first_tokens(("red", "zorp", "quux"))
