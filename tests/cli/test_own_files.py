"""Files of a user where a command writes files of the same names: they are left as they are."""

import json
import shutil

import pytest

from counterpoint.cli.main import main

LOG = '{"prompt": 0, "rollout": %d, "agent": "a", "reward": %d}\n'
OUTCOMES = "task,setting,score\n" + "".join(
    f"t{i},{setting},{i % 2}\n" for i in range(6) for setting in ("team", "solo")
)
EPISODES = (
    '{"schema": 1, "id": "e", "agents": ["ann"], "events": '
    '[{"t": 0, "agent": "ann", "kind": "message", "text": "hello"}]}\n'
)
GROUPS = '{"id": "g", "task": "t", "runs": [{"id": "a", "text": "x"}, {"id": "b", "text": "y"}]}\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))
    place = tmp_path / "my results"
    place.mkdir()
    monkeypatch.chdir(place)
    for name, text in (("log.jsonl", "".join(LOG % (i, i % 2) for i in range(8))),
                       ("outcomes.csv", OUTCOMES), ("episodes.jsonl", EPISODES),
                       ("groups.jsonl", GROUPS)):  # fmt: skip
        (place / name).write_text(text)
    return place


COMMANDS = {
    "game": ["game", "stag_hunt"],
    "diagnose": ["diagnose", "log.jsonl"],
    "compare": ["compare", "regions", "--seeds", "2", "--workers", "1", "updates=5"],
    "compare-outcomes": ["compare-outcomes", "outcomes.csv"],
    "audit": ["audit", "episodes.jsonl"],
    "rank": ["rank", "groups.jsonl", "--judge", "regex", "--set", "pattern=x"],
}
NAMES = {
    "rank": ("ranked.jsonl",),
    "audit": ("episodes/12.html",),
}


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("own", ["my own words\n", '{"schema": "mine/1"}\n'])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_of_a_users_own_is_never_replaced(command, own, folder, capsys):
    for name in ("report.html", "results.json", "run.json", *NAMES.get(command, ())):
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(own)
        before = contents(folder)
        assert main([*COMMANDS[command], "--out", "."]) == 2, name
        said = capsys.readouterr().err
        assert f"{name} is there, and no command of counterpoint wrote it" in said
        assert contents(folder) == before
        file.unlink()
    for _ in range(2):  # an empty file and an earlier result are replaced
        (folder / "report.html").write_text("")
        assert main([*COMMANDS[command], "--out", "."]) < 2
        assert (folder / "report.html").read_text().startswith("<!doctype html>")


def test_nor_is_the_list_of_a_folder(folder, capsys):
    assert main(["game", "stag_hunt", "--out", "a game"]) == 0
    (folder / "index.html").write_text("<html>my site</html>")
    before = contents(folder)
    assert main(["report", "."]) == 2
    assert "index.html is there" in capsys.readouterr().err
    assert main(["report", "a game", "--out", "index.html"]) == 2
    assert contents(folder) == before


def test_nor_what_lies_where_a_claim_would_be(folder, capsys):
    (folder / "judging").mkdir()
    (folder / "judging" / "results.json").write_text("[1, 2, 3]")
    before = contents(folder)
    assert main(["claims", "--all", "--seeds", "5", "--first", "2", "--out", "."]) == 2
    assert "results.json is there" in capsys.readouterr().err
    assert contents(folder) == before


MESSAGES = (
    '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "name": "a", "content": '
    '"%s"}, {"role": "assistant", "name": "b", "content": "y"}]}\n'
)


@pytest.fixture
def logs(folder):
    (folder / "runs").mkdir()
    for name, said in (("a.jsonl", "x"), ("b.jsonl", "z"), ("c.langfuse.json", "v")):
        (folder / "runs" / name).write_text(MESSAGES % said)
    (folder / "o.xml").write_text(OUTCOMES)
    (folder / "m.toml").write_text('agents = ["a"]\n')
    return folder


@pytest.mark.parametrize(
    "command",
    [
        ["import", "runs/a.jsonl", "-o", "./runs/a.jsonl"],
        ["import", "runs/a.jsonl", "--mapping", "m.toml", "-o", "m.toml"],
        ["import", "runs", "-o", "runs/a.jsonl"],
        ["import", ".", "-o", "runs/b.jsonl"],
        ["import", ".", "-o", "episodes.jsonl"],
        ["audit", "runs/c.langfuse.json", "--export", "runs/c.langfuse.json"],
        ["audit", "runs", "--export", "runs/c.langfuse.json"],
        ["audit", "runs", "--outcomes", "o.xml", "--export", "o.xml"],
    ],
    ids=" ".join,
)
def test_what_is_read_is_never_replaced(command, logs, capsys):
    before = contents(logs)
    assert main(command) == 2
    assert "to be " in capsys.readouterr().err
    assert contents(logs) == before


def test_an_earlier_output_in_the_folder_that_is_read_is_replaced(logs, capsys):
    for _ in range(2):
        assert main(["import", "runs", "-o", "runs/all.jsonl"]) == 0
        assert (logs / "runs" / "all.jsonl").read_bytes().count(b"\n") == 3
        for ending in (".sarif", ".xml", ".langfuse.json"):
            command = ["audit", "runs/a.jsonl", "--export", f"runs/of_a{ending}"]
            assert main(command) == 0
    capsys.readouterr()


def test_a_page_never_replaces_a_result(folder, capsys):
    assert main(["audit", "episodes.jsonl", "--out", "r"]) == 0
    before = contents(folder)
    for name in ("results.json", "run.json", "seal.json"):
        assert main(["report", "r", "--out", f"r/{name}"]) == 2
        assert main(["report", "r/results.json", "--out", f"r/{name}"]) == 2
        assert f"{name} is there, and " in capsys.readouterr().err
    assert contents(folder) == before
    (folder / "r" / "report.html").write_text("damaged")  # its seal says whose it was
    assert main(["report", "r"]) == 0
    assert main(["report", "r", "--out", "page"]) == 0
    assert main(["report", "r", "--out", "page"]) == 0


OWN = ("metrics.jsonl", "status.json", "seal.json", "lock", ".metrics.jsonl.swp", ".run.json.mine",
       "checkpoints/1000/model.pt", "adapters.json", "notes.md")  # fmt: skip
TRAINS = {
    "train": "train spread --budget 200 --set copies=2 hidden=4 --out w",
    "a text world": "train lewis --policy tiny --budget 1 --out w",
    "sweep": "sweep spread --over lr=1e-4..1e-2:log --trials 1 --seeds 1 --fresh 2 --budget 100 "
    "--set copies=1 hidden=4 --workers 1 --out w",
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("command", ["train", "a text world"])
def test_a_training_begins_in_no_folder_with_files_of_others(command, name, folder, capsys):
    file = folder / "w" / name
    file.parent.mkdir(parents=True)
    file.write_text("my own\n")
    before = contents(folder)
    assert main(TRAINS[command].split()) == 2
    said = capsys.readouterr().err
    assert "choose another folder" in said
    assert name.partition("/")[0] in said
    assert contents(folder) == before or (name == "lock" and (file.read_text() == "my own\n"))


@pytest.mark.parametrize("name", ["study.journal", "lock"])
@pytest.mark.parametrize("text", ["mine, without a line end", "mine\n", '{"op_code":4}\n'])
def test_a_search_leaves_a_journal_and_a_lock_of_others(name, text, folder, capsys):
    pytest.importorskip("optuna")
    file = folder / "w" / name
    file.parent.mkdir()
    file.write_text(text)
    assert main(TRAINS["sweep"].split()) == 2
    assert "choose another folder" in capsys.readouterr().err
    assert file.read_text() == text


def test_a_search_leaves_the_journal_of_another_program_of_optuna(folder, capsys):
    optuna = pytest.importorskip("optuna")
    (folder / "w").mkdir()
    file = folder / "w" / "study.journal"
    backend = optuna.storages.journal.JournalFileBackend(str(file))
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name="mappo_pooled",
        direction="maximize",
    )
    study.optimize(lambda trial: -trial.suggest_float("lr", 1e-4, 1e-2), n_trials=2)
    before = file.read_bytes()
    assert main(TRAINS["sweep"].split()) == 2
    assert "is of another program" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_a_search_goes_on_from_every_cut_of_its_first_lines(folder, capsys):
    pytest.importorskip("optuna")
    assert main(TRAINS["sweep"].split()) == 0
    lines = (folder / "w" / "study.journal").read_bytes().splitlines(keepends=True)
    for i, kept in enumerate((b"", lines[0][:5], lines[0], lines[0] + lines[1][:20])):
        (folder / str(i)).mkdir()
        (folder / str(i) / "study.journal").write_bytes(kept)
        assert main([*TRAINS["sweep"].split()[:-1], str(i)]) == 0, kept
    capsys.readouterr()


@pytest.mark.parametrize("command", ["compare", "diagnose"])
def test_a_seal_of_a_users_own_is_not_replaced_nor_speaks_for_other_files(command, folder, capsys):
    for names in (["seal.json"], ["seal.json", "results.json"], ["report.html", "seal.json"]):
        for name in names:
            (folder / name).write_text('{"my": "own"}')
        before = contents(folder)
        assert main([*COMMANDS[command], "--out", "."]) == 2
        assert "and no command of counterpoint wrote it" in capsys.readouterr().err
        assert contents(folder) == before


def test_a_result_in_the_folder_of_a_training_that_was_removed_is_drawn(folder, capsys):
    assert main(TRAINS["train"].split()) == 0
    shutil.rmtree("w")
    assert main([*COMMANDS["compare"], "--out", "w"]) == 0
    assert main(["report", "w"]) == 0
    capsys.readouterr()
    assert main(["runs", "--json"]) == 0
    assert [run["status"] for run in json.loads(capsys.readouterr().out)] == ["missing"]
    assert main(["runs", "--prune", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_the_demo_looks_at_both_folders_before_it_works(folder, capsys):
    (folder / "d" / "example-log").mkdir(parents=True)
    (folder / "d" / "example-log" / "report.html").write_text("mine")
    assert main(["demo", "--seeds", "2", "--out", "d"]) == 2
    assert "and no command of counterpoint wrote it" in capsys.readouterr().err
    assert not (folder / "d" / "regions" / "results.json").exists()
