"""What peers make of rewards at the edge, beside our adapters: prints a table in Markdown.

    python bench/peers/edge_cases.py

Needs the environments that `bench/peer_environments.py` makes.
Each peer runs in its own environment, as installed: its own function, then ours through its adapter
on the same rewards. A peer without an environment is listed and left out.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CASES: dict[str, tuple[list[float | None], str]] = {
    "[.7] x 7": ([0.7] * 7, "a" * 7),
    "[1000.1] x 3": ([1000.1] * 3, "aaa"),
    "[5] alone": ([5.0], "a"),
    "[1, NaN, 0]": ([1.0, math.nan, 0.0], "aaa"),
    "[1, None, 0]": ([1.0, None, 0.0], "aaa"),
    "a [0, 1], b [10, 12, 14, 11]": ([0.0, 1.0, 10.0, 12.0, 14.0, 11.0], "aabbbb"),
}
"""Rewards of one prompt's group, and the agent of each."""

Values = list[float] | str
"""Advantages, or what was raised instead."""
PEERS = {"verl": "peers-verl", "art": "peers-services", "tinker": "peers-tinker"}
"""Part below to environment."""


def tried(call: Callable[[], Sequence[float]]) -> Values:
    try:
        return [float(value) for value in call()]
    except Exception as error:
        return type(error).__name__


def verl() -> dict[str, Any]:
    import numpy as np
    import torch
    from verl.trainer.ppo.core_algos import get_adv_estimator_fn

    from counterpoint.integrations.verl import register, rows_of

    register("counterpoint", "agent_wise")

    def run(name: str, rewards: list[Any], uids: list[str]) -> list[float]:
        paid = torch.zeros(len(rewards), 2)
        paid[:, -1] = torch.tensor(rewards)
        advantages = get_adv_estimator_fn(name)(
            token_level_rewards=paid, response_mask=torch.ones(len(rewards), 2),
            index=np.array(uids, dtype=object))  # fmt: skip
        return advantages[0][:, 0].tolist()

    def ours(rewards: list[Any], agents: str) -> list[float]:
        if None not in rewards:
            return run("counterpoint", rewards, [f"p:{agent}" for agent in agents])
        with rows_of(agent=list(agents), agent_reward=rewards):
            return run("counterpoint", [0.0] * len(rewards), ["p"] * len(rewards))

    return case_rows(
        f"verl {version('verl')}",
        {name: (lambda r, a, name=name: run(name, r, ["p"] * len(r))) for name in ("grpo", "rloo")},
        ours,
    )


def art() -> dict[str, Any]:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import art
    import art.preprocessing.tokenize as tokenize
    from art.preprocessing.pack import packed_tensors_from_tokenized_results

    package = ModuleType("art.tinker_native")  # its own __init__ wants a web server
    package.__path__ = [str(Path(str(art.__file__)).parent / "tinker_native")]
    sys.modules["art.tinker_native"] = package
    for name in ("tinker", "tinker_cookbook", "tinker_cookbook.renderers"):
        sys.modules.setdefault(name, ModuleType(name))  # clients, which the function does not call
    vars(sys.modules["tinker_cookbook"]).setdefault("renderers", None)
    from art.tinker_native.data import compute_advantages

    from counterpoint.integrations import TeamCredit
    from counterpoint.integrations.art import credited

    def group(rewards: list[Any], agents: str) -> Any:
        return art.TrajectoryGroup(
            [art.Trajectory(reward=r, metadata={"agent": a}, messages_and_choices=[])
             for r, a in zip(rewards, agents, strict=True)])  # fmt: skip

    def local(groups: list[Any], scaled: bool = True, pack: bool = False) -> list[float]:
        """Returns what the local backend trains on, with its tokenizer left out."""
        made: list[float] = []

        def short(advantage, trajectory, **more):  # type: ignore[no-untyped-def]
            made.append(advantage)
            return [tokenize.TokenizedResult(
                advantage=advantage, chat="", token_ids=[1, 2], input_pos=[0, 1],
                assistant_mask=[0, 1], logprobs=[math.nan, -0.1], pixel_values=None,
                image_grid_thw=None, trajectory=trajectory, choice_offsets=[1],
                extra_logprobs={}, _tokenizer=None)]  # fmt: skip

        real = tokenize.assemble_vllm_training_sequences
        tokenize.assemble_vllm_training_sequences = short
        try:
            rows = list(tokenize.tokenize_trajectory_groups(
                None, groups, False, scaled, shuffle_group_trajectories=False,
                drop_zero_advantage_trajectories=pack))  # fmt: skip
        finally:
            tokenize.assemble_vllm_training_sequences = real
        if not pack:
            return made
        if not rows:
            return []
        packed = packed_tensors_from_tokenized_results(rows, seq_len=64, pad_token_id=0)
        return packed["advantages"][packed["assistant_mask"]].tolist()

    def ours(rewards: list[Any], agents: str) -> list[float]:
        return local(credited([group(rewards, agents)], TeamCredit("agent_wise")), scaled=False)

    return case_rows(
        f"ART {version('openpipe-art')}",
        {
            "local backend": lambda r, a: local([group(r, a)]),
            "local backend, packed": lambda r, a: local([group(r, a)], pack=True),
            "tinker backend": lambda r, a: compute_advantages(r),
        },
        ours,
    )


def tinker() -> dict[str, Any]:
    import tinker as sdk
    from tinker_cookbook.completers import TokensWithLogprobs
    from tinker_cookbook.rl.data_processing import compute_advantages
    from tinker_cookbook.rl.types import Trajectory, TrajectoryGroup, Transition

    from counterpoint.integrations.tinker import group_rewards

    def runs(n: int) -> list[Any]:
        step = Transition(sdk.ModelInput.from_ints([1]), TokensWithLogprobs([2], [-0.1]), 0.0, True)
        return [Trajectory([step], sdk.ModelInput.empty()) for _ in range(n)]

    def computed(rewards: list[Any]) -> list[float]:
        group = TrajectoryGroup(runs(len(rewards)), list(rewards), [{}] * len(rewards))
        return compute_advantages([group])[0].tolist()

    def ours(rewards: list[Any], agents: str) -> list[float]:
        paid = group_rewards(runs(len(rewards)), agents, "agent_wise", rewards)
        return computed([final for final, _ in paid])

    return case_rows(
        f"tinker-cookbook {version('tinker-cookbook')}", {"": lambda r, a: computed(r)}, ours
    )


def case_rows(
    name: str, own: dict[str, Callable[..., Sequence[float]]], ours: Any
) -> dict[str, Any]:
    return {
        "ours": {case: tried(lambda given=given: ours(*given)) for case, given in CASES.items()},
        "own": {
            f"{name} {what}".strip(): {
                case: tried(lambda given=given, f=f: f(*given)) for case, given in CASES.items()
            }
            for what, f in own.items()
        },
    }


def shown(values: Values) -> str:
    """Returns a cell: what was raised, or the numbers."""
    if isinstance(values, str):
        return values
    if not values:
        return "nothing to train on"
    texts = [_number(value) for value in values]
    if len(texts) > 1 and len(set(texts)) == 1:
        return "0" if texts[0] == "0" else f"**{texts[0]} each**"
    return ", ".join(texts)


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if value == 0:
        return "0"
    if abs(value) < 1e-3:
        return f"{value:.0e}".replace("e-0", "e-")
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def main() -> None:
    document: dict[str, Any] = {}
    for peer, environment in PEERS.items():
        python = ROOT / ".venv" / environment / "bin" / "python"
        if not python.exists():
            print(f"no .venv/{environment}: {peer} is left out", file=sys.stderr)
            continue
        run = subprocess.run(
            [python, "-W", "ignore", __file__, peer],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            print(f"{peer} failed and is left out:\n{run.stderr[-2000:]}", file=sys.stderr)
            continue
        document[peer] = json.loads(run.stdout.strip().splitlines()[-1])
    peers = {name: cells for one in document.values() for name, cells in one["own"].items()}
    print("| | " + " | ".join(CASES) + " |")
    print("|---" * (len(CASES) + 1) + "|")
    for name, cells in peers.items():
        print(f"| {name} | " + " | ".join(shown(cells[case]) for case in CASES) + " |")
    for name, one in document.items():
        row = " | ".join(shown(one["ours"][case]) for case in CASES)
        print(f"| ours, through {name} | {row} |")


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    parts = {"verl": verl, "art": art, "tinker": tinker}
    if len(sys.argv) > 1:
        print(json.dumps(parts[sys.argv[1]]()))
    else:
        main()
