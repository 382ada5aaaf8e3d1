"""The slow way: whole prompts through the model as Hugging Face made it, an adapter by hooks."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial

import torch

from counterpoint.lm.adapters import TARGETS, Adapter
from counterpoint.lm.model import LanguageModel
from counterpoint.lm.tiny import tiny_model
from counterpoint.train.lora.words import WordTeam
from counterpoint.worlds.text.world import Prompt

DEPTH = 3
KINDS = ("plain", "activated", "last_token")


def stock(*, double=False):
    """The tiny model without anything of ours inside, and its tokenizer.

    In 64 bits its norms are too, which transformers would have in 32.
    """
    model, tokenizer = tiny_model()
    if double:
        model = model.double()
        for norm in (x for x in model.modules() if type(x).__name__ == "LlamaRMSNorm"):
            norm.forward = partial(whole_norm, norm)
    return model.requires_grad_(False), tokenizer


def whole_norm(norm, x):
    """Root mean square norm in the precision of x."""
    return norm.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon)


def tiny(*, double=False):
    """The tiny model with places for adapters."""
    model, tokenizer = stock(double=double)
    return LanguageModel(model, tokenizer, "tiny")


def learned(model, seed, *, layers=DEPTH, targets="all", double=False):
    """An adapter as it may be after training: B is not 0."""
    generator = torch.Generator().manual_seed(seed)
    adapter = Adapter(model.places(TARGETS[targets], layers), 4, 6.0, generator)
    for up in adapter.up.values():
        up.data.normal_(0, 0.2, generator=generator)
    model.host(adapter)
    return adapter.double() if double else adapter


def word_team(
    model, agents, *, shared=False, layers=DEPTH, targets="all", double=False, kind="activated",
    **options,
):  # fmt: skip
    """A team whose agents have learned something, an adapter each or one for all."""
    told = {"layers": layers, "targets": targets, "double": double}
    one = learned(model, 99, **told)
    adapters = {
        name: one if shared else learned(model, seed, **told) for seed, name in enumerate(agents)
    }
    return WordTeam(model, adapters, kind, **options)


@contextmanager
def acting(model, adapter, start):
    """Meanwhile the adapter acts in a stock model from position `start` on; None: nowhere."""

    def hook(name):
        down, up, factor = adapter.down[name], adapter.up[name], adapter.alpha / adapter.rank

        def change(module, given, out):
            x = given[0]
            at = (torch.arange(x.shape[1]) >= start).to(x.dtype)[None, :, None]
            return out + at * factor * torch.nn.functional.linear(
                torch.nn.functional.linear(x, down), up
            )

        return change

    places = [] if adapter is None else adapter.down
    handles = [
        model.get_submodule(f"model.{name}").register_forward_hook(hook(name)) for name in places
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def plain_logits(stock, messages, adapter, answer=(), kind="activated"):
    """[1 + n, vocabulary] behind a prompt and behind each token of an answer."""
    model, tokenizer = stock
    told = [{"role": role, "content": content} for role, content in messages]
    prompt, closed = (
        tokenizer.apply_chat_template(told, add_generation_prompt=opened, return_dict=True)[
            "input_ids"
        ]
        for opened in (True, False)
    )
    assert prompt[: len(closed)] == closed != prompt
    tokens = torch.tensor([[*prompt, *answer]])
    start = {"plain": 0, "activated": len(closed), "last_token": len(prompt) - 1}[kind]
    with acting(model, adapter, start):
        return model(input_ids=tokens).logits[0, len(prompt) - 1 :]


def plain_log_probs(stock, ask, adapter, prior=0.0, kind="activated"):
    """[W] of the words of an ask."""
    _, tokenizer = stock
    words = [tokenizer.encode(word, add_special_tokens=False)[0] for word in ask.words]
    return torch.log_softmax(
        plain_logits(stock, ask.messages, adapter, kind=kind)[0, words] - prior, dim=0
    )


def plain_text_log_probs(stock, ask, adapter, tokens, temperature=1.0, kind="activated"):
    """[n] of the tokens of an answer."""
    logits = plain_logits(stock, ask.messages, adapter, tokens, kind)[:-1] / temperature
    return torch.log_softmax(logits, dim=1)[range(len(tokens)), list(tokens)]


WORDS = (("red", "blue", "green"), ("one", "two"), ("ball", "key", "cup", "hat"))


def crowded(agents):
    """Prompts of different lengths and words, several of each agent."""
    return [
        Prompt(
            name, f"You are {name}." + " Think." * (3 * i), f"Choose now {'again ' * j}!", WORDS[j]
        )
        for i, name in enumerate(agents)
        for j in range(3)
    ]


def flat(gradients):
    """Several gradients as one vector; a missing one is 0."""
    return torch.cat([g.flatten() for g in gradients])
