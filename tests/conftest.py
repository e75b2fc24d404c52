"""What tests of every folder share: helpers beside this file, and the machine's own parts."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# As the fusion node does, before any test imports torch: the same digits in every process.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
# Test processes run beside each other, and threads that wait for work cost their neighbours time.
for library in ("OMP", "MKL", "OPENBLAS"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # so that a test can say `from espeak import ...`

from affectstream_tools.bench.microphone.virtual import VirtualMicrophone, missing_packages  # noqa: E402
from espeak import Espeak, Spoken, is_installed  # noqa: E402
from own_ports import own_ports  # noqa: E402

__all__ = ["Spoken"]


def pytest_collection_finish() -> None:
    """Keep what was imported out of every later search for garbage, which is long otherwise."""
    gc.collect()
    gc.freeze()


def lacks(what: str) -> None:
    """Skip for want of a system package, or fail where the machine must have it."""
    if os.environ.get("AFFECTSTREAM_REQUIRE_SYSTEM") == "1":
        pytest.fail(f"this machine must have {what}")
    pytest.skip(f"needs {what}")


@pytest.fixture(scope="session", autouse=True)
def ports() -> Iterator[None]:
    """Ports for the hubs of this test process alone."""
    with own_ports():
        yield


@pytest.fixture(scope="session")
def virtual_microphone() -> Iterator[VirtualMicrophone]:
    """A microphone to speak into; its workers are started with its ``environment``."""
    missing = missing_packages()
    if missing:
        lacks(f"the packages {' '.join(missing)}")
    with VirtualMicrophone() as microphone:
        yield microphone


@pytest.fixture(scope="session")
def espeak() -> Espeak:
    """A synthesiser that knows its word times."""
    if not is_installed():
        lacks("the package espeak-ng")
    return Espeak()


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of corpora: ``$AFFECTSTREAM_DATA``, else ``../shared/data``."""
    folder = Path(os.environ.get("AFFECTSTREAM_DATA", HERE.parents[1] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the corpora in {folder}; set AFFECTSTREAM_DATA")
    return folder


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """One torch thread: the same digits whatever the machine, and no threads that wait for others.

    For ``pytestmark = pytest.mark.usefixtures("one_thread")``.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
