"""Where experiments keep what can be made again, and how a file is written whole."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from affectstream.errors import AffectstreamError

_COMMAND = '"command": "'
"""Every report says by what it was made."""


def cache_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/affectstream``, else ``~/.cache/affectstream``, made if need be.

    Raises:
        AffectstreamError: it cannot be made.
    """
    # The XDG specification: a relative path counts as unset.
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    folder = (base if base.is_absolute() else Path.home() / ".cache") / "affectstream"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AffectstreamError(
            f"the cache {folder} cannot be made ({error.strerror}); set XDG_CACHE_HOME"
        ) from error
    return folder


def check_reports(found: Path, *others: Path) -> None:
    """See that a report may be written in the place of what is there.

    Args:
        found: the report as JSON; where that is ours, so is what lies beside it.
        others: the files that are written with it.

    Raises:
        AffectstreamError: one of the files is there, and not ours.
    """
    there = next((path for path in (found, *others) if path.exists()), None)
    if there is None:
        return
    try:
        ours = _COMMAND in found.read_text(encoding="utf-8")
    except (OSError, ValueError):
        ours = False
    if not ours:
        raise AffectstreamError(f"{there} exists and is no report of ours; name another --out")


def write_whole(path: Path, text: str) -> Path:
    """Write a file whole or not at all, its folder made if need be, and return its path.

    Raises:
        AffectstreamError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(
            "w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8"
        ) as part:
            part.write(text)
        os.chmod(part.name, 0o644)  # a temporary file is its maker's alone
        os.replace(part.name, path)
    except OSError as error:
        raise AffectstreamError(
            f"{path} cannot be written ({error.strerror}); choose another folder"
        ) from error
    return path
