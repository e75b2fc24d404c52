"""Without keys a socket lies only in a folder where nobody else can put one."""

from __future__ import annotations

from pathlib import Path

import pytest

from affectstream.bus.endpoint import check_loopback
from affectstream.errors import BusError


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755, 0o500])
def test_a_folder_that_only_its_owner_can_write_to_will_do(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    check_loopback(f"ipc://{tmp_path}/bus")


@pytest.mark.parametrize("mode", [0o770, 0o720, 0o775, 0o702, 0o707, 0o777])
def test_a_folder_that_its_group_or_others_can_write_to_is_refused(
    tmp_path: Path, mode: int
) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(BusError, match="other users can put a socket at"):
        check_loopback(f"ipc://{tmp_path}/bus")


def test_a_name_without_a_folder_is_refused() -> None:
    with pytest.raises(BusError, match="other users can put a socket at ipc://@bus"):
        check_loopback("ipc://@bus")


def test_a_folder_that_is_not_there_is_left_to_whoever_binds(tmp_path: Path) -> None:
    check_loopback(f"ipc://{tmp_path}/none/bus")
