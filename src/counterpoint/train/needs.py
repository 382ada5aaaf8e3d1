"""What training neural policies needs, asked before anything is imported or begun."""

from __future__ import annotations

from importlib.util import find_spec

from counterpoint.errors import MissingPackageError

PACKAGES = ("torch", "safetensors")


def require_torch() -> None:
    """Return where neural policies can be trained.

    Raises:
        MissingPackageError: torch or safetensors is not installed.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingPackageError(
            f"worlds of many steps need {' and '.join(missing)}, not installed here; "
            "do pip install 'counterpoint-rl[torch]'"
        )


def require_tensorboard() -> None:
    """Return where series can be written for TensorBoard.

    Raises:
        MissingPackageError: tensorboard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise MissingPackageError(
            "--export tensorboard needs the package tensorboard, not installed here; "
            "do pip install 'counterpoint-rl[tensorboard]'"
        )
