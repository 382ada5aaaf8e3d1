"""Training on the tasks of a file: it never draws what is held out, and the page says which."""

from __future__ import annotations

import json

import msgspec
import pytest
from language_teams import small_plan

from counterpoint.cli.main import main
from counterpoint.errors import SettingError
from counterpoint.runs import provenance
from counterpoint.train.lora.chat import TrainedTeam
from counterpoint.train.lora.plan import LanguagePlan
from counterpoint.train.result import training_result

SMALL = ["--policy", "tiny", "--budget", "2", "--set", "prompts=4", "rollouts=4", "most_tokens=1"]


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(provenance, "git_revision", lambda: None)  # would only take time


@pytest.fixture
def questions(tmp_path):
    path = tmp_path / "questions.jsonl"
    write(path, 20)
    return path


def write(path, count):
    rows = [{"question": f"What is {i} + 1?", "answer": i + 1} for i in range(count)]
    path.write_text("\n".join(map(json.dumps, rows)))


def train(questions, out, *more):
    return main(["train", "questions", *SMALL, f"tasks_from={questions}", *more, "--out", str(out)])


def test_training_and_evaluation_play_other_tasks_and_say_so(questions, tmp_path, capsys):
    out = tmp_path / "run"
    assert train(questions, out) == 0
    printed = capsys.readouterr()
    assert "questions.jsonl: 16 of the tasks are for training, 4 held out for" in printed.err
    assert "of 4 held-out tasks" in printed.out
    result = training_result(out)
    assert (result.evaluated.held_out, result.evaluated.tasks) == (True, 4)
    assert result.evaluated.episodes == 256
    played = {
        episode["task"][0]
        for line in (out / "episodes.jsonl").read_text().splitlines()
        for episode in json.loads(line)["episodes"]
    }
    world = LanguagePlan.from_config(result.config).make_world()
    assert played <= {task[0] for task in world.split.training}
    assert main(["report", str(out)]) == 0
    page = (out / "report.html").read_text()
    assert "fresh episodes of 4 held-out tasks" in page
    assert "Batches play training tasks; the return at the end is that of 4 held-out tasks." in page
    document = msgspec.to_builtins(result)
    assert document["evaluated"] == {"held_out": True, "tasks": 4, "episodes": 256}


def test_without_held_out_tasks_the_page_says_that_too(tmp_path, capsys):
    out = tmp_path / "run"
    small = ["--policy", "tiny", "--budget", "1", "--out", str(out), "--json"]
    assert main(["train", "lewis", *small]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["evaluated"] == {"held_out": False, "tasks": 4, "episodes": 256}
    assert main(["report", str(out)]) == 0
    page = (out / "report.html").read_text()
    assert "fresh episodes of 4 training tasks" in page
    assert "Batches play training tasks" not in page


def test_a_file_that_changed_is_refused_on_resume(questions, tmp_path, capsys):
    plan = LanguagePlan.of(
        "questions", "mappo_pooled", 2, {"tasks_from": str(questions), "prompts": "2"}, "tiny"
    )
    config = json.loads(json.dumps(plan.config()))
    assert LanguagePlan.from_config(config) == plan
    assert plan.make_world().task_set.sha256 == plan.tasks_sha256
    write(questions, 21)
    with pytest.raises(SettingError, match=r"with other tasks than at the start of the run"):
        LanguagePlan.from_config(config).make_world()
    later = LanguagePlan.of(
        "questions", "mappo_pooled", 2, {"tasks_from": str(questions), "prompts": "2"}, "tiny"
    )
    assert set(plan.differences(later)) == {"tasks_sha256"}
    questions.unlink()
    with pytest.raises(SettingError, match="not there"):
        LanguagePlan.from_config(config).make_world()


def test_a_run_is_resumed_from_another_folder(questions, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert train(questions.name, "run") == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["chat", str(tmp_path / "run"), "--episodes", "1", "--json"]) == 0
    write(questions, 21)
    capsys.readouterr()
    assert main(["chat", str(tmp_path / "run"), "--episodes", "1"]) == 2
    assert "other tasks than at the start" in capsys.readouterr().err


def test_fewer_tasks_than_a_batch_has_are_refused(questions, tmp_path, capsys):
    assert train(questions, tmp_path / "run", "held_out=0.9") == 2
    error = capsys.readouterr().err
    assert "has 2 for training; wanted prompts=2" in error
    assert "wanted prompts=2 or fewer" in error
    assert not (tmp_path / "run").exists()


def test_older_plans_have_no_tasks_of_a_file():
    config = json.loads(json.dumps(small_plan("lewis").config()))
    del config["tasks_sha256"]
    assert LanguagePlan.from_config(config) == small_plan("lewis")


def test_an_evaluation_plays_held_out_tasks_about_equally_often():
    plan = LanguagePlan.of("debate", "mappo_pooled", 1, {"prompts": "4", "rollouts": "4"}, "tiny")
    team = plan.trainer()
    seen = []
    play = team.learner.play

    def noted(*given, **named):
        played = play(*given, **named)
        seen.append((given[1:], named, played.tasks))
        return played

    team.learner.play = noted
    returns, _ = team.evaluate(lambda: False)
    assert len(returns) == plan.episodes == team.evaluated.episodes
    held_out = set(team.learner.world.split.held_out)
    assert {one[:3] for _, _, tasks in seen for one in tasks} <= held_out
    assert all(given == (16, 1) and named == {"held_out": True} for given, named, _ in seen)


def test_chat_plays_held_out_tasks(questions, tmp_path):
    out = tmp_path / "run"
    assert train(questions, out) == 0
    team = TrainedTeam(out)
    held_out = set(team.learner.world.split.held_out)
    assert team.title.endswith("; episodes are of held-out tasks")
    assert set(team.tasks()) == held_out
    assert {team.episode().task for _ in range(6)} <= held_out
