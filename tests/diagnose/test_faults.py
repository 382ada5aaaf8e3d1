"""What is wrong with a log comes first: each fault planted, beside a clean twin."""

from __future__ import annotations

import numpy as np
import pytest
from planted import causes, cube, judged, log, made, numbers, sometimes

from counterpoint.credit import Scheme
from counterpoint.diagnose.faults import FEWEST, log_faults
from counterpoint.diagnose.log import Log
from counterpoint.records import Decisions
from counterpoint.results.diagnosis import FATAL


def codes(decisions):
    return [fault.code for fault in log_faults(Log.of(decisions), Scheme())]


@pytest.mark.parametrize("plant", [{}, {"acts": sometimes}, {"count": None}])
def test_a_clean_log_has_no_fault(plant):
    assert codes(log(0, **plant)) == []


@pytest.mark.parametrize("scheme", ["grpo", "mappo_pooled", "group_reward_decoupled", "gdpo"])
def test_a_log_without_any_reward_is_a_line(scheme):
    step, prompt = cube(30, 40)
    labels = {"prompt": prompt, "rollout": 0 * prompt, "agent": np.array(["a"] * 1200)}
    diagnosis = judged(made(np.full(1200, np.nan), labels, step), scheme)
    assert [(f.code, f.count) for f in diagnosis.log_faults] == [("all_missing", 1200)]
    assert (diagnosis.decoupling.verdict, diagnosis.recommended) == ("cannot tell", None)
    assert diagnosis.why.startswith("All 1,200 rewards are missing")


def test_a_reward_that_never_varies_teaches_nobody():
    step, prompt, rollout, agent = cube(5, 4, 4, 2)
    labels = {"prompt": prompt, "rollout": rollout, "agent": np.array(["a", "b"])[agent]}
    diagnosis = judged(made(np.ones(160), labels, step))
    assert [(f.code, f.count) for f in diagnosis.log_faults] == [("constant", 160)]
    assert (diagnosis.decoupling.verdict, diagnosis.recommended) == ("cannot tell", None)
    assert causes(diagnosis) == ["DEAD", "DEAD"]
    assert diagnosis.why.startswith("The reward never varies: all 160 rewards are 1.")


@pytest.mark.parametrize("scheme", ["grpo", "gdpo", "mappo_pooled", "agent_x_component"])
def test_components_that_cancel_are_said_and_no_scheme_is_recommended(scheme):
    rng, i = np.random.default_rng(0), np.arange(1440)
    x = (rng.random(1440) < 0.5) * 1.0
    labels = {"prompt": i // 8 % 6, "rollout": i % 8, "agent": np.array(["w"] * 1440)}
    diagnosis = judged(made(np.c_[x, 1 - x], labels, i // 48), scheme)
    assert [f.code for f in diagnosis.log_faults] == ["components_cancel"]
    assert numbers(diagnosis, "dead_rate")[0] == 1
    assert causes(diagnosis) == ["DEAD"]
    assert diagnosis.recommended is None


def test_an_agent_whose_own_reward_never_varies_is_beyond_any_scheme():
    decisions = log(0, agents=2)
    still = decisions.labels["agent"] == "a0"
    decisions.rewards[still] = 0.0
    diagnosis = judged(decisions, "agent_wise")
    (fault,) = diagnosis.log_faults
    assert (fault.code, fault.agent, fault.count) == ("agent_constant", "a0", 640)
    assert "never varies, so no scheme can help this agent" in fault.sentence
    assert (diagnosis.agents["a0"].cause, diagnosis.recommended) == ("DEAD", None)
    assert diagnosis.agents["a0"].signal_kept is None


def test_an_agent_that_is_called_thrice_and_fails_thrice_is_no_constant_one():
    seldom = log(0, acts=lambda rng, step, block: rng.random((len(step), 3)) < 0.005)
    few = (seldom.labels["agent"] == "a0").sum()
    assert 0 < few < 8
    seldom.rewards[:, 0] = seldom.rewards[:, 0] > 1.5
    assert codes(seldom) == []


def test_an_agent_without_rewards_is_named():
    decisions = log(0, agents=2)
    decisions.rewards[decisions.labels["agent"] == "a0"] = np.nan
    (fault,) = log_faults(Log.of(decisions), Scheme())
    assert (fault.code, fault.agent, fault.count) == ("agent_missing", "a0", 640)


@pytest.mark.parametrize("scheme", ["grpo", "mappo_pooled", "agent_wise", "spiral_rae"])
def test_two_runs_in_one_file(scheme):
    rng = np.random.default_rng(0)
    one = np.arange(640)
    values = np.r_[rng.normal(size=640), 50 + rng.normal(size=640)]
    i = np.r_[one, one]
    labels = {"prompt": i // 8 % 4, "rollout": i % 8, "agent": np.array(["a"] * 1280)}
    diagnosis = judged(made(values, labels, i // 32), scheme)
    assert [(f.code, f.count) for f in diagnosis.log_faults] == [("two_runs", 640)]
    assert (diagnosis.decoupling.verdict, diagnosis.recommended) == ("cannot tell", None)
    assert diagnosis.decoupling.conditions == []
    assert not any(causes(diagnosis))
    assert diagnosis.why.startswith("640 keys (step, prompt, rollout, agent) occur twice or more")
    half = made(values[:640], {n: c[:640] for n, c in labels.items()}, (i // 32)[:640])
    assert judged(half, scheme).log_faults == []


def test_a_run_that_was_resumed_from_an_earlier_step():
    decisions = log(0, steps=10)
    again = decisions.step >= 6
    labels = {n: np.r_[c, c[again]] for n, c in decisions.labels.items()}
    whole = made(np.r_[decisions.rewards[:, 0], decisions.rewards[again, 0] + 1], labels,
                 np.r_[decisions.step, decisions.step[again]])  # fmt: skip
    (fault,) = log_faults(Log.of(whole), Scheme())
    assert (fault.code, fault.count) == ("two_runs", again.sum())
    assert "resumed" in fault.sentence


def test_prompts_that_repeat_without_a_step():
    """Four updates in a file without steps: each key comes four times, with other rewards."""
    update, prompt, rollout = cube(4, 8, 8)
    labels = {"prompt": prompt, "rollout": rollout, "agent": np.array(["a"] * 256)}
    rewards = np.random.default_rng(0).normal(size=256)
    diagnosis = judged(made(rewards, labels), "grpo")
    assert [(f.code, f.count) for f in diagnosis.log_faults] == [("repeated_keys", 64)]
    assert "has no 'step'" in diagnosis.why
    assert (diagnosis.decoupling.verdict, diagnosis.recommended) == ("cannot tell", None)
    assert judged(made(rewards, labels, update), "grpo").log_faults == []


def test_a_turn_that_comes_twice_with_another_reward():
    step, prompt, rollout, turn = cube(5, 4, 8, 2)
    labels = {"prompt": prompt, "rollout": rollout, "turn": turn, "agent": np.full(320, 7)}
    rewards = np.random.default_rng(0).normal(size=320)
    assert codes(made(rewards, labels, step)) == []
    labels["turn"] = 0 * turn
    diagnosis = judged(made(rewards, labels, step), "grpo")
    assert [(f.code, f.count) for f in diagnosis.log_faults] == [("repeated_keys", 160)]
    assert diagnosis.decoupling.verdict == "cannot tell"


@pytest.mark.parametrize(
    ("scheme", "fault"),
    [
        ("grpo", "repeated_keys"),
        ("mappo_pooled", "repeated_keys"),
        ("grpo,rollout_reward=sum", "logged_twice"),
        ("gdpo", "logged_twice"),
    ],
)
def test_rows_that_state_different_components_of_one_key(scheme, fault):
    """As sums the rows differ; added up, or each component by itself, they do not."""
    step, prompt, rollout, part = cube(5, 4, 8, 2)
    labels = {"prompt": prompt, "rollout": rollout, "turn": 0 * part, "agent": np.full(320, 7)}
    drawn = np.random.default_rng(0).normal(size=(320, 2))
    halves = np.where(np.c_[part == 0, part == 1], drawn, np.nan)
    diagnosis = judged(made(halves, labels, step), scheme)
    assert [(f.code, f.count) for f in diagnosis.log_faults] == [(fault, 160)]
    assert (diagnosis.decoupling.verdict == "cannot tell") == (fault == "repeated_keys")


def test_one_key_of_a_file_whose_steps_go_back_is_counted():
    """Steps 3 to 5 stand before 0 to 2; nothing occurs in both parts, one row twice in the last."""
    step, prompt, rollout = cube(6, 4, 8)
    labels = {"prompt": prompt, "rollout": rollout, "turn": 0 * prompt, "agent": np.full(192, 7)}
    rewards = np.random.default_rng(0).normal(size=192)
    for again in ([], [5]):
        order = np.r_[96:192, 0:6, np.array(again, int), 6:96]
        columns = {name: column[order] for name, column in labels.items()}
        paid = rewards[order] + (np.arange(len(order)) == 102)
        diagnosis = judged(made(paid, columns, step[order]), "grpo")
        assert [(f.code, f.count) for f in diagnosis.log_faults] == [("repeated_keys", 1)] * len(
            again
        )


@pytest.mark.parametrize("scheme", ["grpo", "mappo_pooled"])
@pytest.mark.parametrize(("apart", "fault"), [(1e-12, "repeated_keys"), (1e-15, "logged_twice")])
def test_what_credit_takes_for_another_reward_the_diagnosis_does(scheme, apart, fault):
    """8 ulps are rounding: 1e-12 beside 1 is more, 1e-15 is less."""
    step, rollout, again = cube(5, 16, 2)
    labels = {"rollout": rollout, "turn": 0 * again, "agent": np.full(160, 7)}
    rewards = (rollout % 2) * (1 + apart * again)
    diagnosis = judged(made(rewards, labels, step), scheme)
    assert [f.code for f in diagnosis.log_faults] == [fault]


def test_a_reward_that_is_only_logged_is_no_reward():
    decisions = log(0)
    both = np.c_[np.full(len(decisions), np.nan), decisions.rewards[:, 0]]
    both = Decisions(both, ("paid", "logged"), decisions.labels, decisions.step)
    diagnosis = judged(both, Scheme(weights=(1.0, 0.0)))
    assert [(f.code, f.count) for f in diagnosis.log_faults] == [("all_missing", len(decisions))]
    assert diagnosis.decoupling.verdict == "cannot tell"


def test_turns_without_a_column_are_turns():
    step, prompt, rollout, _ = cube(5, 4, 8, 3)
    labels = {"prompt": prompt, "rollout": rollout, "agent": np.full(480, 7)}
    assert codes(made(np.random.default_rng(0).normal(size=480), labels, step)) == []


@pytest.mark.parametrize("with_turn", [True, False])
def test_rows_that_are_logged_twice(with_turn):
    decisions = log(0, agents=2)
    labels = {name: np.repeat(column, 2) for name, column in decisions.labels.items()}
    if with_turn:
        labels["turn"] = np.zeros(len(decisions) * 2, int)
    doubled = made(np.repeat(decisions.rewards[:, 0], 2), labels, np.repeat(decisions.step, 2))
    diagnosis = judged(doubled)
    assert [(f.code, f.count) for f in diagnosis.log_faults] == [("logged_twice", 1280)]
    assert diagnosis.decoupling.verdict == "no-op"  # copies change no z-score


def test_a_file_that_was_written_twice():
    decisions = log(0, agents=2)
    labels = {name: np.r_[column, column] for name, column in decisions.labels.items()}
    for step in (np.r_[decisions.step, decisions.step], None):
        names = labels if step is not None else {**labels, "prompt": np.tile(decisions.step, 2)}
        doubled = made(np.tile(decisions.rewards[:, 0], 2), names, step)
        assert [(f.code, f.count) for f in judged(doubled).log_faults] == [("logged_twice", 1280)]


@pytest.mark.parametrize("actions", ["none", "copied", "chosen"])
def test_rows_that_are_logged_twice_in_a_shuffled_file(actions):
    """Without a turn, two rows of a key are copies unless their actions differ somewhere."""
    decisions = log(0, agents=2)
    rng = np.random.default_rng(1)
    once = rng.integers(3, size=len(decisions))
    twice = {
        "none": None, "copied": np.repeat(once, 2), "chosen": rng.integers(3, size=2 * len(once))
    }[actions]  # fmt: skip
    order = rng.permutation(2 * len(decisions))
    rows = np.repeat(np.arange(len(decisions)), 2)[order]
    labels = {name: column[rows] for name, column in decisions.labels.items()}
    action = None if twice is None else twice[order]
    shuffled = made(decisions.rewards[rows, 0], labels, decisions.step[rows], action)
    wanted = [] if actions == "chosen" else [("logged_twice", 1280)]
    assert [(f.code, f.count) for f in judged(shuffled).log_faults] == wanted


@pytest.mark.parametrize("by", ["rollout", "turn"])
def test_two_turns_in_the_order_of_the_file_are_not_logged_twice(by):
    """One return on every row, no turn column: a, b, a, b of a rollout, or turn by turn."""
    axes = {"rollout": (5, 16, 2, 2), "turn": (5, 2, 16, 2)}[by]
    step, one, other, agent = cube(*axes)
    rollout = one if by == "rollout" else other
    paid = np.random.default_rng(0).normal(size=(5, 16))[step, rollout]
    labels = {"rollout": rollout, "agent": agent}
    assert codes(made(paid, labels, step)) == []
    order = np.random.default_rng(0).permutation(len(paid))  # now nobody can tell
    mixed = {name: column[order] for name, column in labels.items()}
    assert codes(made(paid[order], mixed, step[order])) == ["logged_twice"]


@pytest.mark.parametrize(("rollouts", "few"), [(FEWEST - 1, True), (FEWEST, False)])
def test_too_few_rollouts_ask_for_more_in_numbers(rollouts, few):
    labels = {"rollout": np.arange(rollouts), "agent": np.array(["a"] * rollouts)}
    diagnosis = judged(made(np.random.default_rng(0).normal(size=rollouts), labels))
    assert [f.code for f in diagnosis.log_faults] == (["too_few"] if few else [])
    if few:
        assert diagnosis.decoupling.verdict == "cannot tell"
        assert diagnosis.why == (
            "The log has 29 rollouts with a reward; a verdict needs at least 30. Collect 1 more, "
            "best with 4 or more rollouts a prompt."
        )


def test_four_rows_and_two_rows_give_no_verdict():
    four = made([5, 0, 6, 1], {"prompt": [0] * 4, "rollout": [0, 0, 1, 1], "agent": list("abab")})
    two = made([1, 0], {"prompt": [0, 0], "rollout": [0, 0], "agent": ["a", "b"]})
    for decisions, count in ((four, 2), (two, 1)):
        for scheme in ("mappo_pooled", "grpo"):
            diagnosis = judged(decisions, scheme)
            assert (diagnosis.log_faults[0].code, diagnosis.log_faults[0].count) == (
                "too_few",
                count,
            )
            assert (diagnosis.decoupling.verdict, diagnosis.recommended) == ("cannot tell", None)
            assert not any(causes(diagnosis))


def test_few_long_rollouts_with_a_reward_a_row_are_many_samples():
    rollout, turn = cube(8, 100)
    labels = {"rollout": rollout, "turn": turn, "agent": np.full(800, 1)}
    rewards = np.random.default_rng(0).normal(size=800)
    assert "too_few" not in codes(made(rewards, labels))
    once = rewards[::100].repeat(100)  # the same reward on every row: 8 samples
    assert "too_few" in codes(made(once, labels))


def test_prompts_with_one_rollout_each():
    singles = log(0, rollouts=1)
    (fault,) = log_faults(Log.of(singles), Scheme())
    assert (fault.code, fault.count) == ("groups_of_one", 80)
    diagnosis = judged(singles, "grpo")
    assert diagnosis.decoupling.verdict == "no-op"
    assert (numbers(diagnosis, "dead_rate") == 1).all()
    assert diagnosis.recommended == "mappo_pooled"
    assert judged(singles).recommended is None


def test_one_component_that_carries_the_sum():
    decisions = log(0)
    quiet = np.random.default_rng(1).normal(size=len(decisions))
    both = np.c_[decisions.rewards[:, 0], quiet]
    even = Decisions(both, ("right", "short"), decisions.labels, decisions.step)
    assert codes(even)[-1:] != ["one_component"]
    loud = Decisions(both * [1, 0.03], ("right", "short"), decisions.labels, decisions.step)
    fault = log_faults(Log.of(loud), Scheme())[-1]
    assert fault.code == "one_component"
    assert fault.sentence.startswith("right carries 99.9%")
    weighed = log_faults(Log.of(loud), Scheme(weights=(1.0, 33.0)))
    assert "one_component" not in [f.code for f in weighed]
    logged_only = log_faults(Log.of(loud), Scheme(weights=(1.0, 0.0)))
    assert "one_component" not in [f.code for f in logged_only]


def test_one_key_that_occurs_twice_is_one_key():
    decisions = log(0, agents=2)
    rows = [*range(len(decisions)), 7]
    labels = {name: column[rows] for name, column in decisions.labels.items()}
    labels["turn"] = np.zeros(len(rows), int)
    doubled = made(decisions.rewards[rows, 0], labels, decisions.step[rows])
    (fault,) = log_faults(Log.of(doubled), Scheme())
    assert (fault.code, fault.count) == ("logged_twice", 1)
    assert fault.sentence.startswith("1 key occurs more than once")


@pytest.mark.parametrize("empty", [None, ""])
def test_an_agent_whose_actions_are_not_logged_is_not_called_lazy(empty):
    """A column of actions in which an agent has no entry says nothing of it."""
    step, prompt, rollout, agent = cube(10, 4, 8, 2)
    rng = np.random.default_rng(0)
    rewards = np.repeat((rng.random(320) < 0.5).astype(float), 2)
    action = np.where(agent == 0, rewards, 1.0).astype(object)
    labels = {"prompt": prompt, "rollout": rollout, "agent": agent}
    lazy = judged(made(rewards, labels, step, action))
    assert causes(lazy) == ["", "LAZY"]
    action[agent == 1] = empty
    silent = judged(made(rewards, labels, step, action))
    assert causes(silent) == ["", ""]
    assert silent.agents["1"].entropy is None


def paid_at_the_end(steps=20, rollouts=16, turns=30, seed=0, agents="ab", noise=0.0):
    """0 or 1 in the last row of an episode; `noise` is what every row pays besides."""
    rng = np.random.default_rng(seed)
    step, rollout, turn, agent = cube(steps, rollouts, turns, len(agents))
    win = (rng.random((steps, rollouts)) < 0.5)[step, rollout] * 1.0
    rewards = np.where(turn == turns - 1, win, 0.0) + noise * rng.normal(size=len(step))
    labels = {"rollout": rollout, "turn": turn, "agent": np.array(list(agents))[agent]}
    return made(rewards, labels, step)


@pytest.mark.parametrize("scheme", ["mappo_pooled", "grpo", "mappo_per_agent", "spiral_rae"])
def test_a_sparse_reward_at_the_end_is_the_return_and_no_cause(scheme):
    diagnosis = judged(paid_at_the_end(), scheme)
    assert [f.code for f in diagnosis.log_faults] == ["last_row"]
    assert diagnosis.decoupling.conditions == []
    assert not any(causes(diagnosis))
    assert diagnosis.recommended is None
    assert numbers(diagnosis, "mean") == pytest.approx([0.5, 0.5], abs=0.1)


def test_a_reward_on_every_row_is_no_pay_at_the_end():
    assert codes(paid_at_the_end(noise=0.01)) == []


def test_episodes_of_uneven_length_that_are_paid_last_have_no_conditions():
    """A mean over rows would divide the return by the length, and C2 would be found in that."""
    rng = np.random.default_rng(1)
    length = rng.integers(2, 7, 640)
    rollout = np.repeat(np.arange(640), 2 * length)
    last = np.cumsum(2 * length) - 1
    rewards = np.zeros(len(rollout))
    rewards[last] = rng.random(640) < 0.5 + 0.08 * (length - 4)
    agent = np.concatenate([np.tile(["a", "b"], n) for n in length])
    decisions = made(rewards, {"prompt": rollout // 8 % 8, "rollout": rollout, "agent": agent},
                     rollout // 64)  # fmt: skip
    diagnosis = judged(decisions, "grpo")
    assert [f.code for f in diagnosis.log_faults] == ["last_row"]
    assert set(diagnosis.decoupling.conditions) <= {"C2"}  # lengths do go with the return here
    assert "C3" not in diagnosis.decoupling.conditions
    assert not any(causes(diagnosis))


def test_every_fatal_code_leaves_nothing_to_tell():
    assert {"all_missing", "constant", "two_runs", "repeated_keys", "too_few"} == FATAL


@pytest.mark.parametrize(("known", "verdict"), [(10, "cannot tell"), (80, "no-op")])
def test_a_large_log_in_which_few_rewards_are_there(known, verdict):
    """The tests look at a sample of the rollouts, and only those with a reward can be in it."""
    step, prompt, rollout, agent = cube(50, 30, 8, 2)
    shared = np.repeat((np.random.default_rng(0).random(len(step) // 2) < 0.4).astype(float), 2)
    shared[: len(step) - known] = np.nan
    labels = {"prompt": prompt, "rollout": rollout, "agent": agent}
    diagnosis = judged(made(shared, labels, step), "grpo")
    assert (diagnosis.decoupling.verdict, diagnosis.recommended) == (verdict, None)
