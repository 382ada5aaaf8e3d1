"""What works without the modules and functions that only Unix has (R44): see bare_system.py."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.fault("R44")

HERE = Path(__file__).parent
EPISODES = [
    {
        "messages": [
            {"role": "user", "content": f"{number} + 2?"},
            {"role": "assistant", "name": "solver", "content": f"It is {number + 2}."},
            {"role": "assistant", "name": "critic", "content": "I agree."},
        ]
    }
    for number in range(2)
]


@pytest.fixture
def bare(tmp_path):
    """Runs a command on a bare system; returns standard output."""
    (tmp_path / "bare").mkdir()
    shutil.copy(HERE / "bare_system.py", tmp_path / "bare" / "sitecustomize.py")

    def run(*words, status=0, platform="win32", early=""):
        source = [str(tmp_path / "bare"), str(HERE.parents[1] / "src")]
        done = subprocess.run(
            [sys.executable, "-m", "counterpoint", *words],
            capture_output=True,
            encoding="utf-8",
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(source),
                "COUNTERPOINT_HOME": str(tmp_path / "home"),
                "BARE_PLATFORM": platform,
                "BARE_EARLY": early,
            },
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout or done.stderr

    return run


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_the_bare_system_lacks_what_it_says(tmp_path):
    (tmp_path / "sitecustomize.py").write_bytes((HERE / "bare_system.py").read_bytes())
    code = """
import os, sys
missing = 0
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    try:
        __import__(name)
    except ImportError:
        missing += 1
try:
    open("/proc/meminfo").close()
except OSError:
    missing += 1
print(missing, hasattr(os, "fork"), hasattr(os, "pread"), sys.platform)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "BARE_PLATFORM": "win32"},
    )
    assert done.stdout == "6 False False win32\n", done.stderr


def test_logs_are_diagnosed_audited_and_imported(bare, tmp_path):
    rows = [
        {"step": 0, "prompt": p, "rollout": r, "agent": agent, "reward": (p + 2 * r + 3 * i) % 5}
        for p in range(4)
        for r in range(4)
        for i, agent in enumerate(("solver", "critic"))
    ]
    write_lines(tmp_path / "rewards.jsonl", rows)
    write_lines(tmp_path / "log.jsonl", EPISODES)
    assert "grpo" in bare("schemes")
    assert "solver" in bare("diagnose", "rewards.jsonl", "--out", "diagnosis")
    assert (tmp_path / "diagnosis" / "report.html").is_file()
    assert "2 episodes" in bare("audit", "log.jsonl", "--out", "audit")
    assert "2 episodes" in bare("import", "log.jsonl", "--output", "records.jsonl")
    assert b"\r" not in (tmp_path / "records.jsonl").read_bytes()


def test_a_comparison_is_the_same_in_one_process_and_in_two(bare, tmp_path):
    words = ("compare", "regions", "--schemes", "grpo,mappo_per_agent", "--seeds", "2", "updates=5")
    bare(*words, "--executor", "serial", "--out", "serial")
    # `spawn` of the standard library looks at `sys.platform`, and would ask for Windows itself
    bare(*words, "--workers", "2", "--out", "processes", platform="")
    one, two = (tmp_path / name / "results.json" for name in ("serial", "processes"))
    assert one.read_bytes() == two.read_bytes()
    bare("report", "serial", "--out", "again.html")
    assert (tmp_path / "again.html").is_file()


def test_a_team_at_work_says_that_it_needs_linux(bare, tmp_path):
    (tmp_path / "code").mkdir()
    plan = 'repository = "code"\ntests = "true"\n[worker]\nkind = "search"\n'
    (tmp_path / "plan.toml").write_text(plan, encoding="utf-8")
    said = bare("team", "run", "plan.toml", status=2)
    assert "needs Linux" in said
    assert len(said.splitlines()) == 1


def test_a_training_is_stopped_listed_and_resumed(bare, tmp_path):
    pytest.importorskip("torch")
    early = "torch safetensors safetensors.torch"
    bare("train", "foraging", "--budget", "300", "--out", "run", early=early)
    assert "finished" in bare("runs")
    status = json.loads((tmp_path / "run" / "status.json").read_bytes())
    (tmp_path / "run" / "status.json").write_text(
        json.dumps(status | {"status": "stopped"}), encoding="utf-8"
    )
    bare("resume", "run", "--accept-edits", early=early)
    assert "finished" in bare("runs", "--here", ".")
    bare("report", "run")
