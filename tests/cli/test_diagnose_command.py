"""`counterpoint diagnose` on logs that are good, torn, bad or hostile."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from counterpoint.cli.main import main
from counterpoint.readers import example_log

LEWIS = Path(__file__).parents[1] / "data" / "lewis_smollm2"


def told(capsys, *words):
    assert main(["diagnose", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("log", "scheme", "verdict", "conditions", "causes"),
    [
        ("collapsed_pooled", "mappo_pooled", "matters", ["C3"], {"OFFSET"}),
        ("learned_per_agent", "mappo_pooled", "matters", ["C3"], {"OFFSET"}),
        ("learned_per_agent", "mappo_per_agent", "matters", ["C3"], {None}),
        ("same_reward", "mappo_pooled", "no-op", [], {None}),
    ],
)
def test_the_logs_of_a_real_team(log, scheme, verdict, conditions, causes, capsys):
    found = told(capsys, LEWIS / f"{log}.jsonl", "--scheme", scheme)
    assert found["decoupling"]["verdict"] == verdict
    assert found["decoupling"]["conditions"] == conditions
    assert {agent["cause"] for agent in found["agents"].values()} == causes
    assert set(found["decoupling"]["not_readable"]) == {"C4", "C7"}


def test_the_shipped_example_is_the_collapsed_log(capsys):
    assert (
        told(capsys, example_log())["agents"]
        == told(capsys, LEWIS / "collapsed_pooled.jsonl")["agents"]
    )


@pytest.mark.parametrize("trainer", ["", "SkyRL"])
def test_the_next_step_is_in_the_trainer_that_the_log_names(trainer, tmp_path, capsys):
    rows = LEWIS.joinpath("collapsed_pooled.jsonl").read_text("utf-8").splitlines()
    named = {"trainer": trainer} if trainer else {}  # logs of older versions name none
    log = tmp_path / "credit.jsonl"
    log.write_text("".join(json.dumps({**json.loads(row), **named}) + "\n" for row in rows))
    assert main(["diagnose", str(log)]) == 0
    line = "trainer = with_credit(RayPPOTrainer, 'agent_wise')(...)"
    own = "credit = advantages(rewards, labels, scheme_named('agent_wise'))"
    assert capsys.readouterr().err == f"next: {line if trainer else own}\n"


def test_a_report_is_written_where_asked(tmp_path, capsys):
    told(capsys, LEWIS / "same_reward.jsonl", "--out", tmp_path / "here")
    assert {p.name for p in (tmp_path / "here").iterdir()} == {
        "report.html",
        "results.json",
        "run.json",
        "seal.json",
    }
    assert main(["report", str(tmp_path / "here"), "--out", str(tmp_path / "again.html")]) == 0
    page = (tmp_path / "here" / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_standard_input_is_read(tmp_path):
    log = (LEWIS / "same_reward.jsonl").read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "counterpoint", "diagnose", "-", "--json"],
        input=log,
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["source"] == "standard input"
    assert done.stderr == b""


def test_a_torn_last_line_is_told_and_the_rest_is_read(tmp_path, capsys):
    whole = '{"prompt": 0, "rollout": %d, "agent": "a", "reward": %d}\n'
    (tmp_path / "torn.jsonl").write_text(whole % (0, 1) + whole % (1, 0) + '{"prompt": 0, "ro')
    assert main(["diagnose", str(tmp_path / "torn.jsonl"), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["rows"] == 2
    assert "line 3" in printed.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ('{"prompt": 0, "rollout": 0, "agent": "a"}\n', "reward"),
        ('{"prompt": 0, "rollout": 0, "reward": 1}\n', "agent"),
        ('{"prompt": 0, "rollout": 0, "agent": "a", "reward": "good"}\n', "line 1"),
        ('{"prompt": 0, "rollout": 0, "agent": "a", "reward": 1e999}\n', "line 1"),
        ("\x00\x01\x02", "wanted"),
        ("prompt,rollout,agent,reward\n0,0,a,good\n", "good"),
        ("prompt,rollout,reward\n0,0,1\n", "agent"),
    ],
)
def test_bad_logs_are_one_line_and_status_2(text, said, tmp_path, capsys):
    log = tmp_path / "log"
    log.write_text(text)
    assert main(["diagnose", str(log), "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert said in printed.err
    assert not (tmp_path / "out").exists()


def test_a_line_of_100_mb_is_refused(tmp_path, capsys):
    log = tmp_path / "long.jsonl"
    with log.open("w") as file:
        file.write('{"prompt": 0, "rollout": 0, "agent": "')
        for _ in range(100):
            file.write("a" * 1_000_000)
        file.write('", "reward": 1}\n')
    assert main(["diagnose", str(log)]) == 2
    assert "line 1" in capsys.readouterr().err


def test_an_unknown_scheme_is_refused(capsys):
    assert main(["diagnose", str(example_log()), "--scheme", "grpu"]) == 2
    assert "grpo" in capsys.readouterr().err


def test_columns_of_other_names_are_mapped_and_said(tmp_path, capsys):
    log = tmp_path / "rows.jsonl"
    rows = [
        {"uid": u, "who": a, "score": i % 2, "n": i} for u in "pq" for i in (0, 1) for a in "ab"
    ]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["diagnose", str(log), "--json", "--columns"]
    assert main([*words, "uid=prompt,score=reward,who=agent"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["rows"] == 8
    assert sorted(json.loads(printed.out)["agents"]) == ["a", "b"]
    assert "columns are read as: prompt = 'uid', agent = 'who', reward = 'score'" in printed.err
    assert "columns that are not read: n" in printed.err
    for bad, said in (("uid", "NAME=MEANING"), ("gain=reward", "no column 'gain' among uid, who")):
        assert main([*words, bad]) == 2
        assert said in capsys.readouterr().err


def test_a_wrong_scheme_is_named_before_the_log_is_read(tmp_path, capsys):
    (tmp_path / "log.csv").write_text("prompt,rollout,agent,reward\n1,1,a,0.5\n")  # it has no step
    assert main(["diagnose", str(tmp_path / "log.csv"), "--scheme", "grppo"]) == 2
    assert capsys.readouterr().err.splitlines()[0].startswith("counterpoint: got scheme 'grppo'")
