"""Where a hub is, the keys it is used with, and where it may be used without any.

Knows: an address with or without keys, and who could reach it.
Refuses to know: sockets, and how keys are kept (``keys``).
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from affectstream.bus.keys import Keys, open_keys
from affectstream.core.address import DEFAULT_ADDRESS, is_loopback
from affectstream.errors import BusError


class NoHubError(BusError):
    """Nobody answers at an address."""


class AddressInUseError(BusError):
    """The port is in use, or was let go of only just now."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a hub is, and the keys that it is run or reached with.

    Wherever an address is asked for, a plain string is one without keys: for loopback alone.
    """

    address: str = DEFAULT_ADDRESS
    keys: Keys | None = None

    @classmethod
    def of(cls, address: str | Endpoint) -> Endpoint:
        """Return ``address`` as an endpoint."""
        return address if isinstance(address, Endpoint) else cls(address)

    @classmethod
    def open(cls, address: str, folder: Path | None) -> Endpoint:
        """Return ``address`` with the keys in ``folder``; with None, without keys.

        Raises:
            SecurityError: the keys cannot be used.
        """
        return cls(address, open_keys(folder) if folder is not None else None)

    @property
    def options(self) -> tuple[str, ...]:
        """The command-line options by which one of our commands uses this endpoint."""
        keys = ("--keys", str(self.keys.folder)) if self.keys else ()
        return ("--address", self.address, *keys)

    def __str__(self) -> str:
        return self.address


def check_loopback(address: str | Endpoint) -> None:
    """Refuse an address without keys where strangers could listen, answer or connect.

    Raises:
        BusError: the endpoint has no keys, and others than this user can reach the address.
    """
    endpoint = Endpoint.of(address)
    if endpoint.keys is not None:
        return
    scheme, _, path = endpoint.address.partition("://")
    if scheme == "tcp" and not is_loopback(endpoint.address):
        raise BusError(
            f"{address} can be reached by other machines; pass --keys FOLDER (made by "
            "`affectstream keys new`), or bind to tcp://127.0.0.1:PORT"
        )
    if scheme == "ipc":
        _check_folder(path)


def _check_folder(path: str) -> None:
    """Refuse the path of a socket where another user could put a socket of the same name."""
    folder = Path(path).parent
    try:
        found = folder.stat()
    except OSError:
        return  # binding there says why it cannot
    shared = stat.S_IMODE(found.st_mode) & 0o022
    if path.startswith("@") or shared or found.st_uid not in (0, os.geteuid()):
        raise BusError(
            f"other users can put a socket at ipc://{path}; take a folder of your own "
            f"(chmod 700), or pass --keys FOLDER"
        )
