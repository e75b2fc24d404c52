"""The command that made a report, without what is particular to one machine."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

_OF_THE_MACHINE = {
    "--cache": 1,
    "--out": 1,
    "--workers": 1,
    "--json": 0,
    "--cluster": 0,
    "--cases": 1,
}
"""Options that do not change a result, and how many values follow each."""

_FOLDER = "--data"


def command_line(arguments: Sequence[str] | None = None) -> str:
    """Return the command with its arguments; the folder of the data is written ``DIR``."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    kept = ["affectstream-lab"]
    while given:
        name, equals, value = given.pop(0).partition("=")
        follows = _OF_THE_MACHINE.get(name)
        if follows is not None:
            del given[: 0 if equals else follows]
        elif name == _FOLDER:
            folder = Path(value if equals else given.pop(0) if given else "")
            derived = folder.name == "iemocap-derived"
            kept += [_FOLDER, f"DIR/{folder.name}" if derived else "DIR"]
        else:
            kept.append(name + equals + value)
    return shlex.join(kept)
