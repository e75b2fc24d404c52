"""Reports that are saved, and read again.

Knows: that a report is JSON for programs and a page for people, and what is said where there is
none.
Refuses to know: what a report says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from affectstream.errors import AffectstreamError
from affectstream_tools.jobs.jobs import write_whole

Report = TypeVar("Report")


def write_report(folder: Path, name: str, found: Mapping[str, Any], page: str) -> list[Path]:
    """Write ``<name>.json`` and ``<name>.md``; return the files.

    Raises:
        AffectstreamError: they cannot be written.
    """
    return [
        write_whole(folder / f"{name}.json", json.dumps(found, indent=1) + "\n"),
        write_whole(folder / f"{name}.md", page),
    ]


def read_report(folder: Path, name: str, made_of: Callable[[dict[str, Any]], Report]) -> Report:
    """Return the report that ``<name>.json`` holds.

    Raises:
        AffectstreamError: there is none, or ``made_of`` cannot make one of it.
    """
    path = folder / f"{name}.json"
    try:
        return made_of(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise AffectstreamError(
            f"no report is saved in {folder}; run the command without --report first"
        ) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise AffectstreamError(f"{path} is no report of ours ({error}); remove it") from error
