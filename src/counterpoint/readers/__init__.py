"""Foreign logs to records. Start at `read_decisions`; `example_log` is a log to try it on."""

from counterpoint.readers.decisions import example_log, read_decisions
from counterpoint.readers.lines import LogNotice, LogWarning, TornLogWarning

__all__ = ["LogNotice", "LogWarning", "TornLogWarning", "example_log", "read_decisions"]
