"""The recipes of the documentation with real coding agents, whose model is on this machine.

Programs are taken from where COUNTERPOINT_AGENTS says, the folder that the recipes call
/opt/agents: `node_modules/.bin/claude`, `node_modules/.bin/codex` and `aider/bin/aider`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from coding_models import PROMPT_TOKENS, REPLY_TOKENS, CodingModel
from shared import shared_folder

from counterpoint.cli.main import main
from counterpoint.workers.sandbox.sandbox import why_no_sandbox
from counterpoint.workers.state import TeamState

WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"
needs_sandbox = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "coding-agents.md"
AGENTS = Path(os.environ.get("COUNTERPOINT_AGENTS", "/opt/agents"))
KEY = "sk-fake-0123456789"
ASKED = PROMPT_TOKENS + REPLY_TOKENS
PROGRAMS = {"claude": "node_modules/.bin/claude", "codex": "node_modules/.bin/codex",
            "aider": "aider/bin/aider"}  # fmt: skip
MAKERS = "https://api.openai.com"


def block(name: str) -> str:
    """The block of the documentation that begins with this name in a comment."""
    found = re.search(rf"^```\w+\n# {re.escape(name)}\n(.*?)^```", PAGE.read_text("utf-8"),
                      re.MULTILINE | re.DOTALL)  # fmt: skip
    assert found, name
    return found[1]


@pytest.fixture
def usage() -> Iterator[Path]:
    """A folder that everybody can read, with the script of the documentation in it."""
    with shared_folder({"usage.py": block("usage.py")}) as folder:
        yield folder


def make_repository(folder: Path) -> None:
    """Write a program with one fault, and the script that tests it."""
    folder.mkdir()
    (folder / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    (folder / "run.sh").write_text(
        'python3 -c "from calc import add; assert add(2, 3) == 5" 2> /dev/null && echo ok - add '
        "|| echo not ok - add\n"
    )


@pytest.mark.slow
@needs_sandbox
@pytest.mark.parametrize("agent", PROGRAMS)
def test_a_recipe_repairs_a_repository(agent, tmp_path, usage, monkeypatch, capsys):
    if not (AGENTS / PROGRAMS[agent]).exists():
        pytest.skip(f"there is no {AGENTS / PROGRAMS[agent]}: the documentation says how to get it")
    make_repository(tmp_path / "repo")
    with CodingModel("calc.py", "a - b", "a + b") as model:
        plan = (block(f"{agent}.toml").replace('repository = "."', 'repository = "repo"')
                .replace("/opt/agents/usage.py", f"{usage}/usage.py").replace(MAKERS, model.address)
                .replace('readable = ["', f'readable = ["{usage}", "')
                .replace("/opt/agents", str(AGENTS))
                .replace("env = {", f'env = {{ ANTHROPIC_BASE_URL = "{model.address}",')
                )  # fmt: skip
        (tmp_path / "plan.toml").write_text(plan)
        monkeypatch.setenv(re.findall(r'pass_env = \["(\w+)"', plan)[0], KEY)
        status = main(["team", "run", str(tmp_path / "plan.toml"), "--out", str(tmp_path / "run"),
                       "--json"])  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    state = TeamState.load(tmp_path / "run")
    assert (status, told["done"]) == (0, 1), state.queue.attempts()
    content = state.repository.content(state.repository.head())
    assert sorted(content) == ["calc.py", "run.sh"]
    assert content["calc.py"] == b"def add(a, b):\n    return a + b\n"
    assert set(model.keys) == {KEY}
    attempt = state.queue.attempts()[0]
    if agent == "aider":  # counts what it sends itself, and knows the model's price by its name
        assert attempt.tokens > 100
        assert 0 < attempt.dollars < 1
    else:
        assert attempt.tokens == ASKED * len(model.asked)
        assert (attempt.dollars is None) == (agent == "codex")


SAID = {
    "claude": ('{"total_cost_usd": 0.25, "modelUsage": {"a": {"inputTokens": 7, "outputTokens": 2, '
               '"contextWindow": 200000, "maxOutputTokens": 64000, '
               '"cacheReadInputTokens": 30, "cacheCreationInputTokens": 4}}}', 43, 0.25),
    "codex": ('{"type": "turn.started"}\n{"type": "turn.completed", "usage": {"input_tokens": 9, '
              '"cached_input_tokens": 5, "output_tokens": 3}}\n', 12, None),
    "aider": ("Tokens: 1.2k sent, 18 received.\nTokens: 2.5k sent, 1k cache hit, 30 received. "
              "Cost: $0.0100 message, $0.0300 session.\n", 3748, 0.03),
    "nothing": ("no model was asked\n17\n", None, None),
}  # fmt: skip


@pytest.mark.parametrize("agent", SAID)
def test_the_script_of_the_documentation_counts(agent, tmp_path, monkeypatch):
    text, tokens, dollars = SAID[agent]
    (tmp_path / "usage.py").write_text(block("usage.py"))
    told = subprocess.run(
        [sys.executable, "usage.py"], cwd=tmp_path, input=text, capture_output=True, text=True,
        check=True, env={"COUNTERPOINT_USAGE": str(tmp_path / "used")},
    )  # fmt: skip
    assert told.stdout == text + "\n"
    used = json.loads((tmp_path / "used").read_text())
    assert used == {"tokens": tokens, "dollars": dollars}
