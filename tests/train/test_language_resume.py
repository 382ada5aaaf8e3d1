"""A language training that was stopped or cut off goes on as if nothing had happened."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from language_teams import make_short, small_learner, small_plan

from counterpoint.errors import RunError, SettingError
from counterpoint.lm.model import OPEN
from counterpoint.runs import provenance
from counterpoint.runs.checkpoint import (
    Snapshot,
    arrays_from_bytes,
    arrays_to_bytes,
    facts_from_bytes,
    facts_to_bytes,
)
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.status import read_facts
from counterpoint.train.loop import one_update, train_to_end
from counterpoint.train.lora import plan as language_training
from counterpoint.train.lora.plan import LanguagePlan, LanguageTrainer, trained_team
from counterpoint.train.series import CollapseMonitor
from counterpoint.train.session import plan_from_config

UPDATES = 10
CASES = {
    "words": ("schelling", "mappo_pooled", {"entropy_end": 0.0}),
    "noisy words with memory": ("lewis", "group_reward_decoupled", {"lr_of": "speaker:0.02"}),
    "calls with memory": (
        "solver_verifier", "marshal_style", {"parameters": "shared", "calibrate": False},
    ),
    "text": ("relay", "mappo_per_agent", {"kl": 0.1, "rollouts": 4, "diagnose_every": 3}),
    "text with memory": (
        "relay", "group_reward_decoupled", {"epochs": 2, "rollouts": 3, "diagnose_every": 0},
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_git(monkeypatch):
    monkeypatch.setattr(provenance, "git_revision", lambda: None)  # would only take time


def made(kind):
    world, scheme, changes = CASES[kind]
    noise = 0.5 if "noisy" in kind else 0.0
    return small_learner(make_short(world, speaker_noise=noise), scheme, budget=UPDATES, **changes)


def written(learner):
    """The bytes of a checkpoint."""
    found = learner.capture()
    return arrays_to_bytes(found.arrays), facts_to_bytes(found.facts)


def read(arrays, facts):
    return Snapshot(arrays_from_bytes(arrays), facts_from_bytes(facts))


def updated(learner, rows):
    """One more row of the series, all numbers in it."""
    team = LanguageTrainer(None, learner)
    return one_update(team, CollapseMonitor(learner.agents), rows)


@pytest.mark.fault("R3", cases=10)
@pytest.mark.few(2)
@pytest.mark.parametrize("kind", CASES)
def test_after_each_of_ten_updates_it_can_be_taken_up_by_another(kind):
    """Written down after every update, read by a new learner, and that one goes on: the same."""
    straight, rows, states = made(kind), [], [written(made(kind))]
    for _ in range(UPDATES):
        rows.append(updated(straight, rows))
        states.append(written(straight))
    assert len(set(states)) == UPDATES + 1
    for done in range(UPDATES):
        other = made(kind)
        if done in (1, 6):  # what it has met before must not matter
            other.update()
        other.restore(read(*states[done]))
        assert written(other) == states[done]
        assert updated(other, rows[:done]) == rows[done]
        assert written(other) == states[done + 1]
    assert (straight.state is not None) is straight.scheme.keeps_state


@pytest.mark.fault("R3")
@pytest.mark.parametrize("kind", ["calls with memory", "text"])
def test_another_process_with_nothing_read_yet_goes_on_the_same(kind):
    straight = made(kind)
    for _ in range(3):
        straight.update()
    state = written(straight)
    straight.update()
    OPEN.clear()
    other = made(kind)
    assert not set(other.models.values()) & set(straight.models.values())
    other.restore(read(*state))
    other.update()
    assert written(other) == written(straight)


def test_a_checkpoint_has_all_that_decides_what_comes_next():
    learner = made("noisy words with memory")
    for _ in range(2):
        learner.update()
    found = learner.capture()
    parts = {name for part in ("weights", "mean", "square", "steps")
             for name in (f"speaker.{part}", f"listener.{part}")}  # fmt: skip
    assert set(found.arrays) == parts | {f"prior.{i}" for i in range(len(learner.words.priors))}
    assert found.facts["updates"] == 2
    assert found.facts["running"] == learner.state.to_dict()
    assert found.facts["tally"]["rows"] == learner.tally.rows
    assert len(found.facts["expected"]) == len(learner.expected) > 0
    with torch.no_grad():
        learner.adams["speaker"].weights.add_(1.0)
    assert learner.capture().arrays["speaker.weights"][0] == found.arrays["speaker.weights"][0] + 1


def test_restoring_moves_the_agents_themselves():
    learner, other = made("words"), made("words")
    learner.update()
    other.restore(learner.capture())
    name = next(iter(learner.adapters["speaker"].down))
    there = other.adapters["speaker"].down[name]
    assert torch.equal(there, learner.adapters["speaker"].down[name])
    assert there.data_ptr() != learner.adapters["speaker"].down[name].data_ptr()


# in a run directory


def trained(plan, path, until=None, fail_at=None):
    """Begin or go on; stop after `until` updates, or fail right after row `fail_at` is written."""
    run = RunDirectory.open(path) if path.exists() else RunDirectory.create(path, plan.config())
    reached = [len(run.rows())]

    def on_row(row):
        reached[0] = row.update
        if row.update == fail_at:
            raise KeyboardInterrupt

    with run:
        return train_to_end(
            plan,
            run=run,
            on_row=on_row,
            should_stop=lambda: until is not None and reached[0] >= until,
        )


def left(path):
    """Rows without the clock, what was said, every byte of the last checkpoint and of adapters."""
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        del row["seconds"]
    folder = max((path / "checkpoints").iterdir(), key=lambda p: int(p.name))
    files = {p.name: p.read_bytes() for p in sorted(folder.iterdir())}
    adapters = {str(p.relative_to(path)): p.read_bytes() for p in path.glob("adapters/*/*")}
    return rows, (path / "episodes.jsonl").read_bytes(), folder.name, files, adapters


@pytest.fixture
def often(monkeypatch):
    """A checkpoint every three updates, so that there is something to cut."""
    monkeypatch.setattr(language_training, "WORD_UPDATES", 3)


RUNS = {
    "words": ("solver_verifier", "group_reward_decoupled", 8, {}),
    "text": ("relay", "marshal_style", 4, {"rollouts": 4, "diagnose_every": 2}),
}


@pytest.mark.fault("R3")
@pytest.mark.few(1)
@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("kind", RUNS)
def test_stopped_and_cut_off_at_every_update_it_ends_as_if_never(kind, tmp_path):
    world, scheme, updates, language = RUNS[kind]
    plan = small_plan(world, scheme, budget=updates, language=language)
    straight = trained(plan, tmp_path / "straight")
    for done in range(1, updates + 1):
        stopped = trained(plan, tmp_path / "stopped", until=done)
        assert len(stopped.rows) == done
        with pytest.raises(KeyboardInterrupt):
            trained(plan, tmp_path / "cut", fail_at=done)
        said = (tmp_path / "cut" / "episodes.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in said] == [*range(1, done + 1)]
    assert stopped.rows[-1].to_line().keys() == straight.rows[-1].to_line().keys()
    resumed = [trained(plan, tmp_path / name) for name in ("stopped", "cut")]
    for found, name in zip(resumed, ("stopped", "cut"), strict=True):
        assert left(tmp_path / name) == left(tmp_path / "straight")
        np.testing.assert_array_equal(found.returns, straight.returns)
        assert found.tally == straight.tally
        assert read_facts(tmp_path / name).status == "finished"
    assert len(left(tmp_path / "straight")[4]) == 4  # two files for each of two agents


@pytest.mark.usefixtures("often")
def test_what_was_said_after_the_checkpoint_is_cut_back(tmp_path):
    plan, path = small_plan("lewis", budget=8), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        trained(plan, path, fail_at=5)
    before = (path / "episodes.jsonl").read_bytes()
    (path / "episodes.jsonl").write_bytes(before + b'{"step": 6, "epis')  # killed while it wrote
    with RunDirectory.open(path) as run:
        assert run.resumed.step == 3
        assert len(run.rows()) == 3
    lines = (path / "episodes.jsonl").read_bytes().splitlines()
    assert lines == before.splitlines()[:3]


def test_what_was_said_is_written_down_once_for_all_that_went_alike(tmp_path):
    plan = small_plan("lewis", budget=2)
    trained(plan, tmp_path / "run")
    rows, said, *_ = left(tmp_path / "run")
    for row, line in zip(rows, said.splitlines(), strict=True):
        told = json.loads(line)
        assert told["step"] == row["step"]
        episodes = told["episodes"]
        assert sum(one["count"] for one in episodes) == row["episodes"] == 16
        mean = sum(one["count"] * one["success"] for one in episodes) / 16
        assert row["return"] == pytest.approx(mean)
        keys = [(*one["task"], *(event["text"] for event in one["events"])) for one in episodes]
        assert len(set(keys)) == len(keys)
        for one in episodes:
            speaker, listener = one["events"]
            assert (speaker["t"], speaker["agent"], speaker["to"]) == (0, "speaker", "listener")
            assert (listener["t"], listener["agent"], listener["to"]) == (1, "listener", "")
            assert one["success"] == float(listener["text"] == one["task"][0])


def test_a_plan_without_a_folder_gives_the_same_series(tmp_path):
    plan = small_plan("schelling")
    alone, run = train_to_end(plan), trained(plan, tmp_path / "run")
    for one, two in zip(alone.rows, run.rows, strict=True):
        assert replace(one, seconds=0) == replace(two, seconds=0)
    np.testing.assert_array_equal(alone.returns, run.returns)
    other = train_to_end(small_plan("schelling", seed=2))
    assert other.rows[0].metrics["gradient.speaker"] != alone.rows[0].metrics["gradient.speaker"]


def test_a_trained_team_is_taken_out_of_its_run(tmp_path):
    plan = small_plan("lewis", "group_reward_decoupled")
    trained(plan, tmp_path / "run", until=3)
    found, learner, updates = trained_team(tmp_path / "run")
    assert (found, updates) == (plan, 3)
    by_hand = plan.learner()
    for _ in range(3):
        by_hand.update()
    assert written(learner) == written(by_hand)
    with pytest.raises(RunError, match=r"no run|run\.json"):
        trained_team(tmp_path)


def test_evaluation_is_of_fresh_episodes_and_moves_nothing():
    plan = small_plan("lewis", episodes=20)
    team = plan.trainer()
    team.update(None)
    before = written(team.learner)
    (one, parts), (two, _) = team.evaluate(lambda: False), team.evaluate(lambda: False)
    assert written(team.learner) == before
    assert len(one) == 20
    assert parts.shape == (20, 0)
    np.testing.assert_array_equal(one, two)
    assert team.evaluate(lambda: True) is None
    straight = plan.trainer()
    straight.update(None)
    assert straight.update(None) == team.update(None)


def test_a_plan_is_plain_data():
    plan = small_plan("solver_verifier", given={"calls": "3"}, language={"lr_of": "solver:0.1"})
    config = json.loads(json.dumps(plan.config()))
    assert plan_from_config(config) == plan
    assert config["language"]["rollouts"] == 8
    assert config["language"]["targets"] == "all"  # numbers, not what stood for them
    with pytest.raises(SettingError, match="no training plan"):
        LanguagePlan.from_config({"world": "lewis"})
    with pytest.raises(SettingError, match="rank"):
        plan_from_config({**config, "language": {**config["language"], "rank": 0}})
    with pytest.raises(SettingError, match="lr_of"):
        plan_from_config({**config, "language": {"lr_of": "nobody:1"}}).learner()
