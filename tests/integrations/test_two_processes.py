"""Advantages of a batch whose groups span two processes equal the kernel's over the whole batch."""

from __future__ import annotations

import pytest
from peer_python import KERNEL, run_peer


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "environment"),
    [
        ("trl", "peers-language"),
        ("trl", "peers-trl-newest"),
        ("ms_swift", "peers-ms-swift"),
    ],
)
def test_two_processes_of_a_trainer(package, environment, tmp_path):
    printed = run_peer(environment, "two_processes_check.py", package, tmp_path, processes=2)
    assert (printed["processes"], printed["backend"]) == (2, "gloo")
    assert printed["calls"] > 100
    assert printed["spanned"] > 10
    assert printed["difference"] < KERNEL
    assert printed["processes alone"] > 0.1  # what each would compute without the other's rows
    assert printed["same state"]
    training = printed["training"]
    assert (training["steps"], training["rows"]) == (2, 12)
    assert training["difference"] < KERNEL


@pytest.mark.slow
def test_two_workers_of_verl():
    printed = run_peer("peers-verl", "verl_workers_check.py")
    assert printed["calls"] > 50
    assert printed["difference"] < KERNEL
    assert printed["processes alone"] > 0.1
