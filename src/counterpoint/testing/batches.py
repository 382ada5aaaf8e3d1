"""The parts that all conformance checks share: `demand` and `attempt`; batches and policies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from counterpoint.arrays import Floats, NamedArrays
from counterpoint.errors import CounterpointError
from counterpoint.worlds.exact.world import CHANCE, TASK, Play, World, stack

ROUNDING = 1e-9
"""The largest difference of exact quantities, relative to the size of the rewards."""

SURPRISE = 12.0
"""Chance alone exceeds a bound of `bernstein` once in e^12 = 160,000 checks."""


class ConformanceError(CounterpointError, AssertionError):
    """A part breaks a promise of its interface."""


def reward_size(play: Play) -> float:
    """Returns the size that rounding of rewards is measured by."""
    return 1.0 + float(abs(play.reward[play.active]).max(initial=0.0))


def one_seed(world: World, seed: int, update: int) -> tuple[NamedArrays, NamedArrays]:
    """Returns the problem and the draws of a seed."""
    task = world.tasks(np.random.default_rng([seed, TASK]))
    return task, world.draw(np.random.default_rng([seed, CHANCE]), update)


def batch(world: World, seeds: Sequence[int]) -> tuple[NamedArrays, NamedArrays, Floats]:
    """Returns problems and draws of all seeds, and a policy that takes every legal action."""
    parts = [one_seed(world, seed, world.settings.updates - 1) for seed in seeds]
    tasks, chance = stack([task for task, _ in parts]), stack([draw for _, draw in parts])
    return tasks, chance, some_policy(world, len(seeds), 0, sparse=False)


def some_policy(world: World, seeds: int, rng_seed: int, *, sparse: bool) -> Floats:
    """Returns [S, A, C, M] an arbitrary policy; a sparse one never takes some legal actions."""
    rng, legal = np.random.default_rng(rng_seed), world.legal
    weights: Floats = rng.exponential(size=(seeds, *legal.shape)) * legal
    if sparse:
        favourite = weights == weights.max(axis=-1, keepdims=True)
        weights = weights * (favourite | (rng.random(weights.shape) < 0.5))
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights


def frozen(arrays: NamedArrays) -> NamedArrays:
    """Returns copies that cannot be written to."""
    frozen = {name: np.array(values) for name, values in arrays.items()}
    for values in frozen.values():
        values.setflags(write=False)
    return frozen


def bernstein(samples: Floats, width: float = 1.0) -> float:
    """Returns how far a mean may be from its expectation: the empirical Bernstein bound.

    The last axis of the samples has one distribution; `width` is the smallest range of a sample.
    """
    n, width = samples.size, max(width, float(np.ptp(samples)))
    variance = samples.var(axis=-1).mean()
    return float(np.sqrt(2 * variance * SURPRISE / n) + 3 * width * SURPRISE / n)


def demand(kept: bool, got: str, wanted: str) -> None:
    """Raises ConformanceError unless a promise is kept."""
    if not kept:
        raise ConformanceError(f"got {got}; wanted {wanted}")


@contextmanager
def attempt(what: str, wanted: str, allowed: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Makes a ConformanceError of any error in its block, except for the allowed errors."""
    try:
        yield
    except ConformanceError:
        raise
    except allowed:
        raise
    except Exception as error:
        got = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConformanceError(f"got {got} from {what}; wanted {wanted}") from error
