"""Adapters: what they add, whose rows they see, and that stock peft gives the same."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from counterpoint.errors import OutputError
from counterpoint.lm.adapters import (
    TARGETS,
    Adapter,
    LinearSize,
    Routing,
    Slot,
    lowest_layer,
    save_adapter,
    segments,
)
from counterpoint.lm.generate import generate
from counterpoint.lm.memory import Memory
from counterpoint.lm.model import LanguageModel
from counterpoint.lm.reader import Reader
from counterpoint.lm.tiny import tiny_model
from counterpoint.runs.checkpoint import arrays_from_bytes

PROMPTS = (
    (("user", "say red"),),
    (("system", "you are the speaker."), ("user", "what do you see? a ball, a key or a cup?")),
    (("user", "answer\nin\nlines"),),
)

pytestmark = pytest.mark.filterwarnings(  # peft asks transformers for it
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)


def drawn(places, seed, rank=4, alpha=6.0):
    """An adapter as it may be after training: B is not 0."""
    generator = torch.Generator().manual_seed(seed)
    adapter = Adapter(places, rank, alpha, generator)
    for up in adapter.up.values():
        up.data.normal_(0, 0.3, generator=generator)
    return adapter


@pytest.fixture(scope="module")
def model():
    return LanguageModel(*tiny_model(), "tiny")


def logits(model, prompt, adapters, kind="activated", answer=()):
    """[1 + n, vocabulary] behind a prompt and each token of an answer."""
    first = lowest_layer(adapters) if adapters else 0
    with torch.no_grad():
        room = [len(answer)]
        (prefix,) = Reader(model, kind, first).prefixes([prompt], room, adapters)
        x = model.embed(torch.tensor([[*prefix.tail, *answer]]))
        with model.adapted(adapters):
            hidden = model.extend(x, Memory([prefix]))[0, len(prefix.tail) - 1 :]
    return hidden @ model.unembedding.T


def last_logits(model, prompt, adapters, kind="activated"):
    """[vocabulary] behind a prompt."""
    return logits(model, prompt, adapters, kind)[0]


def test_an_adapter_starts_as_no_change_at_all(model):
    adapter = Adapter(model.places(TARGETS["all"], 3), 4, 8.0, torch.Generator().manual_seed(0))
    model.host(adapter)
    for prompt in PROMPTS:
        bare, adapted = last_logits(model, prompt, []), last_logits(model, prompt, [adapter])
        assert torch.equal(bare, adapted)
    assert all(down.abs().max() > 0 for down in adapter.down.values())


def test_what_it_adds_is_worked_by_hand():
    adapter = Adapter({"x": LinearSize(2, 3)}, 1, 5.0, torch.Generator())
    adapter.down["x"].data = torch.tensor([[2.0, -1.0]])
    adapter.up["x"].data = torch.tensor([[1.0], [0.0], [10.0]])
    found = adapter.change("x", torch.tensor([[3.0, 4.0], [1.0, 0.0]]))
    assert found.tolist() == [[10.0, 0.0, 100.0], [10.0, 0.0, 100.0]]  # A x = 2, 2; times 5 / 1
    adapter.rank = 2
    assert adapter.change("x", torch.tensor([3.0, 4.0])).tolist() == [5.0, 0.0, 50.0]


def test_starts_come_from_the_generator_alone():
    def start(seed):
        torch.manual_seed(seed + 100)
        adapter = Adapter({"x": LinearSize(8, 3)}, 4, 1.0, torch.Generator().manual_seed(seed))
        return adapter.down["x"].detach()

    assert torch.equal(start(1), start(1))
    assert not torch.equal(start(1), start(2))
    assert start(1).abs().max() <= 8**-0.5


def test_rows_of_an_agent_make_one_segment():
    places = {"x": LinearSize(1, 1)}
    one, two = drawn(places, 1), drawn(places, 2)
    assert segments([]) == ()
    assert segments([one, one, two]) == ((one, 0, 2), (two, 2, 3))
    assert segments([one, two, one]) == ((one, 0, 1), (two, 1, 2), (one, 2, 3))


def test_each_row_goes_through_its_own_adapter_where_it_has_one_at_that_place():
    linear, routing = torch.nn.Linear(2, 2, bias=False), Routing()
    slot = Slot(linear, "x", routing)
    one, two = drawn({"x": LinearSize(2, 2)}, 1), drawn({"x": LinearSize(2, 2)}, 2)
    elsewhere = drawn({"y": LinearSize(2, 2)}, 3)
    x = torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(slot(x), linear(x))
        routing.now = segments([one, elsewhere, two, two])
        found = slot(x)
        wanted = linear(x)
        wanted[0] += one.change("x", x[0])
        wanted[2:] += two.change("x", x[2:])
        torch.testing.assert_close(found, wanted)
        assert torch.equal(found[1], linear(x)[1])
        routing.now = segments([elsewhere] * 4)
        assert torch.equal(slot(x), linear(x))


@pytest.mark.parametrize("places", [("attention", 1), ("all", 2)])
def test_teams_of_other_places_share_a_model(model, places):
    """Places that another team has made room for change nothing of this one."""
    targets, layers = places
    fresh = LanguageModel(*tiny_model(), "tiny")
    model.host(drawn(model.places(TARGETS["all"], 3), 1))
    adapter = drawn(fresh.places(TARGETS[targets], layers), 2)
    fresh.host(adapter)
    for prompt in PROMPTS:
        here, there = (last_logits(m, prompt, [adapter]) for m in (model, fresh))
        assert torch.equal(here, there)


def test_places_are_of_the_last_layers_with_their_sizes(model):
    found = model.places(TARGETS["all"], 1)
    assert len(found) == 7
    assert {name.split(".")[1] for name in found} == {"2"}
    assert found["layers.2.self_attn.k_proj"] == LinearSize(48, 24)
    assert found["layers.2.mlp.down_proj"] == LinearSize(80, 48)
    assert len(model.places(TARGETS["attention"], 3)) == 6


# peft


ANSWERS = ("red", "first\nsecond\n\nthird: 7", "a ball, a key", "zebra é \u4f60")
"""With line breaks, as the opening of an answer has one."""
TALK = (
    ("system", "you are the listener."), ("user", "what is it?"), ("assistant", "red\nor blue"),
    ("user", "which?"),
)  # fmt: skip
"""A conversation in which the agent has answered before."""


def saved(model, adapter, folder, kind="activated"):
    opening = {"plain": (), "activated": model.opening, "last_token": model.opening[-1:]}[kind]
    save_adapter(adapter, folder, "tiny", opening)
    return folder


@pytest.fixture(params=[("all", 3), ("attention", 2), ("all", 1)], ids=lambda p: f"{p[0]}-{p[1]}")
def places(request, model):
    targets, layers = request.param
    return model.places(TARGETS[targets], layers)


@pytest.fixture(params=["plain", "activated", "last_token"])
def both(request, places, model, tmp_path):
    """An adapter that has learned, stock peft with the same one on the same base, and its kind."""
    peft = pytest.importorskip("peft")
    adapter = drawn(places, 7)
    model.host(adapter)
    folder = saved(model, adapter, tmp_path / "adapter", request.param)
    stock = peft.PeftModel.from_pretrained(tiny_model()[0], folder).eval()
    return adapter, stock, request.param


def test_stock_peft_gives_the_same_logits(both, model):
    adapter, stock, kind = both
    for prompt in (*PROMPTS, TALK):
        tokens = torch.tensor([model.prompt(prompt)])
        with torch.no_grad():
            wanted = stock(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits[0, -1]
        found = last_logits(model, prompt, [adapter], kind)
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
        assert (last_logits(model, prompt, []) - wanted).abs().max() > 0.1


def test_stock_peft_scores_whole_answers_alike(both, model):
    """Of several lines too, in which the last token of the opening comes again."""
    adapter, stock, kind = both
    if kind == "last_token":
        pytest.skip("peft lets it act from the last line break on")
    for prompt in (PROMPTS[1], TALK):
        for text in ANSWERS:
            answer = model.spelled(text)
            tokens = torch.tensor([[*model.prompt(prompt), *answer]])
            with torch.no_grad():
                mask = torch.ones_like(tokens)
                wanted = stock(input_ids=tokens, attention_mask=mask).logits[0, -1 - len(answer) :]
            found = logits(model, prompt, [adapter], kind, answer)
            torch.testing.assert_close(found, wanted, atol=2e-5, rtol=0)


def test_stock_peft_writes_the_same_text(both, model):
    adapter, stock, kind = both
    for prompt in PROMPTS:
        tokens = torch.tensor([model.prompt(prompt)])
        with torch.no_grad():
            written = stock.generate(
                input_ids=tokens,
                attention_mask=torch.ones_like(tokens),
                max_new_tokens=8,
                do_sample=False,
            )[0, tokens.shape[1] :]
            reader = Reader(model, kind, lowest_layer([adapter]))
            prefixes = reader.prefixes([prompt], [8], [adapter])
        (text,) = generate(model, prefixes, [adapter], [8], np.zeros((1, 8)), 0.0)
        assert list(text.tokens) == written.tolist()


def test_every_weight_that_peft_reads_is_ours(both):
    adapter, stock, _ = both
    weights = {name: x for name, x in stock.named_parameters() if ".lora_" in name}
    ours = adapter.to_peft()
    assert len(weights) == len(ours)
    for name, values in ours.items():
        theirs = weights[name.replace(".weight", ".default.weight")]
        np.testing.assert_array_equal(theirs.detach().numpy(), values)


def test_weights_come_back_as_they_were(model, tmp_path):
    places = model.places(TARGETS["all"], 2)
    adapter = drawn(places, 1)
    folder = saved(model, adapter, tmp_path / "adapter")
    found = arrays_from_bytes((folder / "adapter_model.safetensors").read_bytes())
    assert found.keys() == adapter.to_peft().keys()
    for name, values in adapter.to_peft().items():
        np.testing.assert_array_equal(found[name], values)
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["r"] == 4
    assert config["lora_alpha"] == 6.0
    assert config["base_model_name_or_path"] == "tiny"
    assert tuple(config["alora_invocation_tokens"]) == model.opening
    assert model.tokenizer.decode(model.opening).replace(" ", "") == "<|im_start|>assistant\n"
    plain = saved(model, adapter, tmp_path / "plain", "plain") / "adapter_config.json"
    assert "alora_invocation_tokens" not in json.loads(plain.read_text())


def test_an_adapter_that_cannot_be_written_says_so(model, tmp_path):
    (tmp_path / "adapter").write_text("a file")
    with pytest.raises(OutputError):
        saved(model, drawn(model.places(TARGETS["all"], 1), 1), tmp_path / "adapter")
