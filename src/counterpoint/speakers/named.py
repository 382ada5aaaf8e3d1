"""Speakers by what somebody types: a model of this machine, or one behind a server."""

from __future__ import annotations

from counterpoint.errors import SettingError
from counterpoint.speakers.server import Server
from counterpoint.speakers.server_settings import ServerSettings
from counterpoint.speakers.speaker import Speaker


def open_speaker(model: str, base_url: str | None = None) -> Speaker:
    """Who speaks.

    Args:
        model: of this machine: `tiny`, `smollm2`, a folder, a name on the hub; with `base_url` the
            name that a server knows it by.
        base_url: of an OpenAI-compatible server.

    Raises:
        ModelError: there is no such model.
        MissingPackageError: what is needed is not installed.
        SettingError: no name, or an address that is none.
    """
    if not model:
        raise SettingError("got no model; wanted a name")
    if base_url is not None:
        return Server(ServerSettings(model, base_url))
    from counterpoint.lm.model import open_model
    from counterpoint.lm.needs import require_language
    from counterpoint.speakers.local import LocalSpeaker

    require_language()
    return LocalSpeaker(open_model(model))
