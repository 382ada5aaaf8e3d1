"""Worlds of many steps in NumPy. Start in `world`."""
