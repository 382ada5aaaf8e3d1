"""Our credit inside other trainers: one small file a peer, each importable without its peer.

Start with `TeamCredit`, which is what all of them share; then read the file of your trainer.
"""

from counterpoint.integrations.team_credit import TeamCredit

__all__ = ["TeamCredit"]
