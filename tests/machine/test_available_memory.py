"""How much memory is left, on a machine and in a container."""

from __future__ import annotations

import pytest

from counterpoint.machine.memory import available_memory

MEMINFO = "MemTotal: 2000 kB\nMemAvailable:    1000 kB\n"


def machine(root, cgroup=None, **files):
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(MEMINFO)
    if cgroup is not None:
        (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V1 = "6:cpu,memory:/box/inner\n1:name=systemd:/\n"


@pytest.mark.parametrize(
    ("cgroup", "files", "wanted"),
    [
        (None, {}, 1_024_000),
        ("0::/\n", {"memory.max": "500000\n", "memory.current": "200000\n"}, 300_000),
        ("0::/a/b\n", {"a/memory.max": "70000", "a/memory.current": "1000"}, 69_000),
        ("0::/a\n", {"a/memory.max": "max\n", "a/memory.current": "1000"}, 1_024_000),
        ("0::/a\n", {"a/memory.max": "10", "a/memory.current": "1000"}, 0),
        (
            V1,
            {
                "memory/box/memory.limit_in_bytes": "9000",
                "memory/box/memory.usage_in_bytes": "1000",
            },
            8_000,
        ),
        (
            V1,
            {"memory/memory.limit_in_bytes": "9000", "memory/memory.usage_in_bytes": "2000"},
            7_000,
        ),
    ],
)
def test_the_smallest_room_counts(cgroup, files, wanted, tmp_path):
    assert available_memory(machine(tmp_path, cgroup, **files)) == wanted


def test_a_system_that_does_not_say_gives_none(tmp_path):
    assert available_memory(tmp_path) is None
