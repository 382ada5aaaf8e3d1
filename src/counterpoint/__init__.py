"""Counterpoint: reinforcement learning for teams of agents.

`advantages(rewards, labels, catalogue()["agent_wise"])` goes from a group reward to each agent's
advantage; `counterpoint.diagnose` says which agent gets no learning signal, and why. The names of
`FRONT` can be imported from here; their rooms are imported when they are first used. The command
line is `counterpoint --help`.
"""

from importlib import import_module

__version__ = "0.1.0"

FRONT = {
    "advantages": "credit",
    "catalogue": "credit",
    "scheme_named": "credit",
    "Scheme": "credit",
    "RunningState": "credit",
    "compare": "comparison",
    "Plan": "comparison",
    "compare_populations": "population",
    "find_world": "worlds",
    "make_topology": "topology",
    "make_game": "games",
    "nash_equilibria": "games",
    "audit": "audits",
    "audit_logs": "audits",
    "rank_groups": "judge",
    "read_logs": "readers",
    "read_decisions": "readers",
    "read_result": "results",
    "picture": "report",
    "render": "report",
    "write_report": "report",
}
"""Name to the room in which it is defined. A name that is also a room's, such as `diagnose`, has to
be imported from its room."""

__all__ = ["FRONT", "__version__", *FRONT]


def __getattr__(name: str) -> object:
    """Returns a name of `FRONT`, and imports its room for that."""
    if name in FRONT:
        return getattr(import_module(f"counterpoint.{FRONT[name]}"), name)
    raise AttributeError(f"module 'counterpoint' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
