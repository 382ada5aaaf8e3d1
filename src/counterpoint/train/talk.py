"""What the messages of a trained team carry: what is seen and said, heard and done, and its worth.

Start with `measure_messages`; `information_now` is a cheap part of it for the series. Three
questions, each with the measure that the field found to answer it (Lowe et al. 2019, On the
pitfalls of measuring emergent communication; Eccles et al. 2019):

- Do words depend on what the speaker sees? Their mutual information, from counts, beside what
  chance gives when the words of whole episodes are permuted.
- Do actions depend on the words? The mutual information of word and action under the listener's
  policy, all else that it sees held fixed. It is no estimate: a listener that ignores words has 0.
- Is it worth anything? The return, minus that of the same episodes in which every listener hears
  the words of another copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints
from counterpoint.results.training import Heard, Messages, Said
from counterpoint.stats import bootstrap_interval, means
from counterpoint.stats.information import (
    classes_of,
    largest_information,
    mutual_information,
)
from counterpoint.worlds.sequential.channels import Channel
from counterpoint.worlds.sequential.world import Singles

MOST_DECISIONS, MOST_NUMBERS = 20_000, 10_000_000
"""Decisions of each agent that are kept, and numbers that they may have together."""
CONTEXTS, WORDS = 512, 16
"""Decisions of a listener, and different messages, with which its policy is asked."""
EVERY = 5
"""Updates between two values in the series, which then cost at most 2% of a training."""
DECISIONS_NOW, CONTEXTS_NOW, SHIFTS = 1024, 128, 2
"""Decisions of each agent that a value of the series is taken from; those of listeners whose policy
is asked; and exchanges of words between copies that say what chance gives."""

PolicyOf = Callable[[int, Singles, Bools | None], Floats]
"""Maps an agent, observations [N, D] and legal actions [N, M] to probabilities [N, M]."""


class Moment(NamedTuple):
    """One step of every copy."""

    seen: Singles
    """[A, E, D]."""
    action: NDArray[np.int64]
    """[A, E]."""
    active: Bools
    """[A, E]."""
    legal: Bools | None
    """[A, E, M]."""
    episode: Ints
    """[E] a number that no other episode has."""


class Recorder:
    """The first decisions of an evaluation, as far as they are kept."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []
        self._kept, self._episode = 0, np.zeros(0, dtype=np.int64)

    def add(
        self,
        seen: Singles,
        action: NDArray[np.int64],
        active: Bools,
        legal: Bools | None,
        ended: Bools,
    ) -> None:
        """Takes in a step: see `Moment`; `ended` [E] says whether the episode ended with it."""
        a, e, d = seen.shape
        if not self.moments:
            self._episode = np.arange(e)
        if self._kept + e <= min(MOST_DECISIONS, MOST_NUMBERS // max(1, a * d)):
            kept = None if legal is None else legal.copy()
            self.moments.append(
                Moment(seen.copy(), action.copy(), active.copy(), kept, self._episode.copy())
            )
            self._kept += e
        self._episode[ended] += e


def decisions_of(moments: Sequence[Moment], agent: int) -> tuple[Singles, Ints, Bools | None, Ints]:
    """Returns observations [N, D], actions [N], legal actions [N, M], and episodes [N] of the
    decisions of one agent."""
    picked = [(one, one.active[agent]) for one in moments]
    seen = np.concatenate([one.seen[agent][where] for one, where in picked])
    action = np.concatenate([one.action[agent][where] for one, where in picked])
    episode = np.concatenate([one.episode[where] for one, where in picked])
    legal = None
    if any(one.legal is not None for one, _ in picked):
        size = next(one.legal.shape[-1] for one, _ in picked if one.legal is not None)
        every = [
            np.ones((int(where.sum()), size), dtype=bool)
            if one.legal is None
            else one.legal[agent][where]
            for one, where in picked
        ]
        legal = np.concatenate(every)
    return seen, action, legal, episode


def measure_messages(
    agents: Sequence[str],
    sizes: Sequence[int],
    channels: Sequence[Channel],
    played: Recorder,
    policy: PolicyOf | None,
    worth: Floats,
    scale: float | None,
    seed: int,
) -> Messages:
    """Returns what the messages of a team carried in an evaluation.

    Args:
        agents: [A] names.
        sizes: [A] how many actions each has.
        channels: who says what to whom.
        played: its decisions.
        policy: the team's policies; None if they remember more than they see, so that what was
            heard cannot be changed afterwards.
        worth: [n] the return of each episode minus that of the same one with exchanged messages;
            fewer than 2 if that is not known.
        scale: the return of a good team minus that of a random one; None if it is not known.
        seed: of permutations and resamples.
    """
    rng = np.random.default_rng([seed, 5])
    spoken, listened = [], []
    for channel in channels:
        seen, action, _, episode = decisions_of(played.moments, channel.speaker)
        others = np.delete(seen, channel.echo, axis=1)
        if len(action):
            words = channel.words[action]
            shared = largest_information(classes_of(others), words, episode, rng)
            most = float(np.log2(channel.size))
            spoken.append(
                Said(
                    agent=agents[channel.speaker], bits=shared.bits, chance=shared.chance, most=most
                )
            )
        for listener, places in channel.heard:
            bits = None
            if policy is not None:
                given = decisions_of(played.moments, listener)
                bits = heard_information(*given[:3:2], places, listener, policy, rng)
            most = float(np.log2(min(channel.size, sizes[listener])))
            pair = agents[channel.speaker], agents[listener]
            listened.append(Heard(speaker=pair[0], agent=pair[1], bits=bits, most=most))
    interval = None
    if len(worth) > 1:
        interval = bootstrap_interval(worth, rng=rng, statistic=means)
    return Messages(
        said=spoken,
        heard=listened,
        worth=None if interval is None else interval.value,
        worth_low=None if interval is None else interval.low,
        worth_high=None if interval is None else interval.high,
        episodes=len(worth),
        scale=scale,
    )


def information_now(
    channels: Sequence[Channel], played: Recorder, policy: PolicyOf | None
) -> dict[str, float]:
    """Returns what is said and heard in a batch, by its name in the series.

    `said_bits` is the mean over speakers of the information of words and observations, minus that
    of words and observations of other copies at the same time, which is what chance gives. If the
    difference is negative, it counts as 0. `heard_bits` is the mean over listeners of what
    `heard_information` returns. A value is left out where it is not known.

    Args:
        channels: who says what to whom.
        played: the decisions of the batch.
        policy: as in `measure_messages`.
    """
    moments = played.moments
    if not moments:  # more copies than a recorder keeps
        return {}
    copies = moments[0].active.shape[1]
    moments = moments[:: max(1, -(-len(moments) * copies // DECISIONS_NOW))]
    said, heard = [], []
    listeners = sum(len(channel.heard) for channel in channels)
    for channel in channels:
        if copies > 1:
            said.append(_said_now(channel, moments))
        for listener, places in channel.heard:
            if policy is None:
                continue
            seen, _, legal, _ = decisions_of(moments, listener)
            rng, asked = np.random.default_rng(0), max(1, CONTEXTS_NOW // listeners)
            heard.append(heard_information(seen, legal, places, listener, policy, rng, asked))
    known = {"said_bits": said, "heard_bits": [bits for bits in heard if bits is not None]}
    return {name: float(np.mean(bits)) for name, bits in known.items() if bits}


def _said_now(channel: Channel, moments: Sequence[Moment]) -> float:
    """Returns what the words of a speaker tell of what it sees, less what chance gives, in bits."""
    active = np.stack([one.active[channel.speaker] for one in moments])  # [T, E]
    words = channel.words[np.stack([one.action[channel.speaker] for one in moments])]
    seen = np.concatenate(
        [one.seen[channel.speaker][one.active[channel.speaker]] for one in moments]
    )
    columns = []
    for column in classes_of(np.delete(seen, channel.echo, axis=1)):
        columns.append(np.zeros(active.shape, dtype=np.int64))
        columns[-1][active] = column

    def most(said: Ints, both: Bools) -> float:
        shared = (mutual_information(column[both], said[both]) for column in columns)
        return max(shared, default=0.0) if both.any() else 0.0

    shifts = range(1, min(SHIFTS + 1, active.shape[1]))
    chance = [most(np.roll(words, i, 1), active & np.roll(active, i, 1)) for i in shifts]
    return max(0.0, most(words, active) - float(np.mean(chance)))


def heard_information(
    seen: Singles,
    legal: Bools | None,
    places: Ints,
    listener: int,
    policy: PolicyOf,
    rng: np.random.Generator,
    contexts: int = CONTEXTS,
) -> float | None:
    """Returns the mutual information of message and action in bits, all else held fixed.

    It is the mean over decisions of H(sum_w p_w pi(. | w)) - sum_w p_w H(pi(. | w)), where p_w is
    how often the message w is heard. None if the agent never decided.

    Args:
        seen: [N, D] its observations.
        legal: [N, M] its legal actions; None: all always are.
        places: where messages show in them.
        listener: its index.
        policy: as in `measure_messages`.
        rng: picks decisions where there are many.
        contexts: the most decisions that are picked.

    Source: Lowe et al. 2019, section 4.3 (causal influence of communication).
    """
    if not len(seen):
        return None
    messages, counts = np.unique(seen[:, places], axis=0, return_counts=True)
    common = np.argsort(-counts, kind="stable")[:WORDS]
    share = counts[common] / counts[common].sum()
    rows = rng.permutation(len(seen))[:contexts]
    given = np.repeat(seen[rows][None], len(common), axis=0)
    given[:, :, places] = messages[common][:, None]
    may = None if legal is None else np.concatenate([legal[rows]] * len(common))
    probs = policy(listener, given.reshape(-1, seen.shape[1]), may)
    probs = probs.reshape(len(common), len(rows), -1)
    mean = np.einsum("w,wnm->nm", share, probs)
    inside = np.einsum("w,wn->n", share, _entropy_bits(probs))
    return max(0.0, float((_entropy_bits(mean) - inside).mean()))


def _entropy_bits(probs: Floats) -> Floats:
    """Returns the entropy of distributions over the last axis."""
    logs = np.log2(np.where(probs > 0, probs, 1.0))
    entropy: Floats = -(probs * logs).sum(axis=-1)
    return entropy
