"""The catalogue's entries by what a test may ask of them."""

from __future__ import annotations

from counterpoint.credit import Scheme, catalogue

ONE = {name: scheme for name, scheme in catalogue().items() if isinstance(scheme, Scheme)}
"""Entries that are one scheme, not a mix."""
ANY = {
    name: scheme
    for name, scheme in ONE.items()
    if not scheme.conditions and scheme.group_weight == "none" and scheme.scale != "mean"
}
"""Those that take any number of components of any size and sign."""
BATCH = [name for name, scheme in ANY.items() if scheme.memory == "batch"]
Z_SCORES = [name for name, scheme in ANY.items() if scheme.scale != "none"]
EXACT = [name for name in Z_SCORES if not ONE[name].epsilon]
"""Those without a number that is added to the divisor."""
