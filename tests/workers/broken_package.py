"""A small package with failing tests, made to order: for tests and experiments of teams at work."""

from __future__ import annotations

import random
import textwrap
from pathlib import Path

from counterpoint.workers.inside.edits import apply_edits, find_edits

TAP = """
import importlib.util, os, sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.getcwd())
names = sys.argv[1:]
for file in sorted(os.listdir("tests")):
    if not file.startswith("test_"):
        continue
    path = "tests/" + file
    spec = importlib.util.spec_from_file_location(file[:-3], path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        print("not ok - " + path)
        continue
    for name in sorted(vars(module)):
        full = path + "::" + name
        if name.startswith("test_") and (not names or full in names):
            try:
                getattr(module, name)()
                print("ok - " + full)
            except Exception:
                print("not ok - " + full)
"""
FLAVOURS = (
    """
    def {name}(values, limit):
        total = {a}
        for value in values:
            if value > limit:
                total = total + value * {b}
            else:
                total = total - value
        return total
    """,
    """
    def {name}(first, second):
        if first % {b} == 0 and second > {a}:
            return first + second
        if first < second:
            return first * {a} - second
        return second // {b}
    """,
    """
    def {name}(count, step):
        found = []
        for i in range(count + {a}):
            if i % {b} != 1 or i > step:
                found.append(i * step)
        return found
    """,
    """
    def {name}(text, width):
        parts = [text[i : i + width] for i in range(0, len(text), width)]
        if len(parts) > {b}:
            return len(parts) * {a} + len(parts[-1])
        return len(parts[0]) - width
    """,
    """
    def {name}(low, high):
        span = high - low
        steps = span // {b} + {a}
        if steps >= {b} and low <= high:
            return low + steps * {b}
        return high - steps
    """,
    """
    def {name}(low, high):
        width = high - low
        if width < {a}:
            return low * {b}
        whole, rest = width // {b}, width % {b}
        score = 0
        for i in range(whole):
            if i % 2 == 0 and i <= high:
                score = score + i * {a}
            else:
                score = score - low
        if rest > 1 or score < {b}:
            score = score + rest * {b}
        left = high * {a} - low
        if left >= score:
            return left - score
        return score // {b} + left
    """,
)
LONG = 5
"""The flavour of functions in which two things are wrong."""
CASES = {
    0: [([1, 5, 9, 2], 3), ([4, 4, 4], 4), ([], 1), ([7, -2, 3], 2), ([2, 3, 6, 8], 5)],
    1: [(12, 7), (9, 2), (3, 11), (8, 8), (10, 1), (6, 30)],
    2: [(6, 2), (3, 5), (9, 1), (0, 4), (7, 3)],
    3: [("abcdefghij", 3), ("abcdef", 2), ("xyz", 3), ("abcdefghijklmnop", 4), ("a", 2)],
    4: [(3, 17), (10, 10), (9, 2), (0, 31), (5, 8)],
    5: [(3, 4), (0, 9), (2, 30), (7, 50), (1, 17), (4, 90), (5, 12)],
}


def make_package(
    folder: Path, *, modules: int = 8, each: int = 5, hard: float = 0.25, seed: int = 0
) -> list[str]:
    """Write a package `shop` in which every function is broken and has a test that fails.

    Args:
        folder: where.
        modules: files of the package; each has a file of tests.
        each: functions of a module.
        hard: share of the functions in which two things are wrong instead of one.
        seed: of all chance.

    Returns: the names of the tests that have two things wrong.
    """
    rng = random.Random(seed)
    (folder / "shop").mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / "shop" / "__init__.py").write_text('"""A shop."""\n')
    (folder / "tap.py").write_text(TAP.lstrip())
    double: list[str] = []
    for m in range(modules):
        parts, checks = [], [f"from shop.part_{m} import *\n"]
        for e in range(each):
            wrong = 2 if rng.random() < hard else 1
            flavour = LONG if wrong == 2 else rng.randrange(LONG)
            name = f"work_{m}_{e}"
            source = textwrap.dedent(FLAVOURS[flavour]).strip().format(
                name=name, a=rng.randint(1, 4), b=rng.randint(2, 5)
            )  # fmt: skip
            test = f"def test_{name}():\n" + "".join(
                f"    assert {name}{case!r} == {_value(source, name, case)!r}\n"
                for case in CASES[flavour]
            )
            parts.append(_broken(source, test, wrong, rng))
            checks.append(test)
            if wrong == 2:
                double.append(f"tests/test_part_{m}.py::test_{name}")
        (folder / "shop" / f"part_{m}.py").write_text("\n\n\n".join(parts) + "\n")
        (folder / "tests" / f"test_part_{m}.py").write_text("\n\n".join(checks))
    return double


def _value(source, name, case):
    space: dict = {}
    exec(source, space)
    return space[name](*case)


def _passes(source, test):
    space: dict = {}
    try:
        exec(source, space)
        exec(test, space)
        next(value for key, value in space.items() if key.startswith("test_"))()
    except Exception:
        return False
    return True


def _broken(source, test, wrong, rng):
    """The source with so many things wrong, each of which an edit can mend, and none is enough."""
    lines = set(range(2, source.count("\n") + 2))
    for _ in range(1000):
        new, undo = source, []
        for _ in range(wrong):
            edit = rng.choice(find_edits(new, lines))
            changed = apply_edits(new, [edit])
            if not any(apply_edits(changed, [back]) == new for back in find_edits(changed, lines)):
                break
            undo.append(new)
            new = changed
        else:
            if _passes(new, test):
                continue
            single = any(_passes(apply_edits(new, [e]), test) for e in find_edits(new, lines))
            if single == (wrong == 1):
                return new
    raise AssertionError(f"no way found to break {source}")
