"""Every adapter keeps the promises of `check_adapter`, in real packages too."""

from __future__ import annotations

import pytest
from adapter_layouts import ADAPTERS
from peer_python import run_peer

from counterpoint.testing import check_adapter

PLACE = "counterpoint.integrations."


@pytest.mark.few(4)
@pytest.mark.parametrize("name", ADAPTERS)
def test_adapters_keep_their_promises(name):
    adapter, given = ADAPTERS[name]
    if "torch" in given["peers"] or name == "comlrl":
        pytest.importorskip("torch")
    check_adapter(adapter, module=PLACE + name.partition(",")[0], **given)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "environment"),
    [
        ("art", "peers-services"),
        ("tinker", "peers-tinker"),
        ("torchrl", "peers"),
        ("torchrl", "peers-torchrl"),
        ("verifiers", "peers-verifiers"),
        ("verl", "peers-verl"),
    ],
)
def test_real_packages_train_what_the_kernel_computes(package, environment):
    printed = run_peer(environment, "conformance_check.py", package)
    assert printed["calls"] > 50
    assert printed["rows"] > 500


@pytest.mark.slow
def test_trl_trains_what_the_kernel_computes(tmp_path):
    printed = run_peer("peers-language", "trl_conformance_check.py", tmp_path)
    assert printed["calls"] > 100


@pytest.mark.slow
def test_ms_swift_trains_what_the_kernel_computes():
    printed = run_peer("peers-ms-swift", "ms_swift_conformance_check.py")
    assert printed["calls"] > 100
