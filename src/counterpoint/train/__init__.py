"""Training loops: `train` runs one credit scheme on one world for many seeds at once."""

from counterpoint.train.tabular.learner import Training, joined, train

__all__ = ["Training", "joined", "train"]
