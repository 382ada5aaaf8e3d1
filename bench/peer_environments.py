"""Makes the environments in which the slow tests run peers' real packages, in `.venv/`.

    python bench/peer_environments.py [NAME ...] [--into FOLDER] [--again]
    python bench/peer_environments.py --outdated    # compares the pins with the package index

Peers contradict each other, so each has a Python of its own; none of them is a dependency. Versions
are those that were tested, except in `peers-trl-newest`, which has the newest TRL. An environment
whose peer wants another Python uses `python3.X` of the PATH or of pyenv; without one it is skipped.
What cannot be installed is listed with the reason and left out: the tests that need it are skipped.
The script exits with 1 if an installation failed, or if a pin fell behind without a reason; a
missing Python is no failure.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORE = ("numpy==2.4.6", "msgspec==0.23.0")
"""What Counterpoint's adapters need there."""
TORCH = ("torch==2.13.0",)
HELD = {
    "transformers": "transformers 5.25.0 needs kernels 0.19.1, and the index has 0.17.2 at most",
    "torch": "2.13.0 where a build for CPUs is at hand; 2.14.1 for torchvision or Python 3.12",
    "torchvision": "goes with torch 2.14.1",
    "numpy": "numpy 2.5 needs Python 3.12, and most of them have 3.11",
}
"""Package to the reason why every environment has an older release than the index."""


OWN_FILES_ONLY = ("submodule.active", "none of them")
"""A setting of git, under which pip's clones have no submodules: prime-rl names some by addresses
that need an SSH key, and nothing that is installed here is in them."""


@dataclass(frozen=True)
class Environment:
    """One environment: what is installed, step by step, and what shows that it works."""

    steps: tuple[tuple[str, ...], ...]
    """Arguments of `pip install`."""
    check: str
    """A module that must import."""
    python: str = ""
    """The Python that its packages want, as "3.12"; the one that runs this script if empty."""
    held: Mapping[str, str] = field(default_factory=dict)
    """Package to the reason why an older release than the newest is pinned."""


ENVIRONMENTS = {
    "peers-language": Environment(
        (TORCH, ("transformers==5.24.0", "peft==0.21.2", "trl==1.16.0", "comlrl==1.4.3")),
        "comlrl.trainers.reinforce",
    ),
    "peers-trl-newest": Environment((TORCH, ("trl",)), "trl.trainer.grpo_trainer"),
    "peers": Environment(
        (
            ("torch==2.14.1", "torchvision==0.29.1"),  # BenchMARL needs torchvision
            ("benchmarl==1.5.2", "torchrl==0.11.1", "tensordict==0.11.0", "vmas==1.5.2"),
        ),
        "benchmarl",
        held={
            "torchrl": "BenchMARL 1.5.2 needs torchrl below 0.12",
            "tensordict": "torchrl 0.11.1 needs tensordict below 0.12",
        },
    ),
    "peers-torchrl": Environment(
        (TORCH, ("torchrl==0.14.1", "tensordict==0.14.3")),
        "torchrl.objectives",
        held={"tensordict": "torchrl 0.14.1 needs tensordict below 0.15"},
    ),
    "peers-verl": Environment(
        (
            TORCH,
            ("verl==0.9.1", "tensordict==0.10.0", "ray[default]==2.60.0", "transformers==5.10.4"),
            # imported by verl's trainers, and not among what verl says that it needs
            ("TransferQueue==0.1.11", "cachetools==8.0.2", "fastapi==0.165.0", "uvicorn==0.55.0"),
        ),
        "verl.trainer.ppo.v1",
        held={
            "tensordict": "verl 0.9.1 needs tensordict 0.10.0 at most",
            "transformers": "verl 0.9.1 needs transformers below 5.11",
        },
    ),
    # torch, for the tests of ART's own advantages; Python 3.12 has no build for CPUs alone
    "peers-services": Environment(
        (("torch==2.14.1",), ("openpipe-art==0.5.23", "transformers==5.12.1")),
        "art.preprocessing.tokenize",
        python="3.12",
        held={"transformers": "openpipe-art 0.5.23 wants transformers 5.12.1 at most"},
    ),
    # its index entry asks for Python 3.12, its code runs in 3.11; so does prime-rl's
    "peers-agent-lightning": Environment(
        (
            TORCH,
            ("verl==0.9.1", "tensordict==0.10.0", "ray[default]==2.60.0", "transformers==5.10.4"),
            ("TransferQueue==0.1.11", "cachetools==8.0.2", "fastapi==0.165.0", "uvicorn==0.55.0"),
            ("httpx-retries", "structlog"),
            ("--no-deps", "--ignore-requires-python", "agentlightning==1.0.2"),
        ),
        "agentlightning.verl.trainer",
        held={
            "tensordict": "verl 0.9.1 needs tensordict 0.10.0 at most",
            "transformers": "verl 0.9.1 needs transformers below 5.11",
        },
    ),
    # its types need Python 3.12: pydantic refuses their TypedDict in 3.11
    "peers-skyrl": Environment(
        (
            ("torch==2.14.1",),
            ("transformers==5.16.1", "tensordict==0.15.3", "ray[default]==2.60.0", "peft==0.18.1"),
            ("datasets", "loguru", "omegaconf", "hydra-core", "jaxtyping", "cloudpathlib"),
            ("--no-deps", "torchdata", "pybase64", "skyrl-gym"),
            ("--no-deps", "skyrl==0.4.0"),
        ),
        "skyrl.backends.skyrl_train.utils.ppo_utils",
        python="3.12",
        held={
            "transformers": "skyrl 0.4.0 needs transformers 5.16.1 at most",
            "peft": "skyrl 0.4.0 needs peft 0.18.1",
        },
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
            ("transformers==5.6.2", "aiolimiter", "tenacity", "wandb"),
            (
                "--no-deps",
                "--ignore-requires-python",
                "prime-rl-configs @ git+https://github.com/PrimeIntellect-ai/prime-rl@559b4477"
                "#subdirectory=packages/prime-rl-configs",
                "prime-rl @ git+https://github.com/PrimeIntellect-ai/prime-rl@559b4477",
            ),
        ),
        "prime_rl.orchestrator.algo",
        held={"transformers": "prime-rl at 559b4477 pins transformers 5.6.2"},
    ),
    "peers-verifiers": Environment((("verifiers==0.4.0",),), "verifiers.v1"),
    "peers-tinker": Environment(
        (
            TORCH,
            # it says that it needs tml-renderers 0.4.1, which no index has: it runs with 0.2.1
            ("--no-deps", "tinker-cookbook==0.6.1"),
            ("tinker==0.38.0", "transformers==5.24.0", "tml-renderers==0.2.1", "datasets"),
            ("aiohttp", "anyio", "blobfile", "chz", "cloudpickle", "pillow", "pyrage", "rich"),
            ("termcolor", "tiktoken", "tqdm"),
        ),
        "tinker_cookbook.rl.train",
    ),
    "peers-openenv": Environment((("openenv==0.10.0",),), "openenv.core.env_server"),
}


def interpreter(version: str) -> str:
    """Returns a Python of that version, "" where there is none.

    This Python, `python3.X` of the PATH, and pyenv's versions (the latest first) are tried. A
    program that only says that a version is not chosen, as pyenv's shims do, does not count.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    kept = sorted(pyenv.glob(f"{version}.*/bin/python"), key=_order, reverse=True)
    for path in (sys.executable, shutil.which(f"python{version}"), *map(str, kept)):
        if path and _version_of(path) == version:
            return path
    return ""


def _order(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.parts[-3])]


def _version_of(python: str) -> str:
    asked = "import sys; print('%d.%d' % sys.version_info[:2])"
    run = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=False)
    return run.stdout.strip()


def base_python(environment: Environment) -> str:
    """Returns the Python of which an environment is made, "" where there is none."""
    return interpreter(environment.python) if environment.python else sys.executable


def make(name: str, folder: Path) -> str:
    """Makes an environment from nothing; returns why it could not be made, or an empty text."""
    environment, place = ENVIRONMENTS[name], folder / name
    base = base_python(environment)
    if not base:
        return f"needs Python {environment.python}, which is not on the PATH or in pyenv"
    shutil.rmtree(place, ignore_errors=True)
    commands = [[base, "-m", "venv", str(place)]]
    python = str(place / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    commands += [[*pip, *step] for step in (*environment.steps, CORE)]
    commands.append([python, "-W", "ignore", "-c", f"import {environment.check}"])
    for command in commands:
        run = subprocess.run(
            command, env=with_git(*OWN_FILES_ONLY), capture_output=True, text=True, check=False
        )
        if run.returncode:
            shutil.rmtree(place, ignore_errors=True)
            last = (run.stderr or run.stdout).strip().splitlines()[-3:]
            return f"{' '.join(command[1:])}\n    " + "\n    ".join(last)
    return ""


def with_git(name: str, value: str) -> dict[str, str]:
    """Returns the variables of this process, and a setting of git beside those that they have."""
    count = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
    setting = {f"GIT_CONFIG_KEY_{count}": name, f"GIT_CONFIG_VALUE_{count}": value}
    return {**os.environ, **setting, "GIT_CONFIG_COUNT": str(count + 1)}


def pins(environment: Environment) -> Iterator[tuple[str, str]]:
    """Yields package and version of every pin, those of all environments last."""
    for requirement in (x for step in (*environment.steps, CORE) for x in step):
        name, _, version = requirement.partition("==")
        if version:
            yield name.partition("[")[0], version


def newest_on_index(package: str) -> str:
    """Returns the newest release on pip's index, whatever Python it wants.

    Raises:
        RuntimeError: pip knows no release, or cannot reach its index.
    """
    command = [sys.executable, "-m", "pip", "index", "versions", "--ignore-requires-python"]
    run = subprocess.run([*command, package], capture_output=True, text=True, check=False)
    if told := re.match(r"\S+ \((\S+)\)", run.stdout):
        return told[1]
    last = run.stderr.strip().splitlines()[-1:]
    raise RuntimeError(f"pip index versions {package}: {''.join(last) or 'no release'}")


@dataclass(frozen=True)
class Pin:
    """A pin that is not the newest release, or whose reason is no longer needed."""

    environment: str
    package: str
    version: str
    newest: str
    reason: str
    """Why it is held; empty if nothing says so."""

    @property
    def is_wrong(self) -> bool:
        """Whether somebody must act: the pin is behind without a reason, or held without need."""
        return not self.reason or self.version == self.newest


def outdated(
    environments: Mapping[str, Environment], newest: Callable[[str], str]
) -> tuple[Pin, ...]:
    """Returns the pins that are behind, and those that are held without need.

    Args:
        environments: name to environment.
        newest: returns the newest release of a package.
    """
    known: dict[str, str] = {}
    rows = []
    for name, environment in environments.items():
        for package, version in pins(environment):
            if package not in known:
                known[package] = newest(package)
            own = environment.held.get(package, "")
            reason = own or HELD.get(package, "")
            if version != known[package] or own:
                rows.append(Pin(name, package, version, known[package], reason))
    return tuple(rows)


def outdated_table(rows: tuple[Pin, ...]) -> str:
    """Returns the table of pins that are not the newest release, in Markdown."""
    lines = ["| environment | package | pinned | newest | why |", "|---|---|---|---|---|"]
    for row in rows:
        why = row.reason or "**fell behind**"
        if row.reason and row.version == row.newest:
            why = f"**no longer needed**: {row.reason}"
        cells = (row.environment, row.package, row.version, row.newest, why)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ENVIRONMENTS))
    parser.add_argument("--into", type=Path, default=ROOT / ".venv", metavar="FOLDER")
    parser.add_argument("--again", action="store_true", help="also those that are there")
    parser.add_argument("--outdated", action="store_true", help="only compare pins with the index")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in ENVIRONMENTS]:
        parser.error(f"got {unknown[0]}; wanted some of {', '.join(ENVIRONMENTS)}")
    names = options.names or list(ENVIRONMENTS)
    if options.outdated:
        rows = outdated({name: ENVIRONMENTS[name] for name in names}, newest_on_index)
        print(outdated_table(rows))
        return int(any(row.is_wrong for row in rows))
    failed = 0
    for name in names:
        if (options.into / name / "bin" / "python").exists() and not options.again:
            print(f"{name}: there already (--again makes it anew)")
        else:
            print(f"{name}: installing", flush=True)
            if why := make(name, options.into):
                failed += bool(base_python(ENVIRONMENTS[name]))
                print(f"{name}: SKIPPED:\n    {why}", file=sys.stderr)
            else:
                print(f"{name}: ready")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
