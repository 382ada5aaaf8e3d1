"""Speakers by name: a model of this machine, a model behind a server, or a plug-in.

A package of your own adds a speaker by a line in the group `counterpoint.speakers` of its entry
points: a function without arguments, or a class, that makes one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from counterpoint.errors import PluginError, SettingError
from counterpoint.lm.models import SOURCES
from counterpoint.optional import require_language
from counterpoint.plugins import Registry
from counterpoint.speakers.server import Server
from counterpoint.speakers.server_settings import ServerSettings
from counterpoint.speakers.speaker import Speaker


def open_speaker(model: str, base_url: str | None = None) -> Speaker:
    """Returns the speaker that a name stands for.

    Args:
        model: of this machine: `tiny`, `smollm2`, a folder, a name on the hub; or the name of a
            speaker that an installed package adds. With `base_url`, the name by which the server
            knows the model.
        base_url: of an OpenAI-compatible server.

    Raises:
        ModelError: no model has that name.
        MissingPackageError: a package that the model needs is not installed.
        PluginError: the speaker is a plug-in that cannot be used.
        SettingError: the name is empty, or the address is malformed.
    """
    if not model:
        raise SettingError("got no model; wanted a name")
    if base_url is not None:
        return Server(ServerSettings(model, base_url))
    if model not in SPEAKERS:
        return local_speaker(model)
    speaker = SPEAKERS[model]()
    if not callable(getattr(speaker, "answer", None)):
        raise PluginError(
            f"speaker '{model}' of a package is {type(speaker).__name__} {speaker!r:.60}; "
            "wanted an object with `answer`, see counterpoint.speakers.Speaker"
        )
    return speaker


def local_speaker(model: str) -> Speaker:
    """Returns a speaker that runs a model in this process; it raises what `open_speaker` does."""
    require_language()
    from counterpoint.lm.model import open_model  # torch is imported on use
    from counterpoint.speakers.local import LocalSpeaker

    return LocalSpeaker(open_model(model))


SPEAKERS = Registry[Callable[[], Speaker]](
    "counterpoint.speakers",
    {name: partial(local_speaker, name) for name in ("tiny", *SOURCES)},
    "a function without arguments that makes a speaker",
    lambda name, part: callable(part),
)
"""The speakers by name; any other name is a folder or a model on the hub."""
