"""Every example in the help of a command is tried: run with cheap settings, or read where a run
needs a server, a person, a sandbox, a download or a trained team."""

from __future__ import annotations

import io
import json
import random
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from counterpoint.cli.commands import COMMANDS
from counterpoint.cli.help import sections
from counterpoint.cli.main import main, spread_settings
from counterpoint.cli.options import parsed

sys.path.insert(0, str(Path(__file__).parents[1] / "audits"))
from planted_logs import write

SAVED = Path(__file__).parents[1] / "data" / "saved"
EXAMPLES = [line for entry in COMMANDS.values() for line in sections(entry.load().__doc__ or "")[2]]
CHEAP = {
    "compare regions": "--seeds 1 updates=2 --workers 1",
    "compare all_hands": "--seeds=1 updates=2 --workers 1",
    "compare --config": "--seeds 1 updates=2 --workers 1",
    "population climbing": "--members 1,2 --budget 40 --repeats 2 --workers 1",
    "population smooth": "--members 1,2 --budget 40 --repeats 2 --workers 1",
    "population rock_paper_scissors": "--members 1,2 --budget 40 --repeats 2 --workers 1",
    "topology hidden_profile": "--seeds 2 --items 4 --orders 2 --workers 1",
    "topology idea_search": "--seeds 2 --items 4 --orders 2 --workers 1",
    "game": "--seeds 2 updates=2",
}
"""Start of an example to what makes it cheap; later options win."""
READ_ONLY = (
    "chat", "resume", "team", "model fetch", "model check", "model export", "train", "sweep",
    "compare spread", "compare lewis", "population spread", "report counterpoint-out", "--model",
    "--base-url", "human", "worlds mpe2", "serve", "--watch",
)  # fmt: skip
"""Words of examples that are read and not run: other tests run these commands."""

SLOW = {"--remedies", "players=4", "claims"}
"""Words of examples that take seconds even so."""


def rewards(path: Path, names: tuple[str, str] = ("prompt", "reward")) -> None:
    """Writes a log of rewards, as JSON lines or as CSV."""
    rng = np.random.default_rng(0)
    rows = [
        {names[0]: p, "rollout": r, "agent": agent, names[1]: round(float(rng.normal()), 3)}
        for p in range(8) for r in range(4) for agent in ("a", "b")
    ]  # fmt: skip
    if path.suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    else:
        lines = [json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def groups(path: Path) -> None:
    draw = random.Random(0)
    made = [
        {"id": f"g{g}", "task": "do it",
         "runs": [{"id": f"r{i}", "messages": [{"role": "assistant", "content": f"text {i}"}],
                   "score": draw.random()} for i in range(3)]}
        for g in range(4)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(one) + "\n" for one in made), "utf-8")


@pytest.fixture
def there(tmp_path, monkeypatch):
    """A folder with the files that the examples name."""
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    write(Path("runs/a.jsonl"), "ours", 0)
    write(Path("chat.jsonl"), "openai", 1)
    rewards(Path("rewards.jsonl"))
    rewards(Path("rewards.csv"))
    rewards(Path("rollouts.jsonl"), ("uid", "score"))
    groups(Path("groups.jsonl"))
    groups(Path("labelled.jsonl"))
    scores = "".join(f"t{i},solo,{i % 2},a\nt{i},team,{(i + 1) % 2},a;b\n" for i in range(12))
    Path("outcomes.csv").write_text(f"task,setting,score,members\n{scores}", "utf-8")
    Path("ablations.csv").write_text(f"task,setting,score,members\n{scores}", "utf-8")
    Path("strange.json").write_text('{"turns": [{"by": "ann", "said": "hello"}]}', "utf-8")
    Path("names.toml").write_text('[rename]\na = "b"\n', "utf-8")
    Path("plan.toml").write_text('world = "regions"\nschemes = ["grpo"]\n', "utf-8")
    Path("mine.json").write_text('{"payoffs": [[[3,3],[0,5]],[[5,0],[1,1]]]}', "utf-8")
    tree = ('EFG 2 R "a tree" { "one" "two" }\np "" 1 1 "" { "l" "r" } 0\nt "" 1 "" { 1, 1 }\n'
            'p "" 2 1 "" { "u" "d" } 0\nt "" 2 "" { 2, 3 }\nt "" 3 "" { 0, 0 }\n')  # fmt: skip
    Path("poker.efg").write_text(tree, "utf-8")
    length = "len(sys.stdin.read()) % 7 / 7"
    program = f"import json, sys\nprint(json.dumps({{'score': {length}}}))\n"
    Path("check.py").write_text(program, "utf-8")
    Path("results").mkdir()
    Path("results/results.json").write_bytes((SAVED / "diagnosis.json").read_bytes())
    return tmp_path


def test_every_command_has_examples_but_those_that_need_none():
    bare = [name for name, entry in COMMANDS.items() if not sections(entry.load().__doc__)[2]]
    assert bare == ["demo", "doctor"]


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_is_read(line):
    words = shlex.split(line.rpartition("| ")[2].partition(" > ")[0])
    assert words[0] == "counterpoint"
    assert parsed(COMMANDS[words[1]].load(), words[1], spread_settings(words)[2:])


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, marks=[pytest.mark.slow] if SLOW & set(line.split()) else [])
        for line in EXAMPLES
        if not any(word in line for word in READ_ONLY)
    ],
)
def test_an_example_runs(line, there, capsys, monkeypatch):
    command = line.partition(" > ")[0]
    source, _, command = command.rpartition("| ")
    if source:
        content = io.BytesIO(Path(source.split()[1]).read_bytes())
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(content, "utf-8"))
    words = shlex.split(command)[1:]
    start = max((key for key in CHEAP if " ".join(words).startswith(key)), key=len, default="")
    cheap = CHEAP[start].split() if start else []
    if words[0] == "game" and "--learn" not in words:
        cheap = []
    if words[0] == "topology" and "--members" in words:
        cheap = []
    if words[0] == "rank":
        words += ["--store", "store.sqlite"]
    status = main([*words, *cheap])
    output = capsys.readouterr()
    assert status == (1 if "--fail-on" in words and status else 0), output.err
    assert output.out
