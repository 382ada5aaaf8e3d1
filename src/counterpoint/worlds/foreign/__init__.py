"""Environments of other packages. Start in `world`."""
