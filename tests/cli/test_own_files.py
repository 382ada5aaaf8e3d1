"""Files of a user where a command writes files of the same names: they are left as they are."""

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
    "compare": ["compare", "regions", "--seeds", "2", "updates=5"],
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
