"""Audio input devices, through PortAudio.

Knows: the package sounddevice, how a device is found and opened, and what to install if PortAudio
is missing.
Refuses to know: what becomes of the samples, and when a lost device should be opened again.
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from affectstream.errors import SourceError
from affectstream.timebase import NS_PER_S, SAMPLE_RATE_HZ

DEVICE_BLOCK_MS = 60
"""Length of a block. Shorter ones wake the worker so often that this costs more than its work."""

LONGEST_DELAY_NS = 40_000_000
"""How much older than its length a block may be. If PortAudio reports more, it is wrong."""

RATES_HZ = (SAMPLE_RATE_HZ, 48_000, 44_100, 32_000, 8_000)
"""Sample rates to try, best first; the device's own rate is tried second."""

SOUND_SERVERS = ("default", "pulse", "pipewire", "jack", "sysdefault")
"""PortAudio's names for ALSA devices that belong to a sound server."""

OnBlock = Callable[[bytes, int, bool], None]
"""Takes a block: s16 mono samples, the first one's age in ns, and whether the device lost some."""


@dataclass(frozen=True, slots=True)
class Device:
    """An input device. Its number ``index`` changes when other devices come and go."""

    index: int
    name: str
    rate_hz: int
    channels: int
    is_default: bool


@dataclass(frozen=True, slots=True)
class OpenDevice:
    """A device that was opened; once started, it delivers blocks from PortAudio's thread."""

    stream: Any
    name: str
    rate_hz: int

    @property
    def active(self) -> bool:
        """Whether the device still delivers."""
        return bool(self.stream.active)

    def start(self) -> None:
        """Begin to deliver blocks.

        Raises:
            SourceError: the device cannot be started.
        """
        sd = load_portaudio()
        try:
            self.stream.start()
        except sd.PortAudioError as error:
            self.close()
            raise SourceError(
                f"{self.name} cannot be started ({error}); plug it in again or choose another "
                "--device"
            ) from error

    def close(self) -> None:
        """Stop and close it at once. It is no error if the device is already gone."""
        sd = load_portaudio()
        for step in (self.stream.abort, self.stream.close):
            try:
                step()
            except sd.PortAudioError:
                continue


def load_portaudio() -> ModuleType:
    """Return the sounddevice module.

    Raises:
        SourceError: it, or PortAudio itself, is not installed.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise SourceError(
            "the microphone needs the package sounddevice; pip install 'affectstream[mic]'"
        ) from error
    except OSError as error:
        raise SourceError(
            "the microphone needs the PortAudio library; install it with "
            "`apt-get install libportaudio2` (Debian, Ubuntu) or `brew install portaudio` (macOS)"
        ) from error
    module: ModuleType = sounddevice
    return module


def input_devices() -> list[Device]:
    """Return the devices that can record, in PortAudio's order.

    Raises:
        SourceError: PortAudio is missing.
    """
    sd = load_portaudio()
    default = sd.default.device[0]
    return [
        Device(
            index=index,
            name=str(found["name"]),
            rate_hz=int(found["default_samplerate"]),
            channels=int(found["max_input_channels"]),
            is_default=index == default,
        )
        for index, found in enumerate(sd.query_devices())
        if found["max_input_channels"] > 0
    ]


def refresh_devices() -> None:
    """Restart PortAudio so that it looks for devices again; it does so only when it is started.

    Raises:
        SourceError: PortAudio cannot be started.
    """
    sd = load_portaudio()
    try:
        if sd._initialized:
            sd._terminate()
        sd._initialize()
    except sd.PortAudioError as error:
        raise SourceError(
            f"the sound system cannot be reached ({error}); see whether it runs"
        ) from error


def abandon() -> None:
    """Let the process end without closing PortAudio, which hangs and would hang again."""
    sounddevice = sys.modules.get("sounddevice")
    if sounddevice is not None:
        atexit.unregister(sounddevice._exit_handler)


def resolve(device: str | int | None) -> str | int | None:
    """Return the device's full name, which stays the same when numbers change.

    Args:
        device: a name, a part of one, or a number; None (the default) is returned as it is.

    Raises:
        SourceError: there is no such input device, or several.
    """
    if device is None:
        return None
    wanted = int(device) if isinstance(device, str) and device.isdigit() else device
    sd = load_portaudio()
    try:
        found = sd.query_devices(wanted, "input")
        host = sd.query_hostapis(found["hostapi"])["name"]
    except (ValueError, sd.PortAudioError) as error:
        names = ", ".join(f"{d.index}: {d.name}" for d in input_devices()) or "none"
        raise SourceError(
            f"there is no one input device {device!r}; choose one of these with --device: {names}"
        ) from error
    return f"{found['name']}, {host}"


def open_device(device: str | int | None, on_block: OnBlock) -> OpenDevice:
    """Open a device at 16 kHz mono, or as near to that as it allows.

    PortAudio converts the device's sample format to s16.

    Args:
        device: as ``resolve`` returns it.
        on_block: called from PortAudio's thread with each block; must not wait.

    Raises:
        SourceError: the device cannot be opened.
    """
    sd = load_portaudio()
    try:
        found = sd.query_devices(device, "input")
        rate_hz, channels = _format(sd, device, found)
        served = str(found["name"]) in SOUND_SERVERS
        stream = sd.RawInputStream(
            samplerate=rate_hz,
            blocksize=rate_hz * DEVICE_BLOCK_MS // 1000,
            device=device,
            channels=channels,
            dtype="int16",
            latency="low",
            callback=_callback(on_block, channels, rate_hz, trust_adc_time=not served),
        )
    except (ValueError, sd.PortAudioError) as error:
        what = "the default input device" if device is None else f"input device {device!r}"
        raise SourceError(
            f"{what} cannot be opened ({error}); plug a microphone in, close the program that "
            "has it to itself, or choose another --device"
        ) from error
    return OpenDevice(stream, str(found["name"]), rate_hz)


def _format(sd: ModuleType, device: str | int | None, found: Any) -> tuple[int, int]:
    """Return the first rate and number of channels that the device takes."""
    for rate_hz, channels in _formats(found):
        try:
            sd.check_input_settings(
                device=device, channels=channels, dtype="int16", samplerate=rate_hz
            )
        except sd.PortAudioError:
            continue
        return rate_hz, channels
    return int(found["default_samplerate"]), int(found["max_input_channels"])


def _formats(found: Any) -> Iterator[tuple[int, int]]:
    native_hz, most_channels = int(found["default_samplerate"]), int(found["max_input_channels"])
    for channels in dict.fromkeys((1, min(2, most_channels), most_channels)):
        for rate_hz in dict.fromkeys((SAMPLE_RATE_HZ, native_hz, *RATES_HZ)):
            yield rate_hz, channels


def _callback(
    on_block: OnBlock, channels: int, rate_hz: int, *, trust_adc_time: bool
) -> Callable[..., None]:
    """Return PortAudio's callback.

    Args:
        trust_adc_time: whether to use the capture time that PortAudio reports. A sound server only
            estimates it, and its estimate drifts by 20 ms for seconds. Blocks arrive far more
            regularly, so without it a block's age is taken to be its length.
    """

    def callback(data: Any, frames: int, when: Any, status: Any) -> None:
        pcm = bytes(data)
        if channels > 1:  # only the first: opposite phases would cancel out in an average
            pcm = memoryview(pcm).cast("h")[::channels].tobytes()
        block_ns = age_ns = frames * NS_PER_S // rate_hz
        if trust_adc_time:
            told_ns = round((when.currentTime - when.inputBufferAdcTime) * NS_PER_S)
            # Some hosts report no time, and some report nonsense while they start.
            if block_ns <= told_ns <= block_ns + LONGEST_DELAY_NS:
                age_ns = told_ns
        on_block(pcm, age_ns, bool(status.input_overflow))

    return callback
