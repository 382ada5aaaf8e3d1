"""The errors that Counterpoint raises: one root, each member also a standard-library error.

A message names the input, the requirement, and the remedy. Catch `CounterpointError` for
everything of ours, or the standard-library class that you would expect anyway. `choices` ends the
message about a name that is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

FEW = 12
"""Maximum number of names that a message lists if a command lists them too."""
ALIKE = 0.68
"""Share of letters in the same order from which on a name is suggested."""


def nearest(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Returns the known names that `name` begins, or those that are spelled most like it.

    Capitals, and the signs between words, make no difference.
    """
    folded: dict[str, list[str]] = {}
    for one in dict.fromkeys(known):
        folded.setdefault(_folded(one), []).append(one)
    text = _folded(name)
    starts = sorted((one for one in folded if text and one.startswith(text)), key=len)
    # two letters in the wrong order are the commonest slip
    swapped = [one for one in folded if sorted(one) == sorted(text)]
    alike = starts or [*dict.fromkeys([*swapped, *get_close_matches(text, folded, most, ALIKE)])]
    return [one for like in alike for one in folded[like]][: 1 if text in folded else most]


def choices(name: str, known: Iterable[str], listed_by: str = "") -> str:
    """Returns the end of a message about an unknown name: the nearest names, then all.

    Args:
        name: the unknown one.
        known: the names that there are.
        listed_by: the command that lists them, for more names than a line should have.
    """
    names = list(dict.fromkeys(known))
    near = nearest(name, names)
    all_of_them = f"wanted one of {', '.join(names)}" if names else "there is none"
    if listed_by and len(names) > FEW:
        all_of_them = f"`{listed_by}` lists them all"
    return f"; did you mean {' or '.join(near)}? {all_of_them}" if near else f"; {all_of_them}"


def _folded(name: str) -> str:
    return name.casefold().replace("-", "_").replace(" ", "_")


class CounterpointError(Exception):
    """Root of every error that Counterpoint raises."""


class NothingDoneError(CounterpointError, RuntimeError):
    """Nothing could be done: no file of a folder could be read, or no request was answered."""


class SchemeError(CounterpointError, ValueError):
    """A credit scheme that contradicts itself, or that does not support the request."""


class UnknownNameError(CounterpointError, LookupError):
    """A name (scheme, world, setting, command) under which nothing is registered."""


class LabelError(CounterpointError, ValueError):
    """A label column that is missing, unknown, or not as long as the rewards."""


class RewardError(CounterpointError, ValueError):
    """Rewards of a wrong shape or type, or with an infinite value."""


class StateError(CounterpointError, ValueError):
    """Running statistics that do not belong to this scheme, or that are damaged."""


class HookError(CounterpointError, RuntimeError):
    """A trainer would train without our credit: it made no use of the adapter's function."""


class LogError(CounterpointError, ValueError):
    """A log that cannot be read: the message names the line and the column."""


class SettingError(CounterpointError, ValueError):
    """A setting whose value is of a wrong type or out of range."""


class StatisticsError(CounterpointError, ValueError):
    """Samples for which the requested statistic is not defined."""


class OutputError(CounterpointError, OSError):
    """A result that could not be written; whatever was there before is still there."""


class CheckpointError(CounterpointError, ValueError):
    """A checkpoint that is damaged or incomplete, or state that a checkpoint cannot hold."""


class JudgeError(CounterpointError, ValueError):
    """A judge that cannot judge its input, or a reply that is not a verdict."""


class ModelError(CounterpointError, OSError):
    """A language model that is not there, is damaged, or could not be fetched or loaded."""


class ServerError(NothingDoneError, ModelError):
    """A server that cannot be used: it is dead, it refuses every request, or it never answers."""


class RunError(CounterpointError, ValueError):
    """A folder that should be a run and is not, or that is a run and should not be."""


class EditedError(RunError):
    """Files of a run or of a result that are not as they were written: the message says which."""


class DeliveryError(RunError):
    """A result that is whole in its folder and could not be brought where the user wants it."""


class BusyError(CounterpointError, RuntimeError):
    """A run directory that another process is working in: the message says which."""


class WorkerError(CounterpointError, RuntimeError):
    """A task whose workers died repeatedly: the message names the task and the signal."""


class MissingPackageError(CounterpointError, ImportError):
    """An optional package that is not installed: the message says how to install it."""


class PluginError(CounterpointError, ImportError):
    """A plug-in that cannot be used: the message names its package and says why."""


class WorldError(CounterpointError, TypeError):
    """A foreign environment that cannot be used as a world, or that violates its own interface."""
