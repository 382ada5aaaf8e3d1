"""How fast teams of language models learn: an update of words, and peers in the same run.

    python bench/language.py --out counterpoint-out/bench/language.json

Words are learned by SmolLM2-135M, which `counterpoint model fetch` fetches; if it is missing, they
are left out with a warning. TRL and CoMLRL are installed into an environment of their own,
`.venv/peers-language`; if that fails, they are left out with a warning. Every process has one
thread, ours and theirs take turns, and each figure is CPU-seconds of a whole step: prompts, tokens,
rewards, advantages, gradient, optimizer.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import ONE_THREAD, PROJECT, peer_python, run_json, run_task, warn_loudly, write_json

SETTLED = {
    **ONE_THREAD,
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "WANDB_MODE": "disabled",
}
GOALS = {
    "words, 8 objects": "cpu_seconds <= 0.095 (better 0.085), peak_gb <= 1.5",
    "relay": "peak_gb <= 1.5",
    "texts": "ratio <= 0.45 to TRL, <= 0.35 to TRL with LoRA, <= 0.3 to CoMLRL",
}
DIFFERENCES = (
    "One prompt of 70 tokens a step, each step another one; the same tokens, 16 answers x 32 "
    "tokens, reward and learning rate for all; nobody ends an answer early.",
    "Ours trains LoRA adapters (rank 8, every linear map), one for each agent, on one frozen model "
    "that all agents share. `trl` and `comlrl` train every parameter; `trl lora` trains a LoRA of "
    "peft's, of the same rank at the same places.",
    "All adapters act on every token. Ours reads a prompt once for all answers of an agent, to "
    "write and to learn; peers read it once for each answer.",
    "CoMLRL has a model for each agent, learns from one answer at a time, and clips no gradient.",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/language.json"))
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    document: dict[str, Any] = {"goals": GOALS}
    for name, part in (("smollm2", smollm2), ("texts", texts)):
        document[name] = part(options.runs)
        print(name, json.dumps(document[name], indent=1), flush=True)
    write_json(options.out, document)


def smollm2(runs: int) -> dict[str, Any]:
    """Measures updates with SmolLM2-135M: choices among words, and free text."""
    try:
        numbers = {
            "words, 8 objects": [ours("words", objects=8) for _ in range(runs)],
            "words, 4 objects": [ours("words", objects=4) for _ in range(runs)],
            "relay": [ours("relay", steps=3)],
        }
    except RuntimeError as error:
        warn_loudly(f"SmolLM2-135M could not be trained: `counterpoint model fetch`?\n{error}")
        return {"left out": str(error)}
    return {name: summary(series) for name, series in numbers.items()}


def texts(runs: int) -> dict[str, Any]:
    """Measures steps of a Qwen2 of 88,896 parameters: ours, and the peers' in turns with it."""
    peers = {
        "trl": ("trl_step.py", (), 1),
        "trl lora": ("trl_step.py", ("--lora",), 1),
        "comlrl": ("comlrl_step.py", (), 2),
    }
    python = peer_python("peers-language")
    numbers: dict[str, Any] = {"differences": DIFFERENCES}
    for name, (script, options, agents) in peers.items():
        mine, theirs = [], []
        for _ in range(runs):
            mine.append(ours("texts", agents=agents))
            if python:
                path = str(PROJECT / "bench" / "peers" / script)
                theirs.append(run_json([python, path, "--steps=40", *options], SETTLED))
        numbers[f"ours, agents: {agents}"] = summary(mine)
        if theirs:
            pairs = zip(mine, theirs, strict=True)
            ratios = [one["cpu_seconds"] / other["cpu_seconds"] for one, other in pairs]
            ratio = {"ours / theirs": statistics.median(ratios), "all": ratios}
            numbers[name] = {**summary(theirs), **ratio}
        else:
            numbers[name] = {"left out": "the peers could not be installed"}
    return numbers


def summary(series: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns the median of every number over processes, and all the times."""
    names = [name for name, value in series[0].items() if isinstance(value, int | float)]
    middle = {name: statistics.median(one[name] for one in series) for name in names}
    return {**middle, "all cpu_seconds": [one["cpu_seconds"] for one in series]}


def ours(task: str, **options: Any) -> dict[str, Any]:
    """Returns what one task of bench/language_task.py prints, in a process of its own."""
    return run_task("language_task.py", task, SETTLED, **options)


if __name__ == "__main__":
    main()
