"""`counterpoint train`: one team, one scheme, one seed, in a run directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from counterpoint.cli.exits import PartlyDoneError, kept
from counterpoint.cli.messages import say, say_batch, say_doubts, say_limits
from counterpoint.cli.progress import TrainingDisplay
from counterpoint.cli.results import command_line, finish
from counterpoint.errors import ServerError, SettingError, UnknownNameError, choices
from counterpoint.report.terminal.costs import estimate_parts
from counterpoint.report.terminal.parts import training_parts
from counterpoint.runs.files import run_folder
from counterpoint.runs.status import RUN
from counterpoint.settings import split_list, split_pairs
from counterpoint.train.algorithms import algorithms
from counterpoint.train.loop import TrainConfig
from counterpoint.train.lora.settings import LANGUAGE
from counterpoint.train.ppo.settings import POLICY
from counterpoint.train.result import training_result, training_summary
from counterpoint.train.session import Session, begin_run, plan_of
from counterpoint.train.value.settings import VALUE
from counterpoint.worlds.foreign.names import search_current_folder
from counterpoint.worlds.registry import find_world

DEFAULT = Path("counterpoint-out") / "train"
SETTABLE = (
    "A setting, key=value; may be repeated, and may take several pairs. Of the world: "
    "`counterpoint worlds NAME` lists them. Of the policies in a sequential environment: "
    f"{', '.join(POLICY)}. Of a team that learns action values: {', '.join(VALUE)}. Of the agents "
    f"in a text environment: {', '.join(LANGUAGE)}."
)


@dataclass(frozen=True)
class Train:
    """Train a team of networks or of language models, under one credit scheme or algorithm.

    Networks learn in sequential environments, language models in text environments.

    The run directory has the series, and checkpoints from which the run can be resumed bit for bit.
    Ctrl-C, SIGTERM or a closed terminal stops it with a checkpoint.

    Examples:
      counterpoint train spread --scheme mappo_per_agent --budget 200000 --out runs/first
      counterpoint train spread --algorithm qmix
      counterpoint train mpe2:simple_spread_v3 --set N=3 hidden=32 --seconds 60
      counterpoint train lewis --policy tiny --set speaker_scale=10 lr=0.005
    """

    world: Annotated[str, tyro.conf.Positional]
    """Name of a sequential or a text environment (`counterpoint worlds` lists them), or of your
    own: package.module:Class."""
    scheme: str | None = None
    """Name of a scheme (`counterpoint schemes` lists them), or `counterfactual`; default
    mappo_pooled."""
    algorithm: str | None = None
    """In a sequential environment: name of an algorithm in the place of a scheme
    (`counterpoint schemes` lists them too)."""
    seed: int = 0
    """Seed of everything: networks or adapters, environment, actions, order."""
    budget: int | None = None
    """Steps to play, all copies together; default 100000, or 20000 if the environment runs in
    Python. In a text environment: updates to make; default 150 of the tiny model, or 100 of
    another."""
    policy: str | None = None
    """In a text environment: the language model whose adapters are trained. `tiny` (the default),
    `smollm2`, or the path or name of any causal model of Hugging Face. `--set models=judge:tiny`
    gives single agents or roles another one."""
    seconds: float | None = None
    """End after this many seconds of training, if the budget lasts longer."""
    set: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(help=SETTABLE)] = ()
    out: Path | None = None
    """The run directory; default: counterpoint-out/train/WORLD-SCHEME-SEED."""
    export: str | None = None
    """Also send the series, the settings and the end of the run to `tensorboard`, `wandb`
    (offline), `mlflow` or `trackio`, or to the exporter of that name of an installed package;
    several are separated by commas. `resume` continues them."""
    dry_run: bool = False
    """Train nothing: check, and say what would be trained; of language models also how many
    minutes and how much memory it would take, from timings on this machine."""
    check: bool = True
    """Do not check an environment of your own or of another package before the start."""
    json: bool = False
    """Print the summary as JSON alone."""

    def run(self) -> int:
        """Trains, saves and prints."""
        search_current_folder(self.world)
        if self.scheme is not None and self.algorithm is not None:
            raise SettingError(
                f"got --scheme {self.scheme} and --algorithm {self.algorithm}; wanted one of them: "
                "an algorithm stands in the place of a scheme"
            )
        if self.algorithm is not None and self.algorithm not in algorithms():
            known = choices(self.algorithm, algorithms())
            raise UnknownNameError(f"got algorithm '{self.algorithm}'{known}")
        scheme = self.algorithm or self.scheme or "mappo_pooled"
        plan = plan_of(
            self.world,
            scheme,
            seed=self.seed,
            budget=self.budget,
            seconds=self.seconds,
            given=split_pairs(self.set, "--set"),
            model=self.policy,
        )
        if self.check:
            say_doubts(self.world, find_world(self.world).check(plan.world_settings))
        for note in plan.notes:
            say(f"counterpoint: {note}")
        say_batch(plan.budget, plan.batch_steps, plan.axis)
        say_limits(self.seconds, self.budget, plan.budget, plan.axis)
        if self.dry_run:
            return self.show_estimate(plan)
        out = self.out or run_folder(DEFAULT, self.world, scheme, self.seed)
        shown = TrainingDisplay(f"{scheme} on {self.world}", plan.budget, plan.axis)
        export = split_list(self.export or "")
        with resumable(out, shown), shown:
            session = begin_run(plan, out, shown.add, export=export, on_doing=shown.doing)
        return end_session(session, self.json)

    def show_estimate(self, plan: TrainConfig) -> int:
        """Prints what would be trained, and what it is expected to take."""
        found = plan.estimate()
        parts = ["Nothing was trained."] if found is None else estimate_parts(found)
        given = {
            "--scheme": self.scheme,
            "--algorithm": self.algorithm,
            "--seed": self.seed or None,
            "--budget": self.budget,
            "--policy": self.policy,
            "--seconds": self.seconds,
            "--out": self.out,
        }
        words = [str(x) for pair in given.items() if pair[1] is not None for x in pair]
        words = ["train", self.world, *words, *(["--set", *self.set] if self.set else [])]
        document = {"plan": plan.config(), "estimate": found}
        finish(document, lambda _: parts, None, self.json, command_line(*words))
        return 0


def end_session(session: Session, json: bool) -> int:
    """Prints the results of the run and how to resume it; returns the exit status."""
    for note in session.notes:
        say(f"counterpoint: {note}")
    path = session.path
    if json or session.trained is not None:
        finish(training_summary(path), lambda _: training_parts(training_result(path)), None, json)
    if session.message:
        say(session.message)
    elif not json:
        say(f"run: {path}")
        say(f"next: {command_line('report', path)}")
    return session.exit_status


@contextmanager
def resumable(path: Path, shown: TrainingDisplay) -> Iterator[None]:
    """Says how to resume the run in `path` if a signal ends the block at once.

    Raises:
        PartlyDoneError: a server failed after the first row of the series.
    """
    try:
        with kept(f"resume with: {command_line('resume', path)}", path / RUN):
            yield
    except ServerError as error:
        if shown.row is None:
            raise
        raise PartlyDoneError(str(error)) from error
