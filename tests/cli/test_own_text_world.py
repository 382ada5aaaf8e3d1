"""A text world of one's own, by its dotted path: the one of the documentation, and broken ones."""

import json
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("transformers")

from counterpoint.cli.main import main

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "language.md"
SMALL = ["prompts=4", "rollouts=4", "layers=1", "targets=attention"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder from which Python imports, with an index of its own."""
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    sys.modules.pop("my_worlds", None)


@pytest.fixture
def world(here):
    """The world of the documentation, where the documentation says to put it."""
    (code,) = re.findall(r"```python\n(.*?class Scout.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (here / "my_worlds.py").write_text(code, encoding="utf-8")
    return "my_worlds:Scout"


def test_it_is_described_with_its_own_settings(world, capsys):
    assert main(["worlds", world, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["agents"] == ["scout", "walker"]
    assert told["random"] == pytest.approx(1 / 3)
    assert told["settings"]["ways"] == {"default": 3, "about": "Ways to go, 2 to 4."}
    assert told["language"]["rank"]["default"] == 8
    assert main(["worlds", world]) == 0
    assert "Ways to go, 2 to 4." in capsys.readouterr().out


def test_every_command_takes_it(world, here, capsys):
    command = ["train", world, "--budget", "12", "ways=4", *SMALL, "--out", "run"]
    assert main(command) == 0
    config = json.loads((here / "run" / "run.json").read_text())["config"]
    assert (config["world"], config["world_settings"]) == (world, {"ways": "4"})
    assert main(["chat", "run", "--episodes", "2", "--json"]) == 0
    capsys.readouterr()
    assert main(["report", "run"]) == 0
    page = (here / "run" / "report.html").read_text()
    assert "scout to walker: " in page
    assert "You hear " in page
    assert "reference team" in page
    status = here / "run" / "status.json"
    status.write_text('{"status": "stopped"}')
    run = here / "run" / "run.json"
    run.write_text(run.read_text().replace('"budget": 12', '"budget": 14'))
    assert main(["resume", "run"]) == 2
    assert main(["resume", "run", "--accept-edits"]) == 0
    assert main(["runs", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(one["world"], one["axis"], one["step"]) for one in told] == [(world, "update", 14)]


@pytest.mark.slow
def test_compare_takes_it_here_and_in_other_processes(world, capsys):
    command = ["compare", world, "--schemes", "grpo", "--seeds", "2", "--budget", "3"]
    command += ["speaker_scale=10", *SMALL, "--json"]
    assert main([*command, "--executor", "serial"]) == 0
    here = json.loads(capsys.readouterr().out)
    assert here["config"]["settings"]["ways"] == 3
    assert here["references"]["scale"] == "share of walks that arrive"
    assert main([*command, "--workers", "2", "--out", "out"]) == 0
    assert json.loads(capsys.readouterr().out) == here


def test_the_default_folder_has_a_name_that_is_safe(world, here, capsys):
    assert main(["train", world, "--budget", "1", *SMALL]) == 0
    (folder,) = (here / "counterpoint-out" / "train").iterdir()
    assert re.fullmatch(r"my_worlds_Scout-\w{8}-mappo_pooled-0", folder.name)
    capsys.readouterr()


def test_without_its_module_a_run_is_refused_and_its_page_lacks_what_only_the_world_knows(
    world, here, capsys
):
    assert main(["train", world, "--budget", "2", *SMALL, "--out", "run"]) == 0
    (here / "my_worlds.py").unlink()
    sys.modules.pop("my_worlds")
    capsys.readouterr()
    assert main(["chat", "run"]) == 2
    assert "there is no module my_worlds" in capsys.readouterr().err
    assert main(["report", "run"]) == 0
    page = (here / "run" / "report.html").read_text()
    assert "the world is not here" in page
    assert "scout to walker: " in page
    capsys.readouterr()


HEAD = """
from counterpoint.worlds import Prompt, Ending, References, Statement, TextSettings, TextWorld
class Broken(TextWorld):
    name = summary = "broken"
    agents = roles = ("a", "b")
    speaker = "a"
    references = References(0.5, 1.0, "share")
    def tasks(self, rng, count):
        return [("x",)] * count
    def prompts(self, task, said):
        return () if said else tuple(Prompt(x, "s", "u", ("red", "blue")) for x in ("a", "b"))
    def ending(self, task, said):
        return Ending(1.0, ((1.0,), (1.0,)))
"""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("name = summary", "summary"), "without name"),
        (('speaker = "a"', 'speaker = "c"'), "speaker 'c'"),
        (('agents = roles = ("a", "b")', 'agents = roles = ("a", "a")'), "wanted different names"),
        (('agents = roles = ("a", "b")', 'agents, roles = ("a", "b"), ("a",)'), "a role for each"),
        (('References(0.5, 1.0, "share")', "0.5"), "wanted References"),
        (('in ("a", "b"))', 'in ("a", "c"))'), "got a prompt for 'c' from prompts of world"),
        (("((1.0,), (1.0,))", "()"), "got rewards () for 2 decisions from ending"),
        (("1.0, ((1.0,), (1.0,))", "1 / 0, ()"), "ZeroDivisionError: division by zero ("),
        (("() if said else ", ""), "more than 8 decisions in an episode"),
        (("    def ending(self, task, said):\n        return Ending(1.0, ((1.0,), (1.0,)))\n", ""),
         "without ending(self, task, history); wanted"),
        (("    references =", "    settings_type = dict\n    references ="), "settings_type is"),
        (("class Broken", "1 / 0\nclass Broken"), "failed in its import: ZeroDivisionError"),
        (("class Broken", "import no_such_package\nclass Broken"), "pip install no_such_package"),
        (("class Broken", "class Other"), "my_worlds has no Broken; wanted one of Other"),
        (('("red", "blue")', '("zzqa", "zzqb")'), "or another model (smollm2), or free text"),
    ],
)  # fmt: skip
def test_a_broken_world_is_one_line_and_leaves_nothing(changed, said, here, capsys):
    assert changed[0] in HEAD
    (here / "my_worlds.py").write_text(HEAD.replace(*changed))
    assert main(["train", "my_worlds:Broken", "--out", "out", *SMALL]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert said in told.err
    assert not (here / "out").exists()


def test_the_same_world_whole_is_trained(here, capsys):
    (here / "my_worlds.py").write_text(HEAD)
    assert main(["train", "my_worlds:Broken", "--budget", "1", *SMALL, "--out", "out"]) == 0
    capsys.readouterr()


def test_names_and_numbers_that_numpy_made_are_trained_exported_and_asked(here, capsys):
    """In a folder with a space in its name, and without a warning."""
    changed = {
        'in ("a", "b"))': 'in np.array(["a", "b"]))',
        "class Broken": "import numpy as np\nclass Broken",
        "Ending(1.0, ((1.0,), (1.0,)))": "Ending(np.bool_(1), np.ones((2, 1), np.float32))",
    }
    text = HEAD
    for old, new in changed.items():
        assert old in text
        text = text.replace(old, new)
    (here / "my_worlds.py").write_text(text)
    words = ["train", "my_worlds:Broken", "--budget", "2", *SMALL, "--out", "my runs/one"]
    assert main(words) == 0
    assert "warning" not in capsys.readouterr().err.lower()
    assert main(["model", "export", "my runs/one", "--agent", "b"]) == 0
    assert "next: read 'my runs/one/exported/b/adapter/README.md'" in capsys.readouterr().err
    assert main(["chat", "my runs/one", "--ask", "a: hello", "--episodes", "1"]) == 0
    assert "success: 1" in capsys.readouterr().out


def test_a_setting_that_agents_have_too_is_refused(here, capsys):
    (here / "my_worlds.py").write_text(
        "from dataclasses import dataclass\n"
        + HEAD.replace(
            "class Broken",
            "@dataclass(frozen=True, kw_only=True)\nclass Own(TextSettings):\n    rank: int = 3\n"
            "class Broken",
        ).replace("    references =", "    settings_type = Own\n    references =")
    )
    assert main(["train", "my_worlds:Broken", "rank=4"]) == 2
    assert "wanted another name for it" in capsys.readouterr().err
