"""The names of the front door, for type checkers and editors: nothing is imported at run time."""

from counterpoint.audits import audit as audit
from counterpoint.audits import audit_logs as audit_logs
from counterpoint.comparison import Plan as Plan
from counterpoint.comparison import compare as compare
from counterpoint.credit import RunningState as RunningState
from counterpoint.credit import Scheme as Scheme
from counterpoint.credit import advantages as advantages
from counterpoint.credit import catalogue as catalogue
from counterpoint.credit import scheme_named as scheme_named
from counterpoint.games import make_game as make_game
from counterpoint.games import nash_equilibria as nash_equilibria
from counterpoint.judge import rank_groups as rank_groups
from counterpoint.population import compare_populations as compare_populations
from counterpoint.readers import read_decisions as read_decisions
from counterpoint.readers import read_logs as read_logs
from counterpoint.report import picture as picture
from counterpoint.report import render as render
from counterpoint.report import write_report as write_report
from counterpoint.results import read_result as read_result
from counterpoint.topology import make_topology as make_topology
from counterpoint.worlds import find_world as find_world

__version__: str
FRONT: dict[str, str]
