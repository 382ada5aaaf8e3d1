"""Teams of language models that talk: three worlds, three schemes, equal and unequal pay, resumed.

    python bench/teams.py --out counterpoint-out/bench/teams
    python bench/teams.py --policy tiny --budget 2 --seeds 1 --out /tmp/teams    # does it run?

The worlds are a pipeline of two that write (`extract`), a debate of three that choose words
(`debate`) and a solver that revises after feedback (`revise`). Each training is a run directory
below `--out`, so that a second call goes on where the first one ended. The return is the success of
fresh episodes, of held-out tasks where the world has them, whatever the speaker is paid.
`untrained` is the same model without an adapter. With equal pay, decoupling changes no advantage
where all agents speak equally often: `control` is the largest difference of the returns of
`mappo_pooled` and `mappo_per_agent` over all updates there, which must be 0.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from common import mean_estimate, with_interval, write_json
from counterpoint.results.parts import Settings
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.status import read_facts
from counterpoint.runs.stop import Stopper
from counterpoint.train.loop import TrainConfig, train_to_end
from counterpoint.train.result import training_result
from counterpoint.train.session import plan_of

SCHEMES = ("mappo_pooled", "mappo_per_agent", "grpo_rows")
PAY: Mapping[str, Settings] = {
    "equal": {},
    "unequal": {"speaker_scale": "10", "speaker_offset": "5"},
}
WRITING: Settings = {"prompts": "4", "rollouts": "8", "lr": "0.002", "adapter": "activated"}
WORLDS: Mapping[str, tuple[int, Settings]] = {
    "extract": (12, WRITING),
    "debate": (50, {"prompts": "32", "rollouts": "8"}),
    "revise": (15, {"prompts": "4", "rollouts": "4", "lr": "0.003", "adapter": "activated"}),
}
"""The budget of updates and the settings of the agents in each world."""
EPISODES = 128
"""Episodes of the evaluation."""
CPU = "cpu_seconds.json"
"""The file of a run directory with the CPU-seconds of all calls that trained it."""


class Cell(NamedTuple):
    """One training."""

    seed: int
    begun: float
    """Return of the untrained team in the episodes of the evaluation."""
    ended: float
    """Return of the trained team in them."""
    curve: list[float | None]
    """Return of the training tasks in each update."""
    cpu_minutes: float


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/teams"))
    parser.add_argument("--worlds", nargs="*", default=tuple(WORLDS), choices=tuple(WORLDS))
    parser.add_argument("--schemes", nargs="*", default=SCHEMES)
    parser.add_argument("--pay", nargs="*", default=tuple(PAY), choices=tuple(PAY))
    parser.add_argument("--policy", default="smollm2")
    parser.add_argument("--budget", type=int, help="updates, in place of those of the world")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=EPISODES)
    options = parser.parse_args()
    document = {}
    with Stopper() as stopper:
        for world in options.worlds:
            budget, settings = WORLDS[world]
            done: dict[tuple[str, str], list[Cell]] = {}
            for seed in range(options.seeds):
                for pay in options.pay:
                    for scheme in options.schemes:
                        plan = plan_of(
                            world,
                            scheme,
                            seed=seed,
                            budget=options.budget or budget,
                            given={**settings, **PAY[pay], "diagnose_every": "0"},
                            model=options.policy,
                        )
                        plan = replace(plan, episodes=options.episodes)
                        out = options.out / Path(options.policy).name
                        path = out / f"{world}-{pay}-{scheme}-{plan.budget}-{seed}"
                        begun = untrained(plan, out)
                        if not trained(plan, path, stopper):
                            return
                        cell = measured(path, seed, begun)
                        done.setdefault((pay, scheme), []).append(cell)
                        print(world, pay, scheme, seed, f"{begun:.3f} to {cell.ended:.3f}",
                              f"{cell.cpu_minutes:.1f} CPU-minutes", flush=True)  # fmt: skip
            print(f"\n{world}, {options.policy}\n\n{table(done)}\n\n{control(done)}\n", flush=True)
            document[world] = {
                " ".join(key): [cell._asdict() for cell in cells] for key, cells in done.items()
            }
            write_json(options.out / "teams.json", document)


def untrained(plan: TrainConfig, out: Path) -> float:
    """Returns the return of the bare model in the episodes of a plan's evaluation; each is measured
    once, since no scheme and no pay changes it."""
    path = out / f"{plan.world}-untrained-{plan.episodes}-{plan.seed}.json"
    if not path.exists():
        evaluation = plan.trainer().evaluate(lambda: False)
        assert evaluation is not None
        write_json(path, float(evaluation[0].mean()))
    return float(json.loads(path.read_text()))


def trained(plan: TrainConfig, path: Path, stopper: Stopper) -> bool:
    """Trains one seed in its run directory, from where it stands; returns whether it has ended."""
    if (path / "run.json").exists():
        if read_facts(path).status == "finished":
            return True
        run = RunDirectory.open(path)
    else:
        run = RunDirectory.create(path, plan.config())
    before, begun = spent(path), time.process_time()
    with run:
        stops = lambda: stopper.asked is not None  # noqa: E731
        finished = train_to_end(plan, run=run, should_stop=stops).finished
    write_json(path / CPU, before + time.process_time() - begun)
    return finished


def spent(path: Path) -> float:
    """Returns the CPU-seconds of all calls that trained a run; a killed one is not counted."""
    file = path / CPU
    return float(json.loads(file.read_text())) if file.exists() else 0.0


def measured(path: Path, seed: int, begun: float) -> Cell:
    """Returns what a finished training measured."""
    result = training_result(path, short=True)
    assert result.returned is not None
    return Cell(seed, begun, result.returned, result.curve["return"], spent(path) / 60)


def table(done: Mapping[tuple[str, str], Sequence[Cell]]) -> str:
    """Returns a row of Markdown for each pay and scheme: means over seeds with 95% intervals."""
    lines = ["| pay | scheme | seeds | untrained | trained | CPU-minutes |", "|---" * 6 + "|"]
    for (pay, scheme), cells in done.items():
        columns = [
            shown([cell.begun for cell in cells], ".3f"),
            shown([cell.ended for cell in cells], ".3f"),
            shown([cell.cpu_minutes for cell in cells], ".1f"),
        ]
        lines.append(f"| {pay} | {scheme} | {len(cells)} | {' | '.join(columns)} |")
    return "\n".join(lines)


def shown(values: Sequence[float], form: str) -> str:
    """Returns the mean with its bootstrap interval over seeds; one value has no interval."""
    if len(values) == 1:
        return f"{values[0]:{form}}"
    return with_interval(mean_estimate(values), form)


def control(done: Mapping[tuple[str, str], Sequence[Cell]]) -> str:
    """Returns the largest difference of the curves of pooled and per-agent teams of equal pay."""
    pair = [done.get(("equal", scheme), ()) for scheme in SCHEMES[:2]]
    gaps = [
        abs((a or 0.0) - (b or 0.0))
        for one, two in zip(*pair, strict=False)
        for a, b in zip(one.curve, two.curve, strict=True)
    ]
    return f"control: {max(gaps):.2g}" if gaps else "control: not played"


if __name__ == "__main__":
    main()
