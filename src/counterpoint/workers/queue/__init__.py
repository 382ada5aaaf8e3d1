"""Which tasks there are, who holds one, and what may be spent. Start in `queue`."""
