"""Fuzzes the readers of recordings and of motion capture."""

from __future__ import annotations

import io
import math
import wave
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np

from affectstream.corpus.dialogues import CorpusDialogue, DialogueRecording
from affectstream.corpus.raw_media import audio_blocks, find_channels
from affectstream.sources.audio_file import AudioFile
from affectstream.sources.mocap.frames import MocapRecording
from affectstream.sources.mocap.stream import MocapStream
from affectstream.sources.mocap.worker import MocapReplay
from affectstream.timebase import NS_PER_S
from affectstream_tools.synthesis.iemocap_files import HAND_MARKERS, HEAD_CHANNELS, motion_header
from affectstream_tools.trials.fuzzing.runs import FuzzCase
from affectstream_tools.trials.fuzzing.spoiling import spoiled_bytes, spoiled_text
from affectstream_tools.trials.fuzzing.targets.files import FileTarget, check_published

_MOST_READS = 20_000
_START_NS = 1_700_000_000 * NS_PER_S


class AudioTarget(FileTarget):
    """``AudioFile``, and the reader of a corpus's recordings: wav, flac, aiff."""

    def cases(self, random: Random) -> Iterator[FuzzCase]:
        """Yield a sound file and how it is read."""
        stock = [_sound(random) for _ in range(60)]
        while True:
            data = random.choice(stock)
            if random.random() < 0.7:
                head = random.choice((44, 60, len(data)))  # or only its header
                data = spoiled_bytes(data[:head], random) + data[head:]
            elif random.random() < 0.9:
                data = data[: random.randrange(len(data))]
            yield [data, random.choice((b"file 0", b"file 1", b"corpus 0", b"corpus 1"))]

    def read(self, case: FuzzCase) -> None:
        """Read it as a recording to play, or as a dialogue's sound."""
        path = self.folder / "a.wav"
        path.write_bytes(case[0])
        how, channel = case[1].decode().split()
        if how == "file":
            self._play(path, int(channel))
        else:
            self._hear(path, int(channel))

    def _play(self, path: Path, channel: int) -> None:
        recording = AudioFile(path, channel=channel, speed=math.inf)
        try:
            assert recording.duration_ns > 0
            reads = 0
            while not recording.exhausted:
                recording.read(_START_NS)
                reads += 1
                assert reads < _MOST_READS, "it never ends"
        finally:
            recording.close()

    def _hear(self, path: Path, channel: int) -> None:
        dialogue = CorpusDialogue("Ses01F_impro01", 1, (), DialogueRecording(path, (), ""))
        find_channels(dialogue)
        for reads, block in enumerate(audio_blocks(dialogue, channel)):
            assert block.start_ns >= 0
            assert reads < _MOST_READS, "it never ends"


def _sound(random: Random) -> bytes:
    rate_hz = random.choice((8_000, 16_000, 16_000, 44_100))
    channels = random.choice((1, 2))
    samples = np.frombuffer(random.randbytes(2 * channels * random.choice((1, 160, 500))), "<i2")
    samples = samples.reshape(-1, channels)
    file = io.BytesIO()
    kind = random.randrange(8)
    if kind < 5:
        with wave.open(file, "wb") as wav:
            wav.setnchannels(channels)
            wav.setsampwidth(2)
            wav.setframerate(rate_hz)
            wav.writeframes(samples.tobytes())
        return file.getvalue()
    import soundfile  # only these formats need it

    form, subtype = (("FLAC", "PCM_16"), ("WAV", "FLOAT"), ("AIFF", "PCM_16"))[kind - 5]
    soundfile.write(file, samples, rate_hz, format=form, subtype=subtype)
    return file.getvalue()


class MotionTarget(FileTarget):
    """``MocapRecording`` and what is published of it: IEMOCAP's text files, OpenFace's csv."""

    def cases(self, random: Random) -> Iterator[FuzzCase]:
        """Yield one file, or two that are to be joined."""
        stock = [_motion(random) for _ in range(60)]
        while True:
            files = [random.choice(stock) for _ in range(random.choice((1, 1, 1, 1, 2)))]
            yield [
                spoiled_text(text, random) if random.random() < 0.9 else text.encode()
                for text in files
            ]

    def read(self, case: FuzzCase) -> None:
        """Read it as fast as it can be read, and publish it."""
        paths = [self.folder / f"{number}.txt" for number in range(len(case))]
        for path, data in zip(paths, case, strict=True):
            path.write_bytes(data)
        recording = MocapRecording(paths)
        try:
            machine = MocapStream(
                recording.layout, session="s", source="face.a", speaker="a", start_ns=_START_NS
            )
            replay = MocapReplay(recording, math.inf)
            said = machine.wake(_START_NS)
            reads = 0
            while not replay.exhausted:
                for item in replay.read(_START_NS):
                    said += machine.receive(item, _START_NS)
                reads += 1
            said += machine.close(_START_NS)
        finally:
            recording.close()
        check_published(said)


def _motion(random: Random) -> str:
    rows = random.choice((3, 12, 30))
    kind = random.randrange(3)
    if kind < 2:
        names = HEAD_CHANNELS if kind else HAND_MARKERS
        width = 6 if kind else 18
        lines = [motion_header(names).rstrip("\n")]
        for number in range(1, rows + 1):
            values = " ".join(f"{random.gauss(0, 20):.3f}" for _ in range(width))
            lines.append(f"{number} {(number - 1) / 120:.5f} {values}")
        return "\n".join(lines) + "\n"
    lines = ["frame, face_id, timestamp, confidence, success, AU01_r, AU12_c, pose_Rx"]
    for number in range(1, rows + 1):
        lines.append(f"{number}, 0, {number / 30:.3f}, 0.98, 1, {random.random():.2f}, 0, 0.1")
    return "\n".join(lines) + "\n"
