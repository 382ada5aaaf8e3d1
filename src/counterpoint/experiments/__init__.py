"""Experiments: schemes x seeds on a world, and the verdict. Start with `compare`."""

from counterpoint.experiments.compare import Plan, compare

__all__ = ["Plan", "compare"]
