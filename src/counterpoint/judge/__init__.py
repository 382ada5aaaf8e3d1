"""Rewards from a judge's ranking: who judges, what a judge is shown, and what its words are worth.

Start with `rank_groups` in `rank.py`: a `Group` of runs and a `Judge` in, a `Verdict` out. What a judge
is shown is made in `present.py`, what it answers is read in `wire.py`, strictly; `modes.py` decides what
is asked, `aggregate.py` makes one order of many, `verdict.py` makes rewards of it or says why not.
"""

from counterpoint.judge.group import Candidate, Group
from counterpoint.judge.wire import parse_ranking, parse_score

__all__ = ["Candidate", "Group", "parse_ranking", "parse_score"]
