"""A team of two language models: what is made of each, and a world in which all see the same."""

from __future__ import annotations

import torch
from language_teams import SMALL
from made_models import made_model
from plain_forward import stock

from counterpoint.lm.model import LanguageModel
from counterpoint.train.lora.learner import LanguageLearner
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.world import Ending, Prompt, TextSettings, TextWorld, shared

BRACKETS = (
    "{% for m in messages %}{{ '[' + m.role + '] ' + m.content + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '[assistant]' }}{% endif %}"
)
AGENTS = ("ann", "bob", "cat", "dan")


def other_stock():
    """A small Qwen3 with a vocabulary and a template of its own, and its tokenizer."""
    model, tokenizer = made_model("qwen3", seed=3)
    tokenizer.chat_template = BRACKETS
    return model, tokenizer


def stocks():
    """The models of the agents, in turn, without anything of ours inside."""
    one, two = stock(), other_stock()
    return dict(zip(AGENTS, (one, two, one, two), strict=True))


def mixed_models():
    """The models of the agents, in turn."""
    one, two = LanguageModel(*stock(), "tiny"), LanguageModel(*other_stock(), "made")
    return dict(zip(AGENTS, (one, two, one, two), strict=True))


class Chorus(TextWorld):
    """All write an answer to the same prompt, then all choose a word for the same prompt."""

    name, summary = "chorus", "agents who see the same write, and then choose"
    agents = AGENTS
    roles = ("low", "high", "low", "high")
    speaker, free, longest = "ann", True, 8
    references = References(0.0, 1.0, "share of words that are red")
    settings_type = TextSettings

    def tasks(self, rng, count):
        return [(str(word),) for word in rng.choice(["red", "blue"], count)]

    def prompts(self, task, history):
        if not history:
            asked = f"Write {task[0]}!"
            return tuple(Prompt(name, "Sing.", asked, most_tokens=5) for name in self.agents)
        if len(history) == len(self.agents):
            words = ("red", "blue")
            return tuple(Prompt(name, "Sing.", "And now?", words) for name in self.agents)
        return ()

    def ending(self, task, history):
        texts = [one.text for one in history]
        long = sum(map(len, texts)) / 200
        return Ending(texts[len(self.agents) :].count(task[0]) / 4, shared(long, history))


def mixed_learner(models=None, scheme="mappo_per_agent", **changes):
    """A learner of four agents, whose models are those of `mixed_models`."""
    given = {**SMALL, "prompts": 2, "rollouts": 4, "layers": 2, "targets": "all", **changes}
    settings = LanguageSettings(**given).filled(tiny=None, free=True)
    return LanguageLearner(models or mixed_models(), Chorus(), scheme, settings, 1, 10)


def moved(adapter, seed):
    """The adapter as it may be after training: B is not 0."""
    chance = torch.Generator().manual_seed(seed)
    for up in adapter.up.values():
        up.data.normal_(0, 0.2, generator=chance)
