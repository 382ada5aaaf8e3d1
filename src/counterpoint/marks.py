"""Marks: what stands in a text for a part of a message that is no text, such as a picture.

A mark has the kind of the part and a digest of what it holds, as in `[image #3f2a91c04d7e]`. So two
messages that differ only in their pictures are different texts, a log keeps a mark for everything
that it does not keep, and `marks_in` counts it. `without_digests` is what a judge is shown. Start
with `mark_of`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

IMAGE, SOUND, VIDEO, FILE, PART, REASONING = "image", "sound", "video", "file", "part", "reasoning"
"""The kinds of marks. A `part` has its type in the log behind it; `reasoning` is hidden by the
provider: encrypted, or left out."""
_PLURALS = {IMAGE: "images", SOUND: "sounds", VIDEO: "videos", FILE: "files", PART: "parts",
            REASONING: "hidden reasoning texts"}  # fmt: skip
_MARK = re.compile(
    r"\[(image|sound|video|file|part(?: [A-Za-z0-9_.-]{1,40})?|reasoning) #([0-9a-f]{12})\]"
)
_BY_WORD = (
    (IMAGE, ("image", "screenshot", "picture")),
    (SOUND, ("audio", "sound", "speech")),
    (VIDEO, ("video",)),
    (FILE, ("file", "document", "attachment", "pdf", "blob", "uri", "inline_data", "inlinedata")),
)
"""Kind to words in the type of a part, or in its keys if it has no type."""
_MEDIA = ("mime_type", "mimeType", "media_type", "mediaType", "modality")
_PAYLOADS = (
    "data", "url", "image_url", "file_data", "fileData", "file_id", "fileId", "file_uri", "fileUri",
    "uri", "path", "image", "audio", "video", "input_audio", "file", "source", "inline_data",
    "inlineData", "blob", "base64", "bytes", "content", "result", "id",
)  # fmt: skip
"""Keys that hold a part, or its address, the surest first."""
_HIDDEN = ("data", "encrypted_content", "encrypted", "reasoning", "signature", "thinking_signature")
"""Keys of a reasoning that nobody can read."""
_DEEPEST = 8


def mark_of(part: Mapping[str, Any], kind: str = "") -> str:
    """Returns the mark of a part of a message that is no text.

    Args:
        part: the part as the log has it, in the shape of any vendor.
        kind: one of the kinds above; by default, the type and the keys of the part say it.
    """
    return _mark(kind or _kind(part), _payload(part, 0) or _plain(part))


def hidden_reasoning(part: Mapping[str, Any]) -> str:
    """Returns the mark of a reasoning that the log has in a form that nobody can read; an empty
    text if it has nothing of it."""
    value = next((part[key] for key in _HIDDEN if part.get(key)), None)
    return "" if value is None else _mark(REASONING, value if isinstance(value, str) else
                                          _plain(value))  # fmt: skip


def is_hidden(reasoning: str) -> bool:
    """Returns whether nothing of a reasoning can be read."""
    return not _MARK.sub("", reasoning).strip()


def marks_in(text: str) -> list[tuple[str, str]]:
    """Returns the kind and the digest of each mark in a text, in order."""
    return _MARK.findall(text) if " #" in text else []


def without_digests(text: str) -> str:
    """Returns the text with marks that have only their kinds, as in `[image]`."""
    return _MARK.sub(r"[\1]", text) if " #" in text else text


def count_marks(texts: Iterable[str]) -> Counter[str]:
    """Returns how many marks of each kind stand in some texts."""
    return Counter(kind for text in texts for kind, _ in marks_in(text))


def counted_kinds(numbers: Mapping[str, int]) -> str:
    """Returns the numbers of marks of each kind in words, such as `3 images and 1 file`."""
    words = []
    for kind, number in numbers.items():
        noun, _, name = kind.partition(" ")
        plural = _PLURALS.get(noun, f"{noun}s")
        words.append(f"{number:,} {plural if number != 1 else plural[:-1]}"
                     + (f" of type {name}" if name else ""))  # fmt: skip
    return listed(words)


def plural_of(kind: str) -> str:
    """Returns a kind of marks in the plural."""
    noun, _, name = kind.partition(" ")
    return _PLURALS.get(noun, f"{noun}s") + (f" of type {name}" if name else "")


def listed(words: list[str]) -> str:
    """Returns words joined by commas, and the last by `and`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _mark(kind: str, payload: str) -> str:
    digest = hashlib.sha256(payload.encode("utf-8", "replace")).hexdigest()[:12]
    return f"[{kind} #{digest}]"


def _kind(part: Mapping[str, Any]) -> str:
    media = _media(part, 0)
    name = part.get("type")
    if not isinstance(name, str) or not name:
        name = ""
    for words in (media, name.lower(), " ".join(map(str, part)).lower() if not name else ""):
        for kind, known in _BY_WORD:
            if any(word in words for word in known):
                return kind
    if media:
        return FILE
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:40]
    return f"{PART} {name}" if name else PART


def _media(part: Mapping[str, Any], depth: int) -> str:
    """Returns the media type of a part, such as `image/png`; empty if it has none."""
    for key in _MEDIA:
        if isinstance(media := part.get(key), str):
            return media.lower()
    inner = (value for value in part.values() if isinstance(value, dict))
    found = (_media(value, depth + 1) for value in inner if depth < _DEEPEST)
    return next(filter(None, found), "")


def _payload(part: Mapping[str, Any], depth: int) -> str:
    """Returns the bytes or the address of a part as a text; empty if it has neither.

    The same bytes have one payload, whether they stand in an address (`data:...;base64,`) or not.
    """
    for key in _PAYLOADS:
        value = part.get(key)
        if isinstance(value, str) and value:
            head, comma, data = value.partition(";base64,")
            return data if comma and head.startswith("data:") else value
        if isinstance(value, dict) and depth < _DEEPEST and (inner := _payload(value, depth + 1)):
            return inner
    return ""


def _plain(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return repr(type(value))
