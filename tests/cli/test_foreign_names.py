"""No command lets a name of somebody else reach the terminal as anything but text (R35)."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

ATTACK = "a\x1b]0;owned\x07\x1b[31m\x1b]8;;http://x\x1b\\\x9b2J\u202eb\u200b\u2066\ufeff\rc\x08\x7f"
"""A title, a colour, a link, a cleared screen, turned text, nothing at all, two that go back."""
FILE = ATTACK.replace("/", "-")
"""The same as a name of a file."""
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
DRAWN = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[0-9]*[AK]|\r")
"""What rich itself writes on a terminal: styles, a hidden cursor, a line up, an emptied line."""


def rows(path, lines):
    Path(path).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with files of every kind, full of such names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))
    reward = [
        {"step": 0, "prompt": ATTACK, "rollout": r, "agent": f"{ATTACK}{i}", "reward": (r + i) % 3}
        for r in range(4)
        for i in range(2)
    ]
    rows("rewards.jsonl", reward)
    rows(FILE, reward)
    rows("torn.jsonl", [*reward, {**reward[0], "reward": ATTACK, ATTACK: ATTACK}])
    messages = [
        {"role": "user", "content": ATTACK},
        {"role": "assistant", "name": f"{ATTACK}1", "content": ATTACK, "model": ATTACK},
        {"role": "assistant", "name": f"{ATTACK}2", "content": ATTACK},
    ]
    rows("log.jsonl", [{"messages": messages, "model": ATTACK, "id": ATTACK}] * 2)
    rows("unknown.jsonl", [{ATTACK: ATTACK}])
    runs = [{"run": f"{ATTACK}{i}", "text": ATTACK, "reward": i} for i in range(2)]
    rows("groups.jsonl", [{"task": ATTACK, "group": ATTACK, "runs": runs}])
    table = [
        {"task": f"{ATTACK}{i}", "setting": setting, "score": i % 2, "members": members}
        for i in range(4)
        for setting, members in (("solo", ATTACK), ("team", f"{ATTACK};m2"))
    ]
    rows("outcomes.jsonl", table)
    game = {"name": ATTACK, "players": [ATTACK, f"{ATTACK}2"], "source": ATTACK,
            "actions": [[ATTACK, "d"], [ATTACK, "d"]],
            "payoffs": [[[3, 3], [0, 5]], [[5, 0], [1, 1]]]}  # fmt: skip
    Path("game.json").write_text(json.dumps(game), encoding="utf-8")
    Path("game.txt").write_text(ATTACK, encoding="utf-8")
    Path("plan.toml").write_text(f"{json.dumps(ATTACK)} = 1\n", encoding="utf-8")
    Path(FILE + "1").mkdir()
    run = {"schema": "counterpoint.run/1", "kind": "train", "created": ATTACK, "version": ATTACK,
           "config": {"world": ATTACK, "scheme": ATTACK, "seed": 0, "budget": 10}}  # fmt: skip
    Path(FILE + "1", "run.json").write_text(json.dumps(run), encoding="utf-8")
    status = {"status": "failed", "updated": ATTACK, "error": ATTACK}
    Path(FILE + "1", "status.json").write_text(json.dumps(status), encoding="utf-8")
    return tmp_path


LINES = [
    *(["diagnose", name] for name in ("rewards.jsonl", FILE, "torn.jsonl", f"no{FILE}")),
    ["diagnose", "rewards.jsonl", "--json"],
    ["diagnose", "rewards.jsonl", "--out", f"{FILE}2"],
    *(["audit", name] for name in ("log.jsonl", "unknown.jsonl", ".", f"no{FILE}")),
    ["audit", "log.jsonl", "--json"],
    ["audit", "log.jsonl", "--audits", ATTACK],
    ["import", "log.jsonl", "--output", FILE],
    ["import", "log.jsonl", "--skeleton", "-o", f"{FILE}3"],
    ["import", "unknown.jsonl", "--output", "x.jsonl"],
    *(["rank", "groups.jsonl", "--judge", judge] for judge in ("pattern", ATTACK)),
    ["rank", "groups.jsonl", "--judge", "pattern", f"pattern={ATTACK}"],
    ["judge", "check", "groups.jsonl", "--judge", ATTACK],
    *([command, "outcomes.jsonl"] for command in ("compare-outcomes", "contribution")),
    *([command, "unknown.jsonl"] for command in ("compare-outcomes", "contribution")),
    *(["game", name] for name in ("game.json", "game.txt", ATTACK)),
    *(["topology", *words] for words in ([ATTACK], ["hidden_profile", "--topologies", ATTACK])),
    *([command, ATTACK] for command in ("schemes", "worlds", "compare", "train", "sweep")),
    *([command, ATTACK] for command in ("population", "report", "resume", "chat", "serve")),
    *([command, f"{FILE}1"] for command in ("report", "resume", "chat")),
    ["compare", "regions", "--schemes", ATTACK],
    ["compare", "regions", f"{ATTACK}=1"],
    ["compare", "--config", "plan.toml"],
    ["compare", "regions", "--schemes", "grpo", "--seeds", "1", "updates=2", "--out", f"{FILE}4"],
    ["runs", "--here", "."],
    ["runs", "--here", ATTACK],
    ["runs", "--status", ATTACK],
    ["model", "check", ATTACK],
    ["model", ATTACK],
    ["team", "run", "plan.toml"],
    ["team", "status", ATTACK],
    ["completion", ATTACK],
    ["help", ATTACK],
    [ATTACK],
    ["diagnose", "rewards.jsonl", f"--{ATTACK}"],
    ["demo", "--seeds", ATTACK],
    ["doctor", ATTACK],
]


@pytest.mark.fault("R35")
@pytest.mark.few(8)
@pytest.mark.parametrize("line", LINES, ids=lambda line: " ".join(line).translate(str.maketrans(
    {chr(code): "" for code in (*range(32), *range(127, 160), 0x202E, 0x200B, 0x2066, 0xFEFF)}
))[:60])  # fmt: skip
def test_nothing_of_a_foreign_name_is_obeyed(line, folder):
    for terminal in (False, True):
        said = on_terminal(line) if terminal else in_pipes(line)
        assert "Traceback" not in said
        plain = DRAWN.sub("", said) if terminal else said
        assert not FORBIDDEN.findall(plain), ascii(plain)
        assert "\x1b[31m\x1b]" not in said


def in_pipes(line):
    done = subprocess.run([sys.executable, "-m", "counterpoint", *line], capture_output=True)
    return (done.stdout + done.stderr).decode("utf-8")


def on_terminal(line):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    with subprocess.Popen(
        [sys.executable, "-m", "counterpoint", *line],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    ):
        os.close(theirs)
        parts = []
        try:
            while part := os.read(ours, 1 << 16):
                parts.append(part)
        except OSError:  # the other end is closed
            pass
    os.close(ours)
    return b"".join(parts).decode("utf-8")


def test_the_checks_find_what_is_not_filtered():
    assert FORBIDDEN.search(DRAWN.sub("", ATTACK))
