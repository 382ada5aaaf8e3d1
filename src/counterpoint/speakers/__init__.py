"""Speakers, which produce text. Start with `speaker.Speaker`, the one protocol, and
`scripted.Scripted`.

`server.Server` asks any OpenAI-compatible server, and `cache.Cached` remembers its answers.
`counterpoint.testing.check_speaker` holds a speaker of your own to what ours promise.
"""

from counterpoint.speakers.cache import Cached
from counterpoint.speakers.scripted import FirstWord, Fixed, RandomWord, Scripted
from counterpoint.speakers.server import Server
from counterpoint.speakers.server_settings import ServerSettings
from counterpoint.speakers.speaker import Message, Reply, Request, Speaker

__all__ = [
    "Cached",
    "FirstWord",
    "Fixed",
    "Message",
    "RandomWord",
    "Reply",
    "Request",
    "Scripted",
    "Server",
    "ServerSettings",
    "Speaker",
]
