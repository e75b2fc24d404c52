"""Keeps an audio device open: opens it, notices when it is lost, and opens it again.

Knows: when a device counts as lost. It works in a thread of its own, because PortAudio's calls may
take long or hang.
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

TICK_S = 0.1  # between two looks at the device
STALLED_S = 1.0  # without a block: the device is lost
FIRST_BLOCK_S = 5.0  # the same, before its first block
RETRY_S = 0.5  # between two attempts to open it again
CLOSE_S = 0.7  # how long the thread may take to end


@dataclass(frozen=True, slots=True)
class Opened:
    """A device was opened; the blocks that follow come from it, at ``rate_hz``."""

    rate_hz: int


class DeviceKeeper:
    """A thread that keeps one device open until ``close``.

    Args:
        device: a name, a part of one, or a number; None for the default, and whichever device
            becomes the default later.
        on_block: called with each block, in PortAudio's thread.
        tell: called when the device was opened or lost, in the keeper's thread.
        wait: whether to wait for a device that is not there yet.
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
        """Return once the device is open or being waited for, or when ``stopping()``.

        The device is opened in the keeper's thread, so that this one can still handle signals when
        PortAudio hangs.

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
        """Whether the device is still being looked after; False after an unexpected error."""
        return self._stop.is_set() or self._thread.is_alive()

    def close(self) -> None:
        """Close the device, or leave it as it is if PortAudio hangs."""
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
            # A device that never delivered a block is not tried again at once.
            kept = self._reopen(0 if self._blocks else RETRY_S)

    def _watch(self, device: devices.OpenDevice) -> DeviceLost | None:
        """Wait until the device is lost and return why, or None when the keeper is to stop.

        The time without a block is counted in ticks of this thread, not by a clock: while the whole
        process is suspended, none pass, and the device does not count as lost.
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
                devices.refresh_devices()
                device = self._open()
            except SourceError as error:
                _log.debug("still no device: %s", error)
                continue
            _log.warning("%s is open again", self._name(device))
            return device
        return None
