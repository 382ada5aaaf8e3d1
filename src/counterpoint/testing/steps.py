"""`check_step_world`: a conformance suite for worlds of many steps, yours and ours.

Each `check_*` tests one promise of `counterpoint.worlds.StepWorld` and raises `ConformanceError`
with what was got and what was promised. Everything is deterministic: the same world passes or
fails always.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.testing.batches import ConformanceError, demand
from counterpoint.testing.transitions import check_step, check_view, same_step, same_view
from counterpoint.worlds.sequential.permuted import PermutedStepWorld
from counterpoint.worlds.sequential.world import StepWorld, View, returns, uniform_actions

Make = Callable[[int, int], StepWorld]
"""Copies and seed to a world."""

SURPRISE = 6.0
"""A measured return may be this many standard errors from the reference."""


def check_step_world(
    make: Make, *, steps: int = 60, episodes: int = 400, most_steps: int = 40_000
) -> None:
    """Hold a world to every promise of `StepWorld`.

    Args:
        make: `make(copies, seed)` is a new world, with the settings that it is to be used with.
        steps: steps to play in each check; more than an episode, if that can be.
        episodes: episodes behind the comparison with the random reference.
        most_steps: copy-steps that comparison may take; it is left out if that is not enough.

    Raises:
        ConformanceError: the first promise that is broken.
    """
    check_description(make(1, 0))
    check_play(make, steps)
    check_seeds(make, steps)
    check_views_are_kept(make, steps)
    check_capture(make, steps)
    check_copies_are_independent(make, steps)
    check_order(make, steps)
    check_random(make, episodes, most_steps)


def check_description(world: StepWorld) -> None:
    """What a world says of itself makes sense and has one entry for each agent."""
    agents, n = world.agents, len(world.agents)
    demand(len(set(agents)) == n > 0, f"agents {agents}", "different names")
    for name in ("roles", "seen_sizes", "actions"):
        got = len(getattr(world, name))
        demand(got == n, f"{got} {name}", f"{n}, one an agent")
    demand(min(world.seen_sizes) > 0, f"seen_sizes {world.seen_sizes}", "at least 1 each")
    kinds = {can.continuous for can in world.actions}
    demand(len(kinds) == 1, "choices beside numbers", "all discrete, or all continuous")
    for can in world.actions:
        demand(can.size > 0, f"actions of size {can.size}", "at least 1")
        if can.continuous:
            ok = len(can.low) == len(can.high) == can.size
            ok = ok and all(low < high for low, high in zip(can.low, can.high, strict=True))
            demand(ok, f"bounds {can.low}, {can.high}", f"{can.size} of each, low below high")
    for role in set(world.roles):
        kin = [k for k in range(n) if world.roles[k] == role]
        alike = {(world.seen_sizes[k], world.actions[k]) for k in kin}
        demand(len(alike) == 1, f"different agents of role {role}", "the same kind of thing")
    scores = world.references
    if scores.random is not None and scores.reference is not None:
        ok = scores.random < scores.reference
        demand(ok, f"random {scores.random}, reference {scores.reference}", "random below it")
    demand(bool(scores.scale), "references on no scale", "words that say which")


def check_play(make: Make, steps: int) -> None:
    """Every view and step is in full and in range, and episodes end when they are to."""
    world = make(4, 0)
    view, rng = world.reset(), np.random.default_rng(0)
    check_view(world, view)
    first, time = view, np.zeros(4, dtype=np.int64)
    ended, varied, renewed = 0, False, False
    for _ in range(steps):
        actions = uniform_actions(world, view, rng)
        actions.setflags(write=False)
        try:
            step = world.step(actions)
        except ValueError as error:
            raise ConformanceError(
                f"step failed with actions that it may not write to ({error}); wanted a step"
            ) from error
        check_step(world, step)
        time += 1
        if world.horizon is not None:
            over = bool((time > world.horizon).any())
            demand(not over, f"an episode of {time.max()} steps", f"at most {world.horizon}")
        time[step.ended] = 0
        ended += int(step.ended.sum())
        view = step.view
        varied = varied or not np.array_equal(view.seen, first.seen)
        news = step.view.seen[step.ended], step.last.seen[step.ended]
        renewed = renewed or not np.array_equal(*news)
    demand(
        not ended or renewed or not varied,
        "a last view that shows the new episode",
        "in `last` what the ended copies saw last, in `view` where they started anew",
    )


def check_seeds(make: Make, steps: int) -> None:
    """The same seed is the same world, made anew or reset with it."""
    one, two, three = make(3, 7), make(3, 7), make(3, 8)
    view = one.reset()
    demand(same_view(view, two.reset()), "two starts from one seed", "the same start")
    _same_course(one, two, view, steps, "two worlds of one seed", "the same course of events")
    fresh = make(3, 9).reset(9)
    same = same_view(fresh, three.reset(9))
    demand(same, "two resets with seed 9", "the same start")


def check_views_are_kept(make: Make, steps: int) -> None:
    """No step changes arrays that were handed out before."""
    world = make(3, 1)
    view, rng = world.reset(), np.random.default_rng(1)
    kept: list[tuple[NDArray[Any], NDArray[Any]]] = []
    for _ in range(min(steps, 30)):
        step = world.step(uniform_actions(world, view, rng))
        view = step.view
        given = [step.reward, step.own, step.terminated, step.ended]
        given += [*_arrays(step.view), *_arrays(step.last)]
        kept += [(array, array.copy()) for array in given]
    same = all(np.array_equal(array, copy) for array, copy in kept)
    demand(same, "a step that changes arrays of steps before", "new arrays in each step")


def check_capture(make: Make, steps: int) -> None:
    """A captured world, written down and restored elsewhere, goes on bit for bit."""
    for before in (0, 3, max(steps - 1, 4)):
        world, other = make(3, 2), make(3, 77)
        view, rng = world.reset(), np.random.default_rng(2)
        for _ in range(before):
            view = world.step(uniform_actions(world, view, rng)).view
        arrays, facts = world.capture()
        held = {name: np.array(array) for name, array in arrays.items()}
        facts = json.loads(json.dumps(facts))
        restored = other.restore(held, facts)
        demand(same_view(restored, view), "another view after restore", "that of the capture")
        _same_course(
            world, other, view, steps, "another course after restore", "the same, bit for bit"
        )
        again = all(np.array_equal(array, held[name]) for name, array in arrays.items())
        demand(again, "captured arrays that steps change", "copies")


def check_copies_are_independent(make: Make, steps: int) -> None:
    """What happens in a copy does not depend on what is done in others, until one ends."""
    one, two = make(3, 3), make(3, 3)
    view, there = one.reset(), two.reset()
    rng, other = np.random.default_rng(3), np.random.default_rng(4)
    for _ in range(steps):
        actions = uniform_actions(one, view, rng)
        changed = uniform_actions(two, there, other)
        changed[0] = actions[0]
        step, beside = one.step(actions), two.step(changed)
        if step.ended.any() or beside.ended.any():
            return
        same = np.array_equal(step.own[0], beside.own[0])
        same = same and np.array_equal(step.view.seen[0], beside.view.seen[0])
        demand(same, "a copy that feels what others do", "copies that do not meet")
        view, there = step.view, beside.view


def check_order(make: Make, steps: int) -> None:
    """With its agents listed in another order, the same happens to the same agents."""
    plain, turned = make(2, 5), make(2, 5)
    order = [*range(1, len(plain.agents)), 0]
    mixed = PermutedStepWorld(turned, order)
    view, rng = plain.reset(), np.random.default_rng(5)
    mixed.reset()
    for _ in range(min(steps, 30)):
        actions = uniform_actions(plain, view, rng)
        one, two = plain.step(actions), mixed.step(actions[:, order])
        same = np.array_equal(one.own[:, order], two.own)
        same = same and np.array_equal(one.view.seen[:, order], two.view.seen)
        demand(same, "other results for agents in another order", "the same, in that order")
        view = one.view


def check_random(make: Make, episodes: int, most_steps: int) -> None:
    """A random team gets what the world says that it gets."""
    world = make(8, 6)
    wanted = world.references.random
    if wanted is None or (world.horizon or most_steps) * episodes > most_steps:
        return
    found = returns(world, uniform_actions, episodes, seed=6)
    error = float(found.std(ddof=1) / np.sqrt(len(found)))
    gap, allowed = abs(float(found.mean()) - wanted), SURPRISE * error + 1e-9
    demand(
        gap <= allowed,
        f"a mean return of {found.mean():.4g} from {len(found)} random episodes",
        f"{wanted:.4g} +- {allowed:.2g}, as the world says of itself",
    )


def _same_course(
    one: StepWorld, two: StepWorld, view: View, steps: int, got: str, wanted: str
) -> None:
    """Play both from `view` on with the same actions."""
    rng = np.random.default_rng(11)
    for _ in range(steps):
        actions = uniform_actions(one, view, rng)
        first, second = one.step(actions), two.step(actions)
        demand(same_step(first, second), got, wanted)
        view = first.view


def _arrays(view: View) -> list[NDArray[Any]]:
    return [view.seen, view.state, view.active, *([] if view.legal is None else [view.legal])]
