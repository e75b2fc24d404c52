"""Pictures as files, written whole, in the place of no other picture.

Knows: how a file that matplotlib has written is told from others.
Refuses to know: what is drawn.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from affectstream.errors import AffectstreamError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARK = b"matplotlib"
_LOOKED_AT = 64 * 1024  # bytes at either end; png, svg and pdf name their writer there


def check_picture(path: Path) -> None:
    """See that a picture may be written to ``path``.

    Raises:
        AffectstreamError: something is there already that matplotlib has not drawn.
    """
    if path.exists() and not (path.is_file() and _is_drawn(path)):
        raise AffectstreamError(f"{path} exists and is no picture of ours; name another file")


def _is_drawn(path: Path) -> bool:
    with path.open("rb") as file:
        ends = file.read(_LOOKED_AT)
        file.seek(max(0, path.stat().st_size - _LOOKED_AT))
        return _MARK in (ends + file.read(_LOOKED_AT)).lower()


def save_picture(figure: Figure, path: Path, *, dpi: int) -> None:
    """Write a figure, whole or not at all; the suffix gives the format.

    Raises:
        AffectstreamError: something else is there already.
        ValueError: matplotlib does not know the format.
        OSError: it cannot be written.
    """
    check_picture(path)
    part = path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        figure.savefig(part, dpi=dpi)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
