"""What is wrong with a team, from its logs alone: `audit` in `run.py` looks, once, at every
episode.

An audit is a file: `look` keeps a few numbers of an episode, `conclude` makes findings of all of
them. No model runs, nothing is trained, and no finding names a cause.
"""

from counterpoint.audits.base import Audit, Row
from counterpoint.audits.run import AUDITS, Report, audit

__all__ = ["AUDITS", "Audit", "Report", "Row", "audit"]
