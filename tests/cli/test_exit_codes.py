"""The exit status of every command: a good small call, bad input, nothing possible, and signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from counterpoint.cli.commands import COMMANDS, exit_codes_page
from counterpoint.cli.exits import Exit
from counterpoint.cli.main import main

sys.path.insert(0, str(Path(__file__).parents[1] / "speakers"))
from faulty_server import hangs, says, serving, status

GOOD = {
    "claims": "claims",
    "demo": "demo --seeds 2 --workers 1 --out demo",
    "doctor": "doctor",
    "diagnose": "diagnose rewards.jsonl",
    "compare": "compare regions --seeds 1 --set updates=2 --workers 1",
    "schemes": "schemes grpo",
    "worlds": "worlds",
    "train": "train spread --budget 600 --out run",
    "resume": "resume made",
    "sweep": "sweep spread --over lr=1e-4..1e-3 --trials 1 --seeds 1 --fresh 2 --budget 100 "
    "--set copies=1 hidden=4 --executor serial --out sweep",
    "runs": "runs",
    "chat": "chat words --episodes 1",
    "population": "population climbing --members 1 --budget 20 --repeats 2 --workers 1",
    "model": "model list",
    "audit": "audit log.jsonl",
    "import": "import log.jsonl -o out.jsonl",
    "compare-outcomes": "compare-outcomes outcomes.csv",
    "contribution": "contribution outcomes.csv",
    "rank": "rank groups.jsonl --judge programmatic --store kept",
    "judge": "judge check groups.jsonl --judge programmatic",
    "team": "team status team",
    "topology": "topology hidden_profile --seeds 2 --items 4 --workers 1",
    "game": "game chicken",
    "report": "report result",
    "completion": "completion bash",
}
"""Command to a small call that ends with 0; `serve` ends only by a signal."""
BAD = {
    "claims": "claims nothing",
    "demo": "demo --seeds 0", "doctor": "doctor now", "diagnose": "diagnose nowhere",
    "compare": "compare nowhere", "schemes": "schemes nothing", "worlds": "worlds nowhere",
    "train": "train nowhere", "resume": "resume nowhere", "sweep": "sweep spread --over lr",
    "runs": "runs --status odd", "chat": "chat nowhere", "population": "population nowhere",
    "model": "model fetch nothing-of-the-kind", "audit": "audit nowhere",
    "import": "import nowhere -o out.jsonl", "compare-outcomes": "compare-outcomes nowhere",
    "contribution": "contribution nowhere", "rank": "rank nowhere --judge programmatic",
    "judge": "judge check nowhere --judge programmatic", "team": "team run nowhere",
    "topology": "topology nowhere", "game": "game nowhere", "report": "report nowhere",
    "serve": "serve nowhere", "completion": "completion nothing",
}  # fmt: skip
SERVER = "--model m --base-url {url}"
SMALL = "--topologies star --orders 1 --prompts opinion"
ASKS = {
    "rank": f"rank groups.jsonl --judge openai {SERVER} --store kept",
    "judge": f"judge check groups.jsonl --judge openai {SERVER}",
    "audit": f"audit log.jsonl --judge openai {SERVER} --store kept",
    "topology": f"topology hidden_profile {SERVER} --seeds 2 --items 2 {SMALL}",
    "topology --search": f"topology hidden_profile {SERVER} --search 8 --seeds 2 --items 2 {SMALL}",
}
"""Commands that ask a server; `train` and `team run` have tests of their own."""
LONG = {
    "serve": ("serve here --port 0", "ends it"),
    "diagnose": ("diagnose rewards.jsonl --watch", "update"),
    "compare": ("compare spread --seeds 4 --budget 400000 --workers 2 --out compared", ""),
    "train": ("train spread --budget 4000000 --out run", ""),
    "population": ("population climbing --budget 400000 --workers 2", ""),
    "sweep": ("sweep spread --over lr=1e-4..1e-3 --budget 400000 --workers 2 --out swept", ""),
    "game": ("game chicken updates=100000 --learn", ""),
}
"""Command to a call that lasts, and to what it prints when it is under way."""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Small inputs of every kind, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))
    rows = [
        {"prompt": p, "rollout": r, "agent": a, "reward": (3 * p + 5 * r + i) % 7}
        for p in range(4) for r in range(4) for i, a in enumerate("ab")
    ]  # fmt: skip
    runs = [{"id": f"r{i}", "text": f"text {i}", "score": i / 3} for i in range(4)]
    groups = [{"id": f"g{g}", "task": "do it", "runs": runs} for g in range(3)]
    talk = [
        {"role": "user", "content": "What is 6 times 7?"},
        {"role": "assistant", "name": "ann", "content": "It is 41."},
        {"role": "assistant", "name": "bob", "content": "I agree, it is 41."},
    ]
    files = {
        "rewards.jsonl": rows, "groups.jsonl": groups,
        "log.jsonl": [{"messages": talk, "id": str(i), "success": 0.0} for i in range(3)],
    }  # fmt: skip
    for name, lines in files.items():
        Path(name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    kinds = [("solo", ""), ("team", "a;b"), ("isolated", "a"), ("isolated", "b")]
    outcomes = "".join(
        f"t{i},{kind},{(i + k) % 2},{who}\n"
        for i in range(6)
        for k, (kind, who) in enumerate(kinds)
    )
    Path("outcomes.csv").write_text("task,setting,score,members\n" + outcomes)
    Path("empty").mkdir()
    Path("here").mkdir()
    return tmp_path


def prepared(name):
    """Makes what a command needs besides the files."""
    if name == "resume":
        assert main(["train", "spread", "--budget", "600", "--out", "made"]) == 0
    if name == "chat":
        pytest.importorskip("transformers")
        small = ["train", "lewis", "--budget", "2", "prompts=2", "rollouts=2", "--out", "words"]
        assert main(small) == 0
    if name == "report":
        assert main(["diagnose", "rewards.jsonl", "--out", "result"]) == 0
    if name == "sweep":
        pytest.importorskip("optuna")
    if name == "team":
        pytest.importorskip("counterpoint.workers")
        from counterpoint.workers.state import TeamState

        sys.path.insert(0, str(Path(__file__).parents[1] / "workers"))
        from disjoint import disjoint_plan

        TeamState(Path("team"), disjoint_plan(Path("repo").absolute(), 1), "solo", 1).create()


def test_every_command_is_here():
    assert set(GOOD) == set(COMMANDS) - {"serve"}
    assert set(BAD) == set(COMMANDS)


def test_the_documentation_has_the_table():
    page = Path(__file__).parents[2] / "docs" / "how-to" / "command-line.md"
    rows = [f"| {int(one)} | {one.about} |" for one in Exit]
    assert "\n".join(rows) in page.read_text("utf-8")
    shown = " ".join(exit_codes_page().split())
    assert all(f"{int(one)} {one.about}" in shown for one in Exit)
    assert [int(one) for one in Exit] == [0, 1, 2, 3, 129, 130, 143]


@pytest.mark.few(12)
@pytest.mark.parametrize("name", GOOD)
def test_a_good_call_is_0(name, capsys, imports_untried):
    prepared(name)
    assert main(GOOD[name].split()) == Exit.DONE, capsys.readouterr().err


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_2(name, capsys):
    assert main(BAD[name].split()) == Exit.INPUT
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("name", ["import empty -o out.jsonl", "audit empty"])
def test_a_folder_in_which_nothing_can_be_read_is_3(name, capsys):
    Path("empty", "notes.txt").write_text("hello")
    Path("empty", "settings.json").write_text('{"a": 1}')
    assert main(name.split()) == Exit.NOTHING
    assert "got no episode in empty" in capsys.readouterr().err.splitlines()[-1]


def test_a_finding_that_was_watched_for_is_1():
    assert main(["audit", "log.jsonl", "--fail-on", "cost"]) in (Exit.DONE, Exit.PART)
    assert main(["audit", "log.jsonl", "--json"]) == Exit.DONE


def obeys(handler):
    """Says what a question asks for: JSON of its schema, or the last legal word."""
    asked = handler.asked
    if form := asked.get("response_format"):
        wanted = form["json_schema"]["schema"]["properties"]
        says(json.dumps({name: fitting(one) for name, one in wanted.items()}))(handler)
    else:
        says(asked["messages"][-1]["content"].rpartition(", ")[2])(handler)


def fitting(schema):
    """A value of a JSON schema; of ids every one, each in a list of its own."""
    if schema["type"] == "array":
        return [[one] for one in schema["items"]["items"]["enum"]]
    return 0 if schema["type"] in ("integer", "number") else None


class Always(dict):
    """A script with one fault for every request."""

    def __init__(self, fault):
        super().__init__()
        self.fault = fault

    def get(self, name, default=()):
        return [self.fault] * 99


@pytest.mark.few(5)
@pytest.mark.parametrize("code", [401, 403, 404])
@pytest.mark.parametrize("name", ASKS)
def test_a_server_that_refuses_is_3_after_one_call(name, code, capsys):
    pytest.importorskip("openai")
    with serving() as server:
        server.scripts = Always(status(code, "no such key"))
        assert main(ASKS[name].format(url=server.url).split()) == Exit.NOTHING
        assert len(server.asked) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("counterpoint: ")
    assert f"the server refused with status {code}: no such key" in last


@pytest.mark.timed
@pytest.mark.few(1)
@pytest.mark.parametrize("name", ASKS)
def test_a_dead_server_is_3_with_the_reason(name, capsys):
    pytest.importorskip("openai")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        begun = time.monotonic()
        assert main(ASKS[name].format(url=url).split()) == Exit.NOTHING
    assert time.monotonic() - begun < 60  # the pauses between 5 tries are 8 seconds
    assert "the connection failed" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("text", ["", "null", "I cannot say."])
@pytest.mark.parametrize("name", ["rank", "judge", "audit"])
def test_a_judge_whose_replies_cannot_be_read_is_3(name, text, capsys):
    pytest.importorskip("openai")
    with serving() as server:
        server.scripts = Always(says(text))
        assert main(ASKS[name].format(url=server.url).split()) == Exit.NOTHING
    last = capsys.readouterr().err.splitlines()[-1]
    assert "that can be read" in last or "the judge said nothing of any episode" in last


@pytest.mark.parametrize("name", ASKS)
def test_some_questions_without_a_reply_are_1(name, capsys):
    pytest.importorskip("openai")

    class Some(Always):
        count = 0

        def get(self, name, default=()):
            self.count += 1
            return [status(400, "too long") if self.count % 7 == 2 else obeys] * 99

    with serving() as server:
        server.scripts = Some(None)
        found = main(ASKS[name].format(url=server.url).split())
    err = capsys.readouterr().err
    assert found == Exit.PART, err
    lines = [line for line in err.splitlines() if "without a reply" in line]
    assert len(lines) == 1
    assert "too long" in lines[0] or name == "audit"


def hears_interrupts():
    """A shell that runs tests in the background has told its children to ignore SIGINT, and nohup
    to ignore SIGHUP."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def ended(words, number, ready):
    """Returns status, standard output and standard error of a command that a signal ends."""
    with subprocess.Popen(
        [sys.executable, "-m", "counterpoint", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
        preexec_fn=hears_interrupts,
    ) as running:
        before = ready(running)
        os.kill(running.pid, number)
        out, err = running.communicate(timeout=60)
    return running.returncode, out, before + err


SIGNALS = [(signal.SIGTERM, Exit.TERMINATED), (signal.SIGINT, Exit.INTERRUPTED),
           (signal.SIGHUP, Exit.HUNG_UP)]  # fmt: skip


@pytest.mark.few(4)
@pytest.mark.parametrize(("number", "wanted"), SIGNALS, ids=["TERM", "INT", "HUP"])
@pytest.mark.parametrize("name", ASKS)
def test_a_signal_while_a_server_is_asked_is_one_line(name, number, wanted):
    pytest.importorskip("openai")
    with serving() as server:
        server.scripts = Always(hangs)

        def ready(running):
            while not server.asked and running.poll() is None:
                time.sleep(0.05)
            return ""

        status, out, err = ended(ASKS[name].format(url=server.url).split(), number, ready)
    lines = [line for line in err.splitlines() if not line.startswith("judge: ")]
    assert status == wanted, err
    assert out == ""
    assert len(lines) == 1
    if name in ("rank", "audit"):
        assert "replies are kept in kept: run the same command again to go on" in lines[0]


@pytest.mark.few(4)
@pytest.mark.parametrize(("number", "wanted"), SIGNALS, ids=["TERM", "INT", "HUP"])
@pytest.mark.parametrize("name", LONG)
def test_a_signal_ends_a_long_command_with_its_status(name, number, wanted):
    if name == "sweep":
        pytest.importorskip("optuna")
    words, sign = LONG[name]

    def ready(running):
        if not sign:
            time.sleep(2)
            return ""
        stream = running.stdout if name == "diagnose" else running.stderr
        line = ""
        while sign not in line:
            line = stream.readline()
            assert line
        return ""

    status, _, err = ended(words.split(), number, ready)
    if name == "sweep" and status == -signal.SIGINT:
        status = wanted  # Python ends so if an import was interrupted; a shell shows 130
    assert status == wanted, err
    assert "Traceback" not in err
    said = [line for line in err.splitlines() if "ended by" in line or "interrupted" in line
            or "resume with" in line]  # fmt: skip
    assert len(said) == (0 if name == "diagnose" else 1), err
