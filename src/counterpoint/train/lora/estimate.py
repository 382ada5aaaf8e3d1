"""What a training of language models costs: `affordable_kind` chooses adapters by it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from counterpoint.train.lora.episodes import play_episodes, random_replies
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.worlds.text.world import TextWorld

BYTES, FRAME = 4.0, 12.0
"""Bytes of a token of English, and tokens of a template around a prompt."""
ADAPTED = 1 / 3
"""The share of layers with adapters: 10 of SmolLM2's 30."""
WRITE, LEARN = 2.0, 3.0
"""What a token costs that is written, and one that is learned from, beside one that is read: the
weights are loaded for few rows at a time, and a gradient flows back."""
AFFORDABLE = 1.5
"""How many times as much as activated adapters plain ones may cost as the default."""


def affordable_kind(world: TextWorld, settings: LanguageSettings) -> Literal["plain", "activated"]:
    """Returns plain adapters where a batch costs at most `AFFORDABLE` times as much with them.

    It is a rule of thumb on the text of one batch of a random team; no model is needed.
    """
    rng = np.random.default_rng(0)
    played = play_episodes(world, random_replies, rng, settings.prompts, settings.rollouts)
    asks = [ask for ask in played.asks if not ask.words]
    answers = sum(ask.most_tokens for ask in asks) * (WRITE + LEARN * ADAPTED)
    unlike = dict.fromkeys((ask.agent, ask.messages) for ask in asks)
    read = sum(FRAME + sum(len(text.encode()) for _, text in told) / BYTES for _, told in unlike)
    # Plain adapters read every different prompt to write behind it, and again to learn.
    dearer = read * ADAPTED * (1 + LEARN)
    return "plain" if dearer <= (AFFORDABLE - 1) * answers else "activated"
