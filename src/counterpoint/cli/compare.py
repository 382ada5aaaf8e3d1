"""`counterpoint compare`: schemes x seeds on a world, and the verdict."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from counterpoint.cli.output import print_json, print_result, progress, say
from counterpoint.cli.results import prepare, save
from counterpoint.errors import SettingError
from counterpoint.experiments import Plan, compare
from counterpoint.report import comparison_table


@dataclass(frozen=True)
class Compare:
    """Train a team under several credit schemes on a world, and say which one it needs.

    The answer names the agents whose gradient collapsed, why, what decoupling did, what it costs,
    and what to use. The same seeds meet the same problems under every scheme.

    Examples:
      counterpoint compare regions --schemes mappo_pooled,happo_per_agent --set scale=10
      counterpoint compare all_hands --seeds 16 --out results
      counterpoint compare --config plan.toml --json
    """

    world: Annotated[str | None, tyro.conf.Positional] = None
    """Name of a world (`counterpoint worlds` lists them)."""
    schemes: str | None = None
    """Names with commas between; default: pooled, per agent, running per agent, group, and the
    counterfactual baseline where the world knows it (`counterpoint schemes` lists them)."""
    seeds: int | None = None
    """How many seeds; default 10."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A setting of the world, key=value; may be repeated, and may take several pairs."""
    config: Path | None = None
    """A TOML file with `world`, `schemes`, `seeds` and a table `[set]`; flags override it."""
    out: Path | None = None
    """Folder for report.html, results.json and run.json."""
    workers: int | None = None
    """Processes; default: one for each processor."""
    control: bool = True
    """Leave out the control: the same world with everybody present, where the world has it."""
    json: bool = False
    """Print the results as JSON alone."""

    def run(self) -> int:
        """Compare, save, print."""
        plan = self.plan()
        if self.out:
            prepare(self.out)
        with progress(f"comparing on {plan.world}") as report:
            document = compare(plan, workers=self.workers, on_progress=report)
        saved = save(document, self.out) if self.out else None
        if self.json:
            print_json(document)
        else:
            print_result(comparison_table(document))
        if saved:
            say(f"report: {saved}")
        return 0

    def plan(self) -> Plan:
        """What to compare: the file's word, overridden by the flags'."""
        told = read_config(self.config) if self.config else {}
        world = self.world or told.get("world")
        if not world:
            raise SettingError("got no world; wanted one of those that `counterpoint worlds` lists")
        schemes = self.schemes.split(",") if self.schemes else told.get("schemes", [])
        seeds = told.get("seeds", 10) if self.seeds is None else self.seeds
        settings = {**told.get("set", {}), **read_settings(self.set)}
        names = tuple(str(name).strip() for name in schemes if str(name).strip())
        return Plan(str(world), names, int(seeds), settings, self.control)


def read_settings(pairs: tuple[str, ...]) -> dict[str, str]:
    """`("a=1", "b=2")` as a mapping.

    Raises:
        SettingError: a pair without `=`, or one key twice with different values.
    """
    settings: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise SettingError(f"got --set {pair!r}; wanted key=value")
        if settings.setdefault(key.strip(), value.strip()) != value.strip():
            raise SettingError(f"got {key.strip()!r} with two values; wanted one")
    return settings


def read_config(path: Path) -> Mapping[str, Any]:
    """The plan in a TOML file.

    Raises:
        SettingError: the file cannot be read, is no TOML, or has keys or types of another kind.
    """
    kinds = {"world": str, "schemes": list, "seeds": int, "set": dict}
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        told_by = getattr(error, "strerror", None) or error
        raise SettingError(f"could not read {path} ({told_by}); wanted a TOML file") from error
    for key, value in told.items():
        if key not in kinds or type(value) is not kinds[key]:
            wanted = ", ".join(f"{name} ({kind.__name__})" for name, kind in kinds.items())
            raise SettingError(f"got {key} = {value!r} in {path}; wanted {wanted}")
    return told
