"""A comparison: schemes x seeds on a world, and the verdict. Start with `compare`."""

from counterpoint.comparison.plan import Plan
from counterpoint.comparison.run import compare

__all__ = ["Plan", "compare"]
