"""What a language team learns does not depend on the order in which a world lists its agents."""

from __future__ import annotations

import pytest
from language_teams import make_short, small_learner, trained

from counterpoint.train.lora import episodes
from counterpoint.worlds import Kind, worlds
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.conventions import Schelling
from counterpoint.worlds.text.world import Ending, Prompt, TextSettings, TextWorld, shared

TEAMS = [
    ("mappo_pooled", {"parameters": "shared"}),
    ("mappo_per_agent", {}),
    ("group_reward_decoupled", {"lr_of": "{0}:0.02", "layers": 1}),
]


def listed(world, order):
    """The same world with its agents in another order."""
    world.roles = tuple(world.roles[k] for k in order)
    world.agents = tuple(world.agents[k] for k in order)
    return world


def told(world, changes):
    """Settings that name the first agent by name."""
    return {
        name: value.format(*sorted(world.agents)) if isinstance(value, str) else value
        for name, value in changes.items()
    }


class Majority(TextWorld):
    """Three voters and a clerk: two roles, four agents, all asked at once but the clerk."""

    name, summary = "majority", "voters who do not know of each other"
    agents = ("voter_2", "clerk", "voter_0", "voter_1")
    roles = ("voter", "clerk", "voter", "voter")
    speaker, longest = "voter_1", 4
    references = References(0.5, 1.0, "share of votes counted")

    def tasks(self, rng, count):
        return [(str(word),) for word in rng.choice(["red", "blue"], count)]

    def prompts(self, task, said):
        words = ("red", "blue")
        if not said:
            voters = [name for name in self.agents if name != "clerk"]
            return tuple(Prompt(name, name, f"Vote {task[0]}!", words) for name in voters)
        if len(said) == 3:
            red = sum(one.text == "red" for one in said)
            return (Prompt("clerk", "Count.", f"{red} for red. Who won?", words),)
        return ()

    def ending(self, task, said):
        success = sum(one.text == task[0] for one in said) / 4
        return Ending(success, shared(success, said))


@pytest.mark.few(4)
@pytest.mark.parametrize("name", [entry.name for entry in worlds(Kind.TEXT)])
@pytest.mark.parametrize(("scheme", "changes"), TEAMS)
def test_a_relisted_world_gives_the_same_training_bit_for_bit(name, scheme, changes):
    found, as_listed = [], list(range(len(make_short(name).agents)))
    for order in (as_listed, as_listed[::-1]):
        world = listed(make_short(name, speaker_scale=2.0), order)
        few = {"prompts": 1} if world.free else {}
        found.append(trained(small_learner(world, scheme, **few, **told(world, changes)), 2))
    assert found[0] == found[1]
    assert list(found[0][0][0].agents) == sorted(make_short(name).agents)


@pytest.mark.parametrize(("scheme", "changes"), TEAMS)
def test_so_does_a_world_of_your_own_in_any_order(scheme, changes):
    found = []
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]]:
        world = listed(Majority(TextSettings(speaker_noise=0.5)), order)
        found.append(trained(small_learner(world, scheme, **told(world, changes)), 3))
    assert all(one == found[0] for one in found)
    assert len(found[0][1]) == (1 if "parameters" in changes else 4)


# what would leak


class GoesByPlace(Schelling):
    """The first in the list is shown the colours in the other order, whoever it is."""

    def _order(self, agent):
        return super()._order("partner" if agent == self.agents[0] else "speaker")


def test_a_world_that_goes_by_place_is_found_out():
    found = [trained(small_learner(listed(GoesByPlace(), order)), 2) for order in ([0, 1], [1, 0])]
    assert found[0] != found[1]


@pytest.mark.parametrize("scheme", ["mappo_pooled", "mappo_per_agent"])
def test_a_trainer_that_goes_by_place_is_found_out(scheme, monkeypatch):
    """Without the order of names, decisions are counted for whoever stands in that place."""
    as_it_is = trained(small_learner("solver_verifier", scheme), 2)
    monkeypatch.setattr(episodes, "sorted", lambda some: [*some], raising=False)
    found = [
        trained(small_learner(listed(make_short("solver_verifier"), order), scheme), 2)
        for order in ([0, 1], [1, 0])
    ]
    assert found[0] == as_it_is  # the world lists them in the order of names
    assert found[1] != found[0]


def test_waves_that_go_by_place_are_found_out(monkeypatch):
    """Uniforms would go to agents in the order in which they are asked."""

    play_episodes = episodes.play_episodes

    def by_place(world, respond, rng, prompts, rollouts, **more):
        place = {name: f"{k}" for k, name in enumerate(world.agents)}

        def respond_by_place(asks, rng):
            order = sorted(range(len(asks)), key=lambda i: place[asks[i].agent])
            answers = respond([asks[i] for i in order], rng)
            back = sorted(range(len(asks)), key=lambda i: order[i])
            return [answers[i] for i in back]

        return play_episodes(world, respond_by_place, rng, prompts, rollouts, **more)

    monkeypatch.setattr("counterpoint.train.lora.learner.play_episodes", by_place)
    one, two = (
        trained(small_learner(listed(Majority(TextSettings()), order)), 1)
        for order in ([0, 1, 2, 3], [3, 2, 1, 0])
    )
    assert one != two
