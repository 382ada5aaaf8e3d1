"""What is learned in a small world does not depend on the order in which it lists its agents.

Inside, the trainer takes agents in the natural order of their names, so that all results are equal
bit for bit. Without that order only random features know an agent's place: shown here as well, so
that the equality is not one of luck.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from counterpoint.arrays import NamedArrays
from counterpoint.comparison import Plan, compare
from counterpoint.credit import advantages, entries
from counterpoint.errors import SettingError
from counterpoint.results import document_of
from counterpoint.testing import check_world
from counterpoint.testing.batches import batch
from counterpoint.train import Training, train
from counterpoint.train.estimators import estimator, labels
from counterpoint.train.tabular import learner as linear
from counterpoint.train.tabular.policies import SharedLinear
from counterpoint.worlds import Kind, PermutedWorld, Settings, World, find_world, worlds
from counterpoint.worlds.exact.additive import Additive
from counterpoint.worlds.exact.world import ExactEntry, in_natural_order, natural_order

SCHEMES = ("mappo_pooled", "mappo_per_agent", "group_reward_decoupled", "grpo", "agent_wise")
EXACT = [entry.name for entry in worlds(Kind.EXACT)]
CASES = [(name, parameters) for name in EXACT for parameters in ("shared", "separate")]
UPDATES = 12  # enough to collapse, and to name causes


def some_orders(agents: int, count: int) -> list[list[int]]:
    """Orders other than the world's own."""
    rng, found = np.random.default_rng(agents), []
    while len(found) < count:
        order = rng.permutation(agents).tolist()
        found += [order] if order != sorted(order) else []
    return found


def by_name(done: Training) -> dict[Any, np.ndarray]:
    """Every array of a training; those with an axis of agents, for each agent by name."""
    found: dict[Any, np.ndarray] = {}
    for name, values in {**vars(done), **done.gradients, **done.rewards}.items():
        if name == "probs":
            found |= {(name, agent): values[:, k] for k, agent in enumerate(done.agents)}
        elif isinstance(values, np.ndarray) and values.ndim == 3:
            found |= {(name, agent): values[..., k] for k, agent in enumerate(done.agents)}
        elif isinstance(values, np.ndarray):
            found[name] = values
    return found


def same_by_name(
    one: Training, two: Training, equal: Callable[..., None] = np.testing.assert_array_equal
) -> None:
    """Raises AssertionError unless both trainings have the same numbers under the same names."""
    here, there = by_name(one), by_name(two)
    assert here.keys() == there.keys()
    for name, values in here.items():
        equal(there[name], values, err_msg=str(name))
    assert one.tally == two.tally


def close(actual: Any, desired: Any, err_msg: str) -> None:
    """Equal but for the order of sums. An effective rank has roots of it, where agents are idle."""
    rtol = 1e-6 if err_msg == "effective_rank" else 1e-9
    np.testing.assert_allclose(actual, desired, rtol=rtol, atol=1e-12, err_msg=err_msg)


@pytest.mark.few(6)
@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_a_relisted_world_gives_the_same_results_bit_for_bit(name: str, parameters: str) -> None:
    world = find_world(name).make({"parameters": parameters, "updates": UPDATES})
    arms = (*SCHEMES, *world.baselines)
    for scheme, order in zip(arms, some_orders(len(world.agents), len(arms)), strict=True):
        plain, moved = (
            train(world, scheme, (0, 1)),
            train(PermutedWorld(world, order), scheme, (0, 1)),
        )
        assert moved.agents == tuple(world.agents[k] for k in order)
        np.testing.assert_array_equal(moved.accuracy, plain.accuracy[..., order])
        same_by_name(plain, moved)


@pytest.mark.parametrize("name", EXACT)
def test_permuted_agents_have_permuted_advantages(name: str) -> None:
    """Before any order is put in: the rows come in another order, so equal up to rounding."""
    world = find_world(name).make()
    order = some_orders(len(world.agents), 1)[0]
    tasks, chance, probs = batch(world, (0, 1))
    probs = (probs + world.solution(tasks)) / 2  # so that all_hands is paid at all
    moved = PermutedWorld(world, order)
    _, luck, _ = batch(moved, (0, 1))
    for scheme in (*(n for n, e in entries().items() if not e.needs), *world.baselines):
        one = credited(world, scheme, world.play(tasks, chance, probs))
        two = credited(moved, scheme, moved.play(tasks, luck, np.take(probs, order, axis=1)))
        assert abs(one).max() > 0
        np.testing.assert_allclose(two, one, rtol=1e-9, atol=1e-12 * abs(one).max())


def credited(world: World, scheme: str, play: Any) -> np.ndarray:
    """The advantages of a play, sorted by decision and by name."""
    how, (rows, columns) = estimator(scheme, world), labels(world, play.active)
    values = advantages(how.rewards(play, rows), columns, how.scheme).values
    who = np.array(world.agents)[columns["agent"]]
    where = [columns[label] for label in ("turn", "rollout", "prompt", "batch")]
    return values[np.lexsort((who, *where))]


@pytest.mark.few(6)
@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_a_trainer_that_goes_by_place_is_found_out(
    name: str, parameters: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the order of names, features belong to places; tables know no place but rounding."""
    world = find_world(name).make({"parameters": parameters, "updates": UPDATES})
    moved = PermutedWorld(world, some_orders(len(world.agents), 1)[0])
    plain = train(world, "mappo_per_agent", (0, 1))
    monkeypatch.setattr(linear, "in_natural_order", lambda world: world)
    found = train(moved, "mappo_per_agent", (0, 1))
    if parameters == "separate":
        same_by_name(plain, found, close)
        return
    with pytest.raises(AssertionError):
        same_by_name(plain, found, close)
    drawn = SharedLinear.random

    def random(world: World, seeds: tuple[int, ...]) -> SharedLinear:
        policy, place = drawn(world, seeds), np.argsort(natural_order(world.agents))
        return replace(policy, features=np.take(policy.features, place, axis=1))

    monkeypatch.setattr(SharedLinear, "random", random)
    same_by_name(plain, train(moved, "mappo_per_agent", (0, 1)), close)


class Couriers(Additive):
    """Couriers in any order; what happens to each is drawn by name, its stake is in its name."""

    name, summary, contexts = "couriers", "a user's own world", 4

    def __init__(self, agents: tuple[str, ...], settings: Settings) -> None:
        super().__init__(settings, agents, np.array([float(name.split("_")[1]) for name in agents]))

    def placed(self, values: np.ndarray, axis: int) -> np.ndarray:
        """`values` drawn in the order of names, in the order of places."""
        return np.take(values, np.argsort(natural_order(self.agents)), axis=axis)

    def tasks(self, rng: np.random.Generator) -> NamedArrays:
        return {"target": self.placed(super().tasks(rng)["target"], 0)}

    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        shape = (self.prompts, self.rollouts, len(self.slots))
        drawn = {"context": rng.integers(self.contexts, size=shape), "uniforms": rng.random(shape)}
        return {name: self.placed(values, -1) for name, values in drawn.items()}


class CouriersByPlace(Couriers):
    """The first of them gets the first draw, whoever that is."""

    def placed(self, values: np.ndarray, axis: int) -> np.ndarray:
        return values


@pytest.mark.parametrize("scheme", ["mappo_pooled", "mappo_per_agent", "gdpo", "counterfactual"])
def test_a_user_s_own_world_may_list_its_agents_in_any_order(scheme: str) -> None:
    """Its own sums run in its own order, hence the tolerance; one that goes by place is found."""
    settings = Settings(updates=UPDATES)
    names, other = (
        ("courier_2", "courier_3", "courier_10"),
        ("courier_10", "courier_2", "courier_3"),
    )
    check_world(Couriers(other, settings), updates=20)
    one, two = (train(Couriers(listed, settings), scheme, (0, 1)) for listed in (names, other))
    same_by_name(one, two, close)
    with pytest.raises(AssertionError):
        same_by_name(one, train(CouriersByPlace(other, settings), scheme, (0, 1)), close)


@pytest.mark.parametrize("name", EXACT)
def test_shipped_worlds_are_in_natural_order_whatever_their_size(name: str) -> None:
    known = {spec.name for spec in fields(find_world(name).settings_type)}
    teams = [{size: 12} for size in ("agents", "workers") if size in known]
    ratios = [{"ratio": r} for r in (1, 1.01, 1.5, 1e3, 1e9) if "ratio" in known]
    for settings in ({}, *teams, *ratios):
        world = find_world(name).make(settings)
        assert in_natural_order(world) is world
        backwards = PermutedWorld(world, range(len(world.agents))[::-1])
        assert in_natural_order(backwards).agents == world.agents
        assert in_natural_order(backwards).slots == world.slots
    assert PermutedWorld(backwards, backwards.order).roles == world.roles
    check_world(backwards, updates=20)


def test_names_are_compared_by_text_and_their_first_number() -> None:
    names = ["worker_10", "b", "worker_2", "worker_02", "stake_1_5", "stake_1", "stake_1_42", ""]
    wanted = ["", "b", "stake_1", "stake_1_42", "stake_1_5", "worker_02", "worker_2", "worker_10"]
    for order in some_orders(len(names), 20):
        listed = [names[k] for k in order]
        assert [listed[k] for k in natural_order(listed)] == wanted


def test_slots_are_put_in_order_too() -> None:
    """By turn, then by agent, as all shipped worlds list them."""
    world = find_world("variable_calls").make()
    agent_by_agent = find_world("variable_calls").make()
    agent_by_agent.slots = tuple((agent, turn) for agent in range(2) for turn in range(4))
    assert in_natural_order(agent_by_agent).slots == world.slots
    with pytest.raises(SettingError, match="wanted each of 0 to 1 once"):
        PermutedWorld(world, [0, 0])


def test_a_comparison_says_the_same_of_the_same_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan("regions", seeds=2, settings={"updates": UPDATES})
    plain = document_of(compare(plan, executor="serial"))
    backwards = [3, 1, 2, 0]
    make = ExactEntry.make
    monkeypatch.setattr(ExactEntry, "make", lambda *given: PermutedWorld(make(*given), backwards))
    found = document_of(compare(plan, executor="serial"))
    assert found["agents"] == [plain["agents"][k] for k in backwards]
    for document in (plain, found):  # lists of names are all that follows the listing
        document["agents"] = sorted(document["agents"])
        words = document["verdict"]["why"].replace(",", "").split()
        document["verdict"]["why"] = sorted(words)
    assert found == plain
    noise = [one["agents"]["stable_0"]["inflation"] for one in plain["schemes"].values()]
    assert len(set(noise)) > 1  # the agents' numbers differ, so that an order could show
