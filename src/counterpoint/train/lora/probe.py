"""Measurements of each agent of a language team in one update. Start with `measure_adapters`.

The gradient of choices is taken with respect to the logits of the agent's words, one number for
each prompt and word: that of the adapter is a linear image of it. It costs nothing, so every update
is measured. The gradient of free text is that of the adapter itself: an update that is measured
learns from one micro-batch after the other, and the sum of their gradients moves the adapter. Both
are of the mean of A log pi: the entropy bonus and the divergence from the bare model are left out.
"""

from __future__ import annotations

import numpy as np
import torch

from counterpoint.arrays import Floats, Ints
from counterpoint.credit import Credit
from counterpoint.credit.segments import segment_sum
from counterpoint.diagnose.evidence import (
    Evidence,
    bonus_noise,
    competing_noise,
    family,
    signal_power,
    z_scores,
)
from counterpoint.diagnose.updates import UpdateNumbers
from counterpoint.lm.generate import Text
from counterpoint.train.lora.answers import MICRO_BATCHES
from counterpoint.train.lora.episodes import PlayedBatch
from counterpoint.train.lora.learner import LanguageLearner
from counterpoint.train.series import Numbers, agent_numbers


def measure_adapters(
    learner: LanguageLearner, played: PlayedBatch, credit: Credit
) -> tuple[list[Numbers], Numbers]:
    """Returns the measurements of each agent and of the team, before any adapter moves.

    Returns:
        For each agent: snr, cosine (both with `_low` and `_high`), share, norm, norm_inflation,
        inflation, signal_share, dead_rate, net_mass, spike_rate, entropy (nats a decision),
        participation (share of the episodes in which it decides); None where undefined; and the
        evidence of `kept.*` where all decisions are choices: each [V] over the scheme and what it
        is held against. Free text has none: each candidate would cost a backward pass. For the
        team: participation_ratio and effective_rank.
    """
    agents, columns = len(learner.agents), played.columns
    part = columns["rollout"] % MICRO_BATCHES
    choices = _of_choices(learner, played, credit.values, part)
    micro = np.concatenate([choices, _of_texts(learner)], axis=2)
    decided = np.zeros((MICRO_BATCHES, agents))
    np.add.at(decided, (part, columns["agent"]), 1)
    given = played.rewards.sum(axis=-1)
    numbers = UpdateNumbers(learner.scheme, 1, agents).of(columns, given, credit.values)
    measures = {name: values[0] for name, values in numbers.items()}
    measures["entropy"] = _entropies(learner, played)
    present = np.zeros((len(played.tasks), agents), dtype=bool)
    present[played.episode, columns["agent"]] = True
    measures["participation"] = present.mean(axis=0)
    # Nothing is shared by agents with an adapter each.
    apart = learner.scheme.scale == "none" and learner.settings.parameters == "separate"
    writes = any(isinstance(answer.handle, Text) for answer in played.answers)
    return agent_numbers(
        micro,
        decided,
        measures,
        alone=range(agents) if apart else (),
        divided=int(columns["rollout"].max(initial=0)) + 1 >= MICRO_BATCHES,
        evidence=None if writes else lambda: choice_evidence(learner, played, credit, part),
    )


def choice_evidence(
    learner: LanguageLearner, played: PlayedBatch, credit: Credit, part: Ints
) -> Evidence:
    """Returns signal and noise [V, A] of choices under the scheme and under other statistics.

    The probabilities of words are known, so that the noise is exact given the advantages.
    """
    agents, columns = len(learner.agents), played.columns
    agent, rewards, weights = columns["agent"], played.rewards, learner.scheme.weights
    total = np.nansum(rewards * (1.0 if weights is None else np.array(weights)), axis=-1)
    given = np.where(np.isnan(rewards).all(axis=-1), np.nan, total)  # of the components there are
    others = family(learner.scheme, prompts=bool(np.ptp(columns["prompt"])))
    every = [credit.values, *(z_scores(given, columns, by) for by in others)]
    rows = np.array([answer.handle[0] for answer in played.answers], dtype=int)
    random = np.array([1.0 - (np.asarray(p) ** 2).sum() for p in learner.words.probs])[rows]
    count = np.maximum(np.bincount(agent, minlength=agents), 1)
    parts = []
    for values in every:
        weight = values * MICRO_BATCHES / len(values)
        noise = segment_sum(weight**2 * random, agent, agents) / MICRO_BATCHES
        square = segment_sum(values**2, agent, agents) / count
        competing = competing_noise(noise, learner.settings.parameters == "shared")
        competing = competing + bonus_noise(noise, square, learner.entropy)
        parts.append((signal_power(_of_choices(learner, played, values, part)), noise, competing))
    signal, noise, competing = (np.stack(values) for values in zip(*parts, strict=True))
    return Evidence(signal, noise, competing, signal)


def _of_choices(learner: LanguageLearner, played: PlayedBatch, given: Floats, part: Ints) -> Floats:
    """Returns [M, A, U x W], the gradient of the mean of A log pi with respect to the logits of
    choices, for advantages `given` [N]."""
    agents, agent = len(learner.agents), played.columns["agent"]
    handles = [answer.handle for answer in played.answers]
    chosen = np.array([i for i, one in enumerate(handles) if isinstance(one, tuple)], dtype=int)
    if not len(chosen):
        return np.zeros((MICRO_BATCHES, agents, 0))
    rows, words = np.array([handles[i] for i in chosen]).T
    probs = np.zeros((len(learner.words.probs), max(map(len, learner.words.probs))))
    for row, values in enumerate(learner.words.probs):
        probs[row, : len(values)] = values
    shape = (MICRO_BATCHES, agents, *probs.shape)
    place = np.ravel_multi_index((part[chosen], agent[chosen], rows, words), shape)
    values = given[chosen] * MICRO_BATCHES / len(handles)
    weight = segment_sum(values, place, int(np.prod(shape))).reshape(shape)
    gradient = weight - weight.sum(axis=-1, keepdims=True) * probs
    return np.asarray(gradient.reshape(MICRO_BATCHES, agents, -1))


def _of_texts(learner: LanguageLearner) -> Floats:
    """Returns [M, A, C], the gradient of free text with respect to each agent's adapter.

    A gradient has millions of numbers, but statistics know it by its inner products with others
    alone. So the vectors X [D, M x A] of an adapter, of which there are few, are written in an
    orthogonal basis of their own: X = Q R, where R has the inner products of X.
    """
    apart, parts = learner.settings.parameters == "separate", list[Floats]()
    for owner in dict.fromkeys(name if apart else "" for _, name in learner.micro):
        mine = [key for key in learner.micro if not apart or key[1] == owner]
        vectors = torch.stack([learner.micro[key] for key in mine], dim=1).double()
        coordinates = torch.linalg.qr(-MICRO_BATCHES * vectors.cpu(), mode="r").R.numpy()
        part = np.zeros((MICRO_BATCHES, len(learner.agents), len(coordinates)))
        for (m, name), column in zip(mine, coordinates.T, strict=True):
            part[m, learner.agents.index(name)] = column
        parts.append(part)
    return np.concatenate([np.zeros((MICRO_BATCHES, len(learner.agents), 0)), *parts], axis=2)


def _entropies(learner: LanguageLearner, played: PlayedBatch) -> Floats:
    """Returns [A], the mean entropy of each agent's decisions in nats.

    It is exact for choices; for text it is estimated by minus the log-probability of the text.
    """
    total, count = np.zeros(len(learner.agents)), np.zeros(len(learner.agents))
    entropies = learner.words.entropies
    for answer, agent in zip(played.answers, played.columns["agent"], strict=True):
        if isinstance(answer.handle, Text):
            total[agent] -= answer.handle.log_probs.sum()
        else:
            total[agent] += entropies[answer.handle[0]]
        count[agent] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
