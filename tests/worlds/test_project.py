"""The world with a project: exact values and best plans by hand, and who learns to finish it."""

import numpy as np
import pytest

from counterpoint.train.tabular.learner import train
from counterpoint.worlds import find_world
from counterpoint.worlds.exact.project import Project, ProjectSettings
from counterpoint.worlds.exact.world import CHANCE, one_hot, stack

NOTHING = {"nothing": np.zeros((1, 1))}
SMALL = {"tasks": 1, "pieces": 1, "works": 0.5}


def made(**settings):
    return Project(ProjectSettings(**settings))


def test_a_best_plan_by_hand():
    # One member, two rounds. In the last, the project brings .5 x 3 and the small task 1. In the
    # first, the project brings .5 (3 + 1) + .5 x 1.5 = 2.75, the small task 1 + 1.5.
    world = made(members=1, rounds=2, worth=3.0, **SMALL)
    assert world.best == pytest.approx(2.75)
    assert world.plan.tolist() == [[1, 0], [1, 0]]
    # Who does not read the board has .75 x 3 with two tries, and 1.5 + 1 with one.
    blind = made(members=1, rounds=2, worth=3.0, fresh=False, **SMALL)
    assert blind.best == pytest.approx(2.5)
    assert sorted(blind.plan[:, 0]) == [0, 1]


def test_two_members_by_hand():
    # One round. ann: small task or project, half each; bob: the small task. It is merged in any
    # case, done twice half of the time, and the project is finished in 1 of 4. The best is one
    # of them at each: 1 + .5 x 4.
    world = made(members=2, rounds=1, worth=4.0, **SMALL)
    probs = np.zeros((1, 2, world.contexts, 2))
    probs[0, 0], probs[0, 1] = [0.5, 0.5], [1.0, 0.0]
    done = world.done(probs)
    assert (done.small, done.finished, done.twice) == pytest.approx((1.0, 0.25, 0.5))
    exact = world.evaluate(NOTHING, probs)
    assert world.best == pytest.approx(3.0)
    assert exact.returns == pytest.approx(2 / 3)
    assert exact.regret[0] == pytest.approx([1 / 3, 0])
    assert exact.accuracy[0] == pytest.approx([2 / 3, 1])


@pytest.mark.parametrize(
    ("settings", "policy", "paid", "outcome"),
    [
        ({}, [0, 0, 2], [1 + 2, 1 + 2, 2], 8),  # each is first in one of the two rounds
        ({}, [0, 1, 2], [2 + 2, 2 + 2, 2], 10),
        ({"pieces": 3}, [0, 1, 2], [2, 2, 0], 4),  # two of three pieces
        ({"pieces": 3, "share": 1.0}, [0, 2, 2], [2 + 6, 6, 6], 8),
        ({"team": "led"}, [1], [4 + 6], 10),
        ({"team": "led"}, [3], [6], 6),
    ],
)
def test_what_is_paid_by_hand(settings, policy, paid, outcome):
    # two rounds in which all work on the project succeeds; two small tasks, the project is worth 6
    world = made(**{"rounds": 2, "share": 1 / 3, "pieces": 2, **settings})
    world.prompts = world.rollouts = 1
    own = np.array(policy)[None, :, None]
    probs = one_hot(np.broadcast_to(own, (1, len(policy), world.contexts)), world.actions)
    chance = {
        "luck": np.zeros((1, 1, 1, 2, 3)),
        "first": np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])[None, None, None],
        "uniforms": np.full((1, 1, 1, len(world.slots)), 0.5),
    }
    play = world.play(NOTHING, chance, probs)
    assert play.reward[0, 0, 0] == pytest.approx(paid * 2)
    assert play.components[0, 0, 0].sum(axis=-1) == pytest.approx(paid * 2)
    assert play.outcome[0, 0, 0] * world.best == pytest.approx(outcome)


def test_the_board_is_read_in_every_round_or_once():
    for fresh, seen in ((True, [0, 3 + 1]), (False, [0, 3])):
        world = made(members=1, rounds=2, fresh=fresh, team="led")
        world.prompts = world.rollouts = 1
        probs = one_hot(np.ones((1, 1, world.contexts), dtype=int), 2)
        chance = {"luck": np.zeros((1, 1, 1, 2, 1)), "first": np.zeros((1, 1, 1, 2, 1)),
                  "uniforms": np.full((1, 1, 1, 2), 0.5)}  # fmt: skip
        assert world.play(NOTHING, chance, probs).context[0, 0, 0].tolist() == seen


@pytest.mark.parametrize(
    "settings",
    [{}, {"fresh": False}, {"team": "led"}, {"members": 4, "tasks": 1, "pieces": 4},
     {"team": "led", "members": 2, "tasks": 3, "rounds": 5}],
)  # fmt: skip
def test_what_is_played_has_the_exact_value_on_the_average(settings):
    world = made(**settings)
    rng = np.random.default_rng(3)
    size = (1, len(world.agents), world.contexts)
    probs = rng.dirichlet(np.ones(world.actions) * 0.5, size=size)
    outcomes = []
    for update in range(150):
        chance = stack([world.draw(np.random.default_rng([0, CHANCE, update]), update)])
        outcomes.append(world.play(NOTHING, chance, probs).outcome.mean(axis=(1, 2)))
    played = np.array(outcomes)[:, 0]
    assert abs(played.mean() - world.evaluate(NOTHING, probs).returns[0]) < (
        4 * played.std() / np.sqrt(len(played))
    )


def test_the_project_is_avoided_where_its_worth_is_shared_and_nowhere_else():
    def returns(**settings):
        return train(find_world("project").make(settings), "mappo_pooled", range(4)).returns[:, -1]

    flat, led = returns(), returns(team="led")
    assert led.min() > 0.98
    assert flat.mean() < 0.9
    assert returns(share=1.0).mean() > flat.mean() + 0.08
    assert returns(pieces=1, works=1.0).min() > 0.98
