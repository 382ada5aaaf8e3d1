"""Signalling: a loss under which speakers learn to say what they see.

A team that does not talk is a saddle: words that carry nothing are not heeded, and nobody who is
not heeded gains by a better word. Signalling raises H(mean policy) - mean H(policy) / 2 over the
words of a minibatch: many words, and each of them certain. With the whole second entropy it would
be their mutual information, which holds a speaker fast once it has one word for two things. Axis
letters as in `networks.py`; W words.

Source: Eccles et al. 2019, Biases for emergent communication in multi-agent reinforcement learning,
    section 3.1; there, the second entropy is drawn to a given value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from counterpoint.worlds.sequential.channels import Channel

CERTAINTY = 0.5
"""Weight of the second entropy. With 1, half of all speakers end with one word for two of three
things, with 0.5 one in sixty, in a table of logits with noisy gradients."""
LEAST = 1e-9
"""Probabilities below count as this much where their logarithm is taken."""


class Speaking(NamedTuple):
    """A speaker of a parameter set."""

    row: int
    """Its place in the set."""
    says: Tensor
    """[M, W] 1 where an action says a word."""


def speaking_of(
    channels: Sequence[Channel], members: Sequence[int], actions: int, device: torch.device
) -> tuple[Speaking, ...]:
    """Returns the speakers among the `members` of a set.

    Args:
        channels: those of the world.
        members: indices of the set's agents.
        actions: M of the networks, at least as many as an agent has.
        device: where the networks are.
    """
    speaking = []
    for channel in channels:
        if channel.speaker in members:
            says = torch.zeros(actions, channel.size)
            says[torch.arange(len(channel.words)), torch.from_numpy(channel.words)] = 1.0
            speaking.append(Speaking(members.index(channel.speaker), says.to(device)))
    return tuple(speaking)


def signalling_bonus(out: Tensor, speaking: Sequence[Speaking], active: Tensor | None) -> Tensor:
    """Returns H(mean policy) - mean H(policy) / 2 in nats, its mean over speakers.

    Args:
        out: [A, N, L, M] logits of the set's agents.
        speaking: its speakers; at least one.
        active: [A, N, L] 1 where an agent decided; None where it always did.
    """
    total = out.new_zeros(())
    for row, says in speaking:
        words = torch.softmax(out[row], dim=-1) @ says
        weight = words.new_ones(words.shape[:-1]) if active is None else active[row]
        share = weight / weight.sum().clamp(min=1.0)
        mean = (words * share[..., None]).sum(dim=(0, 1))
        total = total + _entropy(mean) - CERTAINTY * (_entropy(words) * share).sum()
    return total / len(speaking)


def _entropy(probs: Tensor) -> Tensor:
    """Returns the entropy, in nats, of distributions over the last axis."""
    return -(probs * probs.clamp(min=LEAST).log()).sum(dim=-1)
