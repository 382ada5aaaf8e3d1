"""`counterpoint topology` and `topologies`, as somebody types them."""

import json

import pytest

from counterpoint.cli.main import main
from counterpoint.errors import LogError
from counterpoint.worlds.message.task_file import read_task_file

SMALL = ["--seeds", "3", "--items", "20", "--topologies", "star,complete", "--prompts",
         "naive,optimal"]  # fmt: skip


def test_json_holds_the_interface(capsys):
    assert main(["topology", "hidden_profile", "--members", "4", *SMALL, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["shares"]) == {"topology", "prompt", "order", "interaction", "residual"}
    assert sum(one["value"] for one in told["shares"].values()) == pytest.approx(1)
    assert {"value", "low", "high"} <= set(told["shares"]["topology"])
    assert {"iqm", "low", "high"} <= set(told["scores"]["star"])
    assert set(told["gap"]) == {"mean", "best_member", "oracle", "single_agent"}


def test_a_table_a_page_and_logs_that_the_audit_reads(tmp_path, capsys):
    out, log = tmp_path / "out", tmp_path / "log"
    assert main(["topology", "hidden_profile", *SMALL, "--out", str(out), "--log", str(log)]) == 0
    shown = capsys.readouterr().out
    assert "of variance" in shown
    assert "measured on seeds on which it was not chosen" in shown.replace("\n", " ")
    page = (out / "report.html").read_text()
    assert page.count("<polygon") == 6 + 12  # arrows of a star and of a complete graph of four
    assert main(["report", str(out), "--out", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_text() == page
    capsys.readouterr()
    one = log / "complete.naive"
    audit = ["audit", str(one / "episodes.jsonl"), "--outcomes", str(one / "outcomes.jsonl")]
    assert main([*audit, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    known = {f["name"] for f in told["findings"] if f["verdict"] != "not_computable"}
    assert {"flips_to_wrong", "excess_agreement", "team_minus_best"} <= known
    assert told["episodes"] == 20


def test_a_search(tmp_path, capsys):
    asked = ["topology", "hidden_profile", *SMALL, "--search", "1000"]
    assert main([*asked, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["winner"]["prompt"] == "optimal"
    assert main(asked) == 0
    assert "on fresh items" in capsys.readouterr().out.replace("\n", " ")
    assert main([*asked, "--out", str(tmp_path)]) == 0
    assert "The search chose" in (tmp_path / "report.html").read_text()
    assert (
        "next: counterpoint topology hidden_profile --topologies solo," in capsys.readouterr().err
    )


def test_topologies_are_listed(capsys):
    assert main(["topology", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["star"]["order"] == "2(1) 3(1) 4(1) → 1(all); 1 decides"
    assert told["star"]["messages"] == 6
    for name in ("topology", "topologies"):
        assert main([name, "--members", "6"]) == 0
        assert "blackboard" in capsys.readouterr().out
    assert main(["topology", "--seeds", "3"]) == 2
    assert "options and no world" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "wanted one of hidden_profile, idea_search"),
        (["hidden_profile", "--topologies", "sun"], "wanted one of solo"),
        (["hidden_profile", "--guard", "whistle"], "wanted one of isolated_drafts"),
        (["hidden_profile", "--seeds", "1"], "wanted a number from 2 to 10000"),
        (["tasks:none.json"], "could not read none.json"),
        (["hidden_profile", "bits=-3"], "wanted a number from 0"),
        (["hidden_profile", "--items", "1000000000"], "from 1 to 1000000"),
        (["hidden_profile", "--prompts", "naive,naive"], "got a prompt twice"),
        (["hidden_profile", "--search", "20", "--log", "x"], "got --search with --log"),
        (["hidden_profile", "--search", "20", "--workers", "2"], "got --search with --log or --w"),
        (["tasks:/dev/zero"], "is a device"),
    ],
)
def test_what_cannot_be_is_one_line(words, told, capsys):
    assert main(["topology", *words]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


def test_tasks_in_words_want_a_model_that_reads(tmp_path, capsys):
    task = {"description": "Whom?", "shared_information": [], "hidden_information": ["a", "b"],
            "possible_answers": ["x", "y"], "correct_answer": "x"}  # fmt: skip
    (tmp_path / "t.json").write_text(json.dumps([task]))
    assert main(["topology", f"tasks:{tmp_path / 't.json'}", *SMALL]) == 2
    assert "wanted a model that reads" in capsys.readouterr().err


def test_members_that_are_a_model(capsys):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    asked = ["topology", "hidden_profile", "--model", "tiny", "--seeds", "2", "--items", "2",
             "--topologies", "chain", "--prompts", "facts", "--orders", "1", "--json"]  # fmt: skip
    assert main(asked) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model"] == "tiny"
    assert told["scores"]["chain"]["calls"] == 5


def mixed_tasks(path):
    """Tasks for teams of two and of three, as HiddenBench has them for three and four."""
    task = {"description": "Whom?", "shared_information": ["All wait."], "correct_answer": "x",
            "possible_answers": ["x", "y"]}  # fmt: skip
    sizes = (2, 3, 2)
    path.write_text(json.dumps([{**task, "hidden_information": list("abc")[:n]} for n in sizes]))
    return f"tasks:{path}"


WITH_TINY = ["--model", "tiny", "--seeds", "2", "--items", "2", "--topologies", "chain",
             "--prompts", "facts", "--orders", "1"]  # fmt: skip


def test_a_file_of_tasks_for_teams_of_several_sizes(tmp_path, capsys):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    tasks, out = mixed_tasks(tmp_path / "t.json"), tmp_path / "out folder"
    log = tmp_path / "log"
    assert main(["topology", tasks, *WITH_TINY, "--out", str(out), "--log", str(log)]) == 0
    shown = capsys.readouterr()
    assert "Tasks for teams of 2" in shown.out
    assert "Tasks for teams of 3" in shown.out
    assert sorted(one.name for one in log.iterdir()) == ["members_2", "members_3"]
    for size in (2, 3):
        saved = json.loads((out / f"members_{size}" / "results.json").read_text())
        assert saved["members"] == size
    assert main(["report", str(out)]) == 0
    capsys.readouterr()
    assert main(["topology", tasks, *WITH_TINY, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["members"] for one in told.values()] == [2, 3]
    assert main(["topology", tasks, *WITH_TINY, "--members", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"] == told["members_3"]["scores"]


def test_a_size_that_no_task_has_names_those_there_are(tmp_path, capsys):
    tasks = mixed_tasks(tmp_path / "t.json")
    assert main(["topology", tasks, *WITH_TINY, "--members", "4"]) == 2
    assert "got members=4; wanted one of 2 members (2), 3 members (1)" in capsys.readouterr().err


def test_a_folder_for_logs_that_cannot_be_made_is_said_before_anything_is_played(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    bad = str(tmp_path / "file" / "logs")
    assert main(["topology", "hidden_profile", *SMALL, "--log", bad]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "cannot write to" in told.err
    assert len(told.err.splitlines()) == 1


def test_lines_of_tasks_are_read_as_lines(tmp_path):
    task = {"description": "Whom\u2028do we\x85hire?", "shared_information": [],
            "hidden_information": ["a", "b"], "possible_answers": ["x", "y"],
            "correct_answer": "x"}  # fmt: skip
    line, file = json.dumps(task, ensure_ascii=False), tmp_path / "t.jsonl"
    for count in (1, 2):
        file.write_text(f"{line}\n" * count, encoding="utf-8")
        found = read_task_file(str(file))
        assert [one.description for one in found] == [task["description"]] * count
    file.write_text(f"{line}\n\n{line[:-40]}\n", encoding="utf-8")
    with pytest.raises(LogError, match="line 3: neither JSON nor JSON lines"):
        read_task_file(str(file))


def test_every_size_of_team_is_checked_before_any_is_played(tmp_path, capsys):
    task = {"description": "?", "shared_information": [], "correct_answer": "x",
            "possible_answers": ["x", "y"]}  # fmt: skip
    sizes = ({**task, "hidden_information": ["a"] * n} for n in (2, 200))
    (tmp_path / "t.json").write_text(json.dumps([*sizes]))
    assert main(["topology", f"tasks:{tmp_path / 't.json'}", *WITH_TINY]) == 2
    told = capsys.readouterr().err
    assert "got members=200" in told
    assert told.count("\n") == 1
