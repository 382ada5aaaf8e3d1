"""Where schemes meet the trainer: what each level is given, and what comes out, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from step_worlds import PaysTheBetterArm, SaysWhatIsOnTape, played, random_tape, small

from counterpoint.credit import Scheme, catalogue, entries
from counterpoint.errors import LabelError, SchemeError, SettingError, UnknownNameError
from counterpoint.train.ppo.critics import generalized_advantages, rewards_by_decision
from counterpoint.train.ppo.learner import Crediting, Learner, credit_batch, decision_labels

ROLES = np.array([0, 0])


def learner(scheme, *, seed=0, tape=None, **changes):
    """A learner in a world whose rewards do not depend on what it does."""
    tape = tape or random_tape(np.random.default_rng(8), steps=24, turns=True)
    world = SaysWhatIsOnTape(tape, (3, 3))
    return Learner(world, scheme, small(**{"steps": 12, **changes}), seed)


def raw_estimates(batch, values, left, reward=None, gamma=0.95, gae=0.95):
    """Advantages [A, T, E, K] before any scheme, of `reward` or of the batch's own."""
    own = batch.reward[..., None] if reward is None else reward
    paid, after = rewards_by_decision(own, batch.active, batch.terminated, batch.ended, gamma)
    return generalized_advantages(paid, values, left, after, batch.active, gamma, gae)


def test_auto_takes_rewards_for_memory_components_for_normalize_first_else_advantages():
    two = PaysTheBetterArm(parts=True)
    plain = [name for name, entry in entries().items() if not entry.needs]
    natural = {name: Crediting.of(name, two, small()).level for name in plain}
    assert {n for n, level in natural.items() if level == "reward"} == {
        "group_reward_decoupled", "spiral_rae", "marshal_style", "corpo",
    }  # fmt: skip
    assert {n for n, level in natural.items() if level == "component"} == {
        "gdpo", "agent_x_component", "dvao", "gd2po",
    }  # fmt: skip
    assert sum(level == "advantage" for level in natural.values()) == len(natural) - 8
    assert Crediting.of("gdpo", PaysTheBetterArm(), small()).level == "advantage"  # one component
    assert Crediting.of("counterfactual", two, small()).level == "advantage"
    for level in ("reward", "component", "advantage"):
        assert Crediting.of("grpo", two, small(level=level)).level == level


def test_a_scheme_is_known_by_its_name_or_by_what_it_is():
    world = PaysTheBetterArm()
    assert Crediting.of(catalogue()["mappo_per_agent"], world, small()).name == "mappo_per_agent"
    assert Crediting.of(Scheme(floor=0.5), world, small()).name == "mappo_pooled,floor=0.5"
    assert Crediting.of("grpo", world, small()).scheme.weighting == "step"


def test_what_cannot_be_credited_is_refused_by_name():
    world = PaysTheBetterArm()
    with pytest.raises(UnknownNameError, match="mappo_per_agent"):
        Crediting.of("mapo_per_agent", world, small())
    with pytest.raises(SchemeError, match="difference"):
        Crediting.of("difference", world, small())
    with pytest.raises(SchemeError, match="counterfactual with continuous"):
        Crediting.of("counterfactual", PaysTheBetterArm(continuous=True), small())
    with pytest.raises(SchemeError, match="recurrent"):
        Crediting.of("counterfactual", world, small(memory="gru"))
    with pytest.raises(SettingError, match="level"):
        small(level="token")
    with pytest.raises(LabelError, match="centre"):
        Scheme(center_by=("centre",))
    with pytest.raises(SettingError, match="anneal"):
        Learner(world, "none", small(anneal=True), 0)
    with pytest.raises(SettingError, match="entropy_end without a budget"):
        Learner(world, "none", small(entropy_end=0.0), 0)
    with pytest.raises(SettingError, match="entropy_end"):
        small(entropy_end=-1.0)


def test_labels_name_agent_role_episode_and_step_of_each_decision():
    tape = random_tape(np.random.default_rng(9), turns=True)
    world, settings = SaysWhatIsOnTape(tape, (2, 2), names=("a_0", "b_0")), small(steps=12)
    batch = played(world, Learner(world, "none", settings, 0).team, settings)
    acts = batch.active[:, :12]
    found = decision_labels(batch, acts, np.array([5, 7]))
    for row, (a, t, e) in enumerate(np.argwhere(acts)):
        assert found["agent"][row] == a
        assert found["role"][row] == [5, 7][a]
        assert found["turn"][row] == batch.clock[t, e]
        assert found["rollout"][row] == batch.episode[t, e] * 3 + e
    # the same number of rollouts as there are episodes that somebody decided in
    pairs = {(batch.episode[t, e], e) for _, t, e in np.argwhere(acts)}
    assert len(np.unique(found["rollout"])) == len(pairs)


@pytest.mark.parametrize("scheme", ["mappo_pooled", "mappo_per_agent", "agent_mean", "center"])
def test_advantages_are_normalized_over_the_decisions_of_those_who_share_them(scheme):
    team = learner(scheme)
    batch = team.collector.play(team.team)
    raw = raw_estimates(batch, *team.critics.values(batch))[..., 0]
    team.critics.hidden[:] = 0
    found = team.estimate(batch).advantage
    acts = batch.active[:, :12]
    assert 0 < acts.mean() < 1
    assert (found[~acts] == 0).all()
    whole = raw[acts]
    for k in range(2):
        own = raw[k][acts[k]]
        mean = {"mappo_pooled": whole.mean(), "center": whole.mean()}.get(scheme, own.mean())
        centered = np.concatenate([raw[j][acts[j]] - raw[j][acts[j]].mean() for j in range(2)])
        std = {
            "mappo_pooled": whole.std(), "mappo_per_agent": own.std(),
            "agent_mean": centered.std(), "center": 1.0,
        }[scheme]  # fmt: skip
        np.testing.assert_allclose(found[k][acts[k]], (own - mean) / std, rtol=1e-10)


def test_running_schemes_normalize_rewards_with_what_they_remember():
    """Two batches by hand: the first by its own statistics (cold), the second by the first's."""
    team = learner("group_reward_decoupled")
    batches = [team.collector.play(team.team) for _ in range(2)]
    for i, batch in enumerate(batches):
        estimate = team.estimate(batch)
        paid, _ = rewards_by_decision(
            batch.reward[..., None], batch.active, batch.terminated, batch.ended, 0.9
        )
        acts = batch.active[:, :12]
        for k in range(2):
            own, first = paid[k, acts[k], 0], batches[0]
            before, _ = rewards_by_decision(
                first.reward[..., None], first.active, first.terminated, first.ended, 0.9
            )
            known = before[k, first.active[k, :12], 0]
            np.testing.assert_allclose(
                estimate.credited.values[k][acts[k]], (own - known.mean()) / known.std()
            )
        assert team.tally.cold == 2  # both agents, once
        np.testing.assert_array_equal(estimate.credited.given, paid[acts][:, 0])
        assert i == 0 or team.state.center[0].count.tolist() == [2, 2]
    # advantages are estimates of those rewards, not normalized again
    team = learner("group_reward_decoupled")
    batch = team.collector.play(team.team)
    values = team.critics.values(batch)
    estimate = team.estimate(batch)
    paid = estimate.credited.values[..., None]
    _, after = rewards_by_decision(paid, batch.active, batch.terminated, batch.ended, 0.95)
    wanted = generalized_advantages(paid, *values, after, batch.active, 0.95, 0.95)
    np.testing.assert_allclose(estimate.advantage, wanted[..., 0])


def test_components_are_estimated_and_normalized_apart_and_then_summed():
    tape = random_tape(np.random.default_rng(10), steps=24, components=2)
    tape["components"][..., 1] *= 1000
    tape["own"] = tape["components"].sum(axis=-1)
    team = learner("agent_x_component", tape=tape)
    batch = team.collector.play(team.team)
    raw = raw_estimates(batch, *team.critics.values(batch), reward=batch.components)
    estimate = team.estimate(batch)
    assert estimate.target.shape[-1] == 2
    mean, std = raw.mean(axis=(1, 2), keepdims=True), raw.std(axis=(1, 2), keepdims=True)
    wanted = ((raw - mean) / std).sum(axis=-1)
    np.testing.assert_allclose(estimate.advantage, wanted, rtol=1e-9, atol=1e-12)
    # at level advantage the loud component is all there is
    team = learner("agent_x_component", tape=tape, level="advantage")
    batch = team.collector.play(team.team)
    summed = raw_estimates(batch, *team.critics.values(batch))[..., 0]
    found = team.estimate(batch).advantage
    mean, std = summed.mean(axis=(1, 2), keepdims=True), summed.std(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(found, (summed - mean) / std)


def test_where_agents_have_the_same_statistics_decoupling_is_a_no_op():
    rng = np.random.default_rng(11)
    tape = random_tape(rng, steps=12)
    world, settings = SaysWhatIsOnTape(tape, (2, 2)), small(steps=12)
    batch = played(world, Learner(world, "none", settings, 0).team, settings)
    what = np.repeat(rng.normal(size=(1, 12, 3, 1)), 2, axis=0)
    what[1] = what[1][::-1]  # other decisions, the same numbers

    def given(name):
        return credit_batch(
            what, batch, ROLES, Crediting.of(name, world, settings).scheme, None
        ).values

    for pooled, own in (("mappo_pooled", "mappo_per_agent"), ("grpo", "agent_wise")):
        np.testing.assert_allclose(given(pooled), given(own), rtol=1e-12)
    what[1] *= 2
    assert abs(given("mappo_pooled") - given("mappo_per_agent")).max() > 0.1


def test_critics_expect_nothing_where_an_episode_is_over_and_the_last_view_where_it_was_cut():
    for given in ({}, {"memory": "gru"}, {"critic": "central"}, {"parameters": "separate"}):
        tape = random_tape(np.random.default_rng(12), steps=12, leaving=True)
        team = learner("mappo_pooled", tape=tape, **given)
        batch = team.collector.play(team.team)
        _, left = team.critics.values(batch)
        assert (left[batch.terminated] == 0).all()
        cut = ~batch.terminated & batch.ended
        assert cut.any()
        assert (left[cut] != 0).all()
        # a world that goes on instead of ending would show the last view next, and be valued so
        if given.get("memory") != "gru":
            i = next(i for i in batch.last if cut[:, i].any())
            seen = batch.seen.copy()
            seen[:, i + 1] = batch.last[i].seen.swapaxes(0, 1)
            batch.seen, batch.state = seen, batch.state.copy()
            batch.state[i + 1] = batch.last[i].state
            again, _ = team.critics.values(batch)
            where = cut[:, i]
            np.testing.assert_allclose(left[:, i][where], again[:, i + 1][where], rtol=1e-4)


def test_recurrent_critics_remember_up_to_the_last_view():
    tape = random_tape(np.random.default_rng(13), steps=12)
    tape["terminated"][:] = False
    team = learner("mappo_pooled", tape=tape, memory="gru")
    batch = team.collector.play(team.team)
    _, left = team.critics.values(batch)
    i = min(batch.last)
    copies = np.flatnonzero(batch.ended[i])
    # by playing on: the last view in the place of the next one, and no new episode there
    fresh = learner("mappo_pooled", tape=tape, memory="gru")
    batch.seen[:, i + 1] = batch.last[i].seen.swapaxes(0, 1)
    batch.starts[i + 1] = False
    again, _ = fresh.critics.values(batch)
    np.testing.assert_allclose(left[:, i, copies], again[:, i + 1, copies], rtol=1e-5, atol=1e-7)


def test_recurrent_critics_go_on_from_batch_to_batch():
    tape = random_tape(np.random.default_rng(14), steps=24)
    halves, whole = (learner("none", tape=tape, memory="gru", steps=n) for n in (12, 24))
    long = whole.collector.play(whole.team)
    wanted, _ = whole.critics.values(long)
    parts = []
    for _ in range(2):
        batch = halves.collector.play(halves.team)
        np.testing.assert_allclose(batch.log_prob, long.log_prob[:, len(parts) * 12 :][:, :12])
        parts.append(halves.critics.values(batch)[0][:, :12])
    np.testing.assert_allclose(np.concatenate(parts, axis=1), wanted[:, :24], rtol=1e-5, atol=1e-6)


def test_a_counterfactual_advantage_is_an_action_s_value_less_the_policy_s_mean():
    tape = random_tape(np.random.default_rng(15), steps=12)
    team = learner("counterfactual", tape=tape, parameters="separate")
    batch = team.collector.play(team.team)
    assert (team.critics.counterfactual(batch) == 0).all()  # nothing is known of actions yet
    for critic in team.team.answers:
        torch.nn.init.normal_(critic.head.weight)
    found = team.critics.counterfactual(batch)[..., 0]
    for k, (a, t, e) in enumerate(np.argwhere(batch.active[:, :12])):
        if k % 7:
            continue
        others = np.zeros((2, 3), np.float32)
        if batch.active[1 - a, t, e]:
            others[1 - a, batch.action[1 - a, t, e]] = 1
        asked = torch.from_numpy(np.concatenate([batch.state[t, e], others.ravel()]))
        with torch.no_grad():
            q = team.team.answers[a](asked.reshape(1, 1, 1, -1))[0].ravel().numpy()
        wanted = q[batch.action[a, t, e]] - batch.probs[a, t, e] @ q
        np.testing.assert_allclose(found[a, t, e], wanted, rtol=1e-4, atol=1e-6)
    # nothing that an agent does moves its own baseline, so that it is 0 in the mean
    team = learner("counterfactual", tape=tape)
    batch = team.collector.play(team.team)
    torch.nn.init.normal_(team.team.answers[0].head.weight)
    mean = 0
    for action in range(3):
        batch.action[0] = action
        mean += batch.probs[0, ..., action] * team.critics.counterfactual(batch)[0, ..., 0]
    np.testing.assert_allclose(mean, 0, atol=1e-5)


def test_critics_of_actions_speak_in_the_unit_that_they_learned():
    """The scale moves with this batch's returns, and with it each agent's unit, but only then."""
    tape = random_tape(np.random.default_rng(16), steps=24)
    tape["own"][12:, :, 1] *= 100.0
    team = learner("counterfactual", tape=tape)
    team.update()
    for critic in team.team.answers:
        torch.nn.init.normal_(critic.head.weight)
    batch = team.collector.play(team.team)
    before = team.critics.scale.numbers()[1]
    wanted = team.critics.counterfactual(batch)[..., 0]
    found = team.estimate(batch).advantage
    assert (team.critics.scale.numbers()[1][1] > 10 * before[1]).all()
    np.testing.assert_allclose(found, wanted / wanted.std(), rtol=1e-9)
