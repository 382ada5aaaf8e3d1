"""`counterpoint completion`: the scripts are loaded by real shells, and their words are those of
the program."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache

import pytest

from counterpoint.cli.commands import COMMANDS
from counterpoint.cli.completion import SCRIPTS, completions
from counterpoint.cli.main import main


@cache
def words() -> dict[str, list[str]]:
    return completions()


def completed(line: str, tmp_path) -> list[str]:
    """Returns what bash suggests behind a line."""
    script = tmp_path / "counterpoint.bash"
    script.write_text(SCRIPTS["bash"](words()), "utf-8")
    typed = line.split(" ")
    program = (
        f'source "{script}"; COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); _counterpoint; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", program, "bash", *typed],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "suggested"),
    [
        ("counterpoint tr", ["train"]),
        ("counterpoint comp", ["compare", "compare-outcomes", "completion"]),
        ("counterpoint help exit", ["exit-codes"]),
        ("counterpoint train --see", ["--seed"]),
        ("counterpoint worlds lew", ["lewis"]),
        ("counterpoint compare regions --schemes mappo_pe", ["mappo_per_agent"]),
        ("counterpoint compare regions --schemes grpo,mappo_pe", ["grpo,mappo_per_agent"]),
        ("counterpoint compare --executor s", ["serial"]),
        ("counterpoint game stag", ["stag_hunt"]),
        ("counterpoint audit log.jsonl --only idle", ["idleness"]),
        ("counterpoint topology hidden_profile --topologies star,best", ["star,best_of_n"]),
        ("counterpoint schemes counterf", ["counterfactual"]),
        ("counterpoint train spread --algorithm q", ["qmix"]),
        ("counterpoint nonsense x", []),
    ],
)
def test_bash_completes(line, suggested, tmp_path):
    assert sorted(completed(line, tmp_path)) == suggested


def test_every_command_and_its_options_are_there():
    known = words()
    assert set(known[""]) == {*COMMANDS, "help"}
    assert {"--seeds", "--no-control", "--json", "--help"} <= set(known["compare"])
    assert {"solo", "flat_locks"} <= set(known["team --topology"])
    assert all({"--json", "--help", "--debug"} <= set(known[name]) for name in COMMANDS)


@pytest.mark.parametrize("shell", list(SCRIPTS))
def test_a_shell_reads_its_script(shell, tmp_path, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "mappo_per_agent" in script
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(script, "utf-8")
    done = subprocess.run([shell, "-n", str(tmp_path / "script")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_words_as_json(capsys):
    assert main(["completion", "bash", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == words()
