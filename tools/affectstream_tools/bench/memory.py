"""What a fusion node and a microphone's worker hold in memory during a long dialogue."""

from __future__ import annotations

import time
import wave
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from affectstream.bus import Inlet, Outlet
from affectstream.bus.wall_clock import WallClock
from affectstream.data import demo_folder
from affectstream.errors import AffectstreamError
from affectstream.messages import Emotion, Message, StreamClosed
from affectstream.run.processes import Processes, free_address
from affectstream_tools.bench.load import DialogueLoad

_IN_FLIGHT = 20
_START_WAIT_S = 30.0
_SETTLED = 10
_SPEED = 60.0


class _Driver:
    """Sends a dialogue to a node as fast as it answers."""

    def __init__(self, address: str, seed: int) -> None:
        self._outlet = Outlet(address)
        self._inlet = Inlet(address, ["emotion/long/", "stream.opened/long/"], from_start=True)
        self._load = DialogueLoad("long", seed)
        self._clock = WallClock()
        self.answered = 0
        self._wait(lambda: self.answered > 0, lambda: self._send(self._load.opening(self._now())))
        self.answered = 0

    def _now(self) -> int:
        return self._clock.now_ns()

    def _send(self, messages: list[Message]) -> None:
        for message in messages:
            self._outlet.publish(message)

    def speak_until(self, count: int) -> None:
        """Return when the node has estimated ``count`` utterances.

        Raises:
            AffectstreamError: it stopped answering.
        """
        while self._load.count < count:
            self._send(self._load.utterance(self._now()))
            self._wait(lambda: self._load.count - self.answered < _IN_FLIGHT)
        self._wait(lambda: self.answered >= count)

    def _wait(self, done: Callable[[], bool], again: Callable[[], None] | None = None) -> None:
        end = time.monotonic() + _START_WAIT_S
        if again is not None:
            again()
        while True:
            self._outlet.service()
            for message in self._inlet.read():
                self.answered += not isinstance(message, Emotion) or message.revision == 0
            if done():
                return
            if time.monotonic() > end:
                waited = f"the node has not answered for {_START_WAIT_S:.0f} s"
                raise AffectstreamError(f"{waited}; see `affectstream doctor`")
            self._inlet.sockets[0].poll(5)

    def close(self) -> None:
        """Disconnect."""
        self._outlet.close()
        self._inlet.close()


def measure_fusion_memory(
    utterances: int, *, seed: int, on_progress: Callable[[int], None] = lambda _: None
) -> dict[str, object]:
    """Return the node's resident memory (MiB) after 10 utterances, halfway and at the end.

    Raises:
        AffectstreamError: the node did not start, or stopped answering.
    """
    address = free_address()
    with Processes() as processes:
        processes.start("fusion", "fusion", "--address", address)
        processes.wait_for_hub(address)
        driver = _Driver(address, seed)
        try:
            sizes = []
            for count in (_SETTLED, max(_SETTLED, utterances // 2), utterances):
                for part in range(1, 21):
                    driver.speak_until(max(1, count * part // 20))
                    on_progress(count * part // 20)
                sizes.append(round(processes.memory_mib()["fusion"], 1))
        finally:
            driver.close()
    return {
        "fusion_mib_early": sizes[0],
        "fusion_mib_half": sizes[1],
        "fusion_mib": sizes[2],
    }


def measure_microphone_memory(minutes: int) -> dict[str, object]:
    """Return a microphone worker's resident memory (MiB) near the start, the middle and the end.

    The worker is the real one; its microphone is the bundled dialogue, again and again.

    Raises:
        AffectstreamError: it failed.
    """
    address = free_address()
    with TemporaryDirectory() as folder, Processes() as processes:
        path = Path(folder) / "long.wav"
        _repeat(demo_folder() / "dialogue.wav", path, minutes * 60.0)
        processes.start("hub", "hub", "--address", address)
        processes.wait_for_hub(address)
        inlet = Inlet(address, ["stream.closed/long/", "utterance.ended/long/"], from_start=True)
        try:
            processes.start(
                "microphone", "play", str(path), "--address", address,
                "--session", "long", "--speed", str(_SPEED),
            )  # fmt: skip
            heard, sizes = _listen(inlet, processes, minutes * 60.0 / _SPEED + _START_WAIT_S)
        finally:
            inlet.close()
    return {
        "microphone_mib_early": round(sizes[0], 1),
        "microphone_mib_half": round(sizes[len(sizes) // 2], 1),
        "microphone_mib": round(sizes[-1], 1),
        "microphone_utterances": heard,
    }


def _listen(inlet: Inlet, processes: Processes, longest_s: float) -> tuple[int, list[float]]:
    """Return how many utterances were heard, and the worker's size at each of them."""
    sizes: list[float] = []
    end = time.monotonic() + longest_s
    while time.monotonic() < end:
        inlet.sockets[0].poll(20)
        processes.check()
        for message in inlet.read():
            size = processes.memory_mib().get("microphone")
            if isinstance(message, StreamClosed):
                if not sizes:
                    raise AffectstreamError("the microphone worker heard nothing; reinstall it")
                return len(sizes), sizes
            if size:
                sizes.append(size)
    raise AffectstreamError("the microphone worker did not end; run it on a quieter machine")


def _repeat(source: Path, target: Path, seconds: float) -> None:
    with wave.open(str(source)) as recording, wave.open(str(target), "wb") as long:
        long.setparams(recording.getparams())
        frames = recording.readframes(recording.getnframes())
        turns = max(1, round(seconds * recording.getframerate() / recording.getnframes()))
        for _ in range(turns):
            long.writeframes(frames)
