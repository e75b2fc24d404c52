"""A real microphone without a sound card: a PulseAudio daemon with a null sink.

What is played into the sink comes out of its monitor, and out of inputs that are remapped from it;
PortAudio records those. The daemon has a runtime folder of its own and ends with ``close``.
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

_SINK = "virtmic"


def missing_packages() -> list[str]:
    """Return the Debian packages that the virtual microphone lacks on this machine."""
    found = {
        "pulseaudio": shutil.which("pulseaudio") and shutil.which("pactl"),
        "pulseaudio-utils": shutil.which("paplay"),
        "libportaudio2": ctypes.util.find_library("portaudio"),
        "libasound2-plugins": any(
            Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")
        ),
    }
    return [package for package, there in found.items() if not there]


class VirtualMicrophone:
    """Plays sound into the default input device of processes started with ``environment``.

    Args:
        source: what they record; None is the server's default, which ``set_default`` changes.
        rate_hz: the sink's; a null sink at 44.1 kHz runs slow by some 600 parts in a million.
    """

    def __init__(self, source: str | None = f"{_SINK}.monitor", *, rate_hz: int = 44_100) -> None:
        self._rate_hz = rate_hz
        self._inputs: dict[str, str] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="virtmic-"))
        runtime = self._folder / "run"
        runtime.mkdir(mode=0o700)
        asound = self._folder / "asound.conf"
        asound.write_text("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
        self.environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(runtime),
            "HOME": str(self._folder),
            **({"PULSE_SOURCE": source} if source else {}),
            "ALSA_CONFIG_PATH": f"/usr/share/alsa/alsa.conf:{asound}",
        }
        self._log = (self._folder / "pulseaudio.log").open("w")
        self._daemon = subprocess.Popen(
            [
                *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1"),
                *("-L", "module-native-protocol-unix", "-L", "module-cli-protocol-unix"),
            ],
            env=self.environment,
            stdout=self._log,
            stderr=self._log,
        )
        self._module = ""
        try:
            self._wait()
            self.plug()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self._daemon.poll() is not None:
                raise RuntimeError(Path(self._log.name).read_text())
            if self._pactl("info").returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError("PulseAudio does not answer")

    def _pactl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pactl", *arguments], env=self.environment, capture_output=True, text=True, timeout=10
        )

    def plug(self) -> None:
        """Plug the microphone in."""
        self._module = self._load("module-null-sink", f"sink_name={_SINK}", f"rate={self._rate_hz}")

    def unplug(self) -> None:
        """Pull the microphone out."""
        self._pactl("unload-module", self._module)

    def add_input(self, name: str) -> None:
        """Plug in one more input that hears the same; the sink is not touched."""
        self._inputs[name] = self._load(
            "module-remap-source", f"master={_SINK}.monitor", f"source_name={name}"
        )

    def remove_input(self, name: str) -> None:
        """Pull it out, and end the recordings from it.

        The server would move them to another input.
        """
        sources = self._pactl("list", "short", "sources").stdout.splitlines()
        index = next(line.split("\t")[0] for line in sources if line.split("\t")[1] == name)
        outputs = self._pactl("list", "short", "source-outputs").stdout.splitlines()
        self._pactl("unload-module", self._inputs.pop(name))
        for line in outputs:
            recorder, recorded = line.split("\t")[:2]
            if recorded == index:
                subprocess.run(
                    ["pacmd", "kill-source-output", recorder],
                    env=self.environment,
                    capture_output=True,
                    timeout=10,
                )

    def set_default(self, name: str) -> None:
        """Choose the default input, as a person does in the settings."""
        self._pactl("set-default-source", name)

    def keep_warm(self) -> subprocess.Popen[bytes]:
        """Start a listener that wants a low delay; without one a null sink begins 2 s late."""
        return subprocess.Popen(
            ["parec", "--latency-msec=20", "-d", f"{_SINK}.monitor"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def hold_up(self, stopped: bool) -> None:
        """Stop the daemon by a signal, or let it go on."""
        self._daemon.send_signal(signal.SIGSTOP if stopped else signal.SIGCONT)

    def _load(self, module: str, *arguments: str) -> str:
        loaded = self._pactl("load-module", module, *arguments)
        if loaded.returncode:
            raise RuntimeError(loaded.stderr)
        return loaded.stdout.strip()

    def play(self, samples: NDArray[np.int16], rate_hz: int = 16_000) -> subprocess.Popen[bytes]:
        """Speak into the microphone; return the player, which ends with the sound."""
        path = self._folder / f"{time.monotonic_ns()}.wav"
        write_samples(path, samples, rate_hz)
        return subprocess.Popen(["paplay", "-d", _SINK, str(path)], env=self.environment)

    def python(self, code: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a Python process that hears this microphone."""
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """Stop the daemon."""
        self._daemon.terminate()
        self.hold_up(False)
        try:
            self._daemon.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._daemon.kill()
            self._daemon.wait()
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_samples(path: Path, samples: NDArray[np.int16], rate_hz: int = 16_000) -> Path:
    """Write s16 samples, shape (n,) or (n, channels)."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.astype("<i2").tobytes())
    return path
