"""Failures of a team that its logs alone show. Start at `audit` and `audit_logs` in `run.py`.

Each audit is a file: `look` keeps a few numbers of each episode, and `conclude` makes findings of
them. No model runs, nothing is trained, and no finding names a cause.
"""

from counterpoint.audits.base import Audit, Look, Row
from counterpoint.audits.run import AUDITS, audit, audit_logs

__all__ = ["AUDITS", "Audit", "Look", "Row", "audit", "audit_logs"]
