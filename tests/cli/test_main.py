"""The command line itself: how words are read, and how errors come out."""

import ast
import json
import os
import re
import subprocess
import sys
from dataclasses import fields

import pytest

from counterpoint import __version__
from counterpoint.cli import main as cli
from counterpoint.cli.commands import ALIASES, COMMANDS
from counterpoint.cli.compare import read_config
from counterpoint.cli.main import SWITCHES, main, spread_settings
from counterpoint.cli.options import complaint
from counterpoint.errors import SettingError, nearest
from counterpoint.settings import number_from, split_list, split_pairs


@pytest.mark.parametrize(
    ("words", "spread"),
    [
        (["compare", "regions", "--set", "a=1", "b=2"], ["--set", "a=1", "--set", "b=2"]),
        (["compare", "regions", "--set", "a=1", "--set", "b=2"], ["--set", "a=1", "--set", "b=2"]),
        (["compare", "regions", "a=1", "b=2"], ["--set", "a=1", "--set", "b=2"]),
        (["compare", "regions", "--json", "a=1"], ["--json", "--set", "a=1"]),
        (["compare", "regions", "--no-control", "a=1"], ["--no-control", "--set", "a=1"]),
    ],
)
def test_settings_may_be_given_in_any_way(words, spread):
    assert spread_settings(words) == ["compare", "regions", *spread]


def test_values_of_other_flags_are_no_settings():
    words = ["compare", "regions", "--out", "a=b", "--seeds=3", "--json"]
    assert spread_settings(words) == words


def test_lists_and_pairs_in_one_text():
    assert split_list(" a, ,b;c,") == ("a", "b;c")
    parts = split_list("a:1, b:http://localhost:1/v1")
    assert split_pairs(parts, "judge_set", sign=":") == {"a": "1", "b": "http://localhost:1/v1"}
    assert split_pairs(split_list(""), "judge_set") == {}
    with pytest.raises(SettingError, match="got lr='fast'; wanted a number"):
        number_from("lr", "fast", float)


def test_a_key_with_two_values_is_refused():
    assert split_pairs(("a=1", "b = 2", "a=1"), "--set") == {"a": "1", "b": "2"}
    with pytest.raises(SettingError, match="two values"):
        split_pairs(("a=1", "a=2"), "--set")
    with pytest.raises(SettingError, match="wanted key=value"):
        split_pairs(("a",), "--set")


def test_every_flag_without_a_value_is_known():
    switches = [
        (f"--no-{spec.name}" if spec.default else f"--{spec.name}").replace("_", "-")
        for command in COMMANDS.values()
        for spec in fields(command.load())
        if spec.type in (bool, "bool")
    ]
    assert set(switches) == set(SWITCHES)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"counterpoint {__version__}"


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"], ["help"]])
def test_the_help_lists_every_command(words, capsys):
    assert main(words) == 0
    page = capsys.readouterr().out
    assert all(re.search(rf" {name}[, ]", page) for name in COMMANDS)
    assert not any(f" {name} " in page for name in ALIASES)


def test_help_of_a_command_is_the_help_that_it_gives(capsys):
    pages = []
    for words in (["help", "train"], ["train", "--help"], ["--help", "train"], ["train", "-h"]):
        assert main(words) == 0
        pages.append(capsys.readouterr().out)
    assert len(set(pages)) == 1
    assert "--budget N" in pages[0]
    assert "None" not in pages[0]
    assert main(["help", "exit-codes"]) == 0
    assert "130" in capsys.readouterr().out


def test_help_and_version_import_no_command_and_no_other_room():
    code = (
        "import sys; from counterpoint.cli.main import main; main(['--help']); main(['--version']);"
        "print(list(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    names = [name.split(".") for name in ast.literal_eval(printed.stdout.splitlines()[-1])]
    assert {name[1] for name in names if name[0] == "counterpoint" and name[1:]} == {
        "cli",
        "errors",
        "machine",
        "plugins",
    }
    assert not {"numpy", "rich", "tyro"} & {name[0] for name in names}


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_teaches(command, capsys):
    assert main([command, "--help"]) == 0
    page = capsys.readouterr().out
    assert f"\nusage: counterpoint {command}" in page
    assert "--json" in page
    assert not re.search(r"\{None\}|\bSTR\b|\bINT\b|\bFLOAT\b|default: None", page)


@pytest.mark.parametrize(
    ("words", "got", "wanted"),
    [
        (["compare", "nowhere"], "nowhere", "`counterpoint worlds` lists"),
        (["compare"], "no world", "counterpoint worlds"),
        (["compare", "regions", "--schemes", "grpu"], "grpu", "grpo"),
        (["compare", "regions", "--seeds", "0"], "seeds=0", "from 1 to 10000"),
        (["compare", "regions", "scael=3"], "scael", "scale"),
        (["compare", "regions", "scale=big"], "big", "scale"),
        (["compare", "regions", "updates=0"], "updates=0", "from 1"),
        (["compare", "--config", "no.toml"], "no.toml", "TOML"),
        (["schemes", "grpu"], "grpu", "grpo"),
        (["worlds", "region"], "'region'", "did you mean regions?"),
        (["diagnose", "no.jsonl"], "no.jsonl", "log"),
        (["report", "no-folder"], "no-folder", "--out"),
        (["report", "."], "results.json", "run.json of a run"),
        (["trian", "spread"], "command 'trian'", "did you mean train?"),
        (["--foo"], "option --foo", "see counterpoint --help"),
        (["train"], "got no WORLD", "see counterpoint train --help"),
        (
            ["train", "spread", "--budget", "x"],
            "--budget x; wanted a whole number",
            "see counterpoint train --help",
        ),
        (
            ["train", "spread", "--bugdet", "3"],
            "got unknown option --bugdet",
            "did you mean --budget?",
        ),
        (["compare", "regions", "--executor", "seral"], "--executor seral", "mean serial? wanted"),
        (["rank", "x.jsonl"], "got no --judge", "see counterpoint rank --help"),
        (["model", "fetsh"], "got 'fetsh'", "did you mean fetch?"),
        (
            ["compare", "regions", "--set"],
            "wanted --set KEY=VALUE",
            "see counterpoint compare --help",
        ),
        (["comp", "spread"], "'comp'", "did you mean compare or completion or compare-outcomes?"),
        (["help", "trian"], "command 'trian'", "did you mean train?"),
        (["runs", "a", "b"], "a, b", "see counterpoint runs --help"),
    ],
)
def test_bad_input_is_one_line_and_status_2(words, got, wanted, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert got in told.err
    assert wanted in told.err
    assert list(tmp_path.iterdir()) == []


def test_a_complaint_in_plain_characters_is_one_line_too():
    lines = ("+- Value error -+", "| Error parsing --a:\x1b[1m no |", "| number. |", "| --- |")
    box = "\n".join((*lines, "| help |", "+--+"))
    assert complaint(box) == "error parsing --a: no number"
    assert complaint("") == "it could not be read"


def test_debug_shows_the_error_itself():
    with pytest.raises(LookupError, match="nowhere"):
        main(["compare", "nowhere", "--debug"])


def test_interrupted_is_130(monkeypatch, capsys):
    class Interrupted:
        def run(self):
            raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_parse", lambda words: Interrupted())
    assert main(["compare"]) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["schemes", "worlds", "doctor"])
def test_json_is_json_alone(command, capsys, imports_untried):
    assert main([command, "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)
    assert told.err == ""


def test_schemes_and_worlds_show_one_in_full(capsys):
    assert main(["schemes", "gdpo"]) == 0
    assert "2601.05242" in capsys.readouterr().out
    assert main(["schemes", "counterfactual"]) == 0
    assert "Foerster" in capsys.readouterr().out
    assert main(["worlds", "regions"]) == 0
    told = capsys.readouterr().out
    assert "scale" in told
    assert "participation" in told


def test_schemes_shows_whatever_names_one(capsys):
    assert main(["schemes", "ms_swift", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "trl"
    assert main(["schemes", "grpo_rows,floor=0.05", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["fields"]["floor"]) == ("grpo_rows,floor=0.05", 0.05)
    assert main(["schemes", "GRPO"]) == 2
    assert "did you mean grpo?" in capsys.readouterr().err


def test_worlds_of_many_steps_are_listed_and_shown(capsys):
    assert main(["worlds", "--json"]) == 0
    known = json.loads(capsys.readouterr().out)
    assert {"regions", "spread", "speaker_listener", "foraging", "mpe2:NAME"} <= set(known)
    assert known["spread"]["random"] < known["spread"]["reference"]
    assert main(["worlds"]) == 0
    told = capsys.readouterr().out
    assert "-79.29, -22.53" in told
    assert main(["worlds", "foraging"]) == 0
    told = capsys.readouterr().out
    assert "force_coop" in told
    assert "team sum" in told
    assert main(["worlds", "spred"]) == 2
    assert "did you mean spread?" in capsys.readouterr().err


def test_config_files(tmp_path):
    file = tmp_path / "plan.toml"
    file.write_text('world = "regions"\nschemes = ["grpo"]\nseeds = 2\n[set]\nscale = 3\n')
    assert read_config(file)["set"] == {"scale": 3}
    file.write_text('word = "regions"\n')
    with pytest.raises(SettingError, match="word"):
        read_config(file)
    file.write_text("seeds = 'ten'\n")
    with pytest.raises(SettingError, match="seeds"):
        read_config(file)
    file.write_text("seeds = [")
    with pytest.raises(SettingError, match="TOML"):
        read_config(file)


@pytest.mark.parametrize("schemes", ["[]", '[""]', '[" ", ""]'])
def test_no_scheme_in_a_config_file_is_not_all_of_them(schemes, tmp_path, capsys):
    file = tmp_path / "plan.toml"
    file.write_text(f'world = "regions"\nseeds = 2\nschemes = {schemes}\n')
    assert main(["compare", "--config", str(file)]) == 2
    assert "wanted names or no line" in capsys.readouterr().err


def test_schemes_with_fields_that_differ(tmp_path, capsys) -> None:
    """Two spellings on the command line and in a file are one comparison."""
    flags = ["--seeds", "1", "--set", "updates=2", "--json"]
    assert (
        main(["compare", "regions", "--schemes", "grpo, grpo_rows,floor=0.05,clip=3", *flags]) == 0
    )
    wanted = json.loads(capsys.readouterr().out)
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'world = "regions"\nschemes = ["grpo", {scheme = "grpo_rows", floor = 0.05, clip = 3.0}]\n'
    )
    assert main(["compare", "--config", str(plan), *flags]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(wanted["schemes"]) == ["grpo", "grpo_rows,floor=0.05,clip=3"]
    assert list(found["schemes"]) == ["grpo", "grpo_rows,floor=0.05,clip=3.0"]
    own = "grpo_rows,floor=0.05,clip=3"
    assert found["schemes"][own + ".0"]["return"] == wanted["schemes"][own]["return"]


@pytest.mark.parametrize("content", [b'{"schema": "\xff"}', b'{"a":' * 100_000])
def test_results_that_cannot_be_decoded_are_one_line(content, tmp_path, capsys):
    (tmp_path / "results.json").write_bytes(content)
    assert main(["report", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("counterpoint: could not read ")


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_a_reader_who_has_left_is_no_error(word):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "counterpoint", word], stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("closed", "error"),
    [(">&-", "counterpoint: standard output is closed; wanted a file or /dev/null\n"),
     (">&- 2>&-", "")],
)  # fmt: skip
def test_a_closed_output_is_one_line_before_any_work(closed, error):
    line = f'"{sys.executable}" -m counterpoint schemes {closed}'
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", error)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_an_import_replaces_nothing_but_a_file(kind, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    output = {"folder": ".", "pipe": "pipe"}[kind]
    (tmp_path / "log.jsonl").write_text("")
    assert main(["import", "log.jsonl", "--output", output]) == 2
    assert "which is no file" in capsys.readouterr().err
    assert (tmp_path / "pipe").is_fifo()


READERS = [
    *(
        ["diagnose"],
        ["audit"],
        ["import", "-o", "x"],
        ["report"],
        ["compare-outcomes"],
        ["contribution"],
    ),
    *(["rank", "--judge", "pattern"], ["judge", "--judge", "pattern", "check"], ["game"]),
    *(
        ["resume"],
        ["chat"],
        ["serve"],
        ["team", "run"],
        ["team", "status"],
        ["compare", "--config"],
    ),
]
"""Every command that is given a file or a folder to read, up to its name."""


@pytest.mark.parametrize("words", READERS, ids=" ".join)
def test_a_pipe_a_device_and_odd_names_are_one_line_and_never_waited_for(
    words, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    odd = ["no\udcff", "n" * 300, "a\nb"]
    for name in ("pipe", "/dev/zero", "/dev/full", *odd):
        assert main([*words, name]) == 2, name
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1, said
        if name in ("pipe", "/dev/zero", "/dev/full"):
            assert "is a pipe" in said or "is a device" in said


def test_what_a_shell_connects_is_read(tmp_path):
    rows = [{"step": 0, "prompt": 0, "rollout": r, "agent": a, "reward": r} for r in (0, 1, 2)
            for a in ("x", "y")]  # fmt: skip
    (tmp_path / "log").write_text("".join(json.dumps(row) + "\n" for row in rows))
    line = f'"{sys.executable}" -m counterpoint diagnose <(cat log) --json'
    done = subprocess.run(["bash", "-c", line], capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["agents"]
    line = f'"{sys.executable}" -m counterpoint audit <(cat log)'
    done = subprocess.run(["bash", "-c", line], capture_output=True, cwd=tmp_path)
    assert done.returncode == 2
    assert b"is a pipe" in done.stderr


def test_more_workers_than_processors_are_a_line(capsys):
    line = ["compare", "regions", "--schemes", "grpo", "--seeds", "1", "updates=2"]
    assert main([*line, "--workers", "64", "--executor", "serial"]) == 0
    assert "64 workers" not in capsys.readouterr().err
    assert main([*line, "--workers", "64"]) == 0
    assert "got 64 workers and" in capsys.readouterr().err


def test_two_letters_in_the_wrong_order_are_the_nearest_name():
    assert nearest("gpro", ["prpo", "mgpo", "grpo"])[0] == "grpo"
    assert nearest("stuc", ["cost", "stuck"]) == ["stuck"]


def test_a_file_that_the_system_refuses_is_named(monkeypatch, capsys):
    def refused(words):
        raise PermissionError(13, "Permission denied", "runs/one/checkpoints")

    monkeypatch.setattr(cli, "_answer", refused)
    assert main(["runs"]) == 2
    told = capsys.readouterr().err
    assert told == "counterpoint: could not use runs/one/checkpoints (Permission denied)\n"
