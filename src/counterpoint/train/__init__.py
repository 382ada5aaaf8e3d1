"""Training: `train` runs one credit scheme in one exact world for many seeds at once."""

from counterpoint.train.tabular.learner import Training, joined, train

__all__ = ["Training", "joined", "train"]
