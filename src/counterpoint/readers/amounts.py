"""Numbers of a log that cannot be what their field says: `plausible` takes them for unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from counterpoint.records import Episode, Event

MOST = 1e15
"""More tokens, dollars, seconds or work than this is a mistake of the log. Sums stay finite."""
LARGEST_NUMBER = 1e100
"""The largest reward, score or time, without its sign: sums, squares and ratios stay finite."""
AMOUNTS = ("tokens", "tokens_in", "cost", "duration", "work")


def plausible(episode: Episode, odd: Counter[str]) -> Episode:
    """Returns an episode without numbers that cannot be: negative amounts, and huge ones.

    Args:
        episode: as it was read.
        odd: name of the field to the count of such numbers; it is added to.
    """
    events = tuple(_checked(event, odd) for event in episode.events)
    scores = _small(episode.scores, "scores", odd)
    pairs = zip(events, episode.events, strict=True)
    if scores is episode.scores and all(one is other for one, other in pairs):
        return episode
    return replace(episode, events=events, scores=scores)


def _checked(event: Event, odd: Counter[str]) -> Event:
    changed: dict[str, Any] = {}
    for name in AMOUNTS:
        value = getattr(event, name)
        if value is not None and not 0 <= value <= MOST:
            changed[name] = None
    if event.seconds is not None and not abs(event.seconds) <= LARGEST_NUMBER:
        changed["seconds"] = None
    odd.update(changed.keys())
    if event.reward:
        reward = _small(event.reward, "reward", odd)
        if reward is not event.reward:
            changed["reward"] = reward
    return replace(event, **changed) if changed else event


def _small(values: Mapping[str, float], name: str, odd: Counter[str]) -> Mapping[str, float]:
    """Returns the values that are numbers up to `LARGEST_NUMBER`; the same mapping if all are."""
    kept = {key: value for key, value in values.items() if abs(value) <= LARGEST_NUMBER}
    odd[name] += len(values) - len(kept)
    return values if len(kept) == len(values) else kept
