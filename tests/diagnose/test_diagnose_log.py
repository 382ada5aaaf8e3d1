import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from planted import by_prompt, judged, log, made, sometimes

from counterpoint.credit import Mix, Scheme, entries
from counterpoint.diagnose import diagnose
from counterpoint.diagnose.diagnosis import MOST_AGENTS
from counterpoint.errors import LabelError, RewardError, SchemeError, UnknownNameError
from counterpoint.records import Decisions
from counterpoint.results import encode

PLAIN = [name for name, entry in entries().items() if not entry.needs]


def document(decisions, scheme="mappo_pooled"):
    return json.loads(encode(judged(decisions, scheme)))


def rows(rewards, agent, rollout, step=None, action=None, **more):
    """A small log by hand."""
    return made(rewards, {"agent": agent, "rollout": rollout, **more}, step, action)


def quiet_beside_loud(scale):
    """Agents a0 and a2 act in some prompts, a1 alone in others whose rewards vary `scale` times."""

    def acts(rng, step, block):
        loud = (rng.random(block.max() + 1) < 0.5)[block]
        return np.column_stack([~loud, loud, ~loud])

    def reward(rng, acts, step, block):
        return rng.normal(size=len(step)) * np.where(acts[:, 1], scale, 1)

    decisions = log(3, steps=30, prompts=12, acts=acts, reward=reward)
    keep = np.ones(len(decisions), bool)  # take away a2's rows where the loud agent acts
    loud = set(decisions.labels["rollout"][decisions.labels["agent"] == "a1"].tolist())
    for i, (agent, rollout) in enumerate(
        zip(decisions.labels["agent"], decisions.labels["rollout"], strict=True)
    ):
        keep[i] = agent != "a2" or rollout not in loud
    labels = {name: column[keep] for name, column in decisions.labels.items()}
    return Decisions(decisions.rewards[keep], ("reward",), labels, decisions.step[keep])


def test_numbers_by_hand():
    # Pooled over one step: a has {1, 3}, b {6, 6}: mean 4, sigma^2 = (9 + 1 + 4 + 4) / 4 = 4.5.
    diagnosis = document(rows([1, 3, 6, 6], ["a", "a", "b", "b"], [0, 1, 0, 1]))
    a, b = diagnosis["agents"]["a"], diagnosis["agents"]["b"]
    assert a["mean"] == 2
    assert a["deviation"] == 1
    assert a["signal_share"] == pytest.approx(1 / 4.5)
    assert a["inflation"] == pytest.approx(1 + 4 / 1)
    assert a["norm_inflation"] == pytest.approx((1 + 4) / 4.5)
    assert a["net_mass"] == pytest.approx(-2 / np.sqrt(4.5))
    assert a["participation"] == 1
    assert a["resolution"] == 2
    assert a["dead_rate"] == 0
    assert b["resolution"] == 1
    assert b["inflation"] is None  # constant rewards have no signal to lose
    assert b["signal_share"] == 0
    assert a["influence"] is None
    assert diagnosis["rows"] == 4
    assert diagnosis["updates"] == 1


def test_dead_decisions_are_those_without_a_signal_not_those_at_the_mean():
    # Prompt 0 is constant, prompt 1 a singleton, prompt 2 {0, 1, 2}: its middle is at the mean,
    # and alive. One reward is missing: 4 of 7 decisions are dead.
    diagnosis = document(
        rows([5, 5, 1, 0, 1, 2, np.nan], ["a"] * 7, range(7), prompt=[0, 0, 1, 2, 2, 2, 2]), "grpo"
    )
    assert diagnosis["agents"]["a"]["dead_rate"] == pytest.approx(4 / 7)


def test_dead_groups_name_the_cause_and_no_scheme_where_none_helps():
    rng = np.random.default_rng(0)
    bits = rng.random((320, 4)) < 0.5
    everybody = np.repeat(bits.all(axis=1), 4).astype(float)
    labels = {"prompt": np.repeat(np.arange(40), 32), "rollout": np.repeat(np.arange(320), 4)}
    dead = rows(everybody * (labels["rollout"] % 5 == 0), list("abcd") * 320, **labels)
    diagnosis = document(dead, "grpo")
    assert {a["cause"] for a in diagnosis["agents"].values()} == {"DEAD"}
    assert diagnosis["recommended"] is None
    assert "partial credit" in diagnosis["agents"]["a"]["remedy"]
    assert "No scheme of the catalogue revives" in diagnosis["why"]


def test_a_team_that_has_finished_learning_is_dead_and_has_no_cause():
    # Nine of ten groups are solved, the tenth is alive; in the twin they all fail instead.
    labels = {"prompt": np.repeat(np.arange(40), 16), "rollout": np.repeat(np.arange(320), 2)}
    open_group = labels["prompt"] % 10 == 0
    mixed = labels["rollout"] % 2
    solved = document(rows(np.where(open_group, mixed, 1), ["a", "b"] * 320, **labels), "grpo")
    failed = document(rows(np.where(open_group, mixed, 0), ["a", "b"] * 320, **labels), "grpo")
    for diagnosis in (solved, failed):
        assert diagnosis["agents"]["a"]["dead_rate"] == pytest.approx(0.9)
    assert solved["agents"]["a"]["stuck_rate"] == 0
    assert solved["agents"]["a"]["cause"] is None
    assert failed["agents"]["a"]["stuck_rate"] == pytest.approx(0.9)
    assert failed["agents"]["a"]["cause"] == "DEAD"


def test_a_quiet_agent_beside_a_loud_one_is_drowned_and_its_clean_twin_is_not():
    diagnosis = document(quiet_beside_loud(20))
    assert diagnosis["decoupling"]["verdict"] == "matters"
    assert diagnosis["decoupling"]["conditions"] == ["C1"]
    assert diagnosis["agents"]["a0"]["cause"] == "DROWNED"
    assert diagnosis["agents"]["a1"]["cause"] is None
    assert diagnosis["recommended"] == "mappo_per_agent"
    assert "The cost" in diagnosis["why"]
    clean = document(quiet_beside_loud(1))
    assert clean["decoupling"]["verdict"] == "no-op"
    assert {a["cause"] for a in clean["agents"].values()} == {None}
    assert clean["recommended"] is None


def test_the_cause_is_gone_under_a_scheme_that_decouples():
    for scheme in ("mappo_per_agent", "agent_wise", "grpo", "group_reward_decoupled"):
        assert {a["cause"] for a in document(quiet_beside_loud(20), scheme)["agents"].values()} == {
            None
        }


def test_a_seldom_called_agent_in_small_groups_is_no_cause():
    def seldom(rng, step, block):
        return rng.random((len(step), 3)) < 0.08

    for scheme in ("grpo", "mappo_pooled", "dr_grpo"):
        diagnosis = document(log(1, steps=60, acts=seldom), scheme)
        assert {a["cause"] for a in diagnosis["agents"].values()} == {None}


def test_running_statistics_that_lag_are_spiky():
    calm = np.random.default_rng(0).normal(size=(30, 64))
    calm[20:] = 200 + calm[20:]
    labels = {"agent": ["a", "b"] * 960, "rollout": np.repeat(np.arange(960), 2)}
    jump = rows(np.repeat(calm.ravel()[::2], 2), **labels, step=np.repeat(np.arange(30), 64))
    diagnosis = document(jump, "group_reward_decoupled")
    assert {a["cause"] for a in diagnosis["agents"].values()} == {"SPIKY"}
    assert diagnosis["recommended"] == "mappo_per_agent"
    assert diagnosis["agents"]["a"]["spike_rate"] > 0.005
    assert document(jump, "mappo_per_agent")["agents"]["a"]["spike_rate"] == 0
    assert document(jump, "dr_grpo")["agents"]["a"]["spike_rate"] is None


def test_conditions_that_do_not_bear_on_the_scheme_are_listed_and_change_no_verdict():
    def drifting(rng, acts, step, block):
        return rng.normal(size=len(step)) + 0.2 * step

    def absent(rng, step, block):
        return (rng.random((step.max() + 1, 3)) < 0.6)[step]

    decisions = log(0, acts=absent, reward=drifting)
    batch = document(decisions, "mappo_pooled")["decoupling"]
    assert (batch["verdict"], batch["conditions"]) == ("no-op", ["C6"])
    running = document(decisions, "group_reward_decoupled")["decoupling"]
    assert (running["verdict"], running["conditions"]) == ("matters", ["C6"])


def test_roles_bear_on_schemes_that_are_keyed_by_role():
    def role(rng, value, step, block):
        return np.where((value > 0)[:, None], [0, 1, 2], [1, 0, 2])

    decisions = log(0, role=role)
    assert document(decisions, "mappo_pooled")["decoupling"]["verdict"] == "no-op"
    assert document(decisions, "spiral_rae")["decoupling"]["verdict"] == "matters"


@pytest.mark.parametrize("agents", range(2, 9))
@pytest.mark.parametrize("scheme", ["mappo_pooled", "grpo", "gdpo", "group_reward_decoupled"])
def test_everybody_present_with_one_reward_is_a_no_op(agents, scheme):
    diagnosis = document(log(agents, steps=5, agents=agents), scheme)
    assert diagnosis["decoupling"]["verdict"] == "no-op"
    assert diagnosis["decoupling"]["conditions"] == []
    assert diagnosis["decoupling"]["max_difference"] < 1e-12
    for agent in diagnosis["agents"].values():
        assert agent["cause"] is None
        assert agent["inflation"] == pytest.approx(1)
        assert agent["signal_share"] == pytest.approx(1)


@pytest.mark.parametrize("scheme", PLAIN)
def test_every_scheme_gives_a_document_of_finite_numbers(scheme):
    decisions = log(2, steps=6, acts=sometimes)
    rewards = np.column_stack([decisions.rewards[:, 0], decisions.rewards[:, 0] > 1])
    rewards[::11, 0] = np.nan
    diagnosis = document(Decisions(rewards, ("x", "y"), decisions.labels, decisions.step), scheme)
    assert diagnosis["schema"] == "counterpoint.diagnosis/1"
    assert len(diagnosis["timeline"]["agents"]["a0"]["dead_rate"]) == 6
    assert diagnosis["recommended"] in {None, *PLAIN}
    assert diagnosis["log_faults"] == []


def test_influence_and_entropy_of_logged_actions():
    # a's action decides the reward, b's does not; both choose evenly between two: ln 2 nats.
    rng = np.random.default_rng(0)
    choice = rng.integers(0, 2, (400, 2))
    labels = {"agent": ["a", "b"] * 400, "rollout": np.repeat(np.arange(400), 2)}
    reward = np.repeat(choice[:, 0], 2).astype(float)
    diagnosis = document(rows(reward, **labels, action=choice.ravel()))["agents"]
    assert diagnosis["a"]["influence"] == pytest.approx(1)
    assert diagnosis["b"]["influence"] < 0.02
    assert diagnosis["a"]["entropy"] == pytest.approx(np.log(2), abs=0.01)
    essays = np.array([f"essay {i}" for i in range(800)])
    diagnosis = document(rows(reward, **labels, action=essays))["agents"]
    assert diagnosis["a"]["influence"] is None


def test_a_scheme_object_and_names_of_agents_that_are_numbers():
    diagnosis = diagnose(
        rows([1, 2, 3, 4], [7, 3, 7, 3], [0, 0, 1, 1]),
        Scheme(center_by=("prompt",), floor=0.5),
        rng=np.random.default_rng(0),
    )
    assert diagnosis.scheme == "grpo_rows,floor=0.5"
    assert list(diagnosis.agents) == ["7", "3"]


def test_rewards_that_are_all_missing_say_nothing():
    diagnosis = document(rows([np.nan, np.nan], ["a", "b"], [0, 0]))
    assert diagnosis["agents"]["a"]["dead_rate"] == 1
    assert diagnosis["agents"]["a"]["inflation"] is None


def test_steps_that_come_mixed_are_the_same_as_in_order():
    decisions = log(4, steps=6, acts=by_prompt)
    order = np.random.default_rng(0).permutation(len(decisions))
    mixed = Decisions(
        decisions.rewards[order], ("reward",),
        {name: column[order] for name, column in decisions.labels.items()}, decisions.step[order],
    )  # fmt: skip
    for scheme in ("mappo_pooled", "marshal_style"):
        one, two = document(decisions, scheme), document(mixed, scheme)
        for agent in ("a0", "a1", "a2"):
            assert two["agents"][agent]["net_mass"] == pytest.approx(
                one["agents"][agent]["net_mass"], abs=1e-9
            )
        assert two["decoupling"]["max_difference"] == pytest.approx(
            one["decoupling"]["max_difference"]
        )


def test_the_same_generator_gives_the_same_document():
    decisions = log(5, acts=sometimes)
    assert document(decisions) == document(decisions)


WAYS = st.builds(
    Scheme,
    center_by=st.sampled_from([("prompt",), ("agent",), ("prompt", "agent")]),
    rollout_reward=st.sampled_from(["mean", "last", "sum", "to_go"]),
    components=st.sampled_from(["sum_first", "normalize_first"]),
    missing=st.sampled_from(["leave_out", "as_zero"]),
)
WHOLE = WAYS.filter(lambda way: way.rollout_reward != "to_go").map(
    lambda way: replace(way, weighting="trajectory")
)


@settings(max_examples=80, deadline=None)
@example(26211, "corpo")  # two runs, one of which repeats a key
@example(163, "grpo")  # two rows of one key, each with another component
@given(st.integers(0, 2**32 - 1), st.one_of(st.sampled_from(sorted(PLAIN)), WAYS, WHOLE))
def test_any_small_log_has_a_diagnosis(seed, scheme):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30))
    rewards = rng.choice([0.0, 1.0, np.nan, 1e8, -3.5], size=(n, int(rng.integers(1, 3))))
    labels = {name: rng.integers(0, 3, n) for name in ("prompt", "rollout", "agent")}
    if rng.random() < 0.5:
        labels |= {name: rng.integers(0, 2, n) for name in ("role", "turn", "context")}
    names = tuple(f"c{k}" for k in range(rewards.shape[1]))
    diagnosis = document(Decisions(rewards, names, labels, rng.integers(0, 3, n)), scheme)
    assert diagnosis["decoupling"]["verdict"] in ("matters", "no-op", "cannot tell")
    assert all(fault["count"] > 0 for fault in diagnosis["log_faults"])


def test_what_cannot_be_diagnosed_is_refused():
    good = rows([1, 2], ["a", "b"], [0, 0])
    with pytest.raises(UnknownNameError, match="got scheme 'grop'"):
        judged(good, "grop")
    with pytest.raises(SchemeError, match="got Mix, which is made of several schemes"):
        judged(good, Mix(((1.0, Scheme()),)))
    with pytest.raises(SchemeError, match="got scheme None; wanted a Scheme"):
        judged(good, None)
    with pytest.raises(LabelError, match="also needs 'rollout'"):
        judged(Decisions(good.rewards, ("c0",), {"agent": good.labels["agent"]}))
    with pytest.raises(RewardError, match="no decisions"):
        judged(rows([], [], []))
    with pytest.raises(RewardError, match="infinite"):
        judged(rows([1, np.inf], ["a", "b"], [0, 0]))
    with pytest.raises(LabelError, match="differ as text"):
        judged(rows([1, 2], np.array([1, "1"], dtype=object), [0, 0]))


@pytest.mark.parametrize("absent", [0.0, np.nan])
def test_a_component_that_an_agent_never_has_is_no_part_of_its_reward(absent):
    """A bonus that only the speaker has: the same verdict whether the listener's is 0 or absent."""
    team = np.random.default_rng(5).integers(2, size=64).astype(float)
    rewards = np.stack([np.repeat(team, 2), np.tile([5.0, absent], 64)], axis=1)
    diagnosis = document(rows(rewards, ["speaker", "listener"] * 64, np.repeat(np.arange(64), 2)))
    assert diagnosis["decoupling"]["conditions"] == ["C3"]
    assert {agent["cause"] for agent in diagnosis["agents"].values()} == {"OFFSET"}
    assert diagnosis["agents"]["listener"]["missing_rate"] == 0


def test_missing_rewards_are_told_and_are_no_cause():
    rewards = [[1.0, 2.0], [0.0, 2.0], *[[np.nan, np.nan]] * 6] * 20
    diagnosis = document(rows(rewards, ["a"] * 160, range(160)))["agents"]["a"]
    assert diagnosis["missing_rate"] == 0.75
    assert diagnosis["dead_rate"] == 0.75
    assert diagnosis["cause"] is None


def test_a_quiet_reward_of_ones_own_beside_a_loud_one_is_drowned_in_rollouts_too():
    """Under grpo a rollout enters with the mean of its rows, in which the quiet agent is lost."""
    rng = np.random.default_rng(0)
    n = 20 * 4 * 8
    rewards = np.stack([rng.normal(size=n), 30 * rng.normal(size=n)], axis=1).ravel()
    step, prompt, rollout = (a.ravel() for a in np.indices((20, 4, 8)))
    columns = {"prompt": np.repeat(prompt, 2), "step": np.repeat(step, 2)}
    decisions = rows(rewards, ["a", "b"] * n, np.repeat(rollout, 2), **columns)
    diagnosis = document(decisions, "grpo")
    assert diagnosis["agents"]["a"]["cause"] == "DROWNED"
    assert diagnosis["agents"]["b"]["cause"] is None
    assert diagnosis["recommended"] == "agent_wise"


def test_a_column_with_a_name_for_each_row_is_no_agent():
    rows = MOST_AGENTS + 1
    labels = {"agent": np.arange(rows), "rollout": np.arange(rows), "prompt": np.zeros(rows)}
    decisions = Decisions(np.zeros((rows, 1)), ("reward",), labels)
    with pytest.raises(
        LabelError, match=r"got 10,001 agents in 10,001 rows; wanted at most 10,000"
    ):
        diagnose(decisions, "grpo", rng=np.random.default_rng(0))
