"""`counterpoint chat`: episodes, questions, a conversation in a terminal, and what is refused."""

import json
import os
import pty
import shutil
import subprocess
import sys
import time

import pytest

pytest.importorskip("transformers")

from counterpoint.cli.chat import addressed, converse, show
from counterpoint.cli.main import main
from counterpoint.errors import SettingError
from counterpoint.train.lora.chat import AgentAnswer, PlayedEpisode
from counterpoint.train.series import Spoken

TRAIN = ["train", "lewis", "--budget", "10", "prompts=4", "rollouts=4"]
QUESTION = "speaker: You see a key. Which word do you send: red, blue, green, yellow?"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run; what chats with it writes nothing."""
    folder = tmp_path_factory.mktemp("chat")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUNTERPOINT_HOME", str(folder / "home"))
        assert main([*TRAIN, "--out", str(folder / "run")]) == 0
    return folder / "run"


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def chat(capsys, run, *words):
    capsys.readouterr()
    assert main(["chat", str(run), *words]) == 0
    return capsys.readouterr()


def test_episodes_are_played_and_shown(run, capsys):
    before = contents(run)
    out, err = chat(capsys, run, "--episodes", "3")
    assert out.count("task: ") == 3
    assert out.count("  speaker to listener: ") == 3
    assert out.count("  listener: ") == 3
    assert out.count("success: ") == 3
    assert "listener, speaker on tiny, trained by 10 updates under mappo_pooled" in err
    assert contents(run) == before


def test_without_a_terminal_three_episodes_are_shown(run, capsys):
    assert chat(capsys, run).out.count("task: ") == 3


def test_the_same_seed_says_the_same_and_another_one_something_else(run, capsys):
    one, again, other = (
        chat(capsys, run, "--episodes", "8", "--seed", seed).out for seed in ("1", "1", "2")
    )
    assert one == again
    assert one != other


def test_an_agent_is_asked(run, capsys):
    out, _ = chat(capsys, run, "--ask", QUESTION)
    assert out.startswith("speaker: ")
    assert "%" in out
    assert "task: " not in out


def test_json_is_json_alone(run, capsys):
    out, err = chat(capsys, run, "--json", "--episodes", "2", "--ask", QUESTION, "--ask", QUESTION)
    told = json.loads(out)
    assert err == ""
    assert told["run"] == str(run)
    assert [len(told["episodes"]), len(told["asked"])] == [2, 2]
    (first, second) = told["episodes"][0]["events"]
    assert [first["agent"], first["to"], second["agent"]] == ["speaker", "listener", "listener"]
    answer = told["asked"][0]
    assert answer["text"] in answer["words"]
    assert sum(answer["words"].values()) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ask", "hello"], "wanted AGENT: TEXT"),
        (["--ask", "speaker:  "], "wanted AGENT: TEXT"),
        (["--ask", "speeker: hello"], "did you mean speaker?"),
        (["--episodes", "0"], "wanted at least 1"),
        (["--seed", "-1"], "got seed=-1"),
        (["--seed", "1" + "0" * 400], "wanted a number from 0"),
    ],
)
def test_bad_input_is_one_line(words, said, run, capsys):
    assert main(["chat", str(run), "--json", *words]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert said in told.err


def test_a_folder_with_another_run_or_none_is_refused(tmp_path, run, capsys):
    def refused(path):
        assert main(["chat", str(path)]) == 2
        told = capsys.readouterr().err
        assert len(told.splitlines()) == 1
        return told

    assert "is no run" in refused(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / "run.json").write_text('{"kind": "train", "config": {"world": "spread"}}')
    assert "whose agents do not speak" in refused(other)
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "run.json").write_bytes((run / "run.json").read_bytes())
    assert "no intact checkpoint; train on: counterpoint resume" in refused(begun)
    assert sorted(path.name for path in begun.iterdir()) == ["run.json"]


def test_a_run_of_another_world_by_an_edit_is_refused(tmp_path, run, capsys):
    edited = tmp_path / "edited"
    shutil.copytree(run, edited)
    plan = (edited / "run.json").read_text()
    (edited / "run.json").write_text(plan.replace("lewis", "relay"))
    for said in ("is not as it was written", "put run.json back"):  # as it is, and accepted
        assert main(["chat", str(edited), "--episodes", "1"]) == 2
        told = capsys.readouterr().err
        assert said in told
        assert len(told.splitlines()) == 1
        main(["report", str(edited), "--accept-edits"])
        capsys.readouterr()


def test_what_a_model_says_gives_no_orders_to_a_terminal(capsys):
    show(["speaker: \x1b[2J\x1b]0;title\x07 [bold]x[/bold] [/] \u202e"])
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "\x07" not in told
    assert "\u202e" not in told
    assert "[bold]x[/bold] [/]" in told


def test_a_question_names_an_agent():
    assert addressed("speaker: a: b") == ("speaker", "a: b")
    with pytest.raises(SettingError):
        addressed(": hello")


class Parrot:
    """A team that says what it hears."""

    def tasks(self):
        return [("a", "b"), ("c",)]

    def episode(self):
        return PlayedEpisode(("a",), 0.5, (Spoken(t=0, agent="parrot", to="", text="hello"),))

    def ask(self, agent, text):
        if agent != "parrot":
            raise SettingError(f"got {agent}; wanted parrot")
        return AgentAnswer(agent, text, {})


def test_a_conversation_goes_on_after_what_it_does_not_understand(monkeypatch, capsys):
    lines = iter(["tasks", "what?", "parrot: one [two]", "cat: hello", "", "quit", "never"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    converse(Parrot())
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        *("a b", "c", "parrot: one [two]", "task: a", "  parrot: hello", "success: 0.5")
    ]
    assert "wanted AGENT: TEXT" in err
    assert "wanted parrot" in err
    assert next(lines) == "never"


def test_a_conversation_ends_where_there_is_no_more(monkeypatch, capsys):
    def nothing(prompt):
        raise EOFError

    monkeypatch.setattr("builtins.input", nothing)
    converse(Parrot())
    assert "Enter plays an episode" in capsys.readouterr().err


def heard(terminal, wanted, seconds=60):
    """What the terminal shows until it has shown this."""
    said, until = b"", time.monotonic() + seconds
    while wanted not in said:
        assert time.monotonic() < until, said
        said += os.read(terminal, 4096)
    return said


@pytest.mark.slow
def test_a_conversation_in_a_terminal(run):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "counterpoint", "chat", str(run)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "dumb", "COLUMNS": "100"},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        assert b"Enter plays an episode" in heard(ours, b"> ")
        os.write(ours, b"\n")
        assert b"speaker to listener: " in heard(ours, b"success: ")
        os.write(ours, b"listener: You hear red.\n")
        heard(ours, b"%")
        os.write(ours, b"nobody: hello\n")
        heard(ours, b"wanted one of listener, speaker")
        os.write(ours, b"tasks\n")
        heard(ours, b"ball")
        os.write(ours, b"\x04")
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def piped(monkeypatch, tmp_path, content):
    """Standard input is a pipe with this in it."""
    (tmp_path / "asked").write_bytes(content)
    process = subprocess.Popen(["cat", str(tmp_path / "asked")], stdout=subprocess.PIPE)
    monkeypatch.setattr("sys.stdin", open(process.stdout.fileno(), closefd=False))  # noqa: SIM115
    return process


def test_lines_of_a_pipe_are_asked(run, monkeypatch, tmp_path, capsys):
    asked = f"\ufeff{QUESTION}\r\n\nlistener: You hear «rød».\n{QUESTION}".encode()
    with piped(monkeypatch, tmp_path, asked):
        out, err = chat(capsys, run)
    answers = out.splitlines()
    assert [line.partition(":")[0] for line in answers] == ["speaker", "listener", "speaker"]
    assert all("%" in line for line in answers)
    assert len(err.splitlines()) == 1  # what the team is, and no hint
    with piped(monkeypatch, tmp_path, asked):
        told = json.loads(chat(capsys, run, "--json").out)
    assert [one["agent"] for one in told["asked"]] == ["speaker", "listener", "speaker"]
    assert told["episodes"] == []


def test_a_file_as_standard_input_is_asked_too(run, monkeypatch, tmp_path, capsys):
    (tmp_path / "asked").write_text(QUESTION)
    with (tmp_path / "asked").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert chat(capsys, run).out.startswith("speaker: ")
    with (tmp_path / "asked").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert chat(capsys, run, "--episodes", "1").out.startswith("task: ")
        assert file.read() == QUESTION  # what is asked for by a flag reads nothing


def test_a_line_of_a_pipe_that_asks_nobody_is_one_line(run, monkeypatch, tmp_path, capsys):
    for asked, said in ((b"hello\n", "got 'hello'; wanted AGENT: TEXT"), (b"x: \xff", "no UTF-8")):
        with piped(monkeypatch, tmp_path, asked):
            assert main(["chat", str(run), "--json"]) == 2
        out, err = capsys.readouterr()
        assert (out, len(err.splitlines())) == ("", 1)
        assert said in err


@pytest.mark.parametrize("last", ["hello", "speeker: hello", "x: \udcff"])
def test_nothing_is_answered_if_no_json_could_be_printed(last, run, monkeypatch, tmp_path, capsys):
    """JSON is printed at the end: a line that asks nobody would lose the answers before it."""
    monkeypatch.delattr("counterpoint.train.lora.chat.TrainedTeam.ask")
    with piped(monkeypatch, tmp_path, f"{QUESTION}\n{last}\n".encode(errors="surrogateescape")):
        assert main(["chat", str(run), "--json"]) == 2
    assert main(["chat", str(run), "--json", "--ask", QUESTION, "--ask", "speeker: hello"]) == 2
    assert capsys.readouterr().out == ""


def test_an_empty_pipe_and_no_standard_input_show_episodes(run, monkeypatch, tmp_path, capsys):
    with piped(monkeypatch, tmp_path, b"\n"):
        assert chat(capsys, run).out.count("task: ") == 3
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        assert chat(capsys, run).out.count("task: ") == 3
    monkeypatch.setattr("sys.stdin", None)
    assert chat(capsys, run, "--json").out.count('"task"') == 3


def test_questions_without_an_answer_have_their_status(run, monkeypatch, tmp_path, capsys):
    long = f"speaker: {'red ' * 20_000}\n"
    for asked, status, said in ((long, 3, "1 of 1"), (f"{QUESTION}\n{long}", 1, "1 of 2")):
        with piped(monkeypatch, tmp_path, asked.encode()):
            assert main(["chat", str(run)]) == status
        told = capsys.readouterr()
        assert "speaker: got a prompt of" in told.out
        assert f"no answer to {said} questions" in told.err.splitlines()[-1]
