"""Small edits of a Python source: an operator, a number, a name, an order of arguments.

It runs inside a sandbox, on the standard library alone. Source of the idea: mutation operators
after DeMillo et al. (1978), used for repair as in Debroy and Wong, "Using Mutation to Automatically
Suggest Fixes for Faulty Programs" (ICST 2010).
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

Edit = tuple[int, int, str]
"""From where to where in a source, and the new text."""

SWAPS = {
    "Lt": ("<", "<=", ">", ">="),
    "LtE": ("<=", "<", ">=", ">"),
    "Gt": (">", ">=", "<", "<="),
    "GtE": (">=", ">", "<=", "<"),
    "Eq": ("==", "!="),
    "NotEq": ("!=", "=="),
    "Add": ("+", "-"),
    "Sub": ("-", "+"),
    "Mult": ("*", "+", "//"),
    "FloorDiv": ("//", "*", "%"),
    "Mod": ("%", "//"),
    "Div": ("/", "*"),
    "And": ("and", "or"),
    "Or": ("or", "and"),
    "In": ("in", "not in"),
    "NotIn": ("not in", "in"),
    "Is": ("is", "is not"),
    "IsNot": ("is not", "is"),
}


class _Finder(ast.NodeVisitor):
    """Finds the edits of one source; names are exchanged with arguments of the same function."""

    def __init__(self, source: str, lines: set[int]) -> None:
        self.source, self.lines = source, lines
        self.rows = source.split("\n")
        self.starts = [0, *accumulate(len(row) + 1 for row in self.rows)]
        self.names: tuple[str, ...] = ()
        self.edits: set[Edit] = set()

    def at(self, row: Any, column: Any) -> int:
        """Returns the place in the source of a row and a column, which is in bytes of UTF-8."""
        before: str = self.rows[row - 1].encode()[:column].decode()
        return int(self.starts[row - 1]) + len(before)

    def span(self, node: Any) -> tuple[int, int]:
        """Returns the places in the source at which a node begins and ends."""
        return (self.at(node.lineno, node.col_offset),
                self.at(node.end_lineno, node.end_col_offset))  # fmt: skip

    def put(self, node: Any, *new: str) -> None:
        """Adds edits that write something else in place of a node."""
        self.edits |= {(*self.span(node), each) for each in new}

    def swap(self, left: Any, right: Any, operator: str, sign: str = "") -> None:
        """Adds edits that exchange an operator between two nodes."""
        old, *others = SWAPS.get(operator, ("",))
        start, end = self.span(left)[1], self.span(right)[0]
        place = self.source.find(old + sign, start, end) if others else -1
        if place >= 0:
            self.edits |= {(place, place + len(old), new) for new in others}

    def text(self, node: Any) -> str:
        """Returns the source of a node."""
        start, end = self.span(node)
        return self.source[start:end]

    def visit(self, node: ast.AST) -> None:
        """Finds the edits of a node, if it is on one of the lines, and of all below it."""
        if isinstance(node, ast.JoinedStr):
            return  # places within it are not to be relied on before Python 3.12
        outer = self.names
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            own = {n.arg for n in ast.walk(node.args) if isinstance(n, ast.arg)}
            self.names = tuple(sorted(own.union(outer)))
        if getattr(node, "lineno", None) in self.lines:
            self.operators(node)
            self.values(node)
        self.generic_visit(node)
        self.names = outer

    def operators(self, node: ast.AST) -> None:
        """Adds edits of operators between nodes, and of conditions."""
        if isinstance(node, ast.Compare):
            for left, right, operator in zip(
                [node.left, *node.comparators], node.comparators, node.ops, strict=False
            ):
                self.swap(left, right, type(operator).__name__)
        elif isinstance(node, ast.BinOp):
            self.swap(node.left, node.right, type(node.op).__name__)
        elif isinstance(node, ast.BoolOp):
            self.swap(node.values[0], node.values[1], type(node.op).__name__)
        elif isinstance(node, ast.AugAssign):
            self.swap(node.target, node.value, type(node.op).__name__, "=")
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self.put(node, self.text(node.operand))
        elif isinstance(node, ast.If | ast.While | ast.IfExp):
            self.put(node.test, f"not ({self.text(node.test)})")

    def values(self, node: ast.AST) -> None:
        """Adds edits of numbers, names and arguments."""
        if isinstance(node, ast.Constant) and type(node.value) is int:
            near = {node.value + 1, node.value - 1, 0} - {node.value}
            self.put(node, *map(str, near))
        elif isinstance(node, ast.Constant) and type(node.value) is bool:
            self.put(node, str(not node.value))
        elif isinstance(node, ast.Call) and len(node.args) == 2:
            one, two = node.args
            start, end = self.span(one)[0], self.span(two)[1]
            self.edits.add((start, end, f"{self.text(two)}, {self.text(one)}"))
        elif (
            isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in self.names
        ):
            self.put(node, *(new for new in self.names if new != node.id))


def find_edits(source: str, lines: set[int]) -> list[Edit]:
    """Returns every small edit of the source on the lines, in order: (start, end, new text)."""
    finder = _Finder(source, lines)
    finder.visit(ast.parse(source))
    return sorted(finder.edits)


def apply_edits(source: str, edits: Sequence[Edit]) -> str | None:
    """Returns the source with the edits, or None if they overlap."""
    ordered = sorted(edits, reverse=True)
    for later, earlier in pairwise(ordered):
        if earlier[1] > later[0]:
            return None
    for start, end, new in ordered:
        source = source[:start] + new + source[end:]
    return source
