"""Worlds whose agents speak. Start in `world`."""
