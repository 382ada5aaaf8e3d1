"""Mutation testing: does a test fail when the code is wrong? `make test-all` ends with this.

mutmut writes the mutants: each changes one thing in the body of a function (an operator, a number,
an argument, a string). Constants of a module, fields of a class and defaults of arguments are not
mutated. pytest imports and collects the tests of a room once. Every mutant is then a fork of that
process in which one function has other code. The tests that reach the changed statement run until
one fails: first those that killed other mutants of the function, then fast and narrow ones, as many
as fit into `--seconds`. A mutant that survives is a hole in the tests, or equivalent (no test could
tell), or only slower tests can tell. All are listed.

    python bench/mutation.py                            # credit and stats
    python bench/mutation.py stats --floor .9           # one room, another pass line
    python bench/mutation.py credit/labels.py           # one file, by the tests of its room
    python bench/mutation.py credit --out credit.jsonl  # stopped, it goes on where it was

A room is tested by its own tests alone (`tests/ROOM`). It ends with 0 if every room passes the
line, 1 if one does not, 2 if the run did not finish. A verdict in `--out` holds until a source of
the room changes or, of a killed mutant, the file of the test that killed it, of any other mutant
any test; after that it only says which test to run first.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import gc
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import NoReturn

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = PROJECT / "src" / "counterpoint"
ROOMS = ("credit", "stats")

KILLED = ("killed", "timeout", "crashed")
"""Verdicts on a mutant that was noticed; one that never ends or ends the process is noticed too."""

ELSEWHERE = ("x__torch", "x__jax", "x_traced_ids", "x_traced_pairs", "x_traced_places",
             "x_traced_order", "x__real")  # fmt: skip
"""Functions that only torch or JAX reach. The slow tests hold them to NumPy's results; no test
that runs here reaches them, so their mutants are left out of the count, and reported."""

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "COUNTERPOINT_EXAMPLES": "10"}
"""One thread a process, and 10 examples for a law of credit (tests/credit/examples.py): a mutant
that only the 11th example betrays counts as a survivor, so the share killed is a lower bound."""

PYTEST = ("-o", "addopts=", "-m", "not slow", "-q", "-s", "--tb=no", "--assert=plain",
          "-p", "no:cacheprovider", "-p", "no:xdist")  # fmt: skip

PATIENCE = 3
"""A mutant may take this many times the processor time of its tests, and then is a timeout."""


@dataclass(frozen=True)
class Mutant:
    """One change of one function."""

    file: str
    """Path of the module inside the package, as in `credit/labels.py`."""
    name: str
    """mutmut's name of it: mangled function, number."""
    change: str
    """The lines that differ, with - and +."""
    lines: frozenset[str]
    """The lines of the changed statement in the module, as in `credit/labels.py:12`."""
    code: CodeType

    @property
    def function(self) -> str:
        """Returns the file and the mangled name of the mutated function."""
        return f"{self.file} {self.name.rpartition('__mutmut_')[0]}"

    @property
    def is_elsewhere(self) -> bool:
        """Returns whether only torch or JAX reach the function."""
        return self.function.endswith(tuple(f" {name}" for name in ELSEWHERE))


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: one line of the `--out` file."""

    mutant: str
    """File and name."""
    status: str
    """killed, timeout, crashed, survived, or "no tests" where none reaches the change."""
    test: str
    """The test that killed it, or nothing."""
    tree: str
    """Digest of the sources and tests that it rests on."""


def main() -> int:
    parser = argparse.ArgumentParser(description="mutation testing of the rooms that compute")
    parser.add_argument("places", nargs="*", default=ROOMS, help=f"default: {' '.join(ROOMS)}")
    parser.add_argument("--floor", type=float, default=0.85, help="share that must be killed")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, help="verdicts, for a run that goes on after a stop")
    parser.add_argument("--seconds", type=float, default=3, help="of tests for a mutant, at most")
    options = parser.parse_args()
    if unknown := [p for p in options.places if not (PACKAGE / p).exists()]:
        return _cannot(f"got {unknown}; wanted rooms, or files as in credit/labels.py")
    os.environ |= {**ENVIRONMENT, "PYTHONPATH": str(PACKAGE.parent)}
    sys.path.insert(0, str(PACKAGE.parent))
    os.chdir(PROJECT)
    start, low = time.monotonic(), False
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = folder
        for room in dict.fromkeys(place.split("/")[0] for place in options.places):
            places = [PACKAGE / place for place in options.places if place.split("/")[0] == room]
            out = (options.out or Path(folder) / room).resolve()
            try:
                mutants = [mutant for path in places for mutant in read(path)]
                verdicts = Trial(room, mutants, out, options.workers, options.seconds).verdicts()
            except (ImportError, RuntimeError) as error:
                return _cannot(str(error))
            low |= report(room, mutants, verdicts, options.floor)
    print(f"{time.monotonic() - start:.0f} s with {options.workers} workers")
    return int(low)


def read(place: Path) -> Iterator[Mutant]:
    """Returns the mutants of a module, or of all modules in a folder, as mutmut writes them."""
    from mutmut.mutation.file_mutation import mutate_file_contents

    for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
        source, file = path.read_text("utf-8"), str(path.relative_to(PACKAGE))
        written = mutate_file_contents(str(path), source)
        codes = {code.co_name: code for code in _codes(compile(written.code, str(path), "exec"))}
        tree, lines = ast.parse(source), written.code.splitlines()
        places = _places(tree)
        for name in written.mutant_names:
            function = name.rpartition("__mutmut_")[0]
            original = function + "__mutmut_orig"
            if _bare(codes[original]) == _bare(codes[name]):
                continue  # what differs is the default of an argument
            spans = [written.line_span_by_function_name[n] for n in (original, name)]
            old, new = (lines[span.start - 1 : span.end] for span in spans)
            start = next(i for i, line in enumerate(old) if f"def {original}(" in line)
            old, new = old[start + 1 :], new[start + 1 :]
            changes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
            changes = [change for change in changes if change[0] != "equal"]
            text = [f"- {x}" for _, a, b, _, _ in changes for x in old[a:b]]
            text += [f"+ {x}" for _, _, _, a, b in changes for x in new[a:b]]
            changed = {places[function] + 1 + i for _, a, b, _, _ in changes for i in range(a, b)}
            around = {f"{file}:{n}" for line in changed for n in _statement(tree, line)}
            yield Mutant(file, name, "\n".join(text), frozenset(around), codes[name])


class Trial:
    """A plugin of pytest that tries the mutants of a room, in place of running its tests."""

    def __init__(
        self, room: str, mutants: list[Mutant], out: Path, workers: int, seconds: float
    ) -> None:
        self.room, self.mutants, self.out = room, mutants, out
        self.workers, self.seconds = workers, seconds
        self.failed: list[str] = []
        self.trees: dict[str, str] = {}
        self.sources = [p.read_bytes() for p in sorted((PACKAGE / room).rglob("*.py"))]
        self.tests = {p.name: p.read_bytes() for p in sorted(Path("tests", room).glob("*.py"))}

    def verdicts(self) -> dict[str, Verdict]:
        """Returns the verdict on every mutant, by its file and name."""
        import pytest
        from hypothesis import HealthCheck, Phase, settings

        # The same examples for every mutant, and no time spent on making a failing one small.
        settings.register_profile(
            "mutation", derandomize=True, database=None, deadline=None,
            phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        settings.load_profile("mutation")
        status = pytest.main([*PYTEST, f"tests/{self.room}"], plugins=[self])
        known = self._standing()
        if status or any(_key(m) not in known for m in self.mutants):
            raise RuntimeError(f"the tests of {self.room} do not pass, or a worker was stopped")
        return known

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_runtestloop(self, session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        self.functions = defaultdict(list)  # by name: what to give other code
        for thing in gc.get_objects():
            if isinstance(thing, FunctionType) and (name := _mangled(thing.__code__)):
                self.functions[name].append(thing)
        gc.freeze()
        costs = json.loads(_forked(self._measure))
        ranked = sorted(costs.items(), key=lambda cost: cost[1][0] * len(cost[1][1]))
        self.reached = [(test, seconds, frozenset(lines)) for test, (seconds, lines) in ranked]
        by_function = defaultdict(list)
        for mutant in self.mutants:
            by_function[mutant.function].append(mutant)
        groups, workers, parent = list(by_function.values()), [], os.getpid()
        for share in (groups[i :: self.workers] for i in range(self.workers)):
            if not (pid := os.fork()):
                _child(self._work, share, parent)
            workers.append(pid)
        self._wait(workers)
        return True

    def _measure(self) -> str:
        """Runs all tests as they are, and returns processor seconds and lines reached, by test, as
        JSON.
        """
        package, costs = f"{PACKAGE}/", {}
        for test in self.items:
            reached: set[str] = set()

            def trace(frame: FrameType, *_, reached: set[str] = reached):
                file = frame.f_code.co_filename
                if not file.startswith(package):
                    return None
                reached.add(f"{file.removeprefix(package)}:{frame.f_lineno}")
                return trace

            start = time.process_time()
            sys.settrace(trace)
            passes = self._passes(test)
            sys.settrace(None)
            if not passes:
                raise RuntimeError(f"{test} fails without a mutant")
            costs[test] = (time.process_time() - start, sorted(reached))
        return json.dumps(costs)

    def _passes(self, test: str) -> bool:
        item = self.items[test]
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        return not self.failed

    def _work(self, share: list[list[Mutant]], parent: int) -> None:
        """Tries a share of the mutants, grouped by function, and records the verdicts."""
        known, standing = self._recorded(), self._standing()
        for mutants in share:
            killers = [known[_key(m)].test for m in mutants if _key(m) in known]
            for mutant in (m for m in mutants if _key(m) not in standing):
                if os.getppid() != parent:
                    return  # the run was stopped
                before = known[_key(mutant)].test if _key(mutant) in known else ""
                status, test = self._try(mutant, [before, *reversed(killers)])
                killers.append(test)
                self._record(Verdict(_key(mutant), status, test, self._tree(test)))

    def _try(self, mutant: Mutant, first: list[str]) -> tuple[str, str]:
        """Status of a mutant after its tests, in a fork, and the test that killed it."""
        reached = {t: seconds for t, seconds, lines in self.reached if lines & mutant.lines}
        tests = dict.fromkeys(t for t in first if t in reached)
        spent = 0.0
        for test, seconds in reached.items():
            if spent + seconds <= self.seconds or not tests:
                tests[test] = None
            spent += seconds
        if not tests:
            return "no tests", ""

        def killer() -> str:
            signal.setitimer(signal.ITIMER_PROF, PATIENCE * (1 + sum(reached[t] for t in tests)))
            for function in self.functions[mutant.function]:
                function.__code__ = mutant.code
            return next((test for test in tests if not self._passes(test)), "")

        try:
            test = _forked(killer)
        except ChildProcessError as error:
            return "timeout" if error.errno == signal.SIGPROF else "crashed", ""
        return "killed" if test else "survived", test

    def _recorded(self) -> dict[str, Verdict]:
        """Returns the last verdict on each mutant in the file."""
        lines = self.out.read_text("utf-8").splitlines() if self.out.exists() else []
        return {v.mutant: v for v in (Verdict(**json.loads(line)) for line in lines)}

    def _standing(self) -> dict[str, Verdict]:
        """Returns the verdicts that hold for the sources and tests as they are."""
        return {name: v for name, v in self._recorded().items() if v.tree == self._tree(v.test)}

    def _tree(self, test: str) -> str:
        """Returns a digest of the sources and of the file of a test with its helpers; without a
        test, of all.
        """
        if test not in self.trees:
            file = Path(test.partition("::")[0]).name
            needed = [b for n, b in self.tests.items() if n == file or not n.startswith("test_")]
            content = b"".join([*self.sources, *(needed if test else self.tests.values())])
            self.trees[test] = hashlib.sha256(content).hexdigest()[:16]
        return self.trees[test]

    def _record(self, verdict: Verdict) -> None:
        with self.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(verdict)) + "\n")

    def _wait(self, workers: list[int]) -> None:
        """Prints how far the run is, every minute, until all workers have ended."""
        start, printed = time.monotonic(), 0
        while workers:
            time.sleep(0.5)
            workers = [pid for pid in workers if not os.waitpid(pid, os.WNOHANG)[0]]
            if (minutes := int((time.monotonic() - start) / 60)) > printed:
                printed = minutes
                done = self._standing().values()
                lost = sum(v.status not in KILLED for v in done)
                of = f"{len(done)} of {len(self.mutants)} mutants"
                print(f"{self.room}: {minutes} minutes, {of}, {lost} survive", flush=True)


def report(room: str, mutants: list[Mutant], known: dict[str, Verdict], floor: float) -> bool:
    """Prints survivors, and killed / total by file; returns whether that is below the floor."""
    status = {mutant: known[_key(mutant)].status for mutant in mutants}
    counted = [m for m in mutants if not (m.is_elsewhere and status[m] == "no tests")]
    for mutant in counted:
        if status[mutant] not in KILLED:
            print(f"{status[mutant]}: {mutant.file} {mutant.name}\n{mutant.change}\n")
    rows = {file: [m for m in counted if m.file == file] for file in {m.file for m in counted}}
    for name, inside in [*sorted(rows.items()), (f"{room} (wanted {floor:.0%})", counted)]:
        killed = sum(status[m] in KILLED for m in inside)
        share = killed / len(inside)
        print(f"{name:<32} {killed:>5} / {len(inside):<5} {share:6.1%}")
    print(f"{len(mutants) - len(counted)} mutants of functions for torch or JAX are not counted")
    return share < floor


def _forked(function) -> str:
    """Returns what a function returns in a fork of this process; raises ChildProcessError if it
    does not.
    """
    read_end, write_end = os.pipe()
    if not (pid := os.fork()):
        os.close(read_end)
        quiet = os.open(os.devnull, os.O_RDWR)
        os.dup2(quiet, 1)
        _child(lambda: os.write(write_end, function().encode()))
    os.close(write_end)
    with open(read_end, encoding="utf-8") as pipe:
        text = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise ChildProcessError(-status, "a fork ended early")
    return text


def _child(function, *arguments) -> NoReturn:
    """Ends this fork with 0 if the function returns, and with 1 if it raises."""
    try:
        function(*arguments)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Returns a code object and all those inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _bare(code: CodeType) -> list[tuple[object, ...]]:
    """Returns what a function computes, without its name and place."""
    return [
        (c.co_code, c.co_names, [repr(k) for k in c.co_consts if not isinstance(k, CodeType)])
        for c in _codes(code)
    ]


def _mangled(code: CodeType) -> str:
    """Returns the file and mutmut's name of a function of the package, and nothing for any other
    code.
    """
    path, names = Path(code.co_filename), code.co_qualname.split(".")
    if not path.is_relative_to(PACKAGE) or "<locals>" in names:
        return ""
    mangled = "x_" + names[0] if len(names) == 1 else "ǁ".join(["x", *names])
    return f"{path.relative_to(PACKAGE)} {mangled}"


def _key(mutant: Mutant) -> str:
    return f"{mutant.file} {mutant.name}"


def _places(tree: ast.Module) -> dict[str, int]:
    """Returns the line of each function and method by its mangled name."""
    inside = [(name, node) for node in tree.body for name, node in _functions(node)]
    return {name: node.lineno for name, node in inside}


def _functions(node: ast.stmt) -> Iterator[tuple[str, ast.stmt]]:
    if isinstance(node, ast.FunctionDef):
        yield f"x_{node.name}", node
    elif isinstance(node, ast.ClassDef):
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef):
                yield f"xǁ{node.name}ǁ{inner.name}", inner


@cache
def _statement(tree: ast.Module, line: int) -> range:
    """Returns the lines of the innermost statement around a line, without statements inside it."""
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    node = max(around, key=lambda node: (node.lineno, node.col_offset))
    body = getattr(node, "body", None)
    end = body[0].lineno - 1 if body else node.end_lineno
    return range(node.lineno, max(end, node.lineno) + 1)


def _cannot(why: str) -> int:
    print(why, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
