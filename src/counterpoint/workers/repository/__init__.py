"""The repository of a team: bare, filled and read through git objects. Start in `repository`."""
