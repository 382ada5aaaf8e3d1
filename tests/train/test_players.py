"""Players side by side act as each of them does alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from step_worlds import small

from counterpoint.train.ppo.competition.players import Players, Seated
from counterpoint.train.ppo.learner import Learner
from counterpoint.worlds import find_world

CASES = {
    "masked, of one role": ("foraging", {}, {}),
    "numbers, normalized": ("spread", {"continuous": True}, {"observations": "normalized"}),
    "memory": ("spread", {}, {"memory": "gru"}),
    "two roles of different sizes": ("speaker_listener", {}, {"parameters": "per_role"}),
}


def teams(world, settings, given):
    """Three learners whose weights and scales differ."""
    return [
        Learner(find_world(world).make(settings, 4, seed), "none", small(copies=4, **given), seed)
        for seed in range(3)
    ]


@pytest.mark.parametrize("case", CASES)
def test_each_seat_gets_the_outputs_of_its_own_player(case):
    learners = teams(*CASES[case])
    for learner in learners[1:]:
        learner.update()  # so that they differ from what they began as
    players = Players(learners[0].team, 5)
    for number, learner in zip((4, 0, 2), learners, strict=True):
        players.put(number, learner.team)
    rng = np.random.default_rng(0)
    for which, group in enumerate(players.sets):
        agent = rng.integers(len(group.members), size=9)
        owner = np.array([0, 1, 2, 2, 2, 1, 0, 1, 2])
        width = learners[0].collector.view.seen.shape[-1]
        seen = torch.from_numpy(rng.normal(size=(9, width)).astype(np.float32))
        legal = None
        if not players.actors[which].continuous:
            legal = torch.from_numpy(rng.random((9, len(players.actors[which].own[0]))) < 0.7)
            legal[:, 0] = True
        size = learners[0].collector.hidden.shape[-1]
        hidden = torch.from_numpy(rng.normal(size=(9, size)).astype(np.float32)) if size else None
        keep = torch.tensor([1.0, 0, 1, 1, 0, 1, 1, 1, 1])
        rows = Seated(np.array([4, 0, 2])[owner], agent, seen, legal, hidden, keep)
        with torch.inference_mode():
            outputs, memory = players.respond(which, rows)
        for n in range(9):
            actor = learners[owner[n]].team.actors[which]
            k = agent[n]

            def of_set(x, group=group):
                return None if x is None else x.expand(len(group.members), 1, *x.shape)

            with torch.inference_mode():
                x = actor.inputs(of_set(seen[n][None]))
                out, remembered = actor.respond(
                    x,
                    None if hidden is None else of_set(hidden[n]),
                    of_set(keep[n][None]),
                    None if legal is None else of_set(legal[n][None]),
                )
            torch.testing.assert_close(outputs.out[n], out[k, 0, 0], rtol=1e-5, atol=1e-6)
            if hidden is not None:
                torch.testing.assert_close(memory[n], remembered[k, 0, 0], rtol=1e-5, atol=1e-6)
            if actor.continuous:
                assert torch.equal(outputs.log_std[n], actor.log_std[k])


def test_a_player_stays_what_it_was_when_it_was_put_there_and_moves_as_a_whole():
    learner = teams(*CASES["numbers, normalized"])[0]
    players = Players(learner.team, 3)
    players.put(2, learner.team)
    weights, scale = players.weights[2].clone(), players.scale[2].clone()
    learner.update()
    assert torch.equal(players.weights[2], weights)
    assert torch.equal(players.scale[2], scale)
    players.put(0, learner.team)
    assert not torch.equal(players.weights[0], weights)
    assert not torch.equal(players.scale[0], scale)
    players.move([2, 0])
    assert torch.equal(players.weights[0], weights)
    assert torch.equal(players.scale[0], scale)
    assert not torch.equal(players.weights[1], weights)
