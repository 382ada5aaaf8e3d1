"""The real TorchRL and BenchMARL, in an environment of their own: `.venv/peers`.

It is made by `python bench/training.py`, or by hand with the packages that are pinned there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
PYTHON = PROJECT / ".venv" / "peers" / "bin" / "python"
NEEDED = "torchrl, benchmarl, vmas, msgspec"
pytestmark = pytest.mark.slow


def ran(script: Path, folder: Path) -> str:
    """What a script printed, run by the interpreter of the peers."""
    if not PYTHON.exists():
        pytest.skip("no environment .venv/peers with BenchMARL; bench/training.py makes it")
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    variables = {**os.environ, **one, "PYTHONPATH": str(PROJECT / "src")}
    probe = subprocess.run([PYTHON, "-c", f"import {NEEDED}"], env=variables, capture_output=True)
    if probe.returncode:
        pytest.skip(f"{NEEDED} cannot be imported in .venv/peers; bench/training.py repairs it")
    done = subprocess.run(
        [PYTHON, str(script)],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def checked(name: str, folder: Path) -> dict:
    """The document that a script beside this file printed last."""
    return json.loads(ran(Path(__file__).with_name(name), folder).splitlines()[-1])


@pytest.mark.parametrize("page", ["torchrl", "benchmarl"])
def test_examples_of_the_page_run(page, tmp_path):
    text = (PROJECT / "docs" / "integrations" / f"{page}.md").read_text("utf-8")
    (code,) = re.findall(r"```py\n(.*?)```", text, re.DOTALL)
    (tmp_path / "example.py").write_text(code)
    ran(tmp_path / "example.py", tmp_path)


def test_torchrl(tmp_path):
    printed = checked("torchrl_check.py", tmp_path)
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
    printed = checked("benchmarl_check.py", tmp_path)
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
