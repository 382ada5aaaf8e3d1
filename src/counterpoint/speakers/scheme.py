"""`other_scheme`: whether a server speaks http where its address says https, or the reverse."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

LOOK_SECONDS = 2.0
"""Seconds for a look at a port."""
_GREETING = b"OPTIONS * HTTP/1.0\r\n\r\n"


async def other_scheme(url: str) -> str:
    """Returns a line that says that the port speaks the other scheme; "" if it does not.

    No key and no text is sent. A port that says nothing within two seconds is taken to speak none.

    Args:
        url: an address with http or https, of which a connection has failed.
    """
    parts = urlsplit(url)
    encrypted = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if encrypted else 80)
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            speaks = await (_speaks_http if encrypted else _speaks_tls)(host, port)
    except (OSError, TimeoutError, ValueError):
        return ""
    if not speaks:
        return ""
    if encrypted:
        return (
            f"the server at {host}:{port} speaks http, without encryption: base_url begins with "
            "https://; wanted http://"
        )
    return (
        f"the server at {host}:{port} speaks https: base_url begins with http://; wanted https://"
    )


async def _speaks_http(host: str, port: int) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(_GREETING)
        return await reader.readexactly(5) == b"HTTP/"
    except asyncio.IncompleteReadError:
        return False
    finally:
        writer.close()


async def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent through it
    _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    writer.close()
    return True
