"""What code in a sandbox may use, and the name of a limit that was hit. Start with `Limits`."""

from __future__ import annotations

from dataclasses import dataclass

from counterpoint.settings import require

SIDE = 8
"""/tmp and /dev/shm have this part of the size of /task each."""
OWN_PROCESSES = 4
"""Processes of the sandbox itself: bubblewrap, the watch, the packer, and its thread or git."""
OWN_MB = 64
"""Memory of these, in MiB."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What code in the sandbox may use.

    Raises:
        SettingError: a limit out of range.
    """

    seconds: float = 60.0
    """Wall clock, after which everything is killed."""
    memory_mb: int = 1024
    """Memory of all processes together, in MiB, where this machine has control groups (see
    `cgroups.not_enforced`); elsewhere the address space of each one, of which programs on Node
    reserve 10 GiB and more. Files come on top."""
    processes: int = 256
    """Processes and threads at a time."""
    disk_mb: int = 128
    """Of all files in `/task` together, in MiB; they are in memory. `/tmp` and `/dev/shm` have an
    eighth of that each."""
    files: int = 100_000
    """Files, folders and links at a time; a few more are made before the sandbox is ended."""
    output_mb: int = 8
    """Of standard output and error together, in MiB; more ends the run."""

    def __post_init__(self) -> None:
        require("seconds", self.seconds, 0.05, 86_400)
        require("memory_mb", self.memory_mb, 64, 1 << 20)
        require("processes", self.processes, 4, 4096)
        require("disk_mb", self.disk_mb, 1, 1 << 16)
        require("files", self.files, 16, 1 << 24)
        require("output_mb", self.output_mb, 1, 1 << 12)

    @property
    def total_memory(self) -> int:
        """Returns the bytes of everything in a sandbox together: processes, files, the sandbox."""
        return (self.memory_mb + self.disk_mb + 2 * self.disk_mb // SIDE + OWN_MB) << 20

    @property
    def total_processes(self) -> int:
        """Returns the number of processes and threads, those of the sandbox itself among them."""
        return self.processes + OWN_PROCESSES

    def named(self, stopped: str) -> str:
        """Returns a limit with its value, as a plan sets it: `memory (memory_mb=1024)`."""
        if stopped == "seconds":
            return f"seconds ({self.seconds:g})"
        name = {"memory": "memory_mb", "disk": "disk_mb", "output": "output_mb"}.get(
            stopped, stopped
        )
        value = getattr(self, name, None)
        return stopped if value is None else f"{stopped} ({name}={value})"
