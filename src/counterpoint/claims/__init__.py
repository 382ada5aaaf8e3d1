"""Claims about teams of agents, each settled by measurements: one file a claim.

Start with `settle`, and `CLAIMS`, the claims by name.
"""

from counterpoint.claims.base import Claim, ClaimPlan
from counterpoint.claims.catalogue import CLAIMS, claim_named, kept_claim, settle

__all__ = ["CLAIMS", "Claim", "ClaimPlan", "claim_named", "kept_claim", "settle"]
