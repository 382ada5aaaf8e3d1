"""How long teams need to talk: algorithms and remedies, several seeds each, resumed after a kill.

    python bench/talk.py --out counterpoint-out/bench/talk
    python bench/talk.py --worlds speaker_listener --budget 300000 --teams remedy qmix

Each training is a run directory below `--out`, so that a second call goes on where the first one
ended. A team talks where the mean return of five batches is at least `TALKS`, which no team
reaches that says nothing. Batches of QMIX have its random actions in them; the evaluation at the
end has those that it keeps. The table has the median over seeds, and the lowest and highest seed.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common import write_json
from counterpoint.results.parts import Settings
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.status import read_facts
from counterpoint.runs.stop import Stopper
from counterpoint.train.loop import TrainConfig, train_to_end
from counterpoint.train.result import training_result
from counterpoint.train.session import plan_of

TALKS, BATCHES = -18.0, 5
WORLDS = ("speaker_listener", "mpe2:simple_speaker_listener_v4")
BETWEEN = 100_000
"""Steps between checkpoints; more often, those of QMIX would take much of the time."""
UNMEASURED: Settings = {"diagnose_every": "0", "evaluate_every": "0"}
FASTER: Settings = {"lr": "0.003", "parameters": "separate", "epochs": "8"}
SIGNALLING: Settings = {"signalling": "0.3"}


class Team(NamedTuple):
    """A row of the table."""

    scheme: str
    settings: Settings

    def plan(self, world: str, budget: int, seed: int) -> TrainConfig:
        """Returns the training of one seed."""
        settings = dict(self.settings)
        if self.scheme == "qmix":
            # Random actions become rare within 100,000 steps, whatever the budget.
            settings["epsilon_anneal"] = str(min(1.0, 100_000 / budget))
        else:
            settings |= UNMEASURED
        return replace(plan_of(world, self.scheme, budget=budget, given=settings), seed=seed)


TEAMS = {
    "ppo": Team("mappo_pooled", {}),
    "mappo": Team("mappo_pooled", {"critic": "central"}),
    "qmix": Team("qmix", {}),
    "remedy": Team("mappo_pooled", FASTER | SIGNALLING),
    "faster": Team("mappo_pooled", FASTER),
    "signalling": Team("mappo_pooled", SIGNALLING),
    "mappo remedy": Team("mappo_pooled", FASTER | SIGNALLING | {"critic": "central"}),
}


class Seed(NamedTuple):
    """One training."""

    seed: int
    steps: float | None
    """Steps until the team talked; None if it never did."""
    ended: float
    """Return of fresh episodes at the end."""
    worth: float | None
    """Worth of the messages in them."""
    said_bits: float | None
    """What the words of the first speaker tell of what it sees."""


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("counterpoint-out/bench/talk"))
    parser.add_argument("--worlds", nargs="*", default=WORLDS)
    parser.add_argument("--teams", nargs="*", default=tuple(TEAMS), choices=tuple(TEAMS))
    parser.add_argument("--budget", type=int, default=2_000_000)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    document = {}
    with Stopper() as stopper:
        for world in options.worlds:
            done: dict[str, list[Seed]] = {name: [] for name in options.teams}
            for seed in range(options.seeds):
                for name in options.teams:
                    plan = TEAMS[name].plan(world, options.budget, seed)
                    folder = f"{world}-{name}-{options.budget}-{seed}"
                    path = options.out / folder.replace(":", "-").replace(" ", "-")
                    if not trained(plan, path, stopper):
                        return
                    done[name].append(measured(path, seed))
                    print(world, name, *done[name][-1], flush=True)
            print(f"\n{world}, {options.budget:,} steps\n\n{table(done)}\n", flush=True)
            document[world] = {
                name: [one._asdict() for one in seeds] for name, seeds in done.items()
            }
            write_json(options.out / "talk.json", document)


def trained(plan: TrainConfig, path: Path, stopper: Stopper) -> bool:
    """Trains one seed in its run directory, from where it stands; returns whether it has ended."""
    if (path / "run.json").exists():
        if read_facts(path).status == "finished":
            return True
        run = RunDirectory.open(path)
    else:
        run = RunDirectory.create(path, plan.config())
    team = plan.trainer()
    team.between_checkpoints = BETWEEN
    with run:
        stops = lambda: stopper.asked is not None  # noqa: E731
        return train_to_end(plan, run=run, team=team, should_stop=stops).finished


def measured(path: Path, seed: int) -> Seed:
    """Returns what a finished training measured."""
    result = training_result(path, short=True)
    assert result.returned is not None
    carried = result.messages
    return Seed(
        seed=seed,
        steps=steps_to(TALKS, result.curve["step"], result.curve["return"]),
        ended=result.returned,
        worth=None if carried is None else carried.worth,
        said_bits=None if carried is None or not carried.said else carried.said[0].bits,
    )


def steps_to(goal: float, steps: list[float | None], returns: list[float | None]) -> float | None:
    """Returns the steps after which the mean return of `BATCHES` batches first was the goal; None
    if it never was."""
    known = [(s, r) for s, r in zip(steps, returns, strict=True) if s is not None and r is not None]
    for i in range(BATCHES, len(known) + 1):
        if np.mean([r for _, r in known[i - BATCHES : i]]) >= goal:
            return float(known[i - 1][0])
    return None


def table(done: dict[str, list[Seed]]) -> str:
    """Returns a row of Markdown for each team: medians, with the lowest and the highest seed."""
    lines = [
        "| team | talk | steps | return at the end | worth | seen and said |",
        "|---" * 6 + "|",
    ]
    for name, seeds in done.items():
        steps = [math.inf if one.steps is None else one.steps for one in seeds]
        cells = (
            name,
            f"{sum(map(math.isfinite, steps))} of {len(seeds)}",
            spread(steps, ",.0f"),
            spread([one.ended for one in seeds], ".1f"),
            spread([one.worth for one in seeds if one.worth is not None], ".1f"),
            spread([one.said_bits for one in seeds if one.said_bits is not None], ".2f"),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(values: list[float], form: str) -> str:
    """Returns the median with the lowest and the highest value."""
    if not values:
        return "not known"
    low, middle, high = (
        "never" if math.isinf(x) else f"{x:{form}}"
        for x in (min(values), float(np.median(values)), max(values))
    )
    return f"{middle} [{low}, {high}]"


if __name__ == "__main__":
    main()
