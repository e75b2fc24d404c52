"""Times the front ends and their references on the same clips; the program of a process.

``front_ends`` starts it with ``python -m`` and with one thread for every library, which must be
said before numpy is loaded. It reads one line of JSON and writes one for each run: front end,
figure, seconds of processor time.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TextIO

import numpy as np
from numpy.typing import NDArray

from affectstream.errors import AffectstreamError
from affectstream.features import tripathi34, woellmer
from affectstream.features.framing import as_signal
from affectstream.features.praat_pitch import CEILING_HZ, FLOOR_HZ
from affectstream.timebase import SAMPLE_RATE_HZ
from affectstream_tools.corpora.speech_clips import ClipSamples, read_clips
from affectstream_tools.evaluate import references

_FED_AT_ONCE_SAMPLES = SAMPLE_RATE_HZ // 50
_STREAMING, _BATCH, _REFERENCE = "streaming_rtf", "batch_rtf", "rtf"
Run = Callable[[ClipSamples], object]
Runs = dict[str, Run]
"""Figure, such as ``batch_rtf`` -> the run that gives it."""


class TimedFrontEnd(Protocol):
    """A front end of ours: it takes samples in pieces."""

    def push(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        """Return the rows completed."""
        ...

    def finish(self) -> NDArray[np.float32]:
        """Return the rows left."""
        ...


def _streaming(make: Callable[[], TimedFrontEnd]) -> Run:
    def run(clip: ClipSamples) -> None:
        front_end = make()
        for start in range(0, len(clip), _FED_AT_ONCE_SAMPLES):
            front_end.push(clip[start : start + _FED_AT_ONCE_SAMPLES])
        front_end.finish()

    return run


def _egemaps() -> Runs:
    from affectstream.features.egemaps import front_end as egemaps

    return {_STREAMING: _streaming(egemaps.Egemaps), _BATCH: egemaps.extract_egemaps}


def _opensmile() -> Runs:
    opensmile = references.installed("opensmile", "opensmile")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there is a newer set
        smile = opensmile.Smile(
            feature_set=opensmile.FeatureSet.eGeMAPSv01b,
            feature_level=opensmile.FeatureLevel.LowLevelDescriptors,
        )
    return {_REFERENCE: lambda clip: smile.process_signal(as_signal(clip), SAMPLE_RATE_HZ)}


def _tripathi34() -> Runs:
    return {_STREAMING: _streaming(tripathi34.Tripathi34), _BATCH: tripathi34.extract_tripathi34}


def _pyaudioanalysis() -> Runs:
    references.pyaudioanalysis()
    return {_REFERENCE: references.pyaudioanalysis_rows}


def _woellmer() -> Runs:
    return {_STREAMING: _streaming(woellmer.Woellmer), _BATCH: woellmer.extract_woellmer}


def _praat() -> Runs:
    sound_of = references.parselmouth().Sound
    step_s = woellmer.WOELLMER_HOP_SAMPLES / SAMPLE_RATE_HZ
    window_s = woellmer.WOELLMER_FRAME_SAMPLES / SAMPLE_RATE_HZ

    def run(clip: ClipSamples) -> None:
        sound = sound_of(clip / 32_768, SAMPLE_RATE_HZ)
        sound.to_pitch_ac(time_step=step_s, pitch_floor=FLOOR_HZ, pitch_ceiling=CEILING_HZ)
        sound.to_intensity(minimum_pitch=references.INTENSITY_FLOOR_HZ, time_step=step_s)
        sound.to_mfcc(12, window_length=window_s, time_step=step_s)

    return {_REFERENCE: run}


SUBJECTS: dict[str, Callable[[], Runs]] = {
    "egemaps": _egemaps,
    "opensmile": _opensmile,
    "tripathi34": _tripathi34,
    "pyaudioanalysis": _pyaudioanalysis,
    "woellmer": _woellmer,
    "praat": _praat,
}
"""Each of ours is followed by its reference."""


def timed_runs(
    clips: list[ClipSamples], repeats: int, chosen: dict[str, Runs]
) -> Iterator[tuple[str, str, float]]:
    """Yield name, figure and processor seconds of each run; each runs once in each repetition.

    The first repetition is not counted: it loads what is loaded on first use.
    """
    everything = [
        (name, figure, run) for name, runs in chosen.items() for figure, run in runs.items()
    ]
    for repeat in range(repeats + 1):
        for name, figure, run in everything:
            before_s = time.process_time()
            for clip in clips:
                run(clip)
            used_s = time.process_time() - before_s
            if repeat:
                yield name, figure, used_s


def _main(requests: TextIO, answers: TextIO) -> None:
    """Answer one request: ``{"audio": folder or null, "seconds", "repeats", "only"}``."""
    request = json.loads(requests.readline())
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    try:
        clips = read_clips(request["audio"], request["seconds"])
        chosen = {name: SUBJECTS[name]() for name in request["only"]}
    except AffectstreamError as error:
        answers.write(json.dumps({"error": str(error)}) + "\n")
        return
    audio_s = sum(map(len, clips)) / SAMPLE_RATE_HZ
    about = {"clips": len(clips), "audio_s": audio_s, "runs": sum(map(len, chosen.values()))}
    answers.write(json.dumps(about) + "\n")
    for run in timed_runs(clips, request["repeats"], chosen):
        answers.write(json.dumps(run) + "\n")
        answers.flush()


if __name__ == "__main__":
    _main(sys.stdin, sys.stdout)
