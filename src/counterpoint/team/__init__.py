"""Teams that run: a topology played by anybody who speaks, and loops that do real work.

Start with `play`, which takes a topology, a batch of items and members.
"""

from counterpoint.team.guards import Guards
from counterpoint.team.play import Played, play
from counterpoint.team.speaker import TeamSpeaker

__all__ = ["Guards", "Played", "TeamSpeaker", "play"]
