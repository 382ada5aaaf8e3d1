"""Where torch computes: `device_of` finds the device that a setting names."""

from __future__ import annotations

import torch

from counterpoint.errors import SettingError


def device_of(name: str) -> torch.device:
    """Returns the device of that name (cpu, cuda or mps); `auto` takes a GPU if there is one.

    Raises:
        SettingError: torch has no such device here.
    """
    here = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    found = name if name != "auto" else next(x for x in ("cuda", "mps", "cpu") if here[x])
    if not here[found]:
        known = ", ".join(other for other in here if here[other])
        raise SettingError(f"got device={found}, which torch does not have here; wanted {known}")
    return torch.device(found)
