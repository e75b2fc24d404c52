"""What a microphone's worker costs: seconds of processor time per second of audio.

The worker is a process of its own that plays a recording at its own pace; everything that it
publishes is read. Its processor time is counted, all threads included, from before its first
sample to after its last message; loading the program is not.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
import wave
from dataclasses import asdict, dataclass
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

from affectstream.bus import Hub, Inlet
from affectstream.data import demo_folder
from affectstream.errors import AffectstreamError
from affectstream.run.processes import free_address
from affectstream.sources.audio_file import run_audio_file

_ALL = ("stream.", "utterance.", "audio/", "acoustic/", "progress/", "gap/")
_SPEED = 4.0  # of the recording; its blocks are as long as in real time
_VOICE_DETECTOR = "webrtc"


@dataclass(frozen=True, slots=True)
class MicrophoneWork:
    """What one run measured.

    Attributes:
        rtf: seconds of work per second of audio.
        audio_s: how much was heard.
        messages: how many of each kind were read.
    """

    rtf: float
    audio_s: float
    messages: dict[str, int]

    def to_dict(self) -> dict[str, object]:
        """Return the figures, rounded."""
        return asdict(self) | {"rtf": round(self.rtf, 5), "audio_s": round(self.audio_s, 2)}


def microphone_work() -> MicrophoneWork:
    """Return what it costs to play one side of the bundled dialogue, speech and pauses.

    Raises:
        AffectstreamError: the worker failed.
    """
    path = demo_folder() / "dialogue.wav"
    spawn = multiprocessing.get_context("spawn")
    results: Queue[Any] = spawn.Queue()
    address = free_address()
    counts: dict[str, int] = {}
    with Hub(address):
        inlet = Inlet(address, _ALL, from_start=True)
        worker = spawn.Process(target=_work, args=(str(path), address, results), daemon=True)
        worker.start()
        try:
            while worker.is_alive():
                for message in inlet.read():
                    counts[message.kind] = counts.get(message.kind, 0) + 1
                time.sleep(0.02)
        finally:
            inlet.close()
            worker.terminate()
            worker.join()
    if results.empty():
        raise AffectstreamError("the worker failed; see what it said above")
    audio_s = _duration_s(path)
    return MicrophoneWork(results.get() / audio_s, audio_s, counts)


def _work(path: str, address: str, results: Queue[Any]) -> None:
    before_s = _processor_s()
    run_audio_file(
        path,
        address=address,
        session="bench",
        speaker="you",
        speed=_SPEED,
        vad=_VOICE_DETECTOR,
    )
    results.put(_processor_s() - before_s)


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _duration_s(path: Path) -> float:
    with wave.open(str(path), "rb") as wav:
        return wav.getnframes() / wav.getframerate()
