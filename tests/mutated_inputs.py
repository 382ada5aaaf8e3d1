"""Damaged copies of a file: its structure where it has one, its text, and its bytes.

JSON, lines of JSON, and what a zip archive, a gzip file or the head of a safetensors file holds are
changed as values, other text word by word; any file also byte by byte.
"""

from __future__ import annotations

import copy
import gzip
import io
import json
import re
import struct
import zipfile
from collections.abc import Iterator
from random import Random
from typing import Any

OTHERS = (None, True, 0, -1, 1e308, 10**30, "", "x", "\ud800", "a" * 3000, [], {}, [[]], {"a": 1},
          [None], "2024-99-99", float("nan"), "\x00")  # fmt: skip
"""What a value is replaced with."""
KEYS = ("role", "type", "content", "name", "events", "messages")
"""What a key is renamed to."""
WORDS = ("", "-1", "0", "1e999", "nan", "9" * 40, "[", "]", "{", '"', "'''", "=", "\n", ",", ";",
         "a" * 3000, "true", "\x00", "é\u202e", "../../x", "%s%n", "1/0", "{{x}}")  # fmt: skip
"""What a word of a text is replaced with."""
WORD = re.compile(r"\w+|[^\w\s]")


def mutated(value: Any, rng: Random) -> Any:
    """Return a copy with up to five values replaced, removed, repeated, renamed or wrapped."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice([1, 1, 2, 5])):
        node, path = value, []
        while isinstance(node, dict | list) and node and rng.random() < 0.85:
            key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
            path.append((node, key))
            node = node[key]
        if not path:
            return copy.deepcopy(rng.choice(OTHERS))
        parent, key = path[-1]
        kind = rng.choice("rrrrdwmc")
        if type(old := parent[key]) in (int, float) and rng.random() < 0.5:
            third = old / 3 if abs(old) < 1e300 else old // 3  # a huge integer is no float
            parent[key] = rng.choice([old + 1, old - 1, -old, old * 10, third, 1e-9])
        elif kind == "d":
            del parent[key]
        elif kind == "m" and isinstance(parent, dict):
            parent[rng.choice(KEYS)] = copy.deepcopy(parent[key])
        elif kind == "c" and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        else:
            parent[key] = [parent[key]] if kind == "w" else copy.deepcopy(rng.choice(OTHERS))
    return value


def damaged_bytes(data: bytes, rng: Random) -> bytes:
    """Return the bytes with some changed or left out, half of the time near their beginning."""
    changed = bytearray(data)
    reach = rng.choice([len(data), 256])
    for _ in range(rng.choice([1, 3, 20])):
        if changed:
            at = rng.randrange(min(len(changed), reach))
            if rng.random() < 0.5:
                changed[at] = rng.randrange(256)
            else:
                del changed[at : at + rng.randrange(1, 50)]
    return bytes(changed)


def damaged_text(text: str, rng: Random) -> str:
    """Return the text with a few words replaced, or a line removed, repeated or moved."""
    for _ in range(rng.choice([1, 1, 2, 5])):
        places = list(WORD.finditer(text))
        lines = text.split("\n")
        if places and rng.random() < 0.7:
            place = rng.choice(places)
            other = rng.choice([*WORDS, rng.choice(places)[0]])
            text = text[: place.start()] + other + text[place.end() :]
        else:
            line = lines.pop(rng.randrange(len(lines)))
            for _ in range(rng.randrange(3)):
                lines.insert(rng.randrange(len(lines) + 1), line)
            text = "\n".join(lines)
    return text


def mutants(data: bytes, count: int, rng: Random) -> Iterator[bytes]:
    """Yield so many damaged copies."""
    for _ in range(count):
        yield mutant(data, rng)


def mutant(data: bytes, rng: Random) -> bytes:
    """Return one damaged copy: of what the bytes mean most of the time, else of the bytes."""
    if rng.random() < 0.15:
        return damaged_bytes(data, rng)
    if data.startswith(b"PK\x03\x04"):
        return _archive(data, rng)
    if data.startswith(b"\x1f\x8b"):
        return gzip.compress(mutant(gzip.decompress(data), rng), 1)
    if data[8:9] == b"{" and (size := struct.unpack("<Q", data[:8])[0]) < len(data):
        head = json.dumps(mutated(json.loads(data[8 : 8 + size]), rng)).encode()
        return struct.pack("<Q", len(head)) + head + data[8 + size :]
    for read, write in ((_whole, json.dumps), (_lines, _joined)):
        try:
            values = read(data)
        except ValueError:
            continue
        if values:
            at = rng.randrange(len(values))
            values[at] = mutated(values[at], rng)
            return write(values if write is _joined else values[0]).encode()
    try:
        return damaged_text(data.decode(), rng).encode(errors="surrogatepass")
    except UnicodeDecodeError:
        return damaged_bytes(data, rng)


def _whole(data: bytes) -> list[Any]:
    return [json.loads(data)]


def _lines(data: bytes) -> list[Any]:
    return [json.loads(line) for line in data.splitlines() if line.strip()]


def _joined(values: list[Any]) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def _archive(data: bytes, rng: Random) -> bytes:
    """Return a zip archive with one damaged member."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    chosen, packed = rng.choice(list(members)), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, mutant(content, rng) if name == chosen else content)
    return packed.getvalue()
