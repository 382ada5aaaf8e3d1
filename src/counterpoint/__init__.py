"""Counterpoint: reinforcement learning for teams of agents.

Start in `counterpoint.credit` (from a group reward to each agent's advantage), then
`counterpoint.diagnose` (which agent's gradient collapses, and why). The command line is
`counterpoint --help`. Importing this package imports nothing else.
"""

__version__ = "0.1.0"
