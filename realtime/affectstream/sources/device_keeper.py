"""Keeps a device open: opens it, sees when it falls silent, and opens it again.

Knows: a thread of its own, in which PortAudio may take as long as it likes, or hang.
Refuses to know: what is in the blocks, and where they lie in time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from affectstream.core.capture.audio import DeviceLost
from affectstream.errors import SourceError
from affectstream.sources import devices
from affectstream.sources.default_input import DefaultInput

_log = logging.getLogger(__name__)

TICK_S = 0.1
STALLED_S = 1.0
FIRST_BLOCK_S = 5.0  # a device may take its time over the first block
RETRY_S = 0.5
CLOSE_S = 0.7


@dataclass(frozen=True, slots=True)
class Opened:
    """A device was opened: the blocks that follow are its."""

    rate_hz: int


class DeviceKeeper:
    """A thread that keeps one device open until it is closed.

    Args:
        device: a name, a part of one, a number, or None for the default, which is followed.
        on_block: takes blocks, in PortAudio's thread.
        tell: takes what happens to the device, in the keeper's thread.
        wait: a device that is not there yet is waited for.
    """

    def __init__(
        self,
        device: str | int | None,
        on_block: devices.OnBlock,
        tell: Callable[[Opened | DeviceLost], None],
        *,
        wait: bool = False,
    ) -> None:
        self._asked_for = device
        self._on_block = on_block
        self._tell = tell
        self._wait = wait
        self._wanted: str | int | None = None
        self._default = DefaultInput() if device is None else None
        self._blocks = 0  # since the device was opened
        self._error: SourceError | None = None
        self._begun = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="microphone", daemon=True)

    def start(self, stopping: Callable[[], bool]) -> None:
        """Return once the device is open, or waited for, or ``stopping()``.

        PortAudio may hang over it, in its own thread: this one still hears signals.

        Raises:
            SourceError: there is no such device, or it cannot be opened.
        """
        self._thread.start()
        while not self._begun.wait(TICK_S):
            if stopping():
                return
        if self._error is not None:
            raise self._error

    @property
    def alive(self) -> bool:
        """Whether it still sees to the device; False after an error that nobody foresaw."""
        return self._stop.is_set() or self._thread.is_alive()

    def close(self) -> None:
        """Let go of the device, or leave it where it hangs."""
        self._stop.set()
        self._thread.join(timeout=CLOSE_S)
        if self._thread.is_alive():
            _log.warning("the sound system does not answer; leaving without closing the device")
            devices.abandon()

    # The keeper's thread

    def _run(self) -> None:
        try:
            device = self._open_first()
            self._begun.set()
            if device is not None:
                self._keep_open(device)
        finally:
            self._begun.set()
            if self._default is not None:
                self._default.close()

    def _open_first(self) -> devices.OpenDevice | None:
        try:
            return self._open()
        except SourceError as error:
            if not self._wait:
                self._error = error
                return None
            _log.warning("%s; waiting for one", error)
        self._begun.set()
        self._tell(DeviceLost("there is none yet"))
        return self._reopen(RETRY_S)

    def _open(self) -> devices.OpenDevice:
        if self._wanted is None:
            self._wanted = devices.resolve(self._asked_for)
        device = devices.open_device(self._wanted, self._count_block)
        self._blocks = 0
        self._tell(Opened(device.rate_hz))
        device.start()
        if self._default is not None:
            self._default.begin()
        _log.info("listening to %s at %d Hz", self._name(device), device.rate_hz)
        return device

    def _name(self, device: devices.OpenDevice) -> str:
        behind = self._default.name if self._default is not None else None
        return f"{device.name} ({behind})" if behind else device.name

    def _count_block(self, pcm: bytes, age_ns: int, overflow: bool) -> None:
        self._blocks += 1
        self._on_block(pcm, age_ns, overflow)

    def _keep_open(self, device: devices.OpenDevice) -> None:
        kept: devices.OpenDevice | None = device
        while kept is not None:
            lost = self._watch(kept)
            if lost is not None:
                self._tell(lost)
                _log.warning("%s is lost: %s; opening it again", kept.name, lost.detail)
            kept.close()
            if lost is None:
                return
            # One that never delivered is not worth a hurry.
            kept = self._reopen(0 if self._blocks else RETRY_S)

    def _watch(self, device: devices.OpenDevice) -> DeviceLost | None:
        """Wait until the device is gone; return why, or None when we are to stop.

        Silence is counted in ticks of our own: while this whole process was held up, none passed.
        """
        heard, silent_s = 0, 0.0
        while not self._stop.wait(TICK_S):
            if not device.active:
                return DeviceLost("it was disconnected")
            silent_s = silent_s + TICK_S if self._blocks == heard else 0.0
            heard = self._blocks
            if silent_s > (STALLED_S if heard else FIRST_BLOCK_S):
                return DeviceLost("it delivers nothing")
            now = self._default.changed() if self._default is not None else None
            if now is not None:
                return DeviceLost(f"the default input is now {now}", "device changed")
        return None

    def _reopen(self, pause_s: float) -> devices.OpenDevice | None:
        while not self._stop.wait(pause_s):
            pause_s = RETRY_S
            try:
                devices.find_again()
                device = self._open()
            except SourceError as error:
                _log.debug("still no device: %s", error)
                continue
            _log.warning("%s is open again", self._name(device))
            return device
        return None
