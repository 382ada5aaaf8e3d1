"""A comparison: schemes x seeds on a world, and the verdict. Start with `compare`."""

from counterpoint.comparison.run import Plan, compare

__all__ = ["Plan", "compare"]
