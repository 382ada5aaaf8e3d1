"""The real TorchRL and BenchMARL, in environments of their own (bench/peer_environments.py).

`.venv/peers` has BenchMARL with the newest TorchRL that it takes, `.venv/peers-torchrl` the newest.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
NEEDED = {"peers": "torchrl, benchmarl, vmas, msgspec", "peers-torchrl": "torchrl, msgspec"}
pytestmark = pytest.mark.slow


def ran(script: Path, folder: Path, environment: str) -> str:
    """What a script printed, run by the interpreter of the peers."""
    python = PROJECT / ".venv" / environment / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no .venv/{environment}: python bench/peer_environments.py {environment}")
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    variables = {**os.environ, **one, "PYTHONPATH": str(PROJECT / "src")}
    imports = f"import {NEEDED[environment]}"
    probe = subprocess.run([python, "-c", imports], env=variables, capture_output=True)
    if probe.returncode:
        pytest.skip(f"{imports} fails in .venv/{environment}")
    done = subprocess.run(
        [python, str(script)],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def checked(name: str, folder: Path, environment: str) -> dict:
    """The document that a script beside this file printed last."""
    return json.loads(ran(Path(__file__).with_name(name), folder, environment).splitlines()[-1])


@pytest.mark.parametrize(
    ("page", "environment"),
    [("torchrl", "peers"), ("torchrl", "peers-torchrl"), ("benchmarl", "peers")],
)
def test_examples_of_the_page_run(page, environment, tmp_path):
    text = (PROJECT / "docs" / "integrations" / f"{page}.md").read_text("utf-8")
    (code,) = re.findall(r"```py\n(.*?)```", text, re.DOTALL)
    (tmp_path / "example.py").write_text(code)
    ran(tmp_path / "example.py", tmp_path, environment)


@pytest.mark.parametrize("environment", list(NEEDED))
def test_torchrl(environment, tmp_path):
    printed = checked("torchrl_check.py", tmp_path, environment)
    module, buffer, loss = printed["module"], printed["buffer"], printed["loss"]
    assert module["apart"] < 1e-6
    assert module["dtype"] == "torch.float32"
    assert module["restored"]
    assert module["evaluation moves nothing"]
    assert module["absent"] == 0
    assert module["apart beside an absent one"] < 1e-6
    assert module["one step"] == [0, 0, 0]
    assert buffer["apart"] < 1e-6
    assert buffer["calls"] == 1
    assert buffer["untouched"]
    assert buffer["same checkpoint"]
    assert loss["theirs on one step is NaN"]  # what we are better at; a repair there is good news
    assert loss["ours"] == 0
    assert abs(loss["theirs on a constant"]) > 1
    assert loss["ours on a constant"] == 0
    assert "normalize_advantage=False" in loss["refused"]
    assert len(printed["worlds"]) == 6
    assert all(one["ended"] == 8 for one in printed["worlds"].values())
    assert printed["trajectory"] == {"same": True, "a reset in the middle is refused": True}


def test_benchmarl(tmp_path):
    printed = checked("benchmarl_check.py", tmp_path, "peers")
    kernel = printed["kernel"]
    assert kernel["apart"] < 1e-6
    assert kernel["calls"] == 3
    assert kernel["shape"] == [400, 3, 1]
    assert kernel["dtype"] == "torch.float32"
    assert kernel["log is what came in"]
    assert kernel["agents in the log"] == ["agent_0", "agent_1", "agent_2"]
    assert "counterpoint_agents_advantage_rms_agent_0" in kernel["in the logger"]
    assert printed["checkpoint"] == {
        "restored": True,
        "updates": 4,
        "as without a break": True,
        "iterations in the log": [0, 1, 2, 3],
    }
    assert printed["stock checkpoint"]
    assert printed["configurations"] == {"creditippo": True, "creditmappo": True}
    assert len(printed["worlds"]) == 5
    assert all(set(one["updates"]) == {2} for one in printed["worlds"].values())
    assert "off-policy" in printed["off-policy"]
    assert printed["overhead"]["median share"] < 0.02


def test_a_training_without_our_transform_stops_before_its_first_step(tmp_path):
    printed = checked("steps_check.py", tmp_path)
    assert printed["benchmarl"] == ["trained", True]
    said, moved = printed["own buffer"]
    assert said.startswith("HookError: got an optimizer step before NormalizeAdvantage was called")
    assert not moved
    assert "append NormalizeOnExtend to the buffer" in printed["torchrl"]
