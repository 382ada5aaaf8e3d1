"""What is wrong with a team, from its logs alone: `audit` in `run.py` looks, once, at every
episode, and `audit_logs` in `logs.py` reads the episodes from files first.

An audit is a file: `look` keeps a few numbers of an episode, `conclude` makes findings of all of
them. No model runs, nothing is trained, and no finding names a cause.
"""

from counterpoint.audits.base import Audit, Row
from counterpoint.audits.logs import audit_logs
from counterpoint.audits.run import AUDITS, audit

__all__ = ["AUDITS", "Audit", "Row", "audit", "audit_logs"]
