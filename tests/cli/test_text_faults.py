"""Faults of a user's text world, model or names, at the command line: one line, and no more."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("transformers")

from counterpoint.cli.main import main
from counterpoint.lm.tiny import tiny_model
from counterpoint.runs.files import folder_names, safe_name
from counterpoint.runs.status import read_facts

SMALL = ["prompts=2", "rollouts=4", "layers=1", "targets=attention"]
WORLD = """
import os
from counterpoint.worlds import Ending, Prompt, References, Statement, TextWorld

NAMES = {names!r}


class Pair(TextWorld):
    name = summary = "pair"
    agents = roles = NAMES
    speaker = NAMES[0]
    references = References(0.25, 1.0, "share of colours that arrive")

    def tasks(self, rng, count):
        return [(str(rng.choice(["red", "blue"])),) for _ in range(count)]

    def prompts(self, task, history):
        if len(history) == 2:
            return ()
        seen = history[0].text if history else task[0]
        return (Prompt(NAMES[len(history)], "Answer.", f"It is {{seen}}.", ("red", "blue")),)

    def ending(self, task, history):
        {fault}
        won = float(history[-1].text == task[0])
        return Ending(won, ((won,), (won,)))
"""
BREAKS = "if os.path.exists('broken'): raise LookupError('no such\\n colour')"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The current folder, from which Python does not import before a command says so."""
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    yield tmp_path / "here"
    sys.modules.pop("pairs", None)


def write(names=("ann", "bob"), fault="pass"):
    Path("pairs.py").write_text(WORLD.format(names=names, fault=fault), encoding="utf-8")
    sys.modules.pop("pairs", None)
    importlib.invalidate_caches()


def train(out, *more, budget=12):
    given = ["train", "pairs:Pair", "--policy", "tiny", "--budget", str(budget), *SMALL]
    return main([*given, "--out", out, *more])


def rows(run):
    kept = [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in kept]


# a world that breaks later


def test_a_world_that_breaks_in_the_middle_is_one_line_and_goes_on_after_the_repair(
    here, capsys, monkeypatch
):
    write(fault=BREAKS)
    assert train("whole", "--json") == 0
    capsys.readouterr()
    from counterpoint.cli.progress import TrainingDisplay

    def break_it(display, row):
        if row.step == 11:
            Path("broken").touch()

    with monkeypatch.context() as patch:
        patch.setattr(TrainingDisplay, "add", break_it)
        assert train("run", "--json") == 2
    told = capsys.readouterr()
    (line,) = [one for one in told.err.splitlines() if "failed in" in one]
    place = WORLD.format(names=(), fault="FAULT").splitlines().index("        FAULT") + 1
    assert told.out == ""
    assert "LookupError: no such colour" in line
    assert f"({here / 'pairs.py'}:{place})" in line
    assert line.endswith("up to its last checkpoint; after the repair: counterpoint resume run")
    assert read_facts(Path("run")).status == "failed"
    assert [path.name for path in Path("run", "checkpoints").iterdir()] == ["10"]
    assert main(["resume", "run"]) == 2  # not yet
    assert "LookupError" in capsys.readouterr().err
    Path("broken").unlink()
    assert main(["resume", "run", "--json"]) == 0
    assert rows("run") == rows("whole")
    assert read_facts(Path("run")).status == "finished"
    capsys.readouterr()


@pytest.mark.slow
def test_a_comparison_goes_on_after_the_repair(here, capsys):
    write(fault=BREAKS + "\n        if task == ('later',): raise OSError")
    command = ["compare", "pairs:Pair", "--schemes", "grpo", "--seeds", "2", "--budget", "3"]
    command += [*SMALL, "--executor", "serial", "--out", "both", "--json"]
    Path("broken").touch()
    assert main([*command, "--no-check"]) == 2
    Path("broken").unlink()
    assert main(command) == 0
    capsys.readouterr()


def test_what_the_check_doubts_is_printed_before_the_training_and_can_be_left_out(capsys):
    write(names=("ann", "bob", "zoe"))
    assert train("run", budget=1) == 0
    err = capsys.readouterr().err.splitlines()
    (doubt,) = [line for line in err if "warning: pairs:Pair: agent 'zoe' got no prompt" in line]
    assert "pairs.py:" in doubt
    assert train("again", "--no-check", budget=1) == 0
    assert "warning" not in capsys.readouterr().err
    write()
    assert train("clean", budget=1) == 0
    assert "warning" not in capsys.readouterr().err


def test_a_world_of_the_current_folder_is_found_by_every_command_about_its_run(capsys):
    write()
    assert train("run", budget=2) == 0
    for command in (["chat", "run", "--episodes", "1"], ["report", "run"], ["resume", "run"]):
        sys.modules.pop("pairs", None)
        sys.path[:] = [path for path in sys.path if path != str(Path.cwd())]
        assert main(command) == 0
    assert "the world is not here" not in Path("run", "report.html").read_text("utf-8")
    capsys.readouterr()


# names that would be paths

ODD = (
    ("../b", "team/a"),
    (".", ".."),
    ("con", "NUL.txt"),
    ("/etc/passwd", "~"),
    ("a" * 300, "a" * 299 + "b"),
    ("α-агент 🤖", "line\nbreak"),
    ("Ann", "ann"),
    ("adapters.json", "x\\..\\y"),
)


@pytest.mark.few(2)
@pytest.mark.parametrize("names", ODD)
def test_names_of_agents_never_become_paths(names, here, capsys):
    write(names=names)
    before = {path for path in here.parent.rglob("*") if "home" not in path.parts}
    assert train("run", budget=1) == 0
    assert main(["report", "run"]) == 0
    assert main(["chat", "run", "--episodes", "1"]) == 0
    new = {path for path in here.parent.rglob("*") if "home" not in path.parts} - before
    outside = {path for path in new if here / "run" not in (path, *path.parents)}
    assert {path.name for path in outside if "pairs" not in path.name} <= {"__pycache__"}
    folders = json.loads(Path("run", "adapters.json").read_text("utf-8"))
    assert set(folders) == set(names)
    there = [path.name for path in Path("run", "adapters").iterdir()]
    assert sorted(there) == sorted(folders.values())
    assert len({folder.casefold() for folder in there}) == 2
    for folder in there:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", folder)
        assert Path("run", "adapters", folder, "adapter_model.safetensors").is_file()
    capsys.readouterr()


def test_plain_names_are_folders_of_their_own_names():
    plain = ("solver", "b_2", "x.y")
    assert folder_names(plain) == dict(zip(plain, plain, strict=True))
    assert folder_names(("con",)) == {"con": safe_name("con")}
    assert safe_name("con") != "con"
    one, two = folder_names(("Ann", "ann")).values()
    assert one.casefold() != two.casefold()
    assert folder_names(("Ann",)) == {"Ann": "Ann"}


# models


def save(folder, *, template=None, ends=2):
    model, tokenizer = tiny_model()
    model.generation_config.eos_token_id = model.config.eos_token_id = ends
    tokenizer.chat_template = template or tokenizer.chat_template
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


NO_SYSTEM = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}"
    "{% endif %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def test_what_is_done_otherwise_with_a_model_is_said_once_and_trained(capsys):
    save("gemma_like", template=NO_SYSTEM, ends=None)
    save("plain")
    write()
    assert train("run", "--policy", "gemma_like", budget=2) == 0
    err = capsys.readouterr().err
    assert err.count("takes no system message") == 1
    assert err.count("names no token that ends an answer: '<|im_end|>'") == 1
    assert main(["chat", "run", "--episodes", "1"]) == 0
    capsys.readouterr()
    assert train("clean", "--policy", "plain", budget=1) == 0
    assert "plain" not in capsys.readouterr().err.replace("plain,", "")


def test_a_broken_template_is_refused_before_anything_is_written(here, capsys):
    save("broken_one", template="{% for m in messages %}{{ m['content'] }{% endfor %}")
    write()
    capsys.readouterr()
    assert train("run", "--policy", "broken_one") == 2
    told = capsys.readouterr()
    assert len(told.err.splitlines()) == 1
    assert "TemplateSyntaxError" in told.err
    assert "repair chat_template.jinja" in told.err
    assert not (here / "run").exists()


def test_words_that_a_model_confuses_are_refused_with_the_line_of_the_world(here, capsys):
    write(fault="pass")
    text = Path("pairs.py").read_text().replace('("red", "blue")),)', '("rot", "blau")),)')
    Path("pairs.py").write_text(text)
    assert train("run") == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    line = text.splitlines().index("    def prompts(self, task, history):") + 1
    assert f"see prompts of world 'pairs:Pair' ({here / 'pairs.py'}:{line})" in told
    assert "'rot' and 'blau', which begin with the same token of tiny" in told


# lengths: a prompt, or a prompt and its longest answer, past the 2,048 tokens of the model


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('f"It is {seen}."', 'f"{\'word \' * 3000} It is {seen}."'),
        (
            'f"It is {seen}.", ("red", "blue")',
            'f"{\'word \' * 2015} It is {seen}.", most_tokens=100',
        ),
    ],
)  # fmt: skip
def test_what_is_too_long_for_the_model_is_refused_at_the_start(old, new, here, capsys):
    write()
    text = Path("pairs.py").read_text()
    assert old in text
    Path("pairs.py").write_text(
        text.replace(old, new).replace("speaker =", "free = True; speaker =")
    )
    assert train("run", "--no-check", budget=1) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert "tiny takes at most 2048" in told
    assert not (here / "run").exists()
