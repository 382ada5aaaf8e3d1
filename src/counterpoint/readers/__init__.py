"""Foreign logs to records. Start at `read_decisions` for rewards, and at `read_logs`
for episodes of a team; `example_log` is a log of rewards to try.
"""

from counterpoint.readers.decisions import example_log, read_decisions
from counterpoint.readers.documents import Format, episode
from counterpoint.readers.lines import LogNotice, LogWarning, TornLogWarning
from counterpoint.readers.logs import read_logs

__all__ = [
    "Format",
    "LogNotice",
    "LogWarning",
    "TornLogWarning",
    "episode",
    "example_log",
    "read_decisions",
    "read_logs",
]
