"""Handoffs that a member makes by calling a tool such as `transfer_to_billing`.

Start at `handoff_target`; `matched` finds the speaker whom a target means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from counterpoint.errors import LogError
from counterpoint.records import Json

_TOOL = re.compile(r"^(?:transfer|handoff|hand_off|delegate)(?:_back)?_to_(\w++)$", re.IGNORECASE)
_ANY = ("agent", "other_agent", "another_agent")
"""What a tool for all targets is called after `transfer_to_`: the target is an argument."""
_ARGUMENTS = ("agent_name", "agent", "target", "name", "assistant", "recipient")


def handoff_target(tool: str, arguments: object) -> str:
    """Returns to whom a call of a tool hands over, or an empty text if it is no handoff.

    Args:
        tool: the name of the tool.
        arguments: the arguments of the call, as an object or as JSON in a text.
    """
    match = _TOOL.match(tool)
    if match is None:
        return ""
    if match[1].lower() not in _ANY:
        return match[1]
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            return ""
    if not isinstance(arguments, Mapping):
        return ""
    names = (arguments.get(key) for key in _ARGUMENTS)
    return next((name for name in names if isinstance(name, str) and name), "")


def matched(target: str, speakers: Iterable[str]) -> str:
    """Returns the speaker whom a target means (`parcels`: `ParcelsAgent`), else the target."""
    wanted = _plain(target)
    return next((name for name in speakers if _plain(name) == wanted), target)


def _plain(name: str) -> str:
    """Returns the letters and digits of a name in lower case, without `agent` at the end."""
    letters = "".join(filter(str.isalnum, name)).lower()
    return letters.removesuffix("agent") or letters


def text_of(value: Json | object) -> str:
    """Returns a text as it is, nothing as an empty text, and any other value as JSON.

    Raises:
        LogError: The value is nested too deeply.
    """
    if value is None:
        return ""
    try:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        raise LogError("got JSON that is nested too deeply") from None
