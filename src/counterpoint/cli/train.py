"""`counterpoint train`: one team, one scheme, one seed, in a run directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from counterpoint.cli.compare import SETTABLE, read_settings
from counterpoint.cli.live import Run, watching
from counterpoint.cli.messages import say_batch
from counterpoint.cli.training import finish, resumable
from counterpoint.runs.names import run_folder

DEFAULT = Path("counterpoint-out") / "train"


@dataclass(frozen=True)
class Train:
    """Train a team of networks or of language models, under one credit scheme.

    Networks learn in worlds of many steps, language models in worlds of words.

    The run directory has the series, and checkpoints from which the run can go on bit for bit.
    Ctrl-C or SIGTERM stops it with a checkpoint.

    Examples:
      counterpoint train spread --scheme happo_per_agent --budget 200000 --out runs/first
      counterpoint train mpe2:simple_spread_v3 --set N=3 hidden=32 --seconds 60
      counterpoint train lewis --policy tiny --set speaker_scale=10 lr=0.005
    """

    world: Annotated[str, tyro.conf.Positional]
    """Name of a world of many steps or of words (`counterpoint worlds` lists them), or of your own:
    package.module:Class."""
    scheme: str = "mappo_pooled"
    """Name of a scheme (`counterpoint schemes` lists them), or `counterfactual`."""
    seed: int = 0
    """Of everything: networks or adapters, world, actions, order."""
    budget: int | None = None
    """Steps to play, all copies together; default 100000, or 20000 of a world in Python. In a text
    world: updates to make; default 150 of the tiny model, or 100 of another."""
    policy: str | None = None
    """In a text world: the language model whose adapters are trained. `tiny` (the default),
    `smollm2`, or the path or name of any causal model of Hugging Face's."""
    seconds: float | None = None
    """End after so many seconds of training, if that comes first."""
    set: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(help=SETTABLE)] = ()
    out: Path | None = None
    """The run directory; default: counterpoint-out/train/WORLD-SCHEME-SEED."""
    export: str | None = None
    """Also write the series for `tensorboard`, or by the exporter of that name of an installed
    package, to a folder in the run directory; `resume` goes on with it."""
    json: bool = False
    """Print the summary as JSON alone."""

    def run(self) -> int:
        """Train, save, print."""
        from counterpoint.train.plans import plan_of
        from counterpoint.train.session import begin_run

        plan = plan_of(
            self.world,
            self.scheme,
            seed=self.seed,
            budget=self.budget,
            seconds=self.seconds,
            given=read_settings(self.set),
            model=self.policy,
        )
        say_batch(plan.budget, plan.batch_steps, plan.axis)
        out = self.out or run_folder(DEFAULT, self.world, self.scheme, self.seed)
        shown = Run(f"{self.scheme} on {self.world}", plan.budget, plan.axis)
        with resumable(out), watching(shown):
            session = begin_run(plan, out, shown.heard, export=self.export)
        return finish(session, as_json=self.json)
