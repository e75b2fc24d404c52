"""How fast the front ends are beside their references, on one core and the same audio."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from affectstream.errors import AffectstreamError

_ONE_THREAD = dict.fromkeys(
    (
        *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
        *("BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"),
    ),
    "1",
)
_PROGRAM = "affectstream_tools.bench.front_end_runs"

Figures = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class FrontEndSpeeds:
    """What was measured, and on what.

    Attributes:
        rtf: seconds of work per second of audio, by name and figure: the median of the
            repetitions.
        audio: the name of the folder, or what stood in for it.
    """

    rtf: Figures
    audio: str
    audio_s: float
    clips: int
    repeats: int

    def to_dict(self) -> dict[str, object]:
        """Return the figures by name, and under ``measured`` the audio they were measured on."""
        figures = {
            name: {figure: round(value, 5) for figure, value in values.items()}
            for name, values in self.rtf.items()
        }
        on = {"audio": self.audio, "audio_s": round(self.audio_s, 1), "clips": self.clips}
        return figures | {"measured": on | {"repeats": self.repeats}}


def measure_front_ends(
    audio: Path | None,
    *,
    seconds: float,
    repeats: int,
    only: Sequence[str],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> FrontEndSpeeds:
    """Measure front ends and references, all in one process on one core.

    Args:
        audio: a folder of recordings; None: the bundled demo's synthetic speech.
        seconds: how much of it.
        repeats: how often each is run, one after the other.
        only: which, of ``front_end_runs.SUBJECTS``.
        on_progress: called with how many runs are done, and how many there are.

    Raises:
        AffectstreamError: the audio or a reference is missing.
    """
    request = {
        "audio": audio and str(audio),
        "seconds": seconds,
        "repeats": repeats,
        "only": [*only],
    }
    about, used_s = _run_apart(request, on_progress)
    rtf: Figures = {}
    for (name, figure), values in used_s.items():
        rtf.setdefault(name, {})[figure] = median(values) / about["audio_s"]
    return FrontEndSpeeds(
        rtf,
        audio=audio.name if audio else "the demo's synthetic speech",
        audio_s=about["audio_s"],
        clips=int(about["clips"]),
        repeats=repeats,
    )


def _run_apart(
    request: dict[str, Any], on_progress: Callable[[int, int], None]
) -> tuple[dict[str, float], dict[tuple[str, str], list[float]]]:
    """Return what the process says of the audio, and the seconds of each front end's figures."""
    used_s: dict[tuple[str, str], list[float]] = defaultdict(list)
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", _PROGRAM],
        env=os.environ | _ONE_THREAD,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(request) + "\n")
        child.stdin.close()
        about = _about(child.stdout.readline())
        total = int(about["runs"]) * request["repeats"]
        for done, line in enumerate(child.stdout, 1):
            name, figure, seconds_used = json.loads(line)
            used_s[name, figure].append(seconds_used)
            on_progress(done, total)
    if sum(map(len, used_s.values())) != total:
        raise AffectstreamError("the measurement ended early; see what it said above")
    return about, used_s


def _about(line: str) -> dict[str, float]:
    if not line:
        raise AffectstreamError("the measurement did not start; see what it said above")
    about: dict[str, float | str] = json.loads(line)
    if "error" in about:
        raise AffectstreamError(str(about["error"]))
    return {name: float(value) for name, value in about.items()}
