"""Worlds of one or a few steps in NumPy, evaluated exactly. Start in `world`."""
