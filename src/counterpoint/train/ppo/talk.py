"""Two losses under which agents learn to talk: signalling for speakers, listening for listeners.

Start with `said_information` and `heard_difference`.

A team that does not talk is a saddle: words that carry nothing are not heeded, and nobody who is
not heeded gains by a better word. Signalling raises the mutual information of what a speaker sees
and says, I = H(mean policy) - mean H(policy), over the words of a minibatch. Listening raises the
difference between a listener's policy with the message that it heard and with that of another
decision. Axis letters as in `networks.py`; W words.

Source: Eccles et al. 2019, Biases for emergent communication in multi-agent reinforcement learning,
    sections 3.1 and 3.2; there, signalling aims at a given entropy, and listening learns a second
    policy without messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from counterpoint.worlds.sequential.channels import Channel

LEAST = 1e-9
"""Probabilities below count as this much where their logarithm is taken."""


class Speaking(NamedTuple):
    """A speaker of a parameter set."""

    row: int
    """Its place in the set."""
    says: Tensor
    """[M, W] 1 where an action says a word."""


class Hearing(NamedTuple):
    """A listener of a parameter set."""

    row: int
    """Its place in the set."""
    places: Tensor
    """[n] the places in its observation where messages show."""


class SetTalk(NamedTuple):
    """The speakers and listeners of a parameter set."""

    speaking: tuple[Speaking, ...] = ()
    hearing: tuple[Hearing, ...] = ()


def talk_of(
    channels: Sequence[Channel], members: Sequence[int], actions: int, device: torch.device
) -> SetTalk:
    """Returns the speakers and listeners among the `members` of a set.

    Args:
        channels: those of the world.
        members: indices of the set's agents.
        actions: M of the networks, at least as many as an agent has.
        device: where the networks are.
    """
    speaking, places = [], dict[int, set[int]]()
    for channel in channels:
        if channel.speaker in members:
            says = torch.zeros(actions, channel.size)
            says[torch.arange(len(channel.words)), torch.from_numpy(channel.words)] = 1.0
            speaking.append(Speaking(members.index(channel.speaker), says.to(device)))
        for listener, where in channel.heard:
            if listener in members:
                places.setdefault(members.index(listener), set()).update(where.tolist())
    return SetTalk(
        tuple(speaking),
        tuple(
            Hearing(row, torch.tensor(sorted(where), device=device))
            for row, where in sorted(places.items())
        ),
    )


def said_information(out: Tensor, talk: SetTalk, active: Tensor | None) -> Tensor:
    """Returns the mutual information of seeing and saying in nats, its mean over speakers.

    Args:
        out: [A, N, L, M] logits of the set's agents.
        talk: its speakers; at least one.
        active: [A, N, L] 1 where an agent decided; None where it always did.
    """
    total = out.new_zeros(())
    for row, says in talk.speaking:
        words = torch.softmax(out[row], dim=-1) @ says
        weight = words.new_ones(words.shape[:-1]) if active is None else active[row]
        share = weight / weight.sum().clamp(min=1.0)
        mean = (words * share[..., None]).sum(dim=(0, 1))
        total = total + _entropy(mean) - (_entropy(words) * share).sum()
    return total / len(talk.speaking)


def heard_difference(out: Tensor, others: Tensor, talk: SetTalk, active: Tensor | None) -> Tensor:
    """Returns the mean over listeners of the mean distance, sum_a |p(a) - q(a)|, of two policies.

    Args:
        out: [A, N, L, M] logits of the set's agents with the messages that they heard.
        others: [A, N, L, M] the same with those of other decisions: see `with_other_messages`.
        talk: its listeners; at least one.
        active: [A, N, L] 1 where an agent decided; None where it always did.
    """
    rows = [one.row for one in talk.hearing]
    distance = (torch.softmax(out[rows], -1) - torch.softmax(others[rows], -1)).abs().sum(-1)
    if active is None:
        return distance.mean()
    weight = active[rows]
    return (distance * weight).sum() / weight.sum().clamp(min=1.0)


def with_other_messages(seen: Tensor, talk: SetTalk) -> Tensor:
    """Returns `seen` [A, N, L, D] in which each listener hears what it heard in the sequence
    before. Minibatches are shuffled, so that this is any other one."""
    changed = seen.clone()
    for row, places in talk.hearing:
        changed[row, ..., places] = seen[row].roll(1, dims=0)[..., places]
    return changed


def _entropy(probs: Tensor) -> Tensor:
    """Returns the entropy, in nats, of distributions over the last axis."""
    return -(probs * probs.clamp(min=LEAST).log()).sum(dim=-1)
