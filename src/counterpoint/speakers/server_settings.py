"""The settings of a server: its address, time limits, retries and prices. They hold no key."""

from __future__ import annotations

import contextlib
import ipaddress
import math
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from counterpoint.errors import SettingError


@dataclass(frozen=True)
class ServerSettings:
    """Which server is asked, and how patiently; it can be saved with a run.

    Raises:
        SettingError: a value is out of range, or the address is one to which no key may be sent.
    """

    model: str
    """The name by which the server knows the model."""
    base_url: str
    """`https://...`, or `http://` on this machine, such as `http://localhost:8000/v1`."""
    key_variable: str = "OPENAI_API_KEY"
    """The environment variable that holds the key."""
    deadline_seconds: float = 120.0
    """Wall clock for a request with all its attempts and pauses, without the wait for its turn."""
    retries: int = 4
    """Failed attempts of a request that may be repeated."""
    repairs: int = 2
    """Number of repetitions of a request with words after an answer that is not one of the
    words."""
    pause_seconds: float = 0.5
    """The pause before the first retry; it doubles each time, less a random part up to half."""
    pause_seed: int = 0
    """The seed of that chance."""
    concurrency: int = 8
    """Requests under way at once."""
    most_bytes: int = 1_000_000
    """A longer answer is not read to its end, and refused."""
    dollars_per_million: tuple[float, float] | None = None
    """The prices of prompt tokens and of completion tokens; None if they are not known."""

    def __post_init__(self) -> None:
        for name in ("model", "key_variable"):
            if not (isinstance(getattr(self, name), str) and getattr(self, name)):
                raise SettingError(f"got {name} {getattr(self, name)!r}; wanted a name")
        _check_address(self.base_url)
        leasts = {"retries": 0, "repairs": 0, "pause_seed": 0, "concurrency": 1, "most_bytes": 1}
        for name, least in leasts.items():
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, int) or number < least:
                raise SettingError(f"got {name} {number!r}; wanted a whole number from {least}")
        _check_amount("pause_seconds", self.pause_seconds)
        _check_amount("deadline_seconds", self.deadline_seconds)
        if self.deadline_seconds == 0:
            raise SettingError("got deadline_seconds 0; wanted more, to ask at all")
        prices = self.dollars_per_million
        if prices is not None:
            if not isinstance(prices, tuple) or len(prices) != 2:
                raise SettingError(
                    f"got dollars_per_million {prices!r}; wanted two prices, of prompt tokens and "
                    "of completion tokens"
                )
            for price in prices:
                _check_amount("dollars_per_million", price)

    @property
    def encrypted(self) -> bool:
        """Returns whether the address is https, so that the server may be on another machine."""
        return self.base_url.startswith("https://")


def _check_address(url: Any) -> None:
    """Accepts https anywhere, or http on this machine; no message repeats a secret."""
    wanted = "wanted https://HOST/PATH, or http:// with localhost or another loopback address"
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        raise SettingError(f"got a base_url with spaces or other than printable ASCII; {wanted}")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise SettingError(f"got a base_url that is no address; {wanted}") from None
    if "\\" in url or "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingError(f"got a base_url with a user, a password or a query; {wanted}")
    if not host or not url.startswith(("https://", "http://")):
        raise SettingError(f"got base_url {url!r}; {wanted}")
    is_local = host == "localhost"
    with contextlib.suppress(ValueError):  # a name is no address
        is_local = is_local or ipaddress.ip_address(host).is_loopback
    if not url.startswith("https://") and not is_local:
        raise SettingError(
            f"got base_url {url!r}, over which a key could be read on the way; {wanted}"
        )


def _check_amount(name: str, number: Any) -> None:
    ok = isinstance(number, int | float) and not isinstance(number, bool)
    if not (ok and math.isfinite(number) and number >= 0):
        raise SettingError(f"got {name} {number!r}; wanted a finite number from 0")
