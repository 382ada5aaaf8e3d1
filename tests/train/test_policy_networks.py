"""Networks of a team: who shares what, what may be done, and the pieces against torch's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from step_worlds import SaysWhatIsOnTape, random_tape, small

from counterpoint.train.ppo.networks import (
    Actor,
    FastTanh,
    GRUCell,
    Inputs,
    Network,
    ParameterSet,
    TeamNetworks,
    activated,
    folded,
    sets_of,
    unfolded,
)
from counterpoint.worlds import find_world

NAMES = ("scout_0", "porter_0", "scout_1")


def tape_world(sizes=(3, 3, 3), names=NAMES, bounds=None, **kind):
    tape = random_tape(np.random.default_rng(0), agents=len(sizes), **kind)
    return SaysWhatIsOnTape(tape, sizes, bounds, names)


def test_a_team_is_one_set_or_one_for_each_role_or_one_for_each_agent():
    world = tape_world()
    found = {
        how: sets_of(world, small(parameters=how)) for how in ("shared", "per_role", "separate")
    }
    assert found["shared"] == (ParameterSet("team", (0, 1, 2)),)
    assert found["per_role"] == (ParameterSet("porter", (1,)), ParameterSet("scout", (0, 2)))
    assert found["separate"] == (
        ParameterSet("porter_0", (1,)),
        ParameterSet("scout_0", (0,)),
        ParameterSet("scout_1", (2,)),
    )
    rows = np.arange(3)
    for sets in found.values():
        for whose in sets:
            assert tuple(rows[whose.rows]) == whose.members


def test_agents_of_a_set_see_which_of_them_they_are():
    seen, three = torch.zeros(3, 5, 1, 2), ParameterSet("team", (0, 1, 2))
    from_input = Inputs(three, small())(seen)
    assert from_input.shape == (3, 5, 1, 5)
    np.testing.assert_array_equal(from_input[:, 0, 0, 2:], np.eye(3))
    assert Inputs(three, small(identity=False))(seen) is seen
    assert Inputs(ParameterSet("a", (1,)), small())(seen[:1]).shape == (
        1,
        5,
        1,
        2,
    )  # alone, there is nothing to tell


def test_without_identity_agents_that_see_the_same_do_the_same():
    for identity in (False, True):
        team = TeamNetworks(tape_world(), small(identity=identity), 1, 0)
        out, _ = team.actors[0].respond(team.actors[0].inputs(torch.ones(3, 1, 1, 4)))
        assert torch.equal(out[0], out[1]) is not identity


@pytest.mark.parametrize("memory", ["none", "gru"])
def test_what_an_agent_cannot_do_has_probability_zero(memory):
    world = tape_world(sizes=(2, 5, 3))
    policy = TeamNetworks(world, small(memory=memory), 1, 0).actors[0]
    with torch.no_grad():
        policy.network.head.weight.mul_(1e4)  # however sure the network is
    seen, legal = policy.inputs(torch.randn(3, 7, 4, 4)), torch.ones(3, 7, 4, 5, dtype=torch.bool)
    legal[1, :, :, 2] = False
    hidden, keep = torch.zeros(3, 7, 8), torch.ones(3, 7, 4)
    out, _ = policy.respond(seen, hidden, keep, legal)
    probs = torch.softmax(out, dim=-1)
    assert (probs[0, ..., 2:] == 0).all()
    assert (probs[1, ..., 2] == 0).all()
    assert (probs[2, ..., 3:] == 0).all()
    done = torch.zeros(3, 7, 4, dtype=torch.int64)
    log_prob, entropy = policy(seen, done, hidden, keep, legal)
    assert torch.isfinite(entropy).all()
    assert (entropy >= 0).all()
    (log_prob.sum() + entropy.sum()).backward()
    assert all(torch.isfinite(x.grad).all() for x in policy.parameters())


def test_entropy_is_that_of_the_actions_that_an_agent_has():
    policy = TeamNetworks(tape_world(sizes=(2, 5, 3)), small(), 1, 0).actors[0]
    with torch.no_grad():
        policy.network.head.weight.zero_()
    _, entropy = policy(
        policy.inputs(torch.randn(3, 1, 1, 4)), torch.zeros(3, 1, 1, dtype=torch.int64)
    )
    np.testing.assert_allclose(entropy.detach().ravel(), np.log([2, 5, 3]), rtol=1e-6)


def test_the_weights_of_a_set_depend_on_its_name_and_the_seed_alone():
    few = TeamNetworks(
        tape_world((3, 3), ("scout_0", "porter_0")), small(parameters="separate"), 1, 4
    )
    more = TeamNetworks(tape_world(), small(parameters="separate"), 1, 4)
    other = TeamNetworks(tape_world(), small(parameters="separate"), 1, 5)
    by_name = [
        {whose.name: actor for whose, actor in zip(team.sets, team.actors, strict=True)}
        for team in (few, more, other)
    ]
    for name in ("scout_0", "porter_0"):
        one, two, three = (
            torch.nn.utils.parameters_to_vector(by[name].parameters()) for by in by_name
        )
        assert torch.equal(one, two)
        assert not torch.equal(two, three)
    assert not torch.equal(
        by_name[0]["scout_0"].network.head.weight, by_name[0]["porter_0"].network.head.weight
    )


def test_the_cell_is_torch_s_gru_cell():
    torch.manual_seed(0)
    mine, theirs = GRUCell(6, torch.Generator().manual_seed(1)), torch.nn.GRUCell(6, 6)
    with torch.no_grad():
        for linear, kind in ((mine.from_input, "ih"), (mine.from_memory, "hh")):
            getattr(theirs, f"weight_{kind}").copy_(linear.weight)
            linear.bias.copy_(torch.randn(18))
            getattr(theirs, f"bias_{kind}").copy_(linear.bias)
    x, hidden = torch.randn(4, 6), torch.randn(4, 6)
    torch.testing.assert_close(
        mine(mine.from_input(x), hidden), theirs(x, hidden), rtol=1e-5, atol=1e-6
    )


def test_a_network_remembers_until_a_new_episode_starts():
    net = Network(3, 2, small(memory="gru"), 1.0, torch.Generator().manual_seed(0))
    x, hidden, keep = torch.randn(1, 2, 6, 3), torch.randn(1, 2, 8), torch.ones(1, 2, 6)
    keep[0, 0, 3] = 0.0
    out, remembered = net(x, hidden, keep)
    one, then = net(x[:, :, :2], hidden, keep[:, :, :2])
    two, _ = net(x[:, :, 2:], then[:, :, -1], keep[:, :, 2:])
    torch.testing.assert_close(out, torch.cat([one, two], dim=2))
    fresh, _ = net(x[:, :1, 3:], torch.zeros(1, 1, 8), torch.ones(1, 1, 3))
    torch.testing.assert_close(out[:, :1, 3:], fresh)
    assert remembered.shape == (1, 2, 6, 8)


def test_the_fast_tanh_is_tanh_forwards_and_backwards():
    x = torch.linspace(-9, 9, 1001).reshape(7, 143).T.requires_grad_()  # not contiguous
    mine, theirs = FastTanh.apply(x), torch.tanh(x)
    torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)
    weight = torch.randn(143, 7)
    (one,) = torch.autograd.grad((mine * weight).sum(), x)
    (two,) = torch.autograd.grad((theirs * weight).sum(), x)
    torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_activations_are_the_same_with_and_without_gradients(name):
    x = torch.randn(5, 7, requires_grad=True)
    wanted = {"tanh": torch.tanh, "relu": torch.relu}[name](x.detach())
    torch.testing.assert_close(activated(x * 1.0, name).detach(), wanted, rtol=1e-6, atol=1e-6)
    with torch.inference_mode():
        torch.testing.assert_close(activated(x * 1.0, name), wanted, rtol=1e-6, atol=1e-6)


def test_playing_leaves_what_was_seen_as_it_was():
    """Without gradients activations are overwritten; inputs and memories must not be."""
    for memory in ("none", "gru"):
        policy = TeamNetworks(tape_world(), small(memory=memory), 1, 0).actors[0]
        x, hidden = policy.inputs(torch.randn(3, 5, 2, 4)), torch.randn(3, 5, 8)
        kept, memories, keep = x.clone(), hidden.clone(), torch.ones(3, 5, 2)
        with torch.inference_mode():
            played, _ = policy.respond(x, hidden, keep)
            again, _ = policy.respond(x, hidden, keep)
        assert torch.equal(x, kept)
        assert torch.equal(hidden, memories)
        assert torch.equal(played, again)
        torch.testing.assert_close(policy.respond(x, hidden, keep)[0].detach(), played)


def test_log_probabilities_are_those_of_torch_s_distributions():
    policy = TeamNetworks(tape_world(), small(), 1, 0).actors[0]
    seen, done = policy.inputs(torch.randn(3, 5, 1, 4)), torch.randint(3, (3, 5, 1))
    theirs = torch.distributions.Categorical(logits=policy.respond(seen)[0])
    log_prob, entropy = policy(seen, done)
    torch.testing.assert_close(log_prob, theirs.log_prob(done))
    torch.testing.assert_close(entropy, theirs.entropy())


def test_log_densities_are_those_of_torch_s_distributions():
    policy = TeamNetworks(tape_world((1, 3, 2), bounds=(-1.0, 2.0)), small(), 1, 0).actors[0]
    with torch.no_grad():
        policy.log_std.copy_(torch.randn(3, 3) / 2)
    seen, done = policy.inputs(torch.randn(3, 5, 1, 4)), torch.randn(3, 5, 1, 3)
    mean = policy.respond(seen)[0]
    log_prob, entropy = policy(seen, done)
    for k, size in enumerate((1, 3, 2)):  # what lies behind an agent's dimensions does not count
        theirs = torch.distributions.Normal(mean[k, ..., :size], policy.log_std[k, :size].exp())
        torch.testing.assert_close(log_prob[k], theirs.log_prob(done[k, ..., :size]).sum(dim=-1))
        torch.testing.assert_close(entropy[k], theirs.entropy().sum(dim=-1))


@pytest.mark.parametrize("memory", ["none", "gru"])
def test_unfolding_undoes_folding(memory):
    x = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    assert torch.equal(unfolded(folded(x, memory), memory, 3), x)
    assert folded(x, memory).shape == ((2, 4, 3, 5) if memory == "gru" else (2, 12, 1, 5))


def test_agents_that_see_and_do_different_things_share_a_network():
    world = find_world("speaker_listener").make(copies=2)
    team = TeamNetworks(world, small(parameters="shared", critic="central"), 1, 0)
    (policy,) = team.actors
    assert isinstance(policy, Actor)
    assert policy.network.layers[0].in_features == 11 + 2
    assert team.critics[0].layers[0].in_features == world.state_size + 2
    np.testing.assert_array_equal(policy.own.sum(dim=1), [3, 5])
