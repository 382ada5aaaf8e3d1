"""Sequential environments in NumPy. Start in `world`."""
