"""Rewards from a judge's ranking: who judges, what a judge is shown, and what its words are worth.

Start with `rank_groups` in `rank.py`: a `Group` of runs and a `Judge` in, a `Verdict` out. What a
judge is shown is made in `present.py`, what it answers is read in `wire.py`, strictly; `modes.py`
decides what is asked, `aggregate.py` makes one order of many, `verdict.py` makes rewards of it or
says why not.
"""

from counterpoint.judge.catalogue import JudgeEntry
from counterpoint.judge.group import Candidate, Group
from counterpoint.judge.judges import Judge, Opinion, written
from counterpoint.judge.present import Sheet
from counterpoint.judge.programmatic import Programmatic, ProgrammaticSettings
from counterpoint.judge.rank import rank_groups
from counterpoint.judge.settings import RankSettings
from counterpoint.judge.verdict import Verdict
from counterpoint.judge.wire import parse_ranking, parse_score

__all__ = [
    "Candidate",
    "Group",
    "Judge",
    "JudgeEntry",
    "Opinion",
    "Programmatic",
    "ProgrammaticSettings",
    "RankSettings",
    "Sheet",
    "Verdict",
    "parse_ranking",
    "parse_score",
    "rank_groups",
    "written",
]
