"""`counterpoint rank`: the real command, a real server, real kills."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from counterpoint.cli.main import main

sys.path.insert(0, str(Path(__file__).parents[1] / "judge"))
from judging_server import judging


def write(path, groups=5, runs=4, seed=0):
    rng = random.Random(seed)
    with open(path, "w", encoding="utf-8") as file:
        for g in range(groups):
            made = []
            for i in range(runs):
                worth = rng.random()
                text = f"quality={worth:.6f}"
                messages = [{"role": "user", "content": "do it"},
                            {"role": "assistant", "content": text}]  # fmt: skip
                made.append({"id": f"r{i}", "messages": messages, "score": worth})
            file.write(json.dumps({"id": f"g{g}", "task": "do it", "runs": made}) + "\n")
    return path


def rank(capsys, *words):
    capsys.readouterr()
    status = main(["rank", *map(str, words)])
    out, err = capsys.readouterr()
    return status, out, err


def test_programmatic_as_json(tmp_path, capsys):
    file = write(tmp_path / "g.jsonl", 8)
    words = [file, "--judge", "programmatic", "--set", "accuracy=.8", "--json",
             "--store", tmp_path / "s.sqlite"]  # fmt: skip
    status, out, _ = rank(capsys, *words)
    assert status == 0
    told = json.loads(out)
    assert len(told["groups"]) == 8
    for each in told["groups"]:
        assert ("ranking" in each) != ("void" in each)
        if "ranking" in each:
            assert sorted(i for tied in each["ranking"] for i in tied) == ["r0", "r1", "r2", "r3"]
            assert sum(each["rewards"].values()) == pytest.approx(0)
            assert 0 < each["reliability"] <= 1
        assert each["calls"] >= 2
        assert each["tokens"] > 0
    assert told["asked_now"] == told["calls"] > 0
    again = json.loads(rank(capsys, *words)[1])
    assert again["asked_now"] == 0
    assert again["groups"] == told["groups"]


def test_a_judge_that_knows_the_scores_is_asked_again_where_one_has_changed(tmp_path, capsys):
    file = tmp_path / "g.jsonl"
    words = [file, "--judge", "programmatic", "--store", tmp_path / "s", "--json"]
    rankings = []
    for scores in ({"a": 1, "b": 0}, {"a": 0, "b": 1}):
        runs = [{"id": name, "text": name, "score": scores[name]} for name in "ab"]
        file.write_text(json.dumps({"id": "g", "task": "t", "runs": runs}) + "\n", "utf-8")
        status, out, _ = rank(capsys, *words)
        assert status == 0
        rankings.append(json.loads(out)["groups"][0]["ranking"])
    assert rankings == [[["a"], ["b"]], [["b"], ["a"]]]
    runs = [{"id": name, "text": name} for name in "ab"]
    file.write_text(json.dumps({"id": "g", "task": "t", "runs": runs}) + "\n", "utf-8")
    status, out, err = rank(capsys, *words)
    assert (status, out) == (2, "")
    assert "without a score" in err


@pytest.mark.parametrize("pattern", ["[[x]]", "[a||x]", "[a&&x]"])
def test_a_pattern_that_may_mean_something_else_some_day_is_a_pattern(pattern, tmp_path, capsys):
    file = tmp_path / "g.jsonl"
    runs = [{"id": "a", "text": "[x] a]"}, {"id": "b", "text": "none"}]
    file.write_text(json.dumps({"id": "g", "task": "t", "runs": runs}) + "\n", "utf-8")
    status, _, err = rank(capsys, file, "--judge", "regex", "--set", f"pattern={pattern}",
                          "--store", tmp_path / "s")  # fmt: skip
    assert status == 0
    assert "Warning" not in err


def test_rewards_are_written_beside_the_runs(tmp_path, capsys):
    file, out = write(tmp_path / "g.jsonl", 3), tmp_path / "ranked"
    status, shown, err = rank(capsys, file, "--judge", "programmatic", "--set", "accuracy=1",
                              "--store", tmp_path / "s", "--out", out)  # fmt: skip
    assert status == 0
    assert "3 of 3 groups have rewards" in shown
    assert "3 groups, 0 void" in shown
    assert str(out / "ranked.jsonl") in err
    assert "next: counterpoint judge check labelled.jsonl --judge programmatic" in err
    page = (out / "report.html").read_text("utf-8")
    assert "3 of 3 groups have rewards" in page
    assert main(["report", str(out), "--out", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_text("utf-8") == page
    for line in (out / "ranked.jsonl").read_text("utf-8").splitlines():
        told = json.loads(line)
        best = max(told["runs"], key=lambda run: run["score"])
        assert best["judge_reward"] == 1
        assert best["messages"]
        assert told["verdict"]["ranking"][0] == [best["id"]]


def test_what_a_group_has_besides_stays_as_it_is(tmp_path, capsys):
    runs = [{"id": 1, "text": "yes", "score": 1, "note": None}, {"text": "no two", "score": 0}]
    tools = [{"type": "function", "function": {"name": "f"}}]
    beside = {"task": {"goal": "t"}, "split": "train", "answer": 42, "tools": tools}
    lines = [{"id": 7, **beside, "trajectories": runs}, {"id": None, "prompt": "p", "runs": runs}]
    alone = [{"group": 9, "id": None, **run, "split": "test"} for run in runs[1:] * 2]
    file = tmp_path / "g.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in (*lines, *alone)), "utf-8")
    words = ("--judge", "programmatic", "--set", "accuracy=1", "--store", tmp_path / "s")
    assert rank(capsys, file, *words, "--out", tmp_path / "r")[0] == 0
    ranked = tmp_path / "r" / "ranked.jsonl"
    first, second, third = map(json.loads, ranked.read_text("utf-8").splitlines())
    runs_of_first = first.pop("runs")
    del first["verdict"]
    assert first == {"id": 7, **beside}
    assert [run["id"] for run in runs_of_first] == [1, "run-1"]
    assert runs_of_first[0] == {**runs[0], "judge_reward": 1}
    assert (second["id"], second["prompt"], second["task"]) == ("group-1", "p", "p")
    assert (third["id"], [run["split"] for run in third["runs"]]) == (9, ["test"] * 2)
    told = json.loads(rank(capsys, ranked, *words, "--json")[1])
    assert told["asked_now"] == 0  # the judge reads the same


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no /dev/fd")
def test_groups_in_a_pipe_are_read_once(tmp_path, capsys):
    file = write(tmp_path / "g.jsonl", 3)
    with subprocess.Popen(["cat", str(file)], stdout=subprocess.PIPE) as source:
        assert source.stdout is not None
        told = rank(capsys, f"/dev/fd/{source.stdout.fileno()}", "--judge", "programmatic",
                    "--store", tmp_path / "s", "--json")  # fmt: skip
    assert len(json.loads(told[1])["groups"]) == 3


@pytest.mark.few(2)
@pytest.mark.parametrize("mode", ["listwise", "pairwise", "swiss", "adaptive"])
def test_a_server_judges_and_is_counted(tmp_path, capsys, mode):
    file = write(tmp_path / "g.jsonl", 3)
    with judging() as server:
        status, out, _ = rank(capsys, file, "--judge", "openai", "--base-url", server.url,
                              "--model", "m", "--mode", mode, "--store", tmp_path / "s", "--json",
                              "--set", "prompt_price=1", "completion_price=2")  # fmt: skip
    assert status == 0
    told = json.loads(out)
    assert told["void"] == 0
    assert told["calls"] == len(server.asked)
    assert told["tokens"] == 120 * len(server.asked)
    assert told["cost_dollars"] == pytest.approx(len(server.asked) * (100 + 40) / 1e6)
    for line, each in zip(file.read_text("utf-8").splitlines(), told["groups"], strict=True):
        runs = sorted(json.loads(line)["runs"], key=lambda run: -run["score"])
        assert each["ranking"] == [[run["id"]] for run in runs]
    schema = server.asked[0]["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["ranking"]


def swap(said):  # ids of somebody else
    return said.replace('[["', '[["x')


SPOILED = {
    "prose": lambda said: f"Here it is: {said}",
    "extra id": lambda said: said.replace("]]", '], ["zzz"]]'),
    "missing id": lambda said: json.dumps({"ranking": json.loads(said)["ranking"][1:]}),
    "swapped id": swap,
    "twice": lambda said: json.dumps({"ranking": json.loads(said)["ranking"][:1] * 2}),
    "half JSON": lambda said: said[: len(said) // 2],
    "nothing": lambda said: "",
}


@pytest.mark.parametrize("how", SPOILED)
def test_wrong_replies_are_void_and_never_a_reward(tmp_path, capsys, how):
    file = write(tmp_path / "g.jsonl", 1)
    with judging(spoil=SPOILED[how]) as server:
        status, out, _ = rank(capsys, file, "--judge", "openai", "--base-url", server.url,
                              "--model", "m", "--store", tmp_path / "s", "--json")  # fmt: skip
    assert status == 3  # nothing could be done
    (each,) = json.loads(out)["groups"]
    assert each["void"].startswith("unreadable")
    assert each["rewards"] == {}
    assert each["repaired"] > 0


def test_a_killed_job_goes_on_without_asking_twice(tmp_path):
    file, store = write(tmp_path / "g.jsonl", 30), tmp_path / "s.sqlite"
    with judging(wait=0.02) as server:
        command = [sys.executable, "-m", "counterpoint", "rank", str(file), "--judge", "openai",
                   "--base-url", server.url, "--model", "m", "--store", str(store), "--json",
                   "--set", "concurrency=4", "--set", "canaries=none"]  # fmt: skip
        killed = 0
        rng = random.Random(1)
        for _ in range(2):
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                     env=os.environ, cwd=tmp_path)  # fmt: skip
            before, deadline = len(server.asked), time.monotonic() + 30
            # a fifth question is asked after the replies to the first four are kept
            while len(server.asked) < before + 5 and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(rng.random() * 0.2)
            child.send_signal(signal.SIGKILL)
            killed += child.wait() == -signal.SIGKILL
        done = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path, text=True)
    told = json.loads(done.stdout)
    assert killed >= 1
    assert len(told["groups"]) == 30
    assert told["void"] == 0
    prompts = [asked["messages"][-1]["content"] for asked in server.asked]
    assert told["asked_now"] < told["calls"] == 60
    # what was under way when the process died may be asked again; nothing that was kept is
    assert len(set(prompts)) == 60
    assert len(prompts) <= 60 + 2 * 128


@pytest.mark.timed
@pytest.mark.slow
def test_ten_thousand_kept_verdicts_are_ranked_again_in_ten_seconds(tmp_path, capsys):
    file = write(tmp_path / "g.jsonl", 10_000, runs=3)
    words = [file, "--judge", "programmatic", "--store", tmp_path / "s", "--json"]
    assert rank(capsys, *words)[0] == 0
    start = time.monotonic()
    status, out, _ = rank(capsys, *words)
    assert status == 0
    assert json.loads(out)["asked_now"] == 0
    assert time.monotonic() - start < 10


def test_a_person_judges_pairs_by_keys(tmp_path):
    file = write(tmp_path / "g.jsonl", 1, runs=2)
    command = [sys.executable, "-m", "counterpoint", "rank", str(file), "--judge", "human",
               "--store", str(tmp_path / "s"), "--json"]  # fmt: skip
    stopped = subprocess.run(command, input="1q", capture_output=True, text=True, cwd=tmp_path)
    assert stopped.returncode == 130
    # the first of the two questions was kept: one key is enough for the other
    done = subprocess.run(command, input="?2", capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (each,) = json.loads(done.stdout)["groups"]
    assert each["calls"] == 2
    assert len(each["ranking"]) == 2
    assert "quality=" in done.stderr
    assert "r0" not in done.stderr


def test_a_rule_and_a_program_judge(tmp_path, capsys):
    file = write(tmp_path / "g.jsonl", 2)
    _, out, _ = rank(capsys, file, "--judge", "regex", "--set", r"pattern=quality=0\.[5-9]",
                     "--store", tmp_path / "s", "--json")  # fmt: skip
    for line, each in zip(
        file.read_text("utf-8").splitlines(), json.loads(out)["groups"], strict=True
    ):
        good = sorted(r["id"] for r in json.loads(line)["runs"] if r["score"] >= 0.5)
        assert sorted(each["ranking"][0]) == good
    _, out, _ = rank(capsys, file, "--judge", "tests", "--set", "command=grep -q quality=0.[5-9]",
                     "--store", tmp_path / "s", "--json")  # fmt: skip
    assert json.loads(out)["groups"][0]["ranking"][0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--judge", "programmatic", "--set", "acuracy=1"], "did you mean accuracy?"),
        (["--judge", "programmatic", "--set", "accuracy=.2"], "from 0.5 to 1"),
        (["--judge", "programmatic", "--calls", "1"], "calls=1"),
        (["--judge", "openai"], "--base-url"),
        (["--judge", "regex"], "pattern"),
        (["--judge", "regex", "--set", "pattern=("], "pattern"),
        (["--judge", "tests", "--set", "command=nothing-of-this-name"], "wanted a program"),
        (["--judge", "programmatic", "--model", "m"], "got setting model for judge"),
        (["--judge", "nobody"], "nobody"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(tmp_path, capsys, words, said):
    file = write(tmp_path / "g.jsonl", 1)
    status, out, err = rank(capsys, file, *words, "--store", tmp_path / "s")
    assert status == 2
    assert not out
    assert said in err
    assert len(err.strip().splitlines()) <= 2


def test_a_torn_last_line_is_left_out_and_said(tmp_path, capsys):
    file = write(tmp_path / "g.jsonl", 3)
    file.write_bytes(file.read_bytes()[:-20])
    status, out, err = rank(capsys, file, "--judge", "programmatic", "--store", tmp_path / "s",
                            "--json")  # fmt: skip
    assert status == 0
    assert len(json.loads(out)["groups"]) == 2
    assert "incomplete" in err
