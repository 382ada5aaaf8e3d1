"""Foreign logs to records. Start at `read_decisions` for rewards, and at `read_logs`
for episodes of a team; `example_log` is a log of rewards to try.
"""

from counterpoint.readers.build import Format, LeftOut, Line, SessionFormat, episode
from counterpoint.readers.decisions import example_log, read_decisions
from counterpoint.readers.lines import LogNotice, LogWarning, TornLogWarning
from counterpoint.readers.logs import read_logs

__all__ = [
    "Format",
    "LeftOut",
    "Line",
    "LogNotice",
    "LogWarning",
    "SessionFormat",
    "TornLogWarning",
    "episode",
    "example_log",
    "read_decisions",
    "read_logs",
]
