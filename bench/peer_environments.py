"""Makes the environments in which the slow tests run peers' real packages, in `.venv/`.

    python bench/peer_environments.py [NAME ...] [--into FOLDER] [--again]

Peers contradict each other, so each has a Python of its own; none of them is a dependency. Versions
are those that were tested, except in `peers-trl-newest`, which has the newest TRL. What cannot be
installed is listed with the reason and left out: the tests that need it are skipped. The script
exits with 1 if one failed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORE = ("numpy==2.4.6", "msgspec==0.22.0")
"""What Counterpoint's adapters need there."""
TORCH = ("torch==2.13.0",)


@dataclass(frozen=True)
class Environment:
    """One environment: what is installed, step by step, and what shows that it works."""

    steps: tuple[tuple[str, ...], ...]
    """Arguments of `pip install`."""
    check: str
    """A module that must import."""


ENVIRONMENTS = {
    "peers-language": Environment(
        (TORCH, ("transformers==5.24.0", "peft==0.21.2", "trl==1.16.0", "comlrl==1.4.3")),
        "comlrl.trainers.reinforce",
    ),
    "peers-trl-newest": Environment((TORCH, ("trl",)), "trl.trainer.grpo_trainer"),
    "peers": Environment(
        (TORCH, ("benchmarl==1.5.2", "torchrl==0.11.1", "tensordict==0.11.0", "vmas==1.5.2")),
        "benchmarl",
    ),
    "peers-verl": Environment(
        (
            TORCH,
            ("verl==0.9.1", "tensordict==0.10.0", "ray[default]==2.60.0", "transformers==5.10.4"),
            # imported by verl's trainers, and not among what verl says that it needs
            ("TransferQueue==0.1.11", "cachetools==8.0.2", "fastapi==0.165.0", "uvicorn==0.54.0"),
        ),
        "verl.trainer.ppo.v1",
    ),
    # its index entry asks for Python 3.12, its code runs in 3.11; so do SkyRL's and prime-rl's
    "peers-agent-lightning": Environment(
        (
            TORCH,
            ("verl==0.9.1", "tensordict==0.10.0", "ray[default]==2.60.0", "transformers==5.10.4"),
            ("TransferQueue==0.1.11", "cachetools==8.0.2", "fastapi==0.165.0", "uvicorn==0.54.0"),
            ("httpx-retries", "structlog"),
            ("--no-deps", "--ignore-requires-python", "agentlightning==1.0.2"),
        ),
        "agentlightning.verl.trainer",
    ),
    "peers-skyrl": Environment(
        (
            TORCH,
            ("transformers==5.16.1", "tensordict==0.10.0", "ray[default]==2.60.0", "peft==0.18.1"),
            ("datasets", "loguru", "omegaconf", "hydra-core", "jaxtyping", "cloudpathlib"),
            ("--no-deps", "torchdata", "pybase64", "skyrl-gym"),
            ("--no-deps", "--ignore-requires-python", "skyrl==0.4.0"),
        ),
        "skyrl.backends.skyrl_train.utils.ppo_utils",
    ),
    "peers-ms-swift": Environment(
        (TORCH, ("ms-swift==4.6.0", "trl<1.0", *TORCH)), "swift.rlhf_trainers.grpo_trainer"
    ),
    # on no index: from source, with the newest commits that were read
    "peers-prime-rl": Environment(
        (
            TORCH,
            ("verifiers @ git+https://github.com/PrimeIntellect-ai/verifiers@a60a606e",),
            ("renderers", "prime-pydantic-config", "loguru", "tomli", "tomli-w", "pandas"),
            ("transformers==5.10.4", "aiolimiter", "tenacity", "wandb"),
            (
                "--no-deps",
                "--ignore-requires-python",
                "prime-rl-configs @ git+https://github.com/PrimeIntellect-ai/prime-rl@559b4477"
                "#subdirectory=packages/prime-rl-configs",
                "prime-rl @ git+https://github.com/PrimeIntellect-ai/prime-rl@559b4477",
            ),
        ),
        "prime_rl.orchestrator.algo",
    ),
    "peers-services": Environment((("openpipe-art==0.5.18",),), "art"),
    "peers-verifiers": Environment((("verifiers==0.4.0",),), "verifiers.v1"),
    "peers-tinker": Environment(
        (TORCH, ("tinker-cookbook==0.5.8", "tinker==0.38.0", "transformers==5.5.4")),
        "tinker_cookbook.rl.train",
    ),
    "peers-openenv": Environment((("openenv-core==0.3.0",),), "openenv.core.env_server"),
}


def make(name: str, folder: Path) -> str:
    """Makes an environment from nothing; returns why it could not be made, or an empty text."""
    environment, place = ENVIRONMENTS[name], folder / name
    shutil.rmtree(place, ignore_errors=True)
    commands = [[sys.executable, "-m", "venv", str(place)]]
    python = str(place / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    commands += [[*pip, *step] for step in (*environment.steps, CORE)]
    commands.append([python, "-W", "ignore", "-c", f"import {environment.check}"])
    for command in commands:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            shutil.rmtree(place, ignore_errors=True)
            last = (run.stderr or run.stdout).strip().splitlines()[-3:]
            return f"{' '.join(command[1:])}\n    " + "\n    ".join(last)
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ENVIRONMENTS))
    parser.add_argument("--into", type=Path, default=ROOT / ".venv", metavar="FOLDER")
    parser.add_argument("--again", action="store_true", help="also those that are there")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in ENVIRONMENTS]:
        parser.error(f"got {unknown[0]}; wanted some of {', '.join(ENVIRONMENTS)}")
    failed = 0
    for name in options.names or ENVIRONMENTS:
        if (options.into / name / "bin" / "python").exists() and not options.again:
            print(f"{name}: there already (--again makes it anew)")
            continue
        print(f"{name}: installing", flush=True)
        if why := make(name, options.into):
            failed += 1
            print(f"{name}: SKIPPED, could not be installed:\n    {why}", file=sys.stderr)
        else:
            print(f"{name}: ready")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
