"""Wav files, and how their samples become 16-bit integers.

Knows: the chunks of a RIFF file, integer samples of 8 to 32 bits, floating-point samples of 32 and
64 bits, and headers of programs that did not know the length when they wrote them.
Refuses to know: other containers and compressed samples (``decoders``), pace, and resampling.

Reference: Microsoft and IBM, *Multimedia Programming Interface and Data Specifications 1.0* (1991),
and Microsoft's ``WAVEFORMATEXTENSIBLE``.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from affectstream.errors import SourceError

UNKNOWN_BYTES = 0x7FFF_0000
"""Programs that write a wav into a pipe do not know its length and claim at least this many."""

_MOST_CHUNKS = 1_000  # before the samples; more are no recording
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_BITS = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64)}
_KIND_TAIL = b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"  # of a subformat's GUID


class _Form(NamedTuple):
    """What the chunk ``fmt`` says."""

    kind: int
    channels: int
    rate_hz: int
    bits: int


class WavDecoder:
    """An open wav file of plain samples; see ``decoders.AudioDecoder``.

    Where the header does not say how long the file is (0 bytes with samples behind them, or
    ``UNKNOWN_BYTES`` and more), ``frames`` is what the file holds.

    Raises:
        SourceError: it is no wav file of plain samples.
    """

    def __init__(self, path: Path) -> None:
        self._open(path, path.open("rb"))

    @classmethod
    def of_file(cls, path: Path, file: BinaryIO) -> WavDecoder:
        """Return the decoder of an open file, which it closes; ``path`` is named in errors."""
        decoder = cls.__new__(cls)
        decoder._open(path, file)
        return decoder

    def _open(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        try:
            form, claimed = self._header()
            self._kind, self.channels, self.rate_hz, self._bits = form
            self._start = file.tell()
            self._frame_bytes = self.channels * self._bits // 8
            self.frames = self._bytes(claimed) // self._frame_bytes
        except BaseException:
            file.close()
            raise

    def read(self, frames: int) -> NDArray[np.int16]:
        """Return the next ``frames`` frames or fewer, shape (n, channels); none at the end."""
        left = self.frames - (self._file.tell() - self._start) // self._frame_bytes
        data = self._file.read(max(0, min(frames, left)) * self._frame_bytes)
        whole = data[: len(data) // self._frame_bytes * self._frame_bytes]
        return self._integers(whole).reshape(-1, self.channels)

    def seek(self, frame: int) -> None:
        """Go to frame number ``frame``, which is not beyond the end."""
        self._file.seek(self._start + frame * self._frame_bytes)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _header(self) -> tuple[_Form, int]:
        """Return the format and the number of bytes claimed; the file then stands at the samples.

        Raises:
            SourceError: there is no format that can be read, or there are no samples.
        """
        whole = self._file.read(12)
        if whole[:4] != b"RIFF" or whole[8:] != b"WAVE":
            raise self._refusal("it does not begin like one" if whole else "it is empty")
        form = None
        for _ in range(_MOST_CHUNKS):
            chunk = self._file.read(8)
            if len(chunk) < 8:
                break
            size = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                if form is None:
                    break
                return form, size
            after = self._file.tell() + size + size % 2
            if chunk[:4] == b"fmt ":
                form = self._form(self._file.read(min(size, 40)))
            self._file.seek(after)
        raise self._refusal("it ends in its header")

    def _form(self, fmt: bytes) -> _Form:
        if len(fmt) < 16:
            raise self._refusal("its format is cut off")
        kind, channels, rate_hz, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", fmt)
        if kind == _EXTENSIBLE and fmt[26:40] == _KIND_TAIL:
            kind = int.from_bytes(fmt[24:26], "little")
        bits = -(-bits // 8) * 8  # 12 bits lie in 16
        if bits not in _BITS.get(kind, ()) or not channels or frame_bytes != channels * bits // 8:
            raise self._refusal(f"format {kind}, {channels} channels, {bits} bits")
        return _Form(kind, channels, rate_hz, bits)

    def _bytes(self, claimed: int) -> int:
        """Return how many bytes of samples there are, as far as the header knows it."""
        held = max(0, os.fstat(self._file.fileno()).st_size - self._start)
        if claimed >= UNKNOWN_BYTES:
            return min(claimed, held)
        if claimed == 0 and not self._only_chunks(held):
            return held
        return claimed

    def _only_chunks(self, held: int) -> bool:
        """Return whether the last ``held`` bytes of the file are chunks and no samples."""
        at, end = self._start, self._start + held
        try:
            for _ in range(_MOST_CHUNKS):
                if at >= end:
                    return True
                self._file.seek(at)
                chunk = self._file.read(8)
                if len(chunk) < 8 or not all(32 <= byte < 127 for byte in chunk[:4]):
                    return False
                size = int.from_bytes(chunk[4:], "little")
                if at + 8 + size > end:
                    return False
                at += 8 + size + size % 2
            return False
        finally:
            self._file.seek(self._start)

    def _integers(self, data: bytes) -> NDArray[np.int16]:
        if self._kind == _FLOAT:
            return full_scale_to_int16(np.frombuffer(data, f"<f{self._bits // 8}"))
        if self._bits == 8:
            return (np.frombuffer(data, np.uint8).astype(np.int16) - 128) << 8
        size = self._bits // 8  # of a longer integer the two upper bytes
        upper = np.frombuffer(data, np.uint8).reshape(-1, size)[:, size - 2 :]
        return np.ascontiguousarray(upper).view("<i2").astype(np.int16, copy=False)

    def _refusal(self, why: str) -> SourceError:
        return SourceError(
            f"{self._path} is no PCM wav file ({why}); convert it with "
            "`ffmpeg -i IN -ac 1 -ar 16000 OUT.wav`"
        )


def full_scale_to_int16(samples: NDArray[np.floating]) -> NDArray[np.int16]:
    """Return samples of full scale -1..1 as integers: rounded, clipped, and 0 for NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.rint(samples * samples.dtype.type(32_768))
        clipped = np.clip(np.where(np.isnan(scaled), 0, scaled), -32_768, 32_767)
    return clipped.astype(np.int16)
