"""The readers of files, given what is no such file, or nearly one.

Knows: small right files of every format, and what a reader must do with a wrong one: refuse it in
one sentence, or read what can be read and say what cannot.
Refuses to know: how input is spoiled.
"""

from __future__ import annotations

import io
import math
import wave
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from typer.main import get_command

from affectstream.codec import decode, encode
from affectstream.commands.app import app, refusal
from affectstream.corpus.dialogues import CorpusDialogue, DialogueRecording, read_derived
from affectstream.corpus.raw import read_raw
from affectstream.corpus.raw_media import audio_blocks, find_channels
from affectstream.corpus.script import derived_script, raw_script
from affectstream.errors import AffectstreamError
from affectstream.messages import Message, Progress
from affectstream.run.deployment import DeploymentReader
from affectstream.sources.audio_file import AudioFile
from affectstream.sources.mocap.frames import MocapRecording
from affectstream.sources.mocap.stream import MocapStream
from affectstream.sources.mocap.worker import MocapReplay
from affectstream.timebase import NS_PER_S
from affectstream_tools.synthesis.iemocap_files import (
    HAND_MARKERS,
    HEAD_CHANNELS,
    SpokenLine,
    WrittenDialogue,
    alignment,
    evaluation,
    motion_header,
    transcription,
)
from affectstream_tools.trials.fuzzing.spoiling import spoiled_bytes, spoiled_text
from affectstream_tools.trials.fuzzing.watching import FuzzCase, checked_sentence

MOST_READS = 20_000
_START_NS = 1_700_000_000 * NS_PER_S
_DEPLOYMENT = """\
address = "tcp://127.0.0.1:5570"
journal = "node.journal"

[limits]
memory_mib = 2000

[[worker]]
kind = "fusion"
name = "fusion"
options = { hub = true, look-ahead = "8" }

[[worker]]
kind = "play"
name = "anna"
options = { path = "dialogue.wav", speaker = "anna", channel = 0, speed = 1.0 }
restart = { first_wait_s = 0.5, longest_wait_s = 30.0, when = "always" }

[[worker]]
kind = "mocap"
name = "faces"
options = { paths = ["anna.csv", "ben.csv"] }
"""


class _Files:
    """A folder in memory where there is one, and what all readers share."""

    stateful = False

    def __init__(self) -> None:
        memory = Path("/dev/shm")
        self._kept = TemporaryDirectory(dir=memory if memory.is_dir() else None)
        self.folder = Path(self._kept.name)

    def finish(self) -> None:
        """Remove the folder."""
        self._kept.cleanup()

    def give(self, case: FuzzCase) -> str:
        """Let the reader read; a refusal must be one sentence."""
        try:
            self.read(case)
        except AffectstreamError as error:
            said = checked_sentence(error)
            return _reason(said)
        return "accepted"

    def read(self, case: FuzzCase) -> None:
        """Read the case's files."""
        raise NotImplementedError


def _reason(said: str) -> str:
    """Return the first words of a refusal, without what differs from file to file."""
    words = [word for word in said.split() if word.isalpha() and word.isascii()]
    return " ".join(words[:5])


class AudioTarget(_Files):
    """``AudioFile`` and the readers of a corpus's recordings: wav, flac, ogg, aiff."""

    def cases(self, random: Random) -> Iterator[FuzzCase]:
        """Yield a sound file and how it is read."""
        stock = [_sound(random) for _ in range(60)]
        while True:
            data = random.choice(stock)
            if random.random() < 0.7:
                head = random.choice((44, 60, len(data)))  # most of what is said is said there
                data = spoiled_bytes(data[:head], random) + data[head:]
            elif random.random() < 0.9:
                data = data[: random.randrange(len(data))]
            yield [data, random.choice((b"file 0", b"file 1", b"corpus 0", b"corpus 1"))]

    def read(self, case: FuzzCase) -> None:
        """Play it at once, or as a dialogue's sound."""
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
                assert reads < MOST_READS, "it never ends"
        finally:
            recording.close()

    def _hear(self, path: Path, channel: int) -> None:
        dialogue = CorpusDialogue("Ses01F_impro01", 1, (), DialogueRecording(path, (), ""))
        find_channels(dialogue)
        for reads, block in enumerate(audio_blocks(dialogue, channel)):
            assert block.start_ns >= 0
            assert reads < MOST_READS, "it never ends"


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
    import soundfile  # only these need it

    form, subtype = (("FLAC", "PCM_16"), ("WAV", "FLOAT"), ("AIFF", "PCM_16"))[kind - 5]
    soundfile.write(file, samples, rate_hz, format=form, subtype=subtype)
    return file.getvalue()


class MotionTarget(_Files):
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
        """Play it as fast as it can be read, through the machine that publishes it."""
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
        _check(said)


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


class TextsTarget(_Files):
    """A raw copy's EmoEvaluation, transcription and forced alignment, and what is made of them."""

    name = "Ses01F_impro01"

    def __init__(self) -> None:
        super().__init__()
        dialog = self.folder / "Session1" / "dialog"
        aligned = self.folder / "Session1" / "sentences" / "ForcedAlignment" / self.name
        self._paths = (
            dialog / "EmoEvaluation" / f"{self.name}.txt",
            dialog / "transcriptions" / f"{self.name}.txt",
            aligned / f"{self.name}_F000.wdseg",
        )
        for path in self._paths:
            path.parent.mkdir(parents=True)

    def cases(self, random: Random) -> Iterator[FuzzCase]:
        """Yield the three files, one of them or more spoiled."""
        lines = (
            SpokenLine("F000", 0.5, 1.2, "neu", (2.5, 2.5, 2.5), "Excuse me."),
            SpokenLine("M000", 1.5, 2.4, "ang", (1.5, 4.0, 4.5), "Do you have [LAUGHTER] forms?"),
            SpokenLine("F001", 2.2, 3.0, "xxx", (2.0, 3.0, 3.0), "Yeah."),
        )
        dialogue = WrittenDialogue(self.name, lines)
        good = (evaluation(dialogue), transcription(dialogue), alignment(lines[0]))
        while True:
            spoiled = random.choice(((0,), (1,), (2,), (0, 1, 2)))
            yield [
                spoiled_text(text, random) if index in spoiled else text.encode()
                for index, text in enumerate(good)
            ]

    def read(self, case: FuzzCase) -> None:
        """Read the copy and make its script."""
        for path, data in zip(self._paths, case, strict=True):
            path.write_bytes(data)
        corpus = read_raw(self.folder, alignment=True)
        for warning in corpus.warnings:
            checked_sentence(AffectstreamError(warning))
        for dialogue in corpus.dialogues:
            _check(message for instant in raw_script(dialogue) for message in instant.messages)


class DerivedTarget(_Files):
    """The derived set's table and statistics."""

    def cases(self, random: Random) -> Iterator[FuzzCase]:
        """Yield the two files, one of them spoiled."""
        names = "id,session,dialog,speaker,start,end,emotion,valence,activation,dominance,text,row"
        rows = [
            f'Ses01F_impro01_F00{n},1,Ses01F_impro01,Ses01F,{n},{n + 1},neu,2.5,3.0,3.5,"a, b",{n}'
            for n in range(3)
        ]
        table = "\n".join([names, *rows]) + "\n"
        file = io.BytesIO()
        np.save(file, np.ones((3, 47), np.float32))
        statistics = file.getvalue()
        while True:
            if random.random() < 0.5:
                yield [spoiled_text(table, random), statistics]
            else:
                head = random.choice((128, 128, len(statistics)))
                yield [table.encode(), spoiled_bytes(statistics[:head], random) + statistics[head:]]

    def read(self, case: FuzzCase) -> None:
        """Read the set and make its scripts."""
        (self.folder / "utterances.csv").write_bytes(case[0])
        (self.folder / "egemaps47.npy").write_bytes(case[1])
        for dialogue in read_derived(self.folder):
            _check(message for instant in derived_script(dialogue) for message in instant.messages)


class CheckpointTarget(_Files):
    """A checkpoint's header, metadata and tensors."""

    def __init__(self) -> None:
        super().__init__()
        self._good = self._checkpoint()  # imports torch, which is not what is timed
        self.give([self._good])

    def cases(self, random: Random) -> Iterator[FuzzCase]:
        """Yield a small checkpoint, most of whose header is spoiled."""
        data = self._good
        head = 8 + int.from_bytes(data[:8], "little")
        while True:
            kind = random.randrange(4)
            if kind == 0:
                yield [spoiled_bytes(data, random)]
            elif kind == 1:
                yield [spoiled_bytes(data[:head], random) + data[head:]]
            else:
                text = spoiled_text(data[8:head].decode().replace(", ", ",\n"), random)
                yield [len(text).to_bytes(8, "little") + text + data[head:]]

    def _checkpoint(self) -> bytes:
        from affectstream_models.context.checkpoints import save_context_model
        from affectstream_models.context.network import ContextConfig, ContextNetwork

        sizes: dict[str, Any] = {"ngram_dim": 4, "text_dim": 4, "evidence_dim": 2, "encoder_dim": 4}
        sizes |= {"fused_dim": 4, "hidden_dim": 4, "head_dim": 4, "word_dim": 4}
        network = ContextNetwork(ContextConfig(ngrams=8, words=4, **sizes))
        save_context_model(network, self.folder / "good", id="fuzz", look_ahead=2, trained={})
        return (self.folder / "good").read_bytes()

    def read(self, case: FuzzCase) -> None:
        """Load it as the node does."""
        from affectstream.fusion.pretrained import PretrainedModel

        path = self.folder / "spoiled.safetensors"
        path.write_bytes(case[0])
        PretrainedModel(path)


class DeploymentTarget(_Files):
    """``DeploymentReader``: the file of ``affectstream run``, and its workers' options."""

    def __init__(self) -> None:
        super().__init__()
        self._commands = getattr(get_command(app), "commands", {})

    def cases(self, random: Random) -> Iterator[FuzzCase]:
        """Yield a deployment, spoiled."""
        while True:
            yield [spoiled_text(_DEPLOYMENT, random)]

    def read(self, case: FuzzCase) -> None:
        """Plan its workers."""
        path = self.folder / "deployment.toml"
        path.write_bytes(case[0])
        DeploymentReader(path, self._commands, refusal()).plan("here", _START_NS)


def _check(messages: Iterable[Message]) -> None:
    """All that a reader publishes can be sent, and read by others."""
    for message in messages:
        if isinstance(message, Progress):
            continue  # there are many, and they hold a number
        assert decode(encode(message)) == message, "nobody could read it"
