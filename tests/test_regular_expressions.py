"""Every regular expression of ours takes time in proportion to the text, whoever wrote the text.

Each is tried with texts that are made from it: the beginning of something that it matches, then
one of its pieces many times, then something that does not match.
"""

from __future__ import annotations

import ast
import importlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from pathlib import Path
from re import _parser as parser  # the standard library's, which has no public name
from typing import Any

import pytest

import counterpoint

SOURCE = Path(counterpoint.__file__).parent
SCANS = ("sub", "findall", "finditer", "split")
"""They look for every match, in the same way: one measurement is enough for all."""
METHODS = ("search", "match", "fullmatch", *SCANS)
CALL = re.compile(rf"\b(\w+)\.({'|'.join(METHODS)})\(")
USERS_OWN = {"judge/rules.py"}
"""Patterns that a user writes: they run in a process of their own, with a limit on time."""
Use = tuple[str, re.Pattern[str], str]
"""Place, pattern and method."""
SIZE, TIMES = 2_000, 4
SLOW_SECONDS = 0.00015
"""The cheapest quadratic pattern here takes longer for a text of `SIZE`."""
TEXTS = {path: path.read_text() for path in sorted(SOURCE.rglob("*.py"))}


def in_modules() -> Iterator[Use]:
    """Each that a module holds."""
    uses = {use for text in TEXTS.values() for use in CALL.findall(text)}
    for path, text in TEXTS.items():
        if "re.compile(" not in text or str(path.relative_to(SOURCE)) in USERS_OWN:
            continue
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        module = importlib.import_module(".".join(parts))
        held = {n: v for n, v in vars(module).items() if isinstance(v, re.Pattern)}
        assert text.count("re.compile(") == len(held), f"{path}: a pattern outside of the module"
        for name, pattern in held.items():
            used = [method for method in METHODS if (name, method) in uses]
            assert used, f"{path}: {name} is not used"
            for method in used:
                yield f"{path.relative_to(SOURCE)} {name}.{method}", pattern, method


def in_calls() -> Iterator[Use]:
    """Each that is written where it is used."""
    for path, text in TEXTS.items():
        if not any(name == "re" for name, _ in CALL.findall(text)):
            continue
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and (node.func.value.id, node.func.attr in METHODS) == ("re", True)
            ):
                written = node.args[0]
                assert isinstance(written, ast.Constant), f"{path}: a pattern made while running"
                where = f"{path.relative_to(SOURCE)}:{node.lineno} {written.value}"
                yield where, re.compile(written.value), node.func.attr


def sample(tree: Any) -> Iterator[str]:
    """Pieces that, one after the other, are about the shortest text that a pattern matches."""
    for kind, value in tree:
        name = str(kind)
        if name == "LITERAL":
            yield chr(value)
        elif name == "NOT_LITERAL":
            yield "a" if value != ord("a") else "b"
        elif name == "ANY":
            yield "a"
        elif name == "IN":
            inside = [chr(v if isinstance(v, int) else v[0]) for kind, v in value
                      if str(kind) in ("LITERAL", "RANGE")]  # fmt: skip
            yield next(c for c in ["a", *'0 -["\\.\n', *inside] if re.fullmatch(_class(value), c))
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            for _ in range(max(value[0], 0)):
                yield from sample(value[2])
        elif name == "SUBPATTERN":
            yield from sample(value[3])
        elif name == "ATOMIC_GROUP":
            yield from sample(value)
        elif name == "BRANCH":
            yield from sample(value[1][0])


def _class(items: Any) -> str:
    """A character class as it is written."""
    categories = {"CATEGORY_WORD": r"\w", "CATEGORY_DIGIT": r"\d", "CATEGORY_SPACE": r"\s",
            "CATEGORY_NOT_WORD": r"\W"}  # fmt: skip
    parts = []
    for kind, value in items:
        if str(kind) == "LITERAL":
            parts.append(f"\\u{value:04x}")
        elif str(kind) == "RANGE":
            parts.append(f"\\u{value[0]:04x}-\\u{value[1]:04x}")
        elif str(kind) == "CATEGORY":
            parts.append(categories[str(value)])
        elif str(kind) == "NEGATE":
            parts.append("^")
    return "[" + "".join(parts) + "]"


def repeats(tree: Any) -> bool:
    """Whether a piece may stand there more than once; without, nothing is read twice."""
    for kind, value in tree:
        if "REPEAT" in str(kind) and value[1] > 1:
            return True
        inner = value if isinstance(value, tuple | list) else (value,)
        parts = [part for each in inner for part in (each if isinstance(each, list) else [each])]
        if any(repeats(part) for part in parts if isinstance(part, parser.SubPattern)):
            return True
    return False


def words(tree: Any) -> Iterator[str]:
    """Runs of literals, wherever they are."""
    run = ""
    for kind, value in tree:
        if str(kind) == "LITERAL":
            run += chr(value)
            continue
        yield from [run] if run else []
        run = ""
        inner = {"SUBPATTERN": lambda v: [v[3]], "BRANCH": lambda v: v[1],
                 "ATOMIC_GROUP": lambda v: [v]}.get(str(kind))  # fmt: skip
        if inner is None and "REPEAT" in str(kind):
            inner = lambda v: [v[2]]  # noqa: E731
        for each in inner(value) if inner else ():
            yield from words(each)
    yield from [run] if run else []


def texts(pattern: re.Pattern[str]) -> Iterator[Callable[[int], str]]:
    """Texts of a chosen length that may be slow."""
    tree = parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)
    pieces = list(sample(tree))
    prefixes = dict.fromkeys("".join(pieces[:n]) + more for n in range(min(len(pieces), 8) + 1)
                             for more in ("", "a"))  # fmt: skip
    literal = dict.fromkeys(words(tree))
    marks = dict.fromkeys(c for word in literal for c in word if not c.isalnum())
    repeated = [" ", "\n", "0", "a", "a ", *marks, *literal, *map("".join, combinations(marks, 2))]
    for prefix in prefixes:
        for piece in list(dict.fromkeys(repeated))[:80]:
            for suffix in ("\0", "\n\0", "b"):
                yield lambda n, a=prefix, b=piece, c=suffix: a + (b * n)[:n] + c


def took(use: Callable[[str], object], text: str) -> float:
    begun = time.process_time()
    use(text)
    return time.process_time() - begun


def too_slow(pattern: re.Pattern[str], method: str) -> str | None:
    """The beginning of a text that takes a pattern more than in proportion, or nothing.

    A text of 4 times the length takes a linear pattern 4 times as long, a quadratic one 16 times.
    """
    if not repeats(parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)):
        return None
    use = getattr(pattern, "findall" if method in SCANS else method)
    for text in texts(pattern):
        size = SIZE
        while took(use, text(size)) > SLOW_SECONDS * size / SIZE:
            short, long = text(size), text(size * TIMES)
            needed = took(use, long)
            if needed <= 2 * TIMES * SLOW_SECONDS * size / SIZE:
                break
            fair = 2 * TIMES * min(took(use, short) for _ in range(5))
            needed = min(needed, took(use, long), took(use, long)) if needed > fair else needed
            if needed <= fair:
                break
            if needed > 0.03:  # below, memory that is asked for may be what takes the time
                return text(40)
            size *= TIMES
    return None


def different(rows: Iterable[Use]) -> Iterator[Use]:
    """One row of those that are measured alike."""
    seen = set()
    for where, pattern, method in rows:
        measured = pattern, "findall" if method in SCANS else method
        if measured not in seen:
            seen.add(measured)
            yield where, *measured


ALL = list(different([*in_modules(), *in_calls()]))


def test_there_are_patterns():
    assert len(ALL) > 25


@pytest.mark.parametrize(
    ("written", "more"),
    [("ab?(c|d)", False), ("a(b*)c", True), ("(?:a|b+)", True), ("(?>a+)", True), ("(a?){3}", True),
     ("(a)(?(1)b*|c)", True), ("x(?<!a{2})", True), ("(?=a*)x", True)],
)  # fmt: skip
def test_what_repeats_is_seen(written, more):
    assert repeats(parser.parse(written)) is more


@pytest.mark.fault("R38")
@pytest.mark.parametrize(("pattern", "method"), [row[1:] for row in ALL], ids=[r[0] for r in ALL])
def test_every_pattern_is_linear(pattern, method):
    assert too_slow(pattern, method) is None


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("planted", "method"),
    [
        (r"^(not )?ok\b\s*\d*\s*(?:- )?(.*?)\s*(?:#.*)?$", "match"),
        (r"^(?P<who>[^()]+?)\s*\((?:->\s*(?P<to>[^)]+)|(?P<note>[^)]*))\)$", "match"),
        (r'"(?:[^"\\]|\\.)*"', "sub"),
        (r"(?ms)^FILE: *([^\n]+)\n+```[^\n]*\n(.*?)^```", "findall"),
        (
            r"(rm|mv|sed -i|cat >|echo .*>|tee|apply_patch|write|edit|str_replace)\b[^\n]{0,200}"
            r"\b(tests?/|test_\w+\.py|\w+_test\.\w+|conftest\.py|pytest\.ini|\.github/)",
            "search",
        ),
        (r"_?\d+$", "sub"),
        (r"\s+$", "sub"),
    ],
)
def test_patterns_that_are_not_are_found(planted, method):
    assert too_slow(re.compile(planted), method) is not None
