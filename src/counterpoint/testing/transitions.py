"""What one view and one step of a world of many steps must look like."""

from __future__ import annotations

from typing import Any

import numpy as np

from counterpoint.testing.batches import ROUNDING, demand
from counterpoint.worlds.sequential.world import Step, StepWorld, View, paid


def check_view(world: StepWorld, view: View, ended: Any = False) -> None:
    """Shapes, types, finite numbers, zeros behind each agent's own, and something to do.

    Args:
        world: what is seen.
        view: of it.
        ended: [E] where the episode is over, so that nobody need have anything to do.
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
    demand(busy, "an episode that goes on with nobody active", "somebody who decides")
    if view.legal is not None:
        _check_legal(world, view, ended)


def _check_legal(world: StepWorld, view: View, ended: Any) -> None:
    legal = np.asarray(view.legal)
    shape = (*view.active.shape, max(can.size for can in world.actions))
    ok = legal.shape == shape and legal.dtype == bool
    demand(ok, f"legal of shape {legal.shape} and type {legal.dtype}", f"bool {shape}")
    there = np.arange(shape[-1]) < np.array([can.size for can in world.actions])[:, None]
    able = (legal & there).any(axis=-1) | ~view.active | np.reshape(ended, (-1, 1))
    demand(bool(able.all()), "an active agent without a legal action", "at least one")


def check_step(world: StepWorld, step: Step) -> None:
    """Views in full, rewards as `settings.reward` says, and flags that go together."""
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
    _check_components(world, step)
    through = step.terminated.all(axis=1) & ~step.ended
    demand(not through.any(), "an episode that goes on without anybody in it", "its end")
    on = ~step.ended
    same = np.array_equal(step.view.seen[on], step.last.seen[on])
    demand(same, "another last view of an episode that goes on", "the same as `view`")


def _check_components(world: StepWorld, step: Step) -> None:
    k = len(world.components)
    if step.components is None:
        demand(k == 1, f"{k} components named but none played", "components [E, A, K]")
        return
    shape = (*step.reward.shape, k)
    got = step.components
    demand(got.shape == shape, f"components of shape {got.shape}", str(shape))
    near = np.allclose(got.sum(axis=-1), step.reward, rtol=ROUNDING, atol=ROUNDING)
    demand(near, "components that add up to something else", "the reward")


def same_view(one: View, two: View) -> bool:
    """Whether two views are equal bit for bit."""
    if (one.legal is None) != (two.legal is None):
        return False
    pairs = [(one.seen, two.seen), (one.state, two.state), (one.active, two.active)]
    if one.legal is not None and two.legal is not None:
        pairs.append((one.legal, two.legal))
    return all(np.array_equal(a, b) for a, b in pairs)


def same_step(one: Step, two: Step) -> bool:
    """Whether two steps are equal bit for bit."""
    names = ("reward", "own", "terminated", "ended")
    flat = all(np.array_equal(getattr(one, name), getattr(two, name)) for name in names)
    return flat and same_view(one.view, two.view) and same_view(one.last, two.last)
