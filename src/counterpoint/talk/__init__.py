"""Talk: who produces text. Start with `speaker.Speaker`, the one seam, and `scripted.Scripted`.

`server.Server` asks any OpenAI-compatible server, `cache.Cached` remembers its answers;
`counterpoint.testing.check_speaker` holds a speaker of your own to what ours promise.
"""

from counterpoint.talk.cache import Cached
from counterpoint.talk.scripted import FirstWord, Fixed, RandomWord, Scripted
from counterpoint.talk.server import Server
from counterpoint.talk.server_settings import ServerSettings
from counterpoint.talk.speaker import Message, Reply, Request, Speaker

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
