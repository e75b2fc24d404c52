"""Sound files as people have them: every kind of sample, container and unfinished header."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.errors import SourceError
from affectstream.sources.decoders import SOUND_SUFFIXES, open_decoder

RATE_HZ = 16_000
SAMPLES = (9_000 * np.sin(np.arange(RATE_HZ // 2) / 9.0)).astype(np.int16)


def wav(
    data: bytes,
    *,
    kind: int = 1,
    bits: int = 16,
    channels: int = 1,
    claimed: int | None = None,
    after: bytes = b"",
) -> bytes:
    """Return a wav file whose header claims ``claimed`` bytes of samples."""
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", kind, channels, RATE_HZ, RATE_HZ * frame, frame, bits)
    size = len(data) if claimed is None else claimed
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    body += b"data" + struct.pack("<I", size) + data + after
    return b"RIFF" + struct.pack("<I", min(len(body), 0xFFFFFFFF)) + body


def heard(path: Path) -> NDArray[np.int16]:
    """Read a file in blocks of odd length; return its first channel."""
    decoder = open_decoder(path)
    blocks = [np.zeros((0, decoder.channels), np.int16)]
    while len(block := decoder.read(999)):
        blocks.append(block)
    decoder.close()
    return np.concatenate(blocks)[:, 0]


def loudness_ratio(path: Path) -> float:
    return float(np.abs(heard(path)).mean() / np.abs(SAMPLES.astype(float)).mean())


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("extensible", [False, True])
def test_float_wav_is_scaled_clipped_and_nan_is_silence(
    tmp_path: Path, bits: int, extensible: bool
) -> None:
    values = np.array([0.25, -0.5, np.nan, 7.0, -7.0, np.inf, -np.inf, 1e30], f"<f{bits // 8}")
    path = tmp_path / "a.wav"
    content = wav(values.tobytes(), kind=3, bits=bits)
    if extensible:
        tail = struct.pack("<HHIH", 22, bits, 0, 3) + bytes.fromhex("000000001000800000aa00389b71")
        content = content[:16] + struct.pack("<IH", 40, 0xFFFE) + content[22:36] + tail
        content += b"data" + struct.pack("<I", values.nbytes) + values.tobytes()
    path.write_bytes(content)
    most, least = 32_767, -32_768
    assert heard(path).tolist() == [8_192, -16_384, 0, most, least, most, least, most]


@pytest.mark.parametrize("bits", [8, 24, 32])
def test_integers_of_other_lengths_need_no_library(
    tmp_path: Path, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    if bits == 8:
        data = ((SAMPLES >> 8) + 128).astype(np.uint8).tobytes()
    else:
        long = SAMPLES.astype("<i4") << 16
        data = long.view(np.uint8).reshape(-1, 4)[:, 4 - bits // 8 :].tobytes()
    path = tmp_path / "a.wav"
    path.write_bytes(wav(data, bits=bits))
    assert np.array_equal(heard(path) >> 8, SAMPLES >> 8)


@pytest.mark.parametrize("form", ["WAV", "AIFF", "W64", "CAF", "AU", "RF64"])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE", "PCM_16", "PCM_24"])
def test_every_container_is_as_loud_as_it_was_recorded(
    tmp_path: Path, form: str, subtype: str
) -> None:
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / f"a.{form.lower()}"
    soundfile.write(path, SAMPLES / 32_768, RATE_HZ, format=form, subtype=subtype)
    assert np.abs(heard(path).astype(int) - SAMPLES).max() <= 1
    assert path.suffix in SOUND_SUFFIXES


@pytest.mark.parametrize(("form", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)])
def test_compressed_sound_is_as_loud_as_it_was_recorded(
    tmp_path: Path, form: str, subtype: str | None
) -> None:
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / f"a.{form.lower()}"
    soundfile.write(path, SAMPLES / 32_768, RATE_HZ, format=form, subtype=subtype)
    assert loudness_ratio(path) == pytest.approx(1.0, abs=0.05)


def test_nan_in_a_float_container_is_silence_and_too_loud_is_clipped(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "a.caf"
    soundfile.write(path, np.array([0.5, np.nan, 3.0, -3.0]), RATE_HZ, subtype="DOUBLE")
    assert heard(path).tolist() == [16_384, 0, 32_767, -32_768]


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x7FFFF000])
def test_the_duration_of_a_streamed_wav_is_that_of_the_file(tmp_path: Path, claimed: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(SAMPLES.tobytes(), claimed=claimed))
    decoder = open_decoder(path)
    assert decoder.frames == len(SAMPLES)
    decoder.close()
    assert np.array_equal(heard(path), SAMPLES)


def test_a_header_without_samples_holds_none_whatever_chunks_follow(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    for after in (b"", b"LIST\4\0\0\0INFO", b"LIST\3\0\0\0abc\0id3 \0\0\0\0"):
        path.write_bytes(wav(b"", after=after))
        decoder = open_decoder(path)
        assert decoder.frames == 0
        assert len(decoder.read(10)) == 0
        decoder.close()


def test_chunks_behind_the_samples_are_no_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(SAMPLES.tobytes(), after=b"LIST\4\0\0\0INFO"))
    assert np.array_equal(heard(path), SAMPLES)


def test_a_flac_that_does_not_say_its_length_has_that_of_its_samples(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "a.flac"
    soundfile.write(path, SAMPLES, RATE_HZ)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the number of samples: 36 bits of STREAMINFO, as an encoder into a pipe
    data[22:26] = bytes(4)
    path.write_bytes(data)
    decoder = open_decoder(path)
    assert decoder.frames == len(SAMPLES)
    decoder.close()
    assert np.array_equal(heard(path), SAMPLES)


def test_mp3_makes_no_noise_on_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "a.mp3"
    tone = 0.3 * np.sin(np.arange(48_000) * 0.1)
    soundfile.write(path, tone, RATE_HZ)
    data = path.read_bytes()
    wrong = b"ID3\3\0\0\0\0\0\x1fTIT2\0\0\0\x7f\0\0\1abc" + bytes(20)
    junk = np.random.default_rng(1).integers(0, 256, 900, dtype=np.uint8).tobytes()
    for content in (data, data[: len(data) // 2], wrong + data, data[:2_000] + junk + data[2_900:]):
        path.write_bytes(content)
        capfd.readouterr()
        assert len(heard(path)) > 10_000
        assert capfd.readouterr() == ("", "")
    os.write(2, b"still there")
    assert capfd.readouterr().err == "still there"


# What ffmpeg reads


@pytest.fixture
def no_ffmpeg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a folder that is all of the path, so that only what is put there is found."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def put_program(folder: Path, body: str) -> None:
    program = folder / "ffmpeg"
    program.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("suffix", [".m4a", ".mp4", ".webm", ".amr", ".M4A"])
def test_what_only_ffmpeg_reads_is_decoded_by_it(
    tmp_path: Path, no_ffmpeg: Path, suffix: str
) -> None:
    path = tmp_path / f"-i http:a{suffix}"  # a name that could be taken for an option or an address
    path.write_bytes(
        wav(np.stack([SAMPLES, SAMPLES // 2], 1).tobytes(), channels=2, claimed=2**32 - 1)
    )
    put_program(
        no_ffmpeg,
        "name = sys.argv[sys.argv.index('-i') + 1]\n"
        "assert sys.argv[sys.argv.index('-protocol_whitelist') + 1] == 'file'\n"
        "sys.stdout.buffer.write(open(name.removeprefix('file:'), 'rb').read())",
    )
    decoder = open_decoder(path)
    assert (decoder.rate_hz, decoder.channels, decoder.frames) == (RATE_HZ, 2, len(SAMPLES))
    decoder.seek(1_000)
    assert np.array_equal(decoder.read(len(SAMPLES))[:, 0], SAMPLES[1_000:])
    decoder.close()
    assert path.suffix.lower() in SOUND_SUFFIXES


def test_without_ffmpeg_one_sentence_says_how_to_get_it(tmp_path: Path, no_ffmpeg: Path) -> None:
    path = tmp_path / "a.m4a"
    path.write_bytes(b"\0\0\0\x1cftypM4A ")
    with pytest.raises(SourceError, match=r"needs the program ffmpeg.*install it"):
        open_decoder(path)


def test_what_ffmpeg_says_of_a_broken_file_is_repeated_on_one_line(
    tmp_path: Path, no_ffmpeg: Path
) -> None:
    path = tmp_path / "a.webm"
    path.write_bytes(b"no sound")
    put_program(no_ffmpeg, r"sys.exit('Invalid data\n\x1b[2J found')")
    with pytest.raises(SourceError, match="Invalid data") as refused:
        open_decoder(path)
    assert str(refused.value).isprintable()


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("suffix", [".m4a", ".mp4", ".webm", ".mkv"])
def test_the_real_ffmpeg_decodes_what_it_encoded(tmp_path: Path, suffix: str) -> None:
    import subprocess

    original, path = tmp_path / "a.wav", tmp_path / f"b{suffix}"
    original.write_bytes(wav(np.tile(SAMPLES, 4).tobytes()))
    call = ["ffmpeg", "-v", "error", "-i", original, path]
    subprocess.run(call, check=True, stdin=subprocess.DEVNULL)
    assert len(heard(path)) == pytest.approx(4 * len(SAMPLES), abs=1_600)
    assert loudness_ratio(path) == pytest.approx(1.0, abs=0.1)
    playlist = tmp_path / f"c{suffix}"
    playlist.write_text(f"#EXTM3U\n#EXTINF:1,\n{path}\n#EXT-X-ENDLIST\n")
    with pytest.raises(SourceError, match="ffmpeg cannot read"):
        open_decoder(playlist)
