"""Damaged copies of real samples for every reader and loader: read, or refused in one line.

    python bench/mutants.py                            # all loaders of tests/loaders.py, 20 minutes
    python bench/mutants.py logs results --count 3000  # some of them
    python bench/mutants.py logs --folder DIR          # with the logs in a folder as more samples

Each loader runs in a process of its own, which may take 512 MB more than its samples do. A failure
is an exception that is not ours, a message of several lines, more than 5 seconds of the processor,
or a process that ends. It is printed with the file that caused it, which is kept under `--keep`.
The exit status is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import io
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PROJECT / "src"), str(PROJECT / "tests")]
SLOWEST_SECONDS = 5.0
MORE_MB = 512
HANGS_SECONDS = 60
"""After this long a process is ended, with its stack on standard error."""
LOGS = (".json", ".jsonl", ".traj", ".eval")
LARGEST_SAMPLE = 200_000
FROM_FOLDER = "folder-"
"""How samples of `--folder` are named, which may be no logs at all."""


@dataclass
class Tried:
    """What became of the mutants of one loader."""

    loader: str
    samples: int = 0
    tried: int = 0
    refused: int = 0
    slowest_seconds: float = 0.0
    more_mb: float = 0.0
    """How far the memory that was in use rose above that of the whole samples."""
    failures: list[str] = field(default_factory=list)


def try_loader(name: str, count: int, seed: int, keep: Path, folder: Path | None) -> Tried:
    """Tries so many mutants of the samples of a loader in this process."""
    from loaders import LOADERS
    from mutated_inputs import mutant

    warnings.simplefilter("ignore")
    place = Path(tempfile.mkdtemp(prefix=f"mutants-{name}-"))
    os.chdir(place)
    samples = LOADERS[name](place)
    if folder and name == "logs":
        samples += _of_folder(folder, place)
    tried, rng = Tried(name, len(samples)), random.Random(f"{name} {seed}")
    for path, read in samples:
        end, told = _read(read)
        if end == "failed" or (end == "refused" and not path.name.startswith(FROM_FOLDER)):
            tried.failures.append(f"the sample {path.name} itself: {told}")
    before = _resident_mb()
    resource.setrlimit(resource.RLIMIT_DATA, (_data_bytes() + (MORE_MB << 20), -1))
    for number in range(count):
        path, read = samples[number % len(samples)]
        whole = path.read_bytes()
        path.write_bytes(mutant(whole, rng))
        faulthandler.dump_traceback_later(HANGS_SECONDS, exit=True)
        begun = time.process_time()
        end, told = _read(read)
        seconds = time.process_time() - begun
        faulthandler.cancel_dump_traceback_later()
        tried.tried += 1
        tried.refused += end == "refused"
        tried.slowest_seconds = max(tried.slowest_seconds, round(seconds, 2))
        if seconds > SLOWEST_SECONDS:
            end, told = "failed", f"{seconds:.1f} seconds"
        if end == "failed":
            keep.mkdir(parents=True, exist_ok=True)
            kept = keep / f"{name}-{number}-{path.name}"
            shutil.copy(path, kept)
            tried.failures.append(f"{kept}: {told}")
        path.write_bytes(whole)
    tried.more_mb = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before)
    shutil.rmtree(place)
    return tried


def _read(read) -> tuple[str, str]:
    """Returns how a read ended, and what was said."""
    from counterpoint.errors import CounterpointError

    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            read()
    except CounterpointError as error:
        line = str(error)
        return ("failed", f"a message of several lines: {line!r:.300}") if "\n" in line else (
            "refused", line)  # fmt: skip
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also what Rust raises when it panics
        place = traceback.extract_tb(error.__traceback__)[-1]
        return "failed", f"{type(error).__name__}: {error!s:.200} ({place.filename}:{place.lineno})"
    return "read", ""


def _of_folder(folder: Path, place: Path) -> list:
    from counterpoint.audits import audit
    from counterpoint.readers import read_logs

    def read(path: Path) -> None:
        if episodes := list(read_logs(path)):
            audit(episodes)

    samples = []
    for number, path in enumerate(sorted(folder.rglob("*"))):
        if path.suffix in LOGS and path.is_file() and path.stat().st_size < LARGEST_SAMPLE:
            copy = Path(shutil.copy(path, place / f"{FROM_FOLDER}{number}{path.suffix}"))
            samples.append((copy, lambda copy=copy: read(copy)))
    return samples


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def _data_bytes() -> int:
    told = Path("/proc/self/status").read_text()
    return int(told.partition("VmData:")[2].split()[0]) << 10


def in_a_process(name: str, options: argparse.Namespace) -> Tried:
    """Tries a loader in a process of its own; one that ends is a failure."""
    line = [sys.executable, __file__, name, "--inside", "--count", str(options.count)]
    line += ["--seed", str(options.seed), "--keep", str(options.keep)]
    line += ["--folder", str(options.folder)] if options.folder else []
    ran = subprocess.run(line, capture_output=True, text=True)
    if ran.returncode == 0:
        return Tried(**json.loads(ran.stdout.splitlines()[-1]))
    return Tried(name, failures=[f"ended with {ran.returncode}: {ran.stderr[-1500:]}"])


def main() -> int:
    from loaders import LOADERS

    parser = argparse.ArgumentParser(description="damaged input for every reader and loader")
    parser.add_argument("loaders", nargs="*", help=f"of {', '.join(LOADERS)}; all if none")
    parser.add_argument("--count", type=int, default=1200, help="mutants of each loader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("counterpoint-out/mutants").resolve())
    parser.add_argument("--folder", type=Path, help="of logs, which are more samples for `logs`")
    parser.add_argument("--json", action="store_true", help="print a line of JSON a loader")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.folder = options.folder and options.folder.resolve()
    if unknown := [name for name in options.loaders if name not in LOADERS]:
        print(f"got {unknown}; wanted {', '.join(LOADERS)}", file=sys.stderr)
        return 2
    if options.inside:
        (name,) = options.loaders
        found = try_loader(name, options.count, options.seed, options.keep, options.folder)
        print(json.dumps(asdict(found)))
        return 0
    failed = 0
    for name in options.loaders or LOADERS:
        tried = in_a_process(name, options)
        failed += len(tried.failures)
        if options.json:
            print(json.dumps(asdict(tried)), flush=True)
            continue
        print(f"{name:<11} {tried.samples:>3} samples {tried.tried:>6} mutants "
              f"{tried.refused:>6} refused, slowest {tried.slowest_seconds:.2f} s, "
              f"{tried.more_mb:+.0f} MB, {len(tried.failures)} failed", flush=True)  # fmt: skip
        for line in tried.failures[:20]:
            print(f"  {line}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
