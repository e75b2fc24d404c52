"""Sound out of files that the program ``ffmpeg`` reads: m4a, mp4, webm, amr and the like.

Knows: how ffmpeg is called, and what is said where it is missing or fails.
Refuses to know: wav files (``wav``), and what the samples are for.

The file is decoded whole, into a temporary file that has no name, so that its length is known and
one can seek in it. ffmpeg may open nothing but that file: a file can name others, also on the net.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from affectstream.errors import SourceError, brief
from affectstream.sources.wav import WavDecoder
from affectstream.timebase import SAMPLE_RATE_HZ

FFMPEG_SUFFIXES = (
    *(".m4a", ".mp4", ".m4b", ".mov", ".3gp", ".webm", ".mkv", ".mka"),
    *(".amr", ".awb", ".aac", ".wma"),
)
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,amr,amrnb,amrwb,aac,asf"
_LONGEST_S = 600  # of decoding: hours of sound
_ENOUGH_SAID = 2_000  # of what ffmpeg says, in bytes


def decode_by_ffmpeg(path: Path) -> WavDecoder:
    """Return the first sound track of a file, all its channels, at 16 kHz.

    Raises:
        SourceError: ffmpeg is not installed, or cannot read the file.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise SourceError(
            f"{path} needs the program ffmpeg, which is not installed; install it (`apt install "
            "ffmpeg`, `brew install ffmpeg`) or convert the file to wav elsewhere"
        )
    with tempfile.TemporaryFile() as said:
        decoded = tempfile.TemporaryFile()  # noqa: SIM115  the decoder closes it
        try:
            done = subprocess.run(
                _call(program, path),
                stdin=subprocess.DEVNULL,
                stdout=decoded,
                stderr=said,
                timeout=_LONGEST_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            decoded.close()
            raise _refusal(path, str(error)) from error
        said.seek(0)
        words = said.read(_ENOUGH_SAID).decode("utf-8", "replace")
        decoded.seek(0)
        if done.returncode:
            decoded.close()
            raise _refusal(path, words or f"status {done.returncode}")
    return WavDecoder.of_file(path, decoded)


def _call(program: str, path: Path) -> list[str]:
    """Return ffmpeg's command line: it writes a wav to its standard output."""
    return [
        *(program, "-nostdin", "-hide_banner", "-loglevel", "error"),
        *("-protocol_whitelist", "file", "-format_whitelist", _FORMATS),
        *("-i", f"file:{path}", "-map", "0:a:0"),
        *("-ar", str(SAMPLE_RATE_HZ), "-c:a", "pcm_s16le", "-f", "wav", "pipe:1"),
    ]


def _refusal(path: Path, why: str) -> SourceError:
    return SourceError(
        f"ffmpeg cannot read {path} ({brief(why)}); play it to see whether it is whole and has "
        "sound, then copy or record it again"
    )
