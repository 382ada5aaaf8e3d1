"""`check_step_world`: a conformance suite for sequential environments, yours and ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.testing.batches import ROUNDING, ConformanceError, demand
from counterpoint.worlds.sequential.actions import most_choices, most_numbers
from counterpoint.worlds.sequential.world import (
    Step,
    StepWorld,
    View,
    paid,
    returns,
    uniform_actions,
)
from counterpoint.worlds.sequential.wrapped import PermutedStepWorld

Make = Callable[[int, int], StepWorld]
"""Makes a world of a number of copies and a seed."""

SURPRISE = 6.0
"""The largest distance of a measured return from the reference, in standard errors."""


def check_step_world(
    make: Make, *, steps: int = 60, episodes: int = 400, most_steps: int = 40_000
) -> None:
    """Checks every promise of `StepWorld`.

    Some agents may choose while others give numbers. Then actions are floats, of which the first is
    the choice of an agent that chooses.

    Args:
        make: `make(copies, seed)` returns a new world, with the settings of its later use.
        steps: the steps of each check; more than an episode has, if possible.
        episodes: the episodes for the comparison with the random reference.
        most_steps: the most steps of all copies for it; a longer comparison is left out.

    Raises:
        ConformanceError: The first broken promise.
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
    """Checks that the description of a world is sound and has one entry for each agent."""
    agents, n = world.agents, len(world.agents)
    demand(len(set(agents)) == n > 0, f"agents {agents}", "different names")
    for name in ("roles", "seen_sizes", "actions"):
        got = len(getattr(world, name))
        demand(got == n, f"{got} {name}", f"{n}, one an agent")
    demand(min(world.seen_sizes) > 0, f"seen_sizes {world.seen_sizes}", "at least 1 each")
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
    """Checks every view and step of a play, and that episodes end in time."""
    world = make(4, 0)
    view, rng = world.reset(), np.random.default_rng(0)
    check_view(world, view)
    first, time = view, np.zeros(4, dtype=np.int64)
    gone = np.zeros(view.active.shape, dtype=bool)
    ended = varied = renewed = False
    for _ in range(steps):
        actions = uniform_actions(world, view, rng)
        actions.setflags(write=False)
        try:
            step = world.step(actions)
        except ValueError as error:
            got = f"step failed with actions that it may not write to ({error})"
            raise ConformanceError(f"{got}; wanted a step") from error
        check_step(world, step)
        kept = step.terminated | step.view.active | ~gone
        got = "a terminated agent that is neither terminated nor back one step later"
        demand(bool(kept.all()), got, "terminated until the episode ends or the agent is active")
        gone = step.terminated & ~step.ended[:, None]
        time += 1
        if world.horizon is not None:
            over = bool((time > world.horizon).any())
            demand(not over, f"an episode of {time.max()} steps", f"at most {world.horizon}")
        time[step.ended] = 0
        view = step.view
        ended |= bool(step.ended.any())
        varied |= not np.array_equal(view.seen, first.seen)
        renewed |= not np.array_equal(view.seen[step.ended], step.last.seen[step.ended])
    wanted = "in `last` what the ended copies saw last, in `view` where they started anew"
    demand(not ended or renewed or not varied, "a last view that shows the new episode", wanted)


def check_seeds(make: Make, steps: int) -> None:
    """Checks that a seed decides the whole course, in a new world and after a reset."""
    one, two, three = make(3, 7), make(3, 7), make(3, 8)
    view = one.reset()
    demand(same_view(view, two.reset()), "two starts from one seed", "the same start")
    _same_course(one, two, view, steps, "two worlds of one seed", "the same course of events")
    same = same_view(make(3, 9).reset(9), three.reset(9))
    demand(same, "two resets with seed 9", "the same start")


def check_views_are_kept(make: Make, steps: int) -> None:
    """Checks that no step changes arrays of earlier steps."""
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
    """Checks that a world restored from a capture goes on bit for bit."""
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
        wanted = "the same, bit for bit"
        _same_course(world, other, view, steps, "another course after restore", wanted)
        again = all(np.array_equal(array, held[name]) for name, array in arrays.items())
        demand(again, "captured arrays that steps change", "copies")


def check_copies_are_independent(make: Make, steps: int) -> None:
    """Checks that a copy does not depend on the actions in other copies, until one ends."""
    one, two = make(3, 3), make(3, 3)
    view, there = one.reset(), two.reset()
    rng, other = np.random.default_rng(3), np.random.default_rng(4)
    for _ in range(steps):
        actions = uniform_actions(one, view, rng)
        changed = uniform_actions(two, there, other)
        changed[0] = actions[0]
        step, other_step = one.step(actions), two.step(changed)
        if step.ended.any() or other_step.ended.any():
            return
        same = np.array_equal(step.own[0], other_step.own[0])
        same = same and np.array_equal(step.view.seen[0], other_step.view.seen[0])
        demand(same, "a copy that feels what others do", "copies that do not meet")
        view, there = step.view, other_step.view


def check_order(make: Make, steps: int) -> None:
    """Checks that the order in which agents are listed changes nothing."""
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
    """Checks that a random team gets the random reference."""
    world = make(8, 6)
    wanted = world.references.random
    if wanted is None or (world.horizon or most_steps) * episodes > most_steps:
        return
    measured = returns(world, uniform_actions, episodes, seed=6)
    error = float(measured.std(ddof=1) / np.sqrt(len(measured)))
    mean, allowed = float(measured.mean()), SURPRISE * error + 1e-9
    got = f"a mean return of {mean:.4g} from {len(measured)} random episodes"
    promise = f"{wanted:.4g} +- {allowed:.2g}, as the world says of itself"
    demand(abs(mean - wanted) <= allowed, got, promise)


def _same_course(
    one: StepWorld, two: StepWorld, view: View, steps: int, got: str, wanted: str
) -> None:
    """Checks that two worlds have the same course from `view` on with the same actions."""
    rng = np.random.default_rng(11)
    for _ in range(steps):
        actions = uniform_actions(one, view, rng)
        first, second = one.step(actions), two.step(actions)
        names = ("reward", "own", "terminated", "ended")
        same = all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names)
        same = same and same_view(first.view, second.view) and same_view(first.last, second.last)
        demand(same, got, wanted)
        view = first.view


def _arrays(view: View) -> list[NDArray[Any]]:
    """Returns the arrays that a view has."""
    return [view.seen, view.state, view.active, *([] if view.legal is None else [view.legal])]


def check_view(world: StepWorld, view: View, ended: NDArray[np.bool_] | bool = False) -> None:
    """Checks shapes, types, finite numbers, zeros behind each observation, and active agents.

    Where the episode is over (`ended` [E]), no agent has to be active.
    """
    e, n = world.copies, len(world.agents)
    shapes = {"seen": (e, n, max(world.seen_sizes)), "state": (e, world.state_size)}
    for name, shape in shapes.items():
        got = getattr(view, name)
        demand(got.shape == shape, f"{name} of shape {got.shape}", str(shape))
        demand(got.dtype == np.float32, f"{name} of type {got.dtype}", "float32")
        demand(bool(np.isfinite(got).all()), f"{name} that is not finite", "finite numbers")
    for k, size in enumerate(world.seen_sizes):
        empty = not view.seen[:, k, size:].any()
        demand(empty, f"numbers behind the {size} that {world.agents[k]} sees", "zeros there")
    active = view.active
    ok = active.shape == (e, n) and active.dtype == bool
    demand(ok, f"active of shape {active.shape} and type {active.dtype}", f"bool {(e, n)}")
    busy = bool((active.any(axis=1) | ended).all())
    demand(busy, "an episode that continues with no agent active", "an agent that decides")
    if view.legal is not None:
        _check_legal(world, view, ended)


def _check_legal(world: StepWorld, view: View, ended: NDArray[np.bool_] | bool) -> None:
    """Checks that every active agent that chooses has a legal action."""
    legal = np.asarray(view.legal)
    most = most_choices(world.actions) or most_numbers(world.actions)
    shape = (*view.active.shape, most)
    ok = legal.shape == shape and legal.dtype == bool
    demand(ok, f"legal of shape {legal.shape} and type {legal.dtype}", f"bool {shape}")
    there = np.arange(shape[-1]) < np.array([can.size for can in world.actions])[:, None]
    numbers = np.array([can.continuous for can in world.actions])
    able = (legal & there).any(axis=-1) | numbers | ~view.active | np.reshape(ended, (-1, 1))
    demand(bool(able.all()), "an active agent without a legal action", "at least one")


def check_step(world: StepWorld, step: Step) -> None:
    """Checks views, rewards by `settings.reward`, and that flags agree with each other."""
    e, n = world.copies, len(world.agents)
    check_view(world, step.view)
    check_view(world, step.last, step.ended)
    for name, shape, kind in (
        ("reward", (e, n), np.float64),
        ("own", (e, n), np.float64),
        ("terminated", (e, n), np.bool_),
        ("ended", (e,), np.bool_),
    ):
        got = getattr(step, name)
        ok = got.shape == shape and got.dtype == kind
        demand(ok, f"{name} of shape {got.shape} and type {got.dtype}", f"{kind.__name__} {shape}")
    finite = bool(np.isfinite(step.own).all() and np.isfinite(step.reward).all())
    demand(finite, "rewards that are not finite", "finite numbers")
    near = np.allclose(step.reward, paid(step.own, world), rtol=ROUNDING, atol=ROUNDING)
    what = {"own": "the world's own rewards", "common": "the sum of all agents' own rewards"}
    demand(near, "other rewards", what[world.settings.reward])
    k, parts = len(world.components), step.components
    if parts is None:
        demand(k == 1, f"{k} components named but none played", "components [E, A, K]")
    else:
        shape = (*step.reward.shape, k)
        demand(parts.shape == shape, f"components of shape {parts.shape}", str(shape))
        near = np.allclose(parts.sum(axis=-1), step.reward, rtol=ROUNDING, atol=ROUNDING)
        demand(near, "components that add up to something else", "the reward")
    through = step.terminated.all(axis=1) & ~step.ended
    demand(not through.any(), "an episode that continues without any agent", "its end")
    both = step.terminated & step.view.active & ~step.ended[:, None]
    got = "an agent that is terminated and decides next"
    demand(not both.any(), got, "terminated to be false with the step that brings it back")
    on = ~step.ended
    same = np.array_equal(step.view.seen[on], step.last.seen[on])
    demand(same, "another last view of an episode that goes on", "the same as `view`")


def same_view(one: View, two: View) -> bool:
    """Returns whether two views are equal bit for bit."""
    a, b = _arrays(one), _arrays(two)
    return len(a) == len(b) and all(map(np.array_equal, a, b))
