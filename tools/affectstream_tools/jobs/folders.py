"""Where the experiments keep what can be made again.

Knows: the XDG base directories.
Refuses to know: what lies in the folders.
"""

from __future__ import annotations

import os
from pathlib import Path

from affectstream.errors import AffectstreamError


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
