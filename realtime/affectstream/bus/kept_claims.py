"""A hub's file of whose each stream and outlet is, so that a restart of the hub gives nothing away.

Knows: the file ``claims`` in the hub's folder of keys: a line each, ``PEER THING``.
Refuses to know: what a claim means (``core.claims``).

Without the file, or with one that cannot be read or written, a hub begins with no claims; it says
so and goes on.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile

from affectstream.errors import printable

_log = logging.getLogger(__name__)

MAX_CLAIMS_BYTES = 64 * 1024 * 1024


def read_claims(folder: Path) -> list[tuple[str, str]]:
    """Return peer and thing of each claim, the oldest first; none if they cannot be read."""
    try:
        descriptor = os.open(folder / "claims", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, encoding="utf-8", errors="replace") as file:
            lines = file.read(MAX_CLAIMS_BYTES).splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        _log.warning("whose streams are whose is not remembered: %s", printable(error))
        return []
    split = (line.partition(" ") for line in lines)
    return [(peer, thing) for peer, _, thing in split if peer and thing]


def write_claims(folder: Path, claims: Iterable[tuple[str, str]]) -> None:
    """Replace the file in one step; what cannot be written is said in the log."""
    try:
        with NamedTemporaryFile("w", dir=folder, prefix=".claims.", delete=False) as file:
            try:
                file.writelines(f"{peer} {thing}\n" for peer, thing in claims)
                file.close()
                os.replace(file.name, folder / "claims")
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        _log.warning("a restart of the hub will forget whose streams are whose: %s", error)
