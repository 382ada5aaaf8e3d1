"""What a training of language models costs.

`affordable_kind` chooses adapters by a rule of thumb; `estimate` opens the models and times a few
prompts, a few tokens and one pass of each agent and turn, by the same calls as an update, so that a
training of hours can be judged in a minute.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import torch

from counterpoint.lm.generate import Text
from counterpoint.lm.model import LanguageModel
from counterpoint.lm.reader import KEPT_BYTES
from counterpoint.machine.processes import peak_memory
from counterpoint.results.estimate import Estimate
from counterpoint.train.lora.answers import MICRO_BATCHES
from counterpoint.train.lora.episodes import PlayedBatch, play_episodes, random_replies
from counterpoint.train.lora.learner import COMING_BACK, LanguageLearner
from counterpoint.train.lora.seats import agents_by_model
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.train.lora.words import CHOSEN_TOGETHER, Pass
from counterpoint.worlds.text.world import Prompt, TextWorld

BYTES, FRAME = 4.0, 12.0
"""Bytes of a token of English, and tokens of a template around a prompt."""
ADAPTED = 1 / 3
"""The share of layers with adapters: 10 of SmolLM2's 30."""
WRITE, LEARN = 1.5, 3.0
"""What a token costs that is written, and one that is learned from, beside one that is read: the
weights are loaded for few rows at a time, and a gradient flows back."""
REREAD = 0.7
"""What plain adapters add for a token of a prompt, beside reading it: 0.55 and 0.65 in `relay`, 1.1
and 1.0 in `extract`, with answers of 12 and of 4 tokens (SmolLM2, medians of 3 updates in turn)."""
AFFORDABLE = 1.5
"""How many times as much as activated adapters plain ones may cost as the default."""
STEPS = 4
"""Tokens of each answer that are written to see how long one takes."""
TIMED = 6
"""Prompts that are read to see how long one takes."""


def affordable_kind(world: TextWorld, settings: LanguageSettings) -> Literal["plain", "activated"]:
    """Returns plain adapters where a batch costs at most `AFFORDABLE` times as much with them.

    It is a rule of thumb on the text of two batches of a random team; no model is needed. With
    SmolLM2 plain adapters took 1.22 times as long in `relay` and 1.44 times in `extract`; with
    answers of at most 4 tokens 1.36 and 1.59 times; in `questions` 1.22 and in `revise` 1.44 times.
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
    asks, groups = list(dict.fromkeys(played.asks)), agents_by_model(learner.models)
    tokens = {ask: len(learner.models[ask.agent].prompt(ask.messages)) for ask in asks}
    reading = choosing = kept = 0.0
    for agents in groups.values():
        words = [ask for ask in asks if ask.words and ask.agent in agents]
        read, chosen, nbytes = _choices(learner, words, tokens)
        reading, choosing, kept = reading + read, choosing + chosen, kept + nbytes
    texts = _texts(learner, played)
    writing, learning = texts.writing, texts.learning
    kept = min(kept, settings.cache_bytes) + texts.kept
    reads = 1 if learner.recurring else learner.budget
    reading, rest = reading + texts.reading, writing + choosing + learning
    return Estimate(
        parameters=sum(x.numel() for model in groups for x in model.model.parameters()),
        trained=sum(x.numel() for adapter in learner.own.values() for x in adapter.parameters()),
        adapter=settings.kind,
        updates=learner.budget,
        episodes=len(played.tasks),
        decisions=len(played.asks),
        prompts=len(asks),
        prompt_tokens=round(statistics.fmean(tokens.values()), 1),
        longest_prompt=max(tokens.values()),
        most_tokens=min(model.most_tokens for model in groups),
        come_back=learner.recurring,
        reading_seconds=round(reading, 3),
        writing_seconds=round(writing, 3),
        learning_seconds=round(choosing + learning, 3),
        seconds=round(reading + rest, 3),
        minutes=round((reads * reading + learner.budget * rest) / 60, 2),
        memory_gb=round(settings.processes * peak_gb(list(groups)) + kept / 1e9, 2),
    )


def _choices(
    learner: LanguageLearner, words: list[Prompt], tokens: Mapping[Prompt, int]
) -> tuple[float, float, float]:
    """Returns the seconds an update of choices by agents of one model takes to read their prompts
    and for all else, and the bytes that wait for the gradient beyond those of the prompts that were
    run for this."""
    if not words:
        return 0.0, 0.0, 0.0
    team, some = learner.words, sorted(words[:CHOSEN_TOGETHER], key=lambda ask: ask.agent)
    reading = _reading(learner, words, tokens)
    team.forget()
    team.rows_of(some)
    whole, here = len(words) / len(some), team.graph_bytes
    team.forget()

    # Reading is counted by itself, also where prompts are not kept.
    kept = team.readers[some[0].agent].kept
    limit, kept.limit = kept.limit, KEPT_BYTES

    def choose() -> None:
        team.logits(some).square().mean().backward()

    def look() -> None:
        with torch.no_grad():
            team.logits(some)

    choose()
    learning, again = (
        statistics.median(seconds_of(call) for _ in range(3)) for call in (choose, look)
    )
    for adam in learner.adams.values():
        adam.zero()
    kept.clear()
    kept.limit = limit
    # What does not fit is run twice, and read twice if it is not kept.
    dropped = max(0.0, 1 - team.limit / (whole * here)) if here else 1.0
    twice = 0.0 if learner.recurring else dropped
    return reading * (1 + twice), whole * (learning + dropped * again), (whole - 1) * here


def _reading(learner: LanguageLearner, asks: list[Prompt], tokens: Mapping[Prompt, int]) -> float:
    """Returns the seconds that reading different prompts of choices takes, by some of them, for
    agents of one model."""
    ordered = sorted(asks, key=lambda ask: tokens[ask])
    some = ordered[:: -(-len(ordered) // TIMED)]
    reader = learner.words.readers[some[0].agent]

    def read(ask: Prompt) -> float:
        reader.kept.clear()
        return seconds_of(lambda: reader.prefixes([ask.messages], [1]))

    read(some[0])  # the prefixes that prompts share are read once
    return statistics.fmean(map(read, some)) * len(asks)


class TextCosts(NamedTuple):
    """What an update of answers in free text takes."""

    reading: float = 0.0
    """Seconds of reading what can be kept of prompts that come back."""
    writing: float = 0.0
    """Seconds of writing."""
    learning: float = 0.0
    """Seconds of all gradients."""
    kept: float = 0.0
    """Bytes of all prompts beyond those that were read for this."""


def _texts(learner: LanguageLearner, played: PlayedBatch) -> TextCosts:
    """Returns what an update of free text takes, from some answers of each agent and turn."""
    settings, agent = learner.settings, played.columns["agent"]
    rng, waves = np.random.default_rng(0), dict[tuple[int, int], list[Prompt]]()
    for ask, k, turn in zip(played.asks, agent, played.columns["turn"], strict=True):
        if not ask.words:
            waves.setdefault((int(k), int(turn)), []).append(ask)
    if not waves:
        return TextCosts()
    reading = writing = learning = kept = waiting = 0.0
    for asks in waves.values():
        some = asks[: settings.together]
        read, wrote = _writing(learner, asks, some)
        texts = [_whole(learner, ask, rng) for ask in some]
        learning += _learning(learner, asks, some, texts, len(played.asks))
        different = len({ask.messages for ask in asks})
        here = len({ask.messages for ask in some})
        reading += read * different / here
        writing += wrote
        bytes_of = {id(text.prefix): text.prefix.nbytes for text in texts}
        waiting += (different - here) * statistics.fmean(bytes_of.values())
        kept += (len(asks) - len(some)) * (0 if texts[0].hidden is None else texts[0].hidden.nbytes)
    return TextCosts(reading, writing, learning, kept + min(waiting, settings.cache_bytes))


def _writing(
    learner: LanguageLearner, asks: list[Prompt], some: list[Prompt]
) -> tuple[float, float]:
    """Returns the seconds that it takes to read the prompts of `some` of the answers of a wave,
    beyond what has to be done again in every update, and to write all `asks`."""
    team, settings = learner.writing, learner.settings
    reader = team.readers[some[0].agent]
    model = reader.model
    adapters = [learner.adapters[ask.agent] for ask in some]

    def read() -> None:
        with torch.no_grad():
            reader.prefixes([ask.messages for ask in some], [1] * len(some), adapters)

    model.encode([model.prompt(some[0].messages)], 0)  # the first call is slower
    read_all, again = seconds_of(read), seconds_of(read)
    reading = max(0.0, read_all - again)
    if learner.served is not None:
        return reading, 0.0
    rng, ends = np.random.default_rng(0), model.ends
    model.ends = ends[:0]  # every answer is as long as it may be

    def write(tokens: int) -> float:
        short = [replace(ask, most_tokens=min(tokens, ask.most_tokens)) for ask in some]
        return seconds_of(lambda: team.write(short, rng))

    first, several = write(1), write(1 + STEPS)
    model.ends = ends
    room = max(ask.most_tokens for ask in asks)
    step = (several - first) / max(1, min(STEPS, room - 1))
    parts = len(asks) / len(some)
    share = math.ceil(parts / settings.processes) / math.ceil(parts)
    return reading, parts * share * (first + step * (room - 1))


def _learning(
    learner: LanguageLearner,
    asks: list[Prompt],
    some: list[Prompt],
    texts: list[Text],
    total: int,
) -> float:
    """Returns the seconds that the gradients of the answers of a wave take in an update, by a pass
    of those that it makes."""
    settings, team = learner.settings, learner.writing

    def seconds_each(rows: int) -> float:
        part = next(team.passes(some[:rows], texts[:rows]))
        values = np.ones(len(texts[part]))
        one = Pass(some[part], texts[part], values, values, total)
        team.gradient(one)  # the first one is slower
        return seconds_of(lambda: team.gradient(one)) / len(values)

    whole, measured, every = seconds_each(settings.rows), 0.0, settings.diagnose_every
    if every:  # one micro-batch after the other
        measured = seconds_each(max(1, len(asks) // min(MICRO_BATCHES, settings.rollouts)))
    again = settings.epochs - 1 + (1.0 if settings.kl else 0.0)
    each = whole * again + (measured / every + whole * (1 - 1 / every) if every else whole)
    passes = -(-len(asks) // settings.rows)
    share = -(-passes // settings.processes) / passes
    part = next(team.passes(some, texts))
    bare = Pass(some[part], texts[part], np.zeros(0), np.zeros(0), total)
    # About one pass of all answers, or all where the loss has their divergence.
    sample = min(len(asks), settings.rows * len(asks) / total) if not settings.kl else len(asks)
    spent = seconds_of(lambda: team.bare_log_probs(bare.asks, bare.texts)) / len(bare.asks)
    return (each * len(asks) + spent * sample) * share


def _whole(learner: LanguageLearner, ask: Prompt, rng: np.random.Generator) -> Text:
    """Returns an answer of random tokens that is as long as it may be."""
    team, n = learner.writing, ask.most_tokens
    reader = team.readers[ask.agent]
    model = reader.model
    with torch.no_grad():
        (prefix,) = reader.prefixes([ask.messages], [n], [learner.adapters[ask.agent]])
    tokens = rng.integers(0, len(model.unembedding), n)
    hidden = None
    if reader.first:
        size = len(prefix.tail) - 1 + n, model.unembedding.shape[1]
        hidden = torch.zeros(size, dtype=model.dtype, device=model.device)
    prefix = prefix.above(team.kept_from(reader))
    return Text(prefix, tuple(tokens.tolist()), np.full(n, -1.0), hidden)


def seconds_of(call: Callable[[], object]) -> float:
    """Returns how long a call takes: in CPU-seconds, which other programs on the machine hardly
    change, or by the clock where there is a GPU."""
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    start = clock()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - start


def peak_gb(models: Sequence[LanguageModel]) -> float:
    """Returns the most memory that this process has had so far, in GB.

    It is that of the GPU, if the models are there, and that of their weights alone where the
    system does not say (Windows).
    """
    device = models[0].device
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 1e9
    peak = peak_memory()
    if peak is None:
        peak = sum(x.nbytes for each in models for x in each.model.parameters())
    return peak / 1e9
