"""`counterpoint compare`: schemes x seeds on a world, and the verdict."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from counterpoint.cli.exits import kept
from counterpoint.cli.messages import say, say_batch, say_doubts, say_limits
from counterpoint.cli.progress import Bar, ComparisonDisplay
from counterpoint.cli.results import finish, prepare
from counterpoint.cli.train import SETTABLE
from counterpoint.comparison import Plan, compare
from counterpoint.comparison.backend import Backend
from counterpoint.comparison.run import backend_of
from counterpoint.credit import scheme_name, scheme_named, split_names
from counterpoint.errors import SettingError
from counterpoint.report.terminal.parts import comparison_parts
from counterpoint.results.comparison import ComparisonResult
from counterpoint.runs.executor import ExecutorName, require_executor
from counterpoint.settings import split_pairs
from counterpoint.worlds.foreign.names import search_current_folder


@dataclass(frozen=True)
class Compare:
    """Train a team under several credit schemes or algorithms on a world, and say which it needs.

    The answer names the agents whose gradient collapsed, the cause, the effect of decoupling, its
    cost, and the scheme to use. Under every scheme the same seeds give the same problems.

    Examples:
      counterpoint compare regions --schemes mappo_pooled,mappo_per_agent --set scale=10
      counterpoint compare all_hands --seeds 16 --out results
      counterpoint compare spread --budget 100000 --set reward=common --out spread
      counterpoint compare spread --schemes mappo_pooled,vdn,qmix
      counterpoint compare lewis --policy tiny --set speaker_offset=5 speaker_scale=10
      counterpoint compare --config plan.toml --json
    """

    world: Annotated[str | None, tyro.conf.Positional] = None
    """Name of a world (`counterpoint worlds` lists them), or of your own: package.module:Class."""
    schemes: str | None = None
    """Names of schemes and algorithms, separated by commas (`counterpoint schemes` lists them). A
    name may have fields that differ: `grpo,grpo_rows,floor=0.05` names two schemes. The defaults
    are pooled, per agent, running per agent, adaptive, and, in an exact world, grouped by prompt
    and the counterfactual baseline (if it has one); in a sequential environment no normalization;
    in a text environment the per-agent mean."""
    seeds: int | None = None
    """Number of seeds; default 10, or 5 in a sequential or a text environment."""
    budget: int | None = None
    """In a sequential environment: steps of each training; default 100000, or 20000 if the
    environment runs in Python. In a text environment: updates; default 150 of the tiny model, or
    100 of another."""
    policy: str | None = None
    """In a text environment: the language model with the adapters that are trained. `tiny` (the
    default), `smollm2`, or the path or name of any causal model of Hugging Face. `--set
    models=judge:tiny` gives single agents or roles another one."""
    seconds: float | None = None
    """In a sequential or a text environment: end each training after this many seconds, if the
    budget lasts longer."""
    set: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(help=SETTABLE)] = ()
    config: Path | None = None
    """A TOML file with `world`, `schemes` (names, or tables such as `{scheme = "grpo_rows", floor =
    0.05}`), `seeds`, `budget`, `seconds`, `policy` and a table `[set]`; flags override it."""
    out: Path | None = None
    """Folder for report.html, results.json and run.json. In a sequential or a text environment also
    for the run of each training: the same command resumes where it stopped."""
    executor: ExecutorName = "processes"
    """Where trainings run: processes of this machine, one after the other here, or Ray."""
    workers: int | None = None
    """Number of processes; default: one for each processor."""
    control: bool = True
    """Leave out the control: the same world with all agents present, if the world has one."""
    check: bool = True
    """Do not check an environment of your own or of another package before the start."""
    json: bool = False
    """Print the results as JSON alone."""

    def run(self) -> int:
        """Compares, saves and prints."""
        if self.world:  # a name in a file may be that of a stranger
            search_current_folder(self.world)
        plan = self.plan()
        require_executor(self.executor, self.workers)
        backend = backend_of(plan)
        if self.check:
            say_doubts(plan.world, backend.check())
        if self.out:
            prepare(self.out)
        result = watched(plan, backend, self.workers, self.out, self.executor)
        finish(result, comparison_parts, self.out, self.json)
        return 0

    def plan(self) -> Plan:
        """Returns what to compare: the file's settings, overridden by the flags."""
        config = read_config(self.config) if self.config else {}
        world = self.world or config.get("world")
        if not world:
            raise SettingError("got no world; wanted one of those that `counterpoint worlds` lists")
        schemes = split_names(self.schemes) if self.schemes else config.get("schemes", [])
        seeds = config.get("seeds") if self.seeds is None else self.seeds
        budget = config.get("budget") if self.budget is None else self.budget
        seconds = config.get("seconds") if self.seconds is None else self.seconds
        settings = {**config.get("set", {}), **split_pairs(self.set, "--set")}
        policy = config.get("policy") if self.policy is None else self.policy
        names = tuple(
            scheme_name(scheme_named(one)) if isinstance(one, dict) else str(one).strip()
            for one in schemes
            if str(one).strip()
        )
        if "schemes" in config and not names:
            raise SettingError(f"got schemes = {schemes} in {self.config}; wanted names or no line")
        return Plan(str(world), names, seeds, settings, self.control, budget, seconds, policy)


def watched(
    plan: Plan, backend: Backend, workers: int | None, out: Path | None, executor: ExecutorName
) -> ComparisonResult:
    """Returns the comparison of a plan, shown on standard error while it runs."""
    if backend.budget is None:
        with Bar(f"comparing on {plan.world}") as report:
            return compare(
                plan, workers=workers, on_progress=report, executor=executor, backend=backend
            )
    for note in backend.notes:
        say(f"counterpoint: {note}")
    say_batch(backend.budget, backend.batch_steps, backend.axis)
    say_limits(plan.seconds, plan.budget, backend.budget, backend.axis)
    seeds = len(backend.seeds)
    shown = ComparisonDisplay(plan.world, backend.schemes, seeds, backend.budget, backend.axis)
    again = "the finished trainings are kept: run the same command again to resume"
    with kept(again, out), shown:
        return compare(
            plan,
            workers=workers,
            on_row=shown.add,
            folder=out,
            executor=executor,
            backend=backend,
        )


def read_config(path: Path) -> Mapping[str, Any]:
    """Returns the plan in a TOML file.

    Raises:
        SettingError: the file cannot be read, is not TOML, or has unknown keys or wrong types.
    """
    kinds: Mapping[str, type] = {
        "world": str, "schemes": list, "seeds": int, "budget": int, "seconds": float,
        "policy": str, "set": dict,
    }  # fmt: skip
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingError(f"could not read {path} ({reason}); wanted a TOML file") from error
    if type(config.get("seconds")) is int:
        config["seconds"] = float(config["seconds"])
    for key, value in config.items():
        if key not in kinds or type(value) is not kinds[key]:
            wanted = ", ".join(f"{name} ({kind.__name__})" for name, kind in kinds.items())
            raise SettingError(f"got {key} = {value!r} in {path}; wanted {wanted}")
    return config
