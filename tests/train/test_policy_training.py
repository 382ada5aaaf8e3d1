"""A training that was stopped or killed goes on as if nothing had happened (R3, R1)."""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace

import numpy as np
import pytest
from policy_training import be_the_training, begin_or_go_on

from counterpoint.errors import SettingError
from counterpoint.runs import provenance
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.status import read_facts
from counterpoint.train.loop import train_to_end
from counterpoint.train.ppo.plan import CHECKPOINT_STEPS, TrainPlan
from counterpoint.train.ppo.settings import PolicySettings
from forked_process import start

UPDATES = 12

PLANS = {
    "plain": ("spread", "mappo_per_agent", {}, {"evaluate_every": 2}),
    "gru": (
        "foraging",
        "mappo_pooled",
        {},
        {"memory": "gru", "critic": "central", "observations": "normalized"},
    ),
    "counterfactual": ("speaker_listener", "counterfactual", {}, {"observations": "normalized"}),
    "talking": ("speaker_listener", "none", {}, {"signalling": 0.1, "entropy_end": 0.0}),
    "running": ("foraging", "group_reward_decoupled", {"size": 5}, {"parameters": "per_role"}),
    "separate": ("spread", "agent_mean", {"stakes": "agent_0:9"}, {"parameters": "separate"}),
    "continuous": ("speaker_listener", "marshal_style", {"continuous": True}, {"anneal": True}),
    "mixed": ("mixed_env:SortsAndAims", "mappo_pooled", {}, {"memory": "gru", "copies": 3}),
    "python": (
        "mpe2:simple_spread_v3",
        "spiral_rae",
        {"N": 2},
        {"copies": 2, "steps": 9, "evaluate_every": 4},
    ),
}


@pytest.fixture(autouse=True)
def _no_git(monkeypatch):
    monkeypatch.setattr(provenance, "git_revision", lambda: None)  # would only take time


def made(kind, updates=UPDATES):
    world, scheme, settings, changes = PLANS[kind]
    given = {"hidden": 8, "layers": 1, "copies": 8, "steps": 7, "epochs": 1, "diagnose_every": 1}
    policy = PolicySettings(**{**given, **changes})
    budget = updates * policy.copies * policy.steps
    return TrainPlan(world, scheme, 5, budget, world_settings=settings, policy=policy, episodes=3)


def trained(plan, path, until=None):
    """Begin or go on, up to a number of updates, or to the end."""
    run = RunDirectory.open(path) if path.exists() else RunDirectory.create(path, plan.config())
    done = len(run.rows())
    with run:
        return train_to_end(
            plan,
            run=run,
            on_row=lambda row: setattr(trained, "done", row.update),
            should_stop=lambda: until is not None and max(done, trained.done) >= until,
        )


trained.done = 0


def left(path):
    """Rows without the clock, and every byte of the last checkpoint."""
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        del row["seconds"]
    folder = max((path / "checkpoints").iterdir(), key=lambda p: int(p.name))
    files = {p.name: p.read_bytes() for p in sorted(folder.iterdir())}
    return rows, folder.name, files


@pytest.mark.fault("R3", cases=10)
@pytest.mark.few(1)
@pytest.mark.parametrize("kind", PLANS)
def test_stopped_ten_times_it_is_bit_for_bit_what_it_would_have_been(kind, tmp_path):
    plan = made(kind)
    trained.done = 0
    straight = trained(plan, tmp_path / "straight")
    for until in range(1, 11):
        trained.done = 0
        stopped = trained(plan, tmp_path / "resumed", until)
        assert len(stopped.rows) == until
        assert len(stopped.returns) == 0
        assert read_facts(tmp_path / "resumed").status == "stopped"
    trained.done = 0
    resumed = trained(plan, tmp_path / "resumed")
    assert left(tmp_path / "resumed") == left(tmp_path / "straight")
    np.testing.assert_array_equal(resumed.returns, straight.returns)
    assert resumed.tally == straight.tally
    assert len(resumed.rows) == UPDATES
    assert read_facts(tmp_path / "resumed").status == "finished"


@pytest.mark.fault("R3")
@pytest.mark.slow
@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize("until", range(1, 11))
def test_stopped_once_at_any_point_it_is_what_it_would_have_been(kind, until, tmp_path):
    plan = made(kind)
    for name, stop in (("straight", None), ("resumed", until), ("resumed", None)):
        trained.done = 0
        trained(plan, tmp_path / name, stop)
    assert left(tmp_path / "resumed") == left(tmp_path / "straight")


def test_a_plan_without_a_folder_gives_the_same_series(tmp_path):
    plan = made("plain", updates=4)
    alone = train_to_end(plan)
    trained.done = 0
    written = trained(plan, tmp_path / "run")
    for one, two in zip(alone.rows, written.rows, strict=True):
        assert replace(one, seconds=0) == replace(two, seconds=0)
    np.testing.assert_array_equal(alone.returns, written.returns)
    other = train_to_end(TrainPlan.from_config({**plan.config(), "seed": 6}))
    assert other.rows[0].metrics["value_loss"] != alone.rows[0].metrics["value_loss"]


def steps_of_checkpoints(path):
    return sorted(int(p.name) for p in (path / "checkpoints").iterdir())


@pytest.mark.few(1)
@pytest.mark.parametrize(("copies", "wanted"), [(100, 5), (700, 1), (1600, 1)])
def test_checkpoints_lie_at_most_5000_steps_apart_or_one_batch(
    copies, wanted, tmp_path, monkeypatch
):
    policy = PolicySettings(hidden=2, layers=1, copies=copies, steps=10, epochs=1, diagnose_every=0)
    plan = TrainPlan("foraging", "none", 0, 23_000, policy=policy, episodes=1)
    saved, save = [], RunDirectory.save
    monkeypatch.setattr(
        RunDirectory, "save", lambda run, step, what: saved.append(step) or save(run, step, what)
    )
    trained.done = 0
    trained(plan, tmp_path / "run")
    batch = copies * 10
    assert np.diff([0, *saved]).max() <= max(CHECKPOINT_STEPS, batch)
    assert len(saved) >= wanted
    assert saved[-1] == -(-23_000 // batch) * batch
    assert steps_of_checkpoints(tmp_path / "run")[-1] == saved[-1]


def test_a_run_that_was_finished_learns_no_more(tmp_path):
    plan = made("plain", updates=3)
    trained.done = 0
    first = trained(plan, tmp_path / "run")
    before = left(tmp_path / "run")
    again = trained(plan, tmp_path / "run")
    assert left(tmp_path / "run") == before
    np.testing.assert_array_equal(again.returns, first.returns)


def test_a_world_whose_episodes_do_not_end_gives_a_run_without_a_score(tmp_path, monkeypatch):
    monkeypatch.setattr("counterpoint.train.stepwise.LONGEST_EVALUATION", 50)
    policy = PolicySettings(hidden=2, layers=1, copies=2, steps=10, epochs=1)
    plan = TrainPlan(
        "foraging", "none", 0, 20, world_settings={"horizon": 1000, "force_coop": True},
        policy=policy, episodes=1,
    )  # fmt: skip
    levels = (0.0, 1.0, None)
    monkeypatch.setattr("counterpoint.worlds.sequential.twin._measured", lambda *_: levels)
    with RunDirectory.create(tmp_path / "run", plan.config()) as run:
        found = train_to_end(plan, run=run)
    assert len(found.returns) == 0
    assert found.normalized is None
    assert json.loads((tmp_path / "run" / "status.json").read_text())["return"] is None


def test_evaluation_takes_the_first_episodes_of_each_copy():
    """Long episodes would be missing if the first ones to end were taken."""
    policy = PolicySettings(hidden=2, layers=1, copies=4, steps=5, epochs=1, diagnose_every=0)
    plan = TrainPlan("foraging", "none", 0, 20, policy=policy, episodes=40)
    found = train_to_end(plan)
    assert len(found.returns) == 40
    again = train_to_end(plan)
    np.testing.assert_array_equal(found.returns, again.returns)
    assert found.normalized == pytest.approx((found.returns.mean() - 0.1854) / (0.9997 - 0.1854))


def test_the_normalized_return_of_a_row_is_that_of_the_last_20_batches():
    policy = PolicySettings(hidden=2, layers=1, copies=4, steps=50, epochs=1, diagnose_every=0)
    rows = train_to_end(TrainPlan("foraging", "none", 0, 200 * 25, policy=policy)).rows
    assert len(rows) == 25
    for i in (0, 18, 19, 20, 24):
        lately = np.mean([row.returned for row in rows[max(0, i - 19) : i + 1]])
        wanted = (lately - 0.1854) / (0.9997 - 0.1854)
        assert rows[i].normalized == pytest.approx(wanted)


def test_a_plan_says_what_it_cannot_be():
    for given in ({"budget": 0}, {"seed": -1}, {"episodes": 0}, {"seconds": 0.0}):
        with pytest.raises(SettingError, match=next(iter(given))):
            TrainPlan("spread", "none", **given)
    with pytest.raises(SettingError, match="no training plan"):
        TrainPlan.from_config({"world": "spread"})
    with pytest.raises(SettingError, match="lr"):
        TrainPlan.from_config({"world": "spread", "scheme": "none", "policy": {"lr": -1.0}})
    plan = made("python")
    assert TrainPlan.from_config(json.loads(json.dumps(plan.config()))) == plan


# kill -9


def lines(run):
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def killed(run, budget, rows, extra=0.0):
    """Let a child begin or go on, and kill it after that many new rows and `extra` seconds."""
    errors, before = run.with_name("errors"), lines(run)
    child = start(be_the_training, run, budget, log=errors)
    while not (run / "status.json").exists() or lines(run) == before:
        assert child.exitcode is None, errors.read_text()
        time.sleep(0.005)
    low = min(lines(run), before)  # what came after the last checkpoint was cut
    deadline = time.monotonic() + 60
    while lines(run) < low + rows and child.exitcode is None and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(extra)
    child.kill()
    child.join()
    assert child.exitcode in (-9, 0), errors.read_text()


def ends_as_if_never_killed(folder, budget, kills, seed):
    rng = random.Random(seed)
    for _ in range(kills):
        killed(folder / "killed", budget, rng.randrange(1, 25), rng.uniform(0, 0.02))
    assert steps_of_checkpoints(folder / "killed")[-1] < budget  # there is something left to do
    begin_or_go_on(folder / "killed", budget)
    begin_or_go_on(folder / "straight", budget)
    assert left(folder / "killed") == left(folder / "straight")
    assert read_facts(folder / "killed").status == "finished"


@pytest.mark.fault("R1", "R3", cases=3)
@pytest.mark.slow
def test_three_kills_change_nothing(tmp_path):
    ends_as_if_never_killed(tmp_path, 20_000, 3, seed=0)


@pytest.mark.fault("R1", "R3", cases=15)
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_fifteen_kills_change_nothing(seed, tmp_path):
    ends_as_if_never_killed(tmp_path, 80_000, 15, seed)


@pytest.mark.fault("R1")
@pytest.mark.slow
def test_killed_before_its_first_checkpoint_it_starts_again(tmp_path):
    killed(tmp_path / "killed", 9_000, rows=2)
    assert not list((tmp_path / "killed" / "checkpoints").glob("*"))
    begin_or_go_on(tmp_path / "killed", 9_000)
    begin_or_go_on(tmp_path / "straight", 9_000)
    assert left(tmp_path / "killed") == left(tmp_path / "straight")
