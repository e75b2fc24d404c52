"""Writes Kaldi's binary format, as far as a model needs it.

After kaldi/src/base/io-funcs-inl.h, matrix/kaldi-matrix.cc and matrix/compressed-matrix.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from io import BytesIO

import numpy as np
from numpy.typing import ArrayLike


class KaldiWriter:
    """Collects the bytes of one binary Kaldi file."""

    def __init__(self) -> None:
        self._out = BytesIO()
        self._out.write(b"\0B")

    def getvalue(self) -> bytes:
        """Return what was written."""
        return self._out.getvalue()

    def tokens(self, *names: str) -> None:
        """Write tokens, each followed by a space."""
        for name in names:
            self._out.write(name.encode() + b" ")

    def text(self, lines: str) -> None:
        """Write plain text, which nnet3 wants for its configuration."""
        self._out.write(lines.encode())

    def integers(self, *values: int) -> None:
        """Write 32-bit integers."""
        for value in values:
            self._out.write(struct.pack("<bi", 4, value))

    def floats(self, *values: float) -> None:
        """Write single-precision numbers."""
        for value in values:
            self._out.write(struct.pack("<bf", 4, value))

    def doubles(self, *values: float) -> None:
        """Write double-precision numbers."""
        for value in values:
            self._out.write(struct.pack("<bd", 8, value))

    def integer_vector(self, values: Iterable[int]) -> None:
        """Write a vector of 32-bit integers."""
        array = np.fromiter(values, "<i4")
        self._out.write(struct.pack("<bi", 4, len(array)) + array.tobytes())

    def vector(self, values: ArrayLike) -> None:
        """Write a vector of single-precision numbers."""
        array = np.asarray(values, "<f4")
        self.tokens("FV")
        self.integers(len(array))
        self._out.write(array.tobytes())

    def compressed_matrix(self, values: ArrayLike) -> None:
        """Write a matrix as 16-bit steps between its lowest and its highest value."""
        array = np.asarray(values, "<f4")
        rows, columns = array.shape
        low, span = float(array.min()), float(array.max() - array.min())
        self.tokens("CM2")
        self._out.write(struct.pack("<ffii", low, span, rows, columns))
        self._out.write(np.round((array - low) / (span or 1.0) * 65535).astype("<u2").tobytes())
