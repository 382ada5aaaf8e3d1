"""How fast teams of language models learn: an update of words, and peers in the same run.

    python bench/language.py --out counterpoint-out/bench/language.json

Words are learned by SmolLM2-135M, which `counterpoint model fetch` brings; where it is missing they
are left out, loudly. TRL and CoMLRL are installed into an environment of their own,
`.venv/peers-language`; where that fails they are left out, loudly. Every process has one thread,
ours and theirs take turns, and each figure is CPU-seconds of a whole step: prompts, tokens,
rewards, advantages, gradient, optimizer.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
SETTLED = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "WANDB_MODE": "disabled",
}
PEERS = PROJECT / ".venv" / "peers-language"
PEER_PACKAGES = (
    "torch==2.13.0", "transformers==5.24.0", "peft==0.21.2", "trl==1.16.0", "comlrl==1.4.3",
)  # fmt: skip
GOALS = {
    "words, 8 objects": "cpu_seconds <= 0.095 (better 0.085), peak_gb <= 1.5",
    "relay": "peak_gb <= 1.5",
    "texts": "ratio <= 0.6 to TRL (both kinds), <= 0.4 to CoMLRL",
}
DIFFERENCES = (
    "One prompt of 70 tokens a step, each step another one; the same tokens, 16 answers x 32 "
    "tokens, reward and learning rate for all; nobody ends an answer early.",
    "Ours trains LoRA adapters (rank 8, every linear map), one for each agent, on one frozen model "
    "that all agents share. `trl` and `comlrl` train every parameter; `trl lora` trains a LoRA of "
    "peft's, of the same rank at the same places.",
    "Ours reads a prompt once a step, and the adapters act from its last token on; peers read it "
    "once for each answer when they learn.",
    "CoMLRL has a model for each agent, learns from one answer at a time, and clips no gradient.",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/language.json"))
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    found: dict[str, Any] = {"goals": GOALS}
    for name, part in (("smollm2", smollm2), ("texts", texts)):
        found[name] = part(asked.runs)
        print(name, json.dumps(found[name], indent=1), flush=True)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def smollm2(runs: int) -> dict[str, Any]:
    """Updates with SmolLM2-135M: choices among words, and free text."""
    try:
        told = {
            "words, 8 objects": [ours("words", objects=8) for _ in range(runs)],
            "words, 4 objects": [ours("words", objects=4) for _ in range(runs)],
            "relay": [ours("relay", steps=3)],
        }
    except RuntimeError as error:
        loud(f"SmolLM2-135M could not be trained: `counterpoint model fetch`?\n{error}")
        return {"left out": str(error)}
    return {name: summary(series) for name, series in told.items()}


def texts(runs: int) -> dict[str, Any]:
    """Steps of a Qwen2 of 88,896 parameters: ours, and the peers' in turns with it."""
    peers = {
        "trl": ("trl_step.py", (), 1),
        "trl lora": ("trl_step.py", ("--lora",), 1),
        "comlrl": ("comlrl_step.py", (), 2),
    }
    python = peer_python()
    found: dict[str, Any] = {"differences": DIFFERENCES}
    for name, (script, options, agents) in peers.items():
        mine, theirs = [], []
        for _ in range(runs):
            mine.append(ours("texts", agents=agents))
            if python:
                path = str(PROJECT / "bench" / "peers" / script)
                theirs.append(run([python, path, "--steps=40", *options]))
        found[f"ours, agents: {agents}"] = summary(mine)
        if theirs:
            pairs = zip(mine, theirs, strict=True)
            ratios = [one["cpu_seconds"] / other["cpu_seconds"] for one, other in pairs]
            ratio = {"ours / theirs": statistics.median(ratios), "all": ratios}
            found[name] = {**summary(theirs), **ratio}
        else:
            found[name] = {"left out": "the peers could not be installed"}
    return found


def summary(series: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The median of every number over processes, and all the times."""
    names = [name for name, value in series[0].items() if isinstance(value, int | float)]
    middle = {name: statistics.median(one[name] for one in series) for name in names}
    return {**middle, "all cpu_seconds": [one["cpu_seconds"] for one in series]}


def ours(task: str, **options: Any) -> dict[str, Any]:
    """Run one task of bench/language_task.py as a process of its own; what it printed."""
    words = [f"--{name}={value}" for name, value in options.items()]
    return run([sys.executable, str(PROJECT / "bench" / "language_task.py"), task, *words])


def run(command: Sequence[str]) -> dict[str, Any]:
    """A process that prints one JSON document last.

    Raises:
        RuntimeError: it failed.
    """
    done = subprocess.run(
        command, env={**os.environ, **SETTLED}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    document: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return document


def peer_python() -> str | None:
    """The interpreter of the peers' environment, made where it is missing."""
    python = PEERS / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", *PEER_PACKAGES]
        subprocess.run(pip, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        loud(f"TRL and CoMLRL could not be installed ({error}): no comparison")
        return None
    return str(python)


def loud(what: str) -> None:
    """So that a part that is left out is not missed."""
    print(f"## {what} ##", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
