"""Runs the adapters' tests in the trainers' real packages, and notes what ran: the index's table.

    python bench/integrations.py [NAME ...]     # those whose environments are there

A test that passes is noted in bench/data/integrations.json with the packages' versions and the
date; docs/tables.py makes the table of docs/integrations/index.md from it, and from the trainings
of bench/trainers.py. A test that is skipped leaves what was noted before, and a test that fails
takes it away. Rows without an environment were held against a published interface only.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from common import ONE_THREAD, PROJECT, write_json

DATA = PROJECT / "bench" / "data" / "integrations.json"
TESTS = "tests/integrations"


@dataclass(frozen=True)
class Adapter:
    """One row of the index."""

    title: str
    """The trainer, a link in Markdown if it has a page of its own."""
    line: str
    """The one line of code."""
    packages: tuple[str, ...] = ()
    """Packages whose versions are noted."""
    environment: str = ""
    tests: tuple[str, ...] = ()
    """Tests that need the package."""
    trained: str = ""
    """The name of the trainer in bench/trainers.py."""
    interface: str = ""
    """What was read where no package ran."""


ADAPTERS = {
    "trl": Adapter(
        "[TRL](trl.md)", '`with_credit(GRPOTrainer, "agent_wise")(...)`', ("trl",),
        "peers-language",
        (f"{TESTS}/test_trl_and_comlrl.py::test_trl_learns_from_our_advantages",), "trl",
    ),
    "comlrl": Adapter(
        "[CoMLRL](comlrl.md)", '`attach(trainer, "agent_wise")`', ("comlrl",), "peers-language",
        (f"{TESTS}/test_trl_and_comlrl.py::test_comlrl_learns_from_our_advantages",), "comlrl",
    ),
    "torchrl": Adapter(
        "[TorchRL](torchrl.md)", "`NormalizeAdvantage(...)` after GAE", ("torchrl",),
        "peers-torchrl",
        (f"{TESTS}/peers/test_benchmarl_peer.py::test_torchrl[peers-torchrl]",), "torchrl",
    ),
    "benchmarl": Adapter(
        "[BenchMARL](benchmarl.md)",
        '`Experiment(..., callbacks=[credit_callback("mappo_per_agent")])`',
        ("benchmarl", "torchrl"), "peers",
        (f"{TESTS}/peers/test_benchmarl_peer.py::test_torchrl[peers]",
         f"{TESTS}/peers/test_benchmarl_peer.py::test_benchmarl"), "benchmarl",
    ),
    "verl": Adapter(
        "[verl](verl.md)", '`register("counterpoint", "agent_wise")`', ("verl",), "peers-verl",
        (f"{TESTS}/test_verl.py",),
    ),
    "art": Adapter(
        "[ART](art.md)", '`gather_trajectory_groups(..., after_each=after_each("agent_wise"))`',
        ("openpipe-art",), "peers-services", (f"{TESTS}/test_art.py::test_in_art_itself",),
    ),
    "tinker": Adapter(
        "[tinker-cookbook](tinker.md)", "`group_rewards(...)` in an `EnvGroupBuilder`",
        ("tinker-cookbook",), "peers-tinker", (f"{TESTS}/test_tinker.py",), "tinker",
    ),
    "verifiers": Adapter(
        "[verifiers](verifiers.md)", "`assign(episodes, credit)`", ("verifiers",),
        "peers-verifiers", (f"{TESTS}/test_verifiers.py",),
    ),
    "openenv": Adapter(
        "[OpenEnv](openenv.md)", "a text world of ours as an `Environment`", ("openenv",),
        "peers-openenv", (f"{TESTS}/test_openenv.py",),
    ),
    "prime-rl": Adapter(
        "[prime-rl](prime-rl.md)", '`install("agent_wise", replaces="rae")`',
        ("prime-rl",), "peers-prime-rl", (f"{TESTS}/test_prime_rl.py",),
    ),
    "agent-lightning": Adapter(
        "[Agent Lightning](agent-lightning.md)", '`register("counterpoint", "agent_wise")`',
        ("agentlightning", "verl"), "peers-agent-lightning",
        (f"{TESTS}/test_agent_lightning.py",),
    ),
    "skyrl": Adapter(
        "[SkyRL](skyrl.md)", '`with_credit(RayPPOTrainer, "agent_wise")(...)`', ("skyrl",),
        "peers-skyrl", (f"{TESTS}/test_skyrl.py",),
    ),
    "ms-swift": Adapter(
        "[ms-swift](ms-swift.md)", '`install("agent_wise")` in a plugin', ("ms-swift",),
        "peers-ms-swift",
        (f"{TESTS}/test_stand_in_trainers.py::test_in_ms_swifts_own_function",
         f"{TESTS}/test_adapter_conformance.py::test_ms_swift_trains_what_the_kernel_computes",
         f"{TESTS}/test_two_processes.py::test_two_processes_of_a_trainer[ms_swift-peers-ms-swift]"),
        "ms_swift",
    ),
    "trl-async": Adapter(
        "[TRL, asynchronous](trl-async.md)", '`with_credit(AsyncGRPOTrainer, "agent_wise")(...)`',
        ("trl",), "peers-language",
        (f"{TESTS}/test_stand_in_trainers.py::test_in_trls_own_rollout_loop",),
    ),
    "classes": Adapter(
        "[AReaL](areal.md), [OpenRLHF](openrlhf.md), [ART's pipeline](art-pipeline.md)",
        "a class or a setup function", interface="published interface",
    ),
    "gym": Adapter(
        "[NeMo Gym](nemo-gym.md), [miles](miles.md)", "named rewards; a function by path",
        interface="published interface",
    ),
    "by name": Adapter(
        "[rLLM](rllm.md), [slime](slime.md), [NeMo-RL](nemo-rl.md)",
        "an estimator by name or path", interface="published interface",
    ),
    "arrays": Adapter(
        "[HARL, on-policy, EPyMARL, JaxMARL, Mava](arrays.md)", "`normalized(advantages)`",
        interface="arrays only",
    ),
}  # fmt: skip
"""Name to row, in the order of the index."""


def versions(environment: str, packages: tuple[str, ...]) -> dict[str, str]:
    """Returns package to version in an environment, empty where the environment is missing."""
    site = [str(x) for x in (PROJECT / ".venv" / environment / "lib").glob("python*/site-packages")]
    known = {d.name.lower().replace("_", "-"): d.version for d in distributions(path=site)}
    return {name: known[name] for name in packages if name in known}


def passed(adapter: Adapter) -> bool | None:
    """Runs the tests of a row; returns whether they passed, None if any was skipped."""
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-rs", "-m", "slow or not slow"]
    run = subprocess.run(
        [*command, *adapter.tests], cwd=PROJECT, env={**os.environ, **ONE_THREAD},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    last = run.stdout.strip().splitlines()[-1:]
    print(f"{adapter.title}: {''.join(last)}", flush=True)
    if run.returncode:
        print(run.stdout[-3000:], file=sys.stderr)
        return False
    return None if "SKIPPED" in run.stdout else True


def noted(adapter: Adapter, before: Mapping[str, Any], result: bool | None) -> dict[str, Any]:
    """Returns a row of the document after its tests.

    Args:
        adapter: the row.
        before: what the document said of it.
        result: whether the tests passed; None if they did not run.
    """
    row: dict[str, Any] = {"title": adapter.title, "line": adapter.line}
    if adapter.interface:
        return {**row, "interface": adapter.interface}
    row["trained"] = adapter.trained
    if result:
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        return {**row, "packages": versions(adapter.environment, adapter.packages), "date": today}
    kept = ("packages", "date") if result is None else ()
    return {**row, **{key: before[key] for key in kept if key in before}}


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ADAPTERS))
    parser.add_argument("--out", type=Path, default=DATA)
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in ADAPTERS]:
        parser.error(f"got {unknown[0]}; wanted some of {', '.join(ADAPTERS)}")
    before = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {}
    failed, document = 0, {}
    for name, adapter in ADAPTERS.items():
        chosen = not options.names or name in options.names
        result = passed(adapter) if chosen and adapter.tests else None
        failed += result is False
        document[name] = noted(adapter, before.get(name, {}), result)
        write_json(options.out, document | {k: before[k] for k in before if k not in document})
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
