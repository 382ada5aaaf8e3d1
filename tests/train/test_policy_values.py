"""Teams that learn action values: replay, targets, mixers, resuming, and what they learn."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from step_worlds import GoesOnOnTape, random_tape

from counterpoint.cli.main import main
from counterpoint.errors import SettingError, StateError, UnknownNameError
from counterpoint.runs import checkpoint as checkpoints
from counterpoint.runs import provenance
from counterpoint.runs.directory import RunDirectory
from counterpoint.train.algorithms import VALUE_BASED
from counterpoint.train.loop import train_to_end
from counterpoint.train.result import training_result
from counterpoint.train.session import plan_from_config, plan_of
from counterpoint.train.value.collector import ValueCollector, explore
from counterpoint.train.value.learner import (
    RewardScale,
    ValueLearner,
    require_discrete,
    team_reward,
)
from counterpoint.train.value.mixers import MonotonicMixer
from counterpoint.train.value.plan import ValuePlan
from counterpoint.train.value.replay import Replay, Transitions
from counterpoint.train.value.settings import ValueSettings
from counterpoint.worlds import PermutedStepWorld, find_world
from counterpoint.worlds.sequential.wrapped import by_name

SMALL = ValueSettings(hidden=8, layers=1, mixing=4, copies=8, steps=5, batch=16, passes=2)
STARTS = 20


def played(tape, together, size=1000):
    """A replay with a whole tape in it, and its actions."""
    agents, copies = tape["seen"].shape[2], tape["seen"].shape[1]
    world = GoesOnOnTape(tape, (3,) * agents)
    replay = Replay(world, size * copies, together=together, stateful=True, masked="legal" in tape)
    view, chance, actions = world.reset(), np.random.default_rng(0), []
    for _ in range(len(tape["seen"])):
        actions.append(chance.integers(3, size=(copies, agents)))
        step = world.step(actions[-1])
        reward = team_reward(world, step.reward) if together else step.reward.T
        replay.add(view, actions[-1], step, reward)
        view = step.view
    return replay, actions


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("kind", [{}, {"turns": True}, {"leaving": True}, {"legal": 3}])
def test_a_transition_goes_from_a_decision_to_the_next_one(kind, together):
    tape = random_tape(np.random.default_rng(5), steps=40, **kind)
    replay, actions = played(tape, together)
    held, agents, seen_ready = replay.arrays, range(2), 0
    for copy, t, who in itertools.product(range(3), range(40), [0] if together else agents):
        mine = list(agents) if together else [who]
        decides = tape["active"][:, copy][:, mine].any(axis=1)
        if not decides[t]:
            assert held["ready"][who, t, copy] == 0
            continue
        paid, i = 0.0, t
        while True:
            paid += tape["own"][i, copy, mine].sum()
            gone, ended = tape["terminated"][i, copy], tape["ended"][i, copy]
            left = ended or (not together and gone[who])
            if left or i + 1 == 40 or decides[i + 1]:
                break
            i += 1
        if not left and i + 1 == 40:  # the tape begins anew: what is next is its first step
            continue
        seen_ready += 1
        assert held["ready"][who, t, copy] == 1
        assert held["reward"][who, t, copy] == pytest.approx(paid, abs=1e-5)
        np.testing.assert_array_equal(held["action"][:, t, copy], actions[t][copy])
        over = gone[mine].all() if left else False
        if not over and together and left:  # those who could act next, or who acted last
            acted = tape["active"][i, copy]
            over = not (acted & ~gone).any()
        assert held["over"][who, t, copy] == over
        after = tape["last"][i, copy] if ended else tape["seen"][(i + 1) % 40, copy]
        np.testing.assert_array_equal(held["after_seen"][mine, t, copy], after[mine])
        if "legal" in tape:
            legal = tape["legal"][i if ended else i + 1, copy]
            np.testing.assert_array_equal(held["after_legal"][mine, t, copy], legal[mine])
        if together and not left:
            np.testing.assert_array_equal(
                held["after_acts"][:, t, copy], tape["active"][i + 1, copy]
            )
    assert seen_ready > 30


def test_the_ring_forgets_the_oldest_steps_and_what_was_still_open():
    tape = random_tape(np.random.default_rng(1), steps=30, turns=True, agents=3)
    whole, _ = played(tape, together=False)
    ring, _ = played(tape, together=False, size=7)
    assert (ring.size, ring.at) == (7, 30 % 7)
    for t in range(23, 30):
        for name in ("seen", "action", "acts"):
            np.testing.assert_array_equal(ring.arrays[name][:, t % 7], whole.arrays[name][:, t])
    again = Replay(GoesOnOnTape(tape, (3,) * 3), 7 * 3, together=False, stateful=True, masked=False)
    again.restore(ring.capture())
    for name, x in again.arrays.items():
        np.testing.assert_array_equal(x, ring.arrays[name])
    short, _ = played({k: x[:4] for k, x in tape.items()}, together=False, size=3)
    assert (short.arrays["ready"] <= 1).all()


class Fixed:
    """Networks that say what they are told, whatever agents see."""

    def __init__(self, values, mixed):
        self.values, self.mixed_as = torch.tensor(values)[:, :, None], mixed

    def __call__(self, seen, memory=None, keep=None, legal=None):
        return self.values if legal is None else torch.where(legal, self.values, -1e9), None

    def mixed(self, values, acts, state):
        return values if self.mixed_as is None else (values * acts).sum(dim=0)[None]


def by_hand(algorithm, **given):
    """A learner of two agents with two actions, whose next values are known, and a batch of 3
    sequences of one step."""
    tape = random_tape(np.random.default_rng(0), agents=2)
    learner = ValueLearner(
        GoesOnOnTape(tape, (2, 2)), algorithm, replace(SMALL, gamma=0.5, **given), 0, 100
    )
    present = [[[1.0, 2.0], [2.0, 1.0], [0.0, 5.0]], [[0.0, 1.0], [1.0, 0.0], [3.0, 4.0]]]
    target = [[[10.0, 20.0], [30.0, 40.0], [50.0, 60.0]], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]
    summed = None if algorithm == "iql" else "sum"
    learner.team, learner.target = Fixed(present, summed), Fixed(target, summed)
    groups = 2 if algorithm == "iql" else 1
    nothing = torch.zeros(2, 3, 4)
    rows = {
        "seen": nothing,
        "action": torch.zeros(2, 3, dtype=torch.int64),
        "acts": torch.ones(2, 3),
        "reward": torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])[:groups],
        "over": torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])[:groups],
        "ready": torch.ones(groups, 3),
        "after_seen": nothing,
        "after_acts": torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]]),
        "after_legal": torch.tensor(
            [[[True, True]] * 3, [[True, False], [True, True], [True, True]]]
        ),
    }
    batch = Transitions(**{name: x[:, :, None] for name, x in rows.items()})
    zero, one = torch.zeros(groups, 1, 1), torch.ones(groups, 1, 1)
    return learner, batch, zero, one


def targets(learner, batch, mean, std):
    """[G, N] the targets of sequences of one step."""
    return learner.targets(batch, None, mean, std)[..., 0]


def test_targets_worked_by_hand():
    # Present network: agent 0 prefers actions 1, 0, 1; agent 1 may only take 0, then prefers 0, 1.
    learner, batch, zero, one = by_hand("iql")
    # r + 0.5 Q': 1 + 10, 2 + 15 (its value of action 0), 3 (over); 4 + 0.5, 5 (over), 6 + 3
    wanted = torch.tensor([[11.0, 17.0, 3.0], [4.5, 5.0, 9.0]])
    torch.testing.assert_close(targets(learner, batch, zero, one), wanted)
    # In units: (target - mean) / deviation, where Q' = mean + deviation * q'.
    found = targets(learner, batch, zero + 2.0, one * 4.0)
    wanted = torch.tensor(
        [[1 + 0.5 * (2 + 80), 2 + 0.5 * (2 + 120), 3], [4 + 0.5 * (2 + 4), 5, 6 + 0.5 * (2 + 24)]]
    )
    torch.testing.assert_close(found, (wanted - 2.0) / 4.0)
    # Without double Q-learning the target network chooses: agent 0 takes 40 in the second.
    single, batch, zero, one = by_hand("iql", double=False)
    wanted = torch.tensor([[11.0, 22.0, 3.0], [4.5, 5.0, 9.0]])
    torch.testing.assert_close(targets(single, batch, zero, one), wanted)


def test_the_team_s_target_is_the_sum_over_agents_that_decide():
    learner, batch, zero, one = by_hand("vdn")
    # 1 + 0.5 (20 + 1), 2 + 0.5 * 30 (agent 1 does not decide), 3 (over)
    found = targets(learner, batch, zero, one)
    torch.testing.assert_close(found, torch.tensor([[11.5, 17.0, 3.0]]))


def test_the_team_is_paid_the_sum_whatever_its_agents_are_paid():
    reward = np.array([[1.0, 2.0, 4.0]])
    plain = find_world("spread").make()
    common = find_world("spread").make({"reward": "common"})
    assert team_reward(plain, reward).tolist() == [[7.0]]
    assert team_reward(common, np.full((1, 3), 7.0)).tolist() == [[7.0]]


def test_the_loss_counts_decisions_alone():
    tape = random_tape(np.random.default_rng(3), turns=True, steps=20)
    learner = ValueLearner(GoesOnOnTape(tape, (2, 2)), "iql", replace(SMALL, copies=3), 0, 1000)
    learner.collector.play(learner.team, 20, 1.0, learner.take)
    held = learner.replay.arrays
    assert not held["ready"].all()
    loss, values = [], held["seen"].copy()
    for _ in range(2):
        other = ValueLearner(GoesOnOnTape(tape, (2, 2)), "iql", replace(SMALL, copies=3), 0, 1000)
        other.collector.play(other.team, 20, 1.0, other.take)
        spoiled = other.replay.arrays
        if loss:
            spoiled["reward"][spoiled["ready"] == 0] = 1e6
        loss.append(other.improve())
    assert loss[0] == loss[1]
    np.testing.assert_array_equal(held["seen"], values)


@settings(max_examples=STARTS, deadline=None)
@given(seed=st.integers(0, 10**6), agents=st.integers(1, 4), size=st.floats(0.01, 100.0))
def test_qmix_never_falls_where_a_value_rises_and_agents_choose_the_best_joint_action(
    seed, agents, size
):
    chance = torch.Generator().manual_seed(seed)
    mixer = MonotonicMixer(agents, 5, 8, chance)
    for part in mixer.parameters():  # whatever training may make of them
        part.data = torch.randn(part.shape, generator=chance) * size**0.5
    state = torch.randn(6, 5, generator=chance)
    values = (torch.randn(agents, 6, generator=chance) * size).requires_grad_()
    mixer(values, state).sum().backward()
    assert (values.grad >= 0).all()

    actions = torch.randn(agents, 1, 3, generator=chance).double() * size
    mixer.double()
    alone = mixer(actions.max(dim=-1).values, state[:1].double())
    joint = [
        mixer(torch.stack([actions[a, :, m] for a, m in enumerate(choice)]), state[:1].double())
        for choice in itertools.product(range(3), repeat=agents)
    ]
    torch.testing.assert_close(alone, torch.stack(joint).max(dim=0).values)


def test_only_legal_actions_are_taken_and_valued():
    tape = random_tape(np.random.default_rng(7), legal=3, steps=30)
    for epsilon in (0.0, 0.5, 1.0):
        world = GoesOnOnTape(tape, (3, 2))
        learner = ValueLearner(world, "vdn", replace(SMALL, copies=3), 0, 1000)
        view, rng, nothing = world.reset(), np.random.default_rng(1), np.zeros((2, 3, 0))
        for _ in range(30):
            actions, _ = explore(
                world, learner.team, view, epsilon, rng, nothing, np.zeros(3, bool)
            )
            taken = np.take_along_axis(view.legal, actions[..., None], axis=-1)
            assert taken.all()
            assert (actions[:, 1] < 2).all()
            view = world.step(actions).view
    learner.collector.play(learner.team, 30, 0.5, learner.take)
    mean, std = (x[..., None] for x in learner.scale.numbers())
    wanted = learner.targets(learner.replay.draw(500, rng), None, mean, std)
    assert wanted.abs().max() < 1e3  # no value of an illegal action, -1e9, is among them


def test_the_scale_of_discounted_rewards_worked_by_hand():
    scale, always = RewardScale(1, 2, 0.5, on=True), np.ones((1, 2), bool)
    scale.update(np.array([[1.0, 3.0]]), always, np.array([[False, True]]))  # 1, 3, then 1, 0
    scale.update(np.array([[2.0, 5.0]]), always, ~always)  # 2.5, 5
    mean, std = scale.numbers()
    values = np.array([1.0, 3.0, 2.5, 5.0])
    assert mean.item() == pytest.approx(values.mean())
    assert std.item() == pytest.approx(values.std())
    flat = RewardScale(1, 2, 0.0, on=True)
    flat.update(np.full((1, 2), 3.0), always, ~always)
    assert [x.item() for x in flat.numbers()] == [0.0, 1.0]


def test_large_numbers_of_a_state_are_divided_before_they_are_mixed():
    tape = random_tape(np.random.default_rng(2), steps=20)
    metrics = []
    for size in (1.0, 1e3):
        loud = {n: x * np.float32(size) if n in ("seen", "last") else x for n, x in tape.items()}
        learner = ValueLearner(
            GoesOnOnTape(loud, (2, 2)), "qmix", replace(SMALL, copies=3), 0, 1000
        )
        metrics.append(learner.update()[1])
        states = torch.tensor(learner.replay.arrays["state"])
        wanted = states if size == 1.0 else states / float(learner.largest)
        torch.testing.assert_close(learner.scaled(states), wanted)
    assert metrics[1]["td_loss"] < 1e6 * metrics[0]["td_loss"]


def test_random_actions_become_rare_along_the_budget():
    one = ValueSettings(epsilon_start=0.9, epsilon_end=0.1, epsilon_anneal=0.5)
    shares = [one.epsilon(x) for x in (0.0, 0.25, 0.5, 1.0)]
    np.testing.assert_allclose(shares, [0.9, 0.5, 0.1, 0.1])
    assert replace(one, epsilon_anneal=0.0).epsilon(0.0) == pytest.approx(0.1)


def test_what_cannot_be_is_refused():
    with pytest.raises(SettingError, match="continuous; wanted discrete actions"):
        plan_of("spread", "qmix", given={"continuous": True})
    with pytest.raises(SettingError, match="actions of aimer_0 are continuous"):
        require_discrete(find_world("mixed_env:SortsAndAims").make(), "qmix")
    with pytest.raises(UnknownNameError, match="gae"):
        plan_of("spread", "qmix", given={"gae": 0.5})
    with pytest.raises(SettingError, match="one step of each copy"):
        ValueSettings(copies=8, replay=7)
    with pytest.raises(SettingError, match="tau"):
        ValueSettings(tau=0.0)


def small_plan(algorithm, world="foraging", budget=320, **given):
    return ValuePlan(world, algorithm, 3, budget, value=replace(SMALL, **given), episodes=4)


@pytest.fixture(autouse=True)
def _no_git(monkeypatch):
    monkeypatch.setattr(provenance, "git_revision", lambda: None)


def trained(plan, path, until=None):
    """Trains until so many updates have been made in all."""
    there, done = (path / "run.json").exists(), []
    run = RunDirectory.open(path) if there else RunDirectory.create(path, plan.config())
    with run:
        before = len(run.rows())
        return train_to_end(
            plan, run=run, on_row=done.append,
            should_stop=lambda: until is not None and before + len(done) >= until,
        )  # fmt: skip


def left(path):
    """Rows without the clock, and every byte of the last checkpoint."""
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        del row["seconds"]
    folder = max((path / "checkpoints").iterdir(), key=lambda p: int(p.name))
    return rows, {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


REMEMBERS = {"memory": "gru", "observations": "normalized"}


@pytest.mark.fault("R3")
@pytest.mark.few(4)
@pytest.mark.parametrize("algorithm", VALUE_BASED)
@pytest.mark.parametrize("given", [{}, REMEMBERS], ids=["none", "gru"])
def test_stopped_after_each_update_it_is_bit_for_bit_what_it_would_have_been(
    given, algorithm, tmp_path
):
    # The ring comes round, and parameters of two sets are in the optimizer.
    plan = small_plan(algorithm, replay=100, parameters="separate", **given)
    straight = trained(plan, tmp_path / "straight")
    for until in range(1, 8):
        assert len(trained(plan, tmp_path / "resumed", until).rows) == until
    resumed = trained(plan, tmp_path / "resumed")
    assert left(tmp_path / "resumed") == left(tmp_path / "straight")
    np.testing.assert_array_equal(resumed.returns, straight.returns)
    assert len(resumed.rows) == 8
    assert plan_from_config(plan.config()) == plan
    again = train_to_end(plan)
    assert [replace(row, seconds=0) for row in again.rows] == [
        replace(row, seconds=0) for row in straight.rows
    ]
    result = training_result(tmp_path / "straight")
    columns = ["step", "return", "td_loss", "value", "epsilon"]
    assert list(result.curve) == columns + (["clipped_inputs"] if given else [])
    assert result.agents == {}
    other = replace(plan, value=replace(plan.value, hidden=9)).trainer().learner
    with pytest.raises(StateError, match="wanted"):
        other.restore(checkpoints.load(tmp_path / "straight" / "checkpoints" / "320"))


@pytest.mark.parametrize("algorithm", VALUE_BASED)
@pytest.mark.parametrize("world", ["spread", "speaker_listener"])
@pytest.mark.parametrize(
    "given",
    [{}, {"parameters": "per_role"}, {"parameters": "per_role", **REMEMBERS}],
    ids=["shared", "per_role", "gru"],
)
def test_a_reordered_world_gives_the_same_team(algorithm, world, given):
    weights = []
    agents = len(find_world(world).make().agents)
    for order in (range(agents), reversed(range(agents))):
        moved = PermutedStepWorld(find_world(world).make(copies=8, seed=1), list(order))
        learner = ValueLearner(by_name(moved), algorithm, replace(SMALL, **given), 2, 1000)
        metrics = [learner.update()[1] for _ in range(3)]
        weights.append((metrics, learner.adam.weights.numpy().tobytes()))
    assert weights[0] == weights[1]


def joint_values(algorithm, payoffs, **given):
    """The learned values of all joint actions of a game of one round, and its best joint action."""
    world = find_world("repeated_game").make({"game": "climbing", "rounds": 1}, 32, 0)
    world.game = replace(world.game, payoffs=np.stack([payoffs, np.zeros_like(payoffs)], axis=-1))
    many = {"hidden": 16, "batch": 64, "passes": 20, "lr": 5e-3, "gamma": 0.0}
    play = {"epsilon_start": 1.0, "epsilon_end": 1.0, "copies": 32, "steps": 10}
    learner = ValueLearner(world, algorithm, replace(SMALL, **many, **play, **given), 0, 10**6)
    for _ in range(25):
        learner.update()
    view, (mean, std) = world.reset(), learner.scale.numbers()
    with torch.no_grad():
        seen = torch.from_numpy(view.seen.swapaxes(0, 1))[:, :1, None]
        q = learner.team(seen)[0]
        state = torch.from_numpy(view.state[:1])[:, None]
        table = [
            [
                float(std[0] * learner.team.mixed(
                    torch.stack([q[0, ..., i], q[1, ..., j]]), torch.ones(2, 1, 1), state
                )[0, 0, 0] + mean[0])
                for j in range(3)
            ]
            for i in range(3)
        ]  # fmt: skip
    return np.array(table), tuple(q[:, 0, 0].argmax(dim=-1).tolist())


MONOTONE = np.array([[0.0, 1.0, 1.0], [1.0, 8.0, 8.0], [1.0, 8.0, 8.0]])
"""The second state of the two-step game of Rashid et al. 2018, one action doubled: no sum."""
CLIFF = np.array([[8.0, -12.0, -12.0], [-12.0, 0.0, 0.0], [-12.0, 0.0, 0.0]])
"""The game of Son et al. 2019 (QTRAN), section 5.1: the best action depends on the other's."""


def test_vdn_learns_the_closest_sum_and_qmix_the_monotone_game_itself():
    # Actions are uniform, so the closest sum is row mean + column mean - mean.
    mean = MONOTONE.mean()
    closest = MONOTONE.mean(axis=1)[:, None] + MONOTONE.mean(axis=0)[None] - mean
    vdn, _ = joint_values("vdn", MONOTONE)
    np.testing.assert_allclose(vdn, closest, atol=0.3)
    assert abs(closest - MONOTONE).max() > 1.0
    qmix, best = joint_values("qmix", MONOTONE)
    np.testing.assert_allclose(qmix, MONOTONE, atol=0.3)
    assert MONOTONE[best] == 8.0


@pytest.mark.few(1)
@pytest.mark.parametrize("algorithm", ["vdn", "qmix"])
def test_where_the_best_action_depends_on_the_other_s_both_miss_it_as_published(algorithm):
    table, best = joint_values(algorithm, CLIFF)
    assert CLIFF[best] == 0.0
    assert abs(table - CLIFF).max() > 2.0  # neither can represent the game


@pytest.mark.parametrize("algorithm", VALUE_BASED)
def test_a_team_learns_a_small_game(algorithm):
    plan = plan_of(
        "repeated_game", algorithm, budget=4_000,
        given={"game": "stag_hunt", "rounds": 5, "hidden": 16, "layers": 1, "copies": 16,
               "epsilon_end": 0.0,
               "steps": 10, "passes": 10, "batch": 32, "lr": 0.005, "reward": "common"},
    )  # fmt: skip
    assert train_to_end(plan).normalized > 0.9


def test_a_train_command_says_what_is_not_measured_and_the_best_actions_need_no_chance(
    tmp_path, capsys
):
    out = tmp_path / "run"
    given = ["--set", "hidden=8", "copies=8", "passes=1", "batch=8"]
    assert main(["train", "foraging", "--algorithm", "vdn", "--budget", "400",
                 "--out", str(out), *given]) == 0  # fmt: skip
    shown = " ".join(capsys.readouterr().out.split())
    assert "vdn learns values, and has no advantages" in shown
    assert main(["report", str(out)]) == 0
    page = (out / "report.html").read_text()
    assert "Under vdn the team" in page
    assert page.count("not measured: vdn learns values, and has no advantages") == 2
    assert main(["train", "foraging", "--algorithm", "vdn", "--scheme", "none"]) == 2
    assert main(["train", "foraging", "--algorithm", "ppo"]) == 2

    plan = plan_from_config(json.loads((out / "run.json").read_text())["config"])
    world = plan.make_world(0, 4)
    learner = ValueLearner(world, "vdn", plan.value, 0, 400)
    one, two = (ValueCollector(plan.make_world(1, 4), seed) for seed in (1, 2))
    first, second = (c.play(learner.team, 60, 0.0).by_agent for c in (one, two))
    np.testing.assert_array_equal(first, second)  # no chance of the collector is in them


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", VALUE_BASED)
def test_teams_learn_to_spread(algorithm):
    assert train_to_end(plan_of("spread", algorithm, budget=100_000)).normalized > 0.15
