"""Rewards from a judge's ranking: the judges, their questions, and the rewards of a ranking.

Start with `rank_groups` in `rank.py`: a `Group` of runs and a `Judge` in, a `Verdict` out.
`present.py` makes the question, and `judges.py` reads the reply strictly. `modes.py` decides which
orders are asked, `aggregate.py` makes one order of many, and `verdict.py` turns it into rewards or
says why there are none. Every judge has its own file.

`mistakes.py` asks another question: which member made the decisive mistake of an episode. An audit
takes the answers from there.
"""

from counterpoint.judge.catalogue import JudgeEntry
from counterpoint.judge.judges import Judge, Opinion, parse_ranking, parse_score, written
from counterpoint.judge.mistakes import MistakeSettings, judge_mistakes, plan_mistakes
from counterpoint.judge.present import Candidate, Group, Sheet
from counterpoint.judge.programmatic import Programmatic, ProgrammaticSettings
from counterpoint.judge.rank import rank_groups
from counterpoint.judge.verdict import RankSettings, Verdict

__all__ = [
    "Candidate",
    "Group",
    "Judge",
    "JudgeEntry",
    "MistakeSettings",
    "Opinion",
    "Programmatic",
    "ProgrammaticSettings",
    "RankSettings",
    "Sheet",
    "Verdict",
    "judge_mistakes",
    "parse_ranking",
    "parse_score",
    "plan_mistakes",
    "rank_groups",
    "written",
]
