"""Team tasks in NumPy, batched over seeds, with exact evaluation. Start with `make("regions")`.

`World` in base.py says what a world is; `counterpoint.testing.check_world` checks one.
"""

from counterpoint.worlds.base import Evaluation, Play, Settings, World
from counterpoint.worlds.describe import describe
from counterpoint.worlds.registry import Entry, catalogue, make

__all__ = ["Entry", "Evaluation", "Play", "Settings", "World", "catalogue", "describe", "make"]
