"""What is known of each agent's answers in an update, and how much each of their tokens weighs in
the loss. Start with `answer_metrics`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from counterpoint.arrays import Floats, Ints
from counterpoint.lm.generate import Text
from counterpoint.train.lora.episodes import PlayedBatch
from counterpoint.train.lora.settings import LanguageSettings

MicroGradients = dict[tuple[int, str], Tensor]
"""Maps a micro-batch and an agent to the gradient of the agent's adapter as one vector."""

MICRO_BATCHES = 8
"""Number of micro-batches of the episodes of each task: rollout g goes to micro-batch g mod 8."""
KL_DECIMALS = 9
"""Decimals of a divergence: what is smaller is the rounding of 32-bit floats."""


def free_answers(played: PlayedBatch) -> list[int]:
    """Returns the places of the answers in free text in a batch, those of an agent one after the
    other."""
    free = [i for i, answer in enumerate(played.answers) if isinstance(answer.handle, Text)]
    return sorted(free, key=lambda i: played.asks[i].agent)


def micro_batches(played: PlayedBatch, agents: Sequence[str]) -> dict[tuple[int, str], list[int]]:
    """Returns the places of the answers in free text of each agent in each micro-batch in which it
    has any.

    Args:
        played: a batch.
        agents: [A] names, in the order of the column `agent`.
    """
    out: dict[tuple[int, str], list[int]] = {}
    for i in free_answers(played):
        m, k = played.columns["rollout"][i] % MICRO_BATCHES, played.columns["agent"][i]
        out.setdefault((int(m), agents[k]), []).append(i)
    return out


def token_weights(settings: LanguageSettings, played: PlayedBatch) -> Floats:
    """Returns [N], the weight of each token of an answer in the sum over its tokens; 0 for choices.

    The loss of a batch is the mean over decisions of

        - sum_t w_i A_i r_it    with w_i = 1 / L_i     constant
                                     w_i = 1 / T_i     answer
                                     w_i = n / sum_j T_j    token

    for answers i of T_i tokens that may have at most L_i. The last sum is over the n answers that
    train the same adapter: those of the agent, or of all agents that share it. With equal lengths
    `token` is `answer`; if no answer can be longer either, all three are the same.

    Args:
        settings: whose `loss_normalization` is taken.
        played: the whole batch, however many passes it is learned from in.

    Source: Liu et al. 2025 (Dr. GRPO, arXiv:2503.20783), section 3, for `constant`; Shao et al.
    2024 (GRPO, arXiv:2402.03300), eq. 3, for `answer`; Yu et al. 2025 (DAPO, arXiv:2503.14476),
    section 3.3, for `token`, there for the answers of one policy to one prompt.
    """
    weights, free = np.zeros(len(played.answers)), free_answers(played)
    lengths = np.array([len(played.answers[i].handle.tokens) for i in free], dtype=np.float64)
    if settings.loss_normalization == "constant":
        weights[free] = 1.0 / np.array([played.asks[i].most_tokens for i in free], dtype=np.float64)
    elif settings.loss_normalization == "answer":
        weights[free] = 1.0 / lengths
    else:
        agent = played.columns["agent"][free]
        owner = np.zeros_like(agent) if settings.parameters == "shared" else agent
        count, total = np.bincount(owner), np.bincount(owner, lengths)
        weights[free] = count[owner] / total[owner]
    return weights


def answer_metrics(
    played: PlayedBatch,
    ends: Mapping[str, frozenset[int]],
    bare: Mapping[int, Floats],
) -> dict[str, float]:
    """Returns the numbers of each agent's answers, by `MEASURE.AGENT`.

    `decisions` counts all of its decisions, choices too. Of its answers in free text,
    `answer_tokens` is the mean number of tokens, with the one that ends it, and `cut_off` the share
    that ended at the limit alone (the others ended by themselves). `bare_kl` estimates the
    divergence from the bare model, in nats a token, at the sampling temperature:

        mean over tokens of exp(d) - d - 1,    d = log p(bare) - log p(as sampled)

    An agent without an answer in free text has no such number.

    Args:
        played: a batch.
        ends: maps the name of each agent, in the order of the column `agent`, to the tokens that
            end its answers.
        bare: maps places of answers in the batch to [n] log-probabilities of their tokens by the
            bare model. The answers of an agent that are not in it do not count for `bare_kl`.

    Source: Schulman 2020, Approximating KL divergence, k3.
    """
    metrics: dict[str, float] = {}
    agent: Ints = played.columns["agent"]
    for k, (name, its_ends) in enumerate(ends.items()):
        mine = np.flatnonzero(agent == k).tolist()
        metrics[f"decisions.{name}"] = float(len(mine))
        texts = {i: played.answers[i].handle for i in mine}
        texts = {i: text for i, text in texts.items() if isinstance(text, Text)}
        if not texts:
            continue
        metrics[f"answer_tokens.{name}"] = float(np.mean([len(x.tokens) for x in texts.values()]))
        cut = [text.tokens[-1] not in its_ends for text in texts.values()]
        metrics[f"cut_off.{name}"] = float(np.mean(cut))
        gaps = [bare[i] - text.log_probs for i, text in texts.items() if i in bare]
        if gaps:
            gap = np.concatenate(gaps)
            divergence = float((np.exp(gap) - gap - 1).mean())
            metrics[f"bare_kl.{name}"] = round(divergence, KL_DECIMALS)
    return metrics
