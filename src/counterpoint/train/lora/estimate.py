"""What a training of language models costs.

`affordable_kind` chooses adapters by a rule of thumb; `estimate` opens the models and times a few
prompts, a few tokens and one pass of each, so that a training of hours can be judged in a minute.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import torch

from counterpoint.lm.generate import Text
from counterpoint.lm.model import LanguageModel
from counterpoint.results.estimate import Estimate
from counterpoint.train.lora.episodes import play_episodes, random_replies
from counterpoint.train.lora.learner import COMING_BACK, LanguageLearner
from counterpoint.train.lora.seats import agents_by_model
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.train.lora.words import CHOSEN_TOGETHER
from counterpoint.worlds.text.world import Prompt, TextWorld

BYTES, FRAME = 4.0, 12.0
"""Bytes of a token of English, and tokens of a template around a prompt."""
ADAPTED = 1 / 3
"""The share of layers with adapters: 10 of SmolLM2's 30."""
WRITE, LEARN = 2.0, 3.0
"""What a token costs that is written, and one that is learned from, beside one that is read: the
weights are loaded for few rows at a time, and a gradient flows back."""
REREAD = 1.6
"""What plain adapters add for a token of a prompt, beside reading it: `relay` 1.59, `extract` 1.64
(SmolLM2, medians of 4 updates)."""
AFFORDABLE = 1.5
"""How many times as much as activated adapters plain ones may cost as the default."""
STEPS = 4
"""Tokens of each answer that are written to see how long one takes."""
MEASURE = 1.7
"""What the measurement of gradients by micro-batches takes beside learning: 2.7 and 1.6 s of an
update of `relay` with SmolLM2."""
TIMED = 6
"""Prompts that are read to see how long one takes."""


def affordable_kind(world: TextWorld, settings: LanguageSettings) -> Literal["plain", "activated"]:
    """Returns plain adapters where a batch costs at most `AFFORDABLE` times as much with them.

    It is a rule of thumb on the text of two batches of a random team; no model is needed. With
    SmolLM2 plain adapters took 1.49 times as long in `relay`, and 1.68 times in `extract`.
    """
    rng, batches = np.random.default_rng(0), list[set[Prompt]]()
    for _ in range(2):
        played = play_episodes(world, random_replies, rng, settings.prompts, settings.rollouts)
        asks = [ask for ask in played.asks if not ask.words]
        batches.append(set(asks))
    different = {(ask.agent, ask.messages) for ask in asks}
    read = sum(
        FRAME + sum(len(text.encode()) for _, text in messages) / BYTES for _, messages in different
    )
    answers = sum(ask.most_tokens for ask in asks) * (WRITE + LEARN * ADAPTED)
    # Activated adapters read prompts that come back once in a training, others in every update, as
    # plain ones do; plain ones go through the layers with adapters to write, and again to learn.
    come_back = len(batches[0] & batches[1]) >= COMING_BACK * len(batches[1])
    activated = answers + (0 if come_back else read)
    plain = answers + read * (1 + REREAD)
    return "plain" if plain <= AFFORDABLE * activated else "activated"


def estimate(learner: LanguageLearner) -> Estimate:
    """Returns what a training is expected to take. The learner does not learn, but draws no less
    from its cache: take a fresh one to train.

    Answers are as long as they may be, so that times are upper limits where agents stop earlier.
    """
    settings, rng = learner.settings, np.random.default_rng(0)
    played = play_episodes(learner.world, random_replies, rng, settings.prompts, settings.rollouts)
    groups, lengths, costs = agents_by_model(learner.models), dict[Prompt, int](), list[Costs]()
    for model, agents in groups.items():
        asks = [ask for ask in played.asks if ask.agent in agents]
        tokens = {ask: len(model.prompt(ask.messages)) for ask in dict.fromkeys(asks)}
        lengths |= tokens
        if asks:
            costs.append(_costs(learner, model, asks, tokens))
    reading, writing, choosing, learning, kept = (sum(each) for each in zip(*costs, strict=True))
    if settings.diagnose_every:
        learning += MEASURE * learning / settings.epochs / settings.diagnose_every
    reads = 1 if learner.recurring else learner.budget
    rest = writing + choosing + learning
    return Estimate(
        parameters=sum(x.numel() for model in groups for x in model.model.parameters()),
        trained=sum(x.numel() for adapter in learner.own.values() for x in adapter.parameters()),
        adapter=settings.kind,
        updates=learner.budget,
        episodes=len(played.tasks),
        decisions=len(played.asks),
        prompts=len(lengths),
        prompt_tokens=round(statistics.fmean(lengths.values()), 1),
        longest_prompt=max(lengths.values()),
        most_tokens=min(model.most_tokens for model in groups),
        come_back=learner.recurring,
        reading_seconds=round(reading, 3),
        writing_seconds=round(writing, 3),
        learning_seconds=round(choosing + learning, 3),
        seconds=round(reading + rest, 3),
        minutes=round((reads * reading + learner.budget * rest) / 60, 2),
        memory_gb=round(settings.processes * peak_gb(next(iter(groups)).device) + kept / 1e9, 2),
    )


class Costs(NamedTuple):
    """What an update takes of one model."""

    reading: float
    """Seconds to read all prompts."""
    writing: float
    """Seconds to write."""
    choosing: float
    """Seconds of choices, once their prompts are read."""
    learning: float
    """Seconds of gradients of free text."""
    kept: float
    """Bytes that all prompts of answers take beyond those that were read for the estimate."""


def _costs(
    learner: LanguageLearner,
    model: LanguageModel,
    asks: Sequence[Prompt],
    tokens: Mapping[Prompt, int],
) -> Costs:
    """Returns what an update takes of a model.

    Args:
        learner: the team.
        model: one of its models.
        asks: the prompts of all decisions of its agents in an update.
        tokens: of each of them.
    """
    some = sorted(tokens, key=lambda ask: tokens[ask])[:: max(1, len(tokens) // TIMED)]
    prompts = [model.prompt(ask.messages) for ask in some]
    model.encode(prompts[:1], 0)
    spent = seconds_of(lambda: [model.encode([prompt], 0) for prompt in prompts])
    per_token = spent / sum(map(len, prompts))
    reading = per_token * sum(tokens.values())
    choosing = _choosing(learner, [ask for ask in tokens if ask.words])
    writing, learning, kept = _texts(learner, model, [ask for ask in asks if not ask.words])
    return Costs(reading, writing, choosing, learning, kept)


def _choosing(learner: LanguageLearner, words: list[Prompt]) -> float:
    """Returns the seconds an update of choices, once their prompts are read."""
    if not words:
        return 0.0
    some = sorted(words[:CHOSEN_TOGETHER], key=lambda ask: ask.agent)
    learner.words.logits(some)

    def choose() -> None:
        learner.words.logits(some).square().mean().backward()

    seconds = statistics.median(seconds_of(choose) for _ in range(3))
    for adam in learner.adams.values():
        adam.zero()
    return seconds * len(words) / len(some)


def _texts(
    learner: LanguageLearner, model: LanguageModel, free: list[Prompt]
) -> tuple[float, float, float]:
    """Returns the seconds an update of writing and of learning, and the bytes that all prompts of
    answers take beyond those that were read for it."""
    if not free:
        return 0.0, 0.0, 0.0
    settings, team = learner.settings, learner.writing
    rng = np.random.default_rng(0)
    some = sorted(free[: settings.together], key=lambda ask: ask.agent)
    writing = 0.0 if learner.served is not None else _writing(learner, model, free, some)
    texts = [_whole(learner, model, ask, rng) for ask in some]
    part = next(team.passes(some, texts))
    values = np.ones(len(texts[part]))

    def learn() -> None:
        loss = team.loss(some[part], texts[part], values, values, len(free))
        loss.backward()

    learn()
    seconds = statistics.median(seconds_of(learn) for _ in range(2))
    for adam in learner.adams.values():
        adam.zero()
    passes = -(-len(free) // len(texts[part]))
    share = -(-passes // settings.processes) / passes
    learning = seconds * settings.epochs * len(free) / len(texts[part]) * share
    different = len({(ask.agent, ask.messages) for ask in free})
    read = {id(text.prefix): text.prefix.nbytes for text in texts}
    kept = max(0, different - len(read)) * statistics.fmean(read.values())
    return writing, learning, kept


def _writing(
    learner: LanguageLearner, model: LanguageModel, free: list[Prompt], some: list[Prompt]
) -> float:
    """Returns the seconds an update of writing, from some of its free answers."""
    team, rng = learner.writing, np.random.default_rng(0)
    short = [replace(ask, most_tokens=min(STEPS, ask.most_tokens)) for ask in some]
    team.write(short, rng)  # reads the prompts
    ends, model.ends = model.ends, model.ends[:0]  # every answer is as long as it may be
    one = [replace(ask, most_tokens=1) for ask in some]
    first = seconds_of(lambda: team.write(one, rng))
    several = seconds_of(lambda: team.write(short, rng))
    steps = max(ask.most_tokens for ask in short)
    step = (several - first) / max(1, steps - 1)
    room = max(ask.most_tokens for ask in free)
    settings = learner.settings
    batches = -(-len(free) // (settings.together * settings.processes))
    writing = batches * (first + step * (room - 1))
    model.ends = ends
    return writing


def _whole(
    learner: LanguageLearner, model: LanguageModel, ask: Prompt, rng: np.random.Generator
) -> Text:
    """Returns an answer of random tokens that is as long as it may be."""
    reader, n = learner.writing.readers[ask.agent], ask.most_tokens
    with torch.no_grad():
        (prefix,) = reader.prefixes([ask.messages], [n], [learner.adapters[ask.agent]])
    tokens = rng.integers(0, len(model.unembedding), n)
    hidden = None
    if reader.first:
        size = len(prefix.tail) - 1 + n, model.unembedding.shape[1]
        hidden = torch.zeros(size, dtype=model.dtype, device=model.device)
    return Text(prefix, tuple(tokens.tolist()), np.full(n, -1.0), hidden)


def seconds_of(call: Callable[[], object]) -> float:
    """Returns how long a call takes."""
    start = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def peak_gb(device: torch.device) -> float:
    """Returns the most memory that this process has had so far, in GB: of the GPU, if the model is
    there."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 1e9
    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e9 if sys.platform == "darwin" else 1e6)
