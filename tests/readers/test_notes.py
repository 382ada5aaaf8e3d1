"""What is said of a log besides its episodes."""

import json
import shutil

from counterpoint.cli.main import main
from counterpoint.readers import read_logs
from counterpoint.readers.logs import AGAIN


def episode(name, task, text="a word"):
    events = [{"t": 0, "agent": "ann", "kind": "message", "text": text}]
    return json.dumps({"schema": 1, "id": name, "task": task, "agents": ["ann"], "events": events})


def notes_of(path):
    notes = []
    return len(list(read_logs(path, note=notes.append))), notes


def test_a_log_that_is_there_twice_is_said(tmp_path):
    one = tmp_path / "one.jsonl"
    one.write_text("\n".join(episode(f"r{i}", f"t{i}") for i in range(4)))
    assert notes_of(tmp_path) == (4, [])
    shutil.copy(one, tmp_path / "one (copy).jsonl")
    (tmp_path / "other.jsonl").hardlink_to(one)
    assert notes_of(tmp_path) == (12, [f"{AGAIN} (8); is a log there twice?"])


def test_the_same_words_at_another_task_are_another_episode(tmp_path):
    texts = [episode("a", "t1"), episode("b", "t2"), episode("c", "t1", "another word")]
    (tmp_path / "log.jsonl").write_text("\n".join(texts))
    assert notes_of(tmp_path) == (3, [])


def test_a_known_format_without_an_episode_is_said(tmp_path, capsys):
    info = {"user_info": {}, "agent_info": {}, "environment_info": {}}
    empty = tmp_path / "results.json"
    empty.write_text(json.dumps({"timestamp": "t", "info": info, "tasks": [], "simulations": []}))
    (tmp_path / "a.jsonl").write_text(episode("a", "t"))
    assert notes_of(tmp_path) == (1, [f"{empty}: no episode in it"])
    assert main(["import", str(tmp_path), "-o", str(tmp_path / "out" / "all.jsonl")]) < 2
    assert "results.json: no episode in it" in capsys.readouterr().err
