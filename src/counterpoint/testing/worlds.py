"""`check_world`: a conformance suite for exact worlds, yours and ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.testing.batches import (
    ROUNDING,
    ConformanceError,
    batch,
    bernstein,
    demand,
    frozen,
    one_seed,
    reward_size,
    some_policy,
)
from counterpoint.worlds.exact.world import CHANCE, TASK, Play, World, by_seed, stack


def check_world(world: World, seeds: Sequence[int] = (0, 1, 2, 3), updates: int = 60) -> None:
    """Checks every promise of `World`.

    Args:
        world: the world, with the settings of its later use.
        seeds: the seeds to play; at least two, since they must not influence each other.
        updates: the number of batches for the comparison with exact values.

    Raises:
        ConformanceError: The first broken promise.
    """
    check_description(world)
    check_chance(world, seeds)
    check_shapes(world, seeds)
    check_actions(world, seeds)
    check_seeds_are_independent(world, seeds)
    check_references(world, seeds)
    check_evaluation_by_simulation(world, seeds, updates)
    check_baselines(world, seeds)


def check_description(world: World) -> None:
    """Checks names, slots, legal actions and references."""
    agents, legal = world.agents, world.legal
    demand(len(set(agents)) == len(agents) > 0, f"agents {agents}", "different names")
    ok = all(0 <= agent < len(agents) and turn >= 0 for agent, turn in world.slots)
    demand(ok, f"slots {world.slots}", f"(agent index below {len(agents)}, turn from 0)")
    shape = (len(agents), world.contexts, world.actions)
    demand(legal.shape == shape, f"legal of shape {legal.shape}", f"[A, C, M] = {shape}")
    demand(bool(legal.any(axis=-1).all()), "a context without a legal action", "at least one each")
    known = {"counterfactual", "difference", "own_component"}
    demand(set(world.baselines) <= known, f"baselines {world.baselines}", f"some of {known}")
    roles = world.roles or agents
    demand(len(roles) == len(agents), f"{len(roles)} roles", f"{len(agents)}, one an agent")
    low, high = world.random, world.optimal
    ordered = bool(np.isfinite([low, high]).all()) and low < high
    demand(ordered, f"random {low}, optimal {high}", "random below optimal")


def check_chance(world: World, seeds: Sequence[int]) -> None:
    """Checks that problems and draws depend on the generator alone, with uniforms for each slot."""
    last = world.settings.updates - 1
    for seed in seeds:
        for update in (0, last):
            first, again = (one_seed(world, seed, update) for _ in range(2))
            for one, two in zip(first, again, strict=True):
                same = all(n in two and np.array_equal(v, two[n]) for n, v in one.items())
                demand(same, f"two draws from seed {seed}", "the same generator, the same draw")
            uniforms = first[1].get("uniforms", np.zeros(0))
            shape = (world.prompts, world.rollouts, len(world.slots))
            fine = uniforms.shape == shape and bool(((uniforms >= 0) & (uniforms < 1)).all())
            wanted = f"numbers in [0, 1) of shape [P, G, L] = {shape}: one behind every action"
            demand(fine, f"draws 'uniforms' of shape {uniforms.shape}", wanted)


def check_shapes(world: World, seeds: Sequence[int]) -> None:
    """Checks the shapes and ranges of a play, and that it changes none of its inputs."""
    tasks, chance, probs = batch(world, seeds)
    try:
        play = world.play(frozen(tasks), frozen(chance), probs)
    except ValueError as error:
        raise ConformanceError(f"play failed on read-only arrays ({error}); wanted pure") from error
    outer = (len(seeds), world.prompts, world.rollouts)
    slots = (*outer, len(world.slots))
    wanted = {"context": slots, "action": slots, "active": slots, "reward": slots, "outcome": outer}
    for name, shape in wanted.items():
        got = getattr(play, name).shape
        demand(got == shape, f"{name} of shape {got}", str(shape))
    demand(play.active.dtype == bool, f"active of type {play.active.dtype}", "bool")
    used = play.active
    for name, size in (("context", world.contexts), ("action", world.actions)):
        values = getattr(play, name)[used]
        inside = bool(((values >= 0) & (values < size)).all())
        demand(inside, f"{name} from {values.min()} to {values.max()}", f"0 to {size - 1}")
    finite = bool(np.isfinite(play.reward[used]).all() and np.isfinite(play.outcome).all())
    demand(finite, "rewards or outcomes that are not finite", "finite numbers")
    wanted_signals = f"those of world.baselines, {sorted(world.baselines)}"
    same = set(play.signals) == set(world.baselines)
    demand(same, f"signals {sorted(play.signals)}", wanted_signals)
    for name, values in play.signals.items():
        ok = values.shape == slots and bool(np.isfinite(values[used]).all())
        demand(ok, f"signal '{name}' of shape {values.shape}", f"finite numbers {slots}")
    k, parts = len(world.components), play.components
    if parts is None:
        demand(k == 1, f"{k} components named but none played", "components [S, P, G, L, K]")
        return
    demand(parts.shape == (*slots, k), f"components of shape {parts.shape}", str((*slots, k)))
    finite = bool(np.isfinite(parts[used]).all())
    demand(finite, "components that are not finite", "finite numbers")


def check_actions(world: World, seeds: Sequence[int]) -> None:
    """Checks that every action has a positive probability for the slot's agent and context."""
    tasks, chance, _ = batch(world, seeds)
    for rng_seed in range(3):
        probs = some_policy(world, len(seeds), rng_seed, sparse=True)
        play = world.play(tasks, chance, probs)
        agent = np.array([agent for agent, _ in world.slots])
        taken = probs[by_seed(play.context), agent, play.context, play.action]
        bad = int((taken[play.active] == 0).sum())
        demand(bad == 0, f"{bad} actions of probability 0", "none")


def check_seeds_are_independent(world: World, seeds: Sequence[int]) -> None:
    """Checks that a seed has the same play and value alone as beside other seeds."""
    tasks, chance, probs = batch(world, seeds)
    together = world.play(tasks, chance, probs)
    values = world.evaluate(tasks, probs)
    for i in range(len(seeds)):
        task, luck = ({k: v[i : i + 1] for k, v in x.items()} for x in (tasks, chance))
        alone = world.play(task, luck, probs[i : i + 1])
        for name in ("action", "active", "reward", "outcome"):
            same = np.array_equal(getattr(alone, name)[0], getattr(together, name)[i])
            demand(same, f"another {name} for a seed beside others", "the same as alone")
        value = world.evaluate(task, probs[i : i + 1])
        for name in ("returns", "weighted_returns", "accuracy", "regret"):
            close = np.allclose(getattr(value, name)[0], getattr(values, name)[i], atol=ROUNDING)
            demand(bool(close), f"another {name} for a seed beside others", "the same as alone")


def check_references(world: World, seeds: Sequence[int]) -> None:
    """Checks that `random` and `optimal` are the returns of those policies, and the bounds."""
    tasks, _, _ = batch(world, seeds)
    size = world.optimal - world.random
    dull = world.evaluate(tasks, world.uniform(len(seeds)))
    best = world.evaluate(tasks, world.solution(tasks))
    for name, got, wanted in (
        ("the uniform policy", dull.returns, world.random),
        ("the solution", best.returns, world.optimal),
    ):
        close = bool((abs(got - wanted) <= ROUNDING * size).all())
        demand(close, f"return {got} of {name}", f"{wanted}, as the world says of itself")
    slips = max(1 - float(best.accuracy.min()), float(abs(best.regret).max()) / size)
    demand(slips <= ROUNDING, f"a solution that is off by {slips}", "accuracy 1, regret 0")
    full = bool((abs(best.weighted_returns - 1) <= ROUNDING).all())
    demand(full, f"reward-weighted return {best.weighted_returns} of the solution", "1")
    for rng_seed in range(20):
        probs = some_policy(world, len(seeds), rng_seed, sparse=rng_seed % 2 == 1)
        value = world.evaluate(tasks, probs)
        top = float(value.returns.max())
        demand(top <= world.optimal + ROUNDING * size, f"a return of {top}", f"<= {world.optimal}")
        weighted = float(value.weighted_returns.max())
        demand(weighted <= 1 + ROUNDING, f"a reward-weighted return of {weighted}", "<= 1")
        inside = bool(((value.accuracy >= -ROUNDING) & (value.accuracy <= 1 + ROUNDING)).all())
        demand(inside, "an accuracy outside of [0, 1]", "a probability")
        low = float(value.regret.min())
        demand(low >= -ROUNDING * size, f"a regret of {low}", ">= 0: perfection never hurts")


def check_evaluation_by_simulation(world: World, seeds: Sequence[int], updates: int) -> None:
    """Checks that the mean outcome of many rollouts agrees with the exact return."""
    tasks = stack([world.tasks(np.random.default_rng([seed, TASK])) for seed in seeds])
    halfway = (world.solution(tasks) + some_policy(world, len(seeds), 1, sparse=False)) / 2
    size = world.optimal - world.random
    for probs in (world.uniform(len(seeds)), halfway):
        rngs = [np.random.default_rng([seed, CHANCE]) for seed in seeds]
        last = world.settings.updates - 1
        batches = [stack([world.draw(rng, last) for rng in rngs]) for _ in range(updates)]
        means = [world.play(tasks, chance, probs).outcome.mean(axis=-1) for chance in batches]
        samples = np.stack(means, axis=1).reshape(len(seeds), -1)  # [S, updates * P]
        exact, allowed = world.evaluate(tasks, probs).returns.mean(), bernstein(samples, size)
        got = f"a mean outcome of {samples.mean():.4f} over {samples.size} prompts"
        promise = f"{exact:.4f} +- {allowed:.4f}, the exact return"
        demand(abs(samples.mean() - exact) <= allowed, got, promise)


def check_baselines(world: World, seeds: Sequence[int]) -> None:
    """Checks the signals of the world's baselines.

    The counterfactual is the mean reward over the agent's own actions. The baseline of a difference
    reward does not depend on the agent's action, nor an own component on the actions of others.
    """
    agent = np.array([agent for agent, _ in world.slots])
    for slot, played, forced, probs in _interventions(world, seeds) if world.baselines else ():
        used, allowed = played.active[..., slot], ROUNDING * reward_size(played)
        if "counterfactual" in world.baselines:
            pairs = zip(probs, forced, strict=True)
            expected = sum(prob * other.reward[..., slot] for prob, other in pairs)
            gap = abs(expected - played.signals["counterfactual"][..., slot])[used]
            worst = float(gap.max(initial=0.0))
            got = f"a counterfactual that is off by {worst:.3g} in slot {slot}"
            demand(worst <= allowed, got, "the reward averaged over the agent's own actions")
        for prob, other in zip(probs, forced, strict=True):
            if "difference" in world.baselines:
                one, two = (p.reward - p.signals["difference"] for p in (played, other))
                gap = abs(two - one)[..., slot][used & (prob > 0)]
                worst = float(gap.max(initial=0.0))
                got = f"a difference baseline that moves by {worst:.3g} with the action in slot "
                wanted = "the reward without this agent, whatever it did"
                demand(worst <= allowed, f"{got}{slot}", wanted)
            if "own_component" in world.baselines:
                possible = (prob > 0)[..., None] & played.active & other.active
                one, two = (p.signals["own_component"] for p in (played, other))
                gap = abs(one - two)[possible & (agent != agent[slot])]
                worst = float(gap.max(initial=0.0))
                got = f"an own component that moves by {worst:.3g} with the action in slot {slot}"
                demand(worst <= allowed, got, "what belongs to the agent alone")


def _interventions(
    world: World, seeds: Sequence[int]
) -> Iterator[tuple[int, Play, list[Play], list[Floats]]]:
    """Yields for each slot the play, the plays with each action forced, and its probabilities.

    Every action comes from a uniform number of its own. To force an action, the slot's number moves
    to the middle of the action's quantiles, so that the chance of all others stays the same.
    The promises of a baseline about any own action are then checked exactly, without statistics.
    """
    tasks, chance, probs = batch(world, seeds)
    played = world.play(tasks, chance, probs)
    for slot, (agent, _) in enumerate(world.slots):
        context = np.where(played.active, played.context, 0)[..., slot]
        here = probs[by_seed(context), agent, context]  # [S, P, G, M]
        middle = here.cumsum(axis=-1) - here / 2
        forced = []
        for action in range(world.actions):
            uniforms = chance["uniforms"].copy()
            uniforms[..., slot] = np.clip(middle[..., action], 0.0, np.nextafter(1.0, 0.0))
            forced.append(world.play(tasks, {**chance, "uniforms": uniforms}, probs))
        yield slot, played, forced, [here[..., action] for action in range(world.actions)]
