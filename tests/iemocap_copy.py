"""Writes a small corpus in IEMOCAP's raw layout; nothing in it comes from the corpus."""

from __future__ import annotations

import wave
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from affectstream_tools.synthesis.iemocap_files import AUDIO_RATE_HZ as RATE_HZ
from affectstream_tools.synthesis.iemocap_files import (
    FACE_MARKERS,
    HAND_MARKERS,
    HEAD_CHANNELS,
    SpokenLine,
    WrittenDialogue,
    alignment,
    evaluation,
    transcription,
    write_text,
    write_wav_file,
)

__all__ = ["SpokenLine", "WrittenDialogue", "write_wav_file"]

FRAME_RATE_HZ = 120
VOTES = {"neu": "Neutral", "ang": "Anger", "exc": "Excited", "sad": "Sadness", "hap": "Happiness"}


DIALOGUES = (
    WrittenDialogue(
        "Ses01F_impro01",
        (
            SpokenLine("F000", 0.5, 1.2, "neu", (2.5, 2.5, 2.5), "Excuse me."),
            SpokenLine("M000", 1.5, 2.4, "ang", (1.5, 4.0, 4.5), "Do you have your forms?"),
            SpokenLine("F001", 2.2, 3.0, "xxx", (2.0, 3.0, 3.0), "Yeah."),
            SpokenLine("M001", 3.4, 4.0, "exc", (4.5, 4.0, 5.5), "Let me see them. [LAUGHTER]"),
        ),
    ),
    WrittenDialogue(
        "Ses01M_script01_1b",
        (
            SpokenLine("M000", 0.4, 1.1, "sad", (1.5, 2.0, 2.0), "I know you better."),
            SpokenLine("F000", 1.4, 2.1, "hap", (4.5, 3.0, 3.0), "Then why should you mind?"),
        ),
        woman_left=False,
    ),
)


def write_copy(root: Path, dialogues: Sequence[WrittenDialogue] = DIALOGUES, seed: int = 3) -> Path:
    """Write the dialogues below ``root`` and return it."""
    for dialogue in dialogues:
        folder = root / f"Session{dialogue.session}" / "dialog"
        name = dialogue.name
        write_text(folder / "EmoEvaluation" / f"{name}.txt", _evaluation(dialogue))
        write_text(folder / "transcriptions" / f"{name}.txt", transcription(dialogue))
        _write_wav(folder / "wav" / f"{name}.wav", dialogue, np.random.default_rng(seed))
        for kind, names, width in (
            ("rotated", FACE_MARKERS, 165),
            ("hand", HAND_MARKERS, 18),
            ("head", HEAD_CHANNELS, 6),
        ):
            lines = mocap_lines(names, width, round(dialogue.duration_s * FRAME_RATE_HZ))
            write_text(folder / f"MOCAP_{kind}" / f"{name}.txt", "".join(lines))
        aligned = root / f"Session{dialogue.session}" / "sentences" / "ForcedAlignment" / name
        for line in dialogue.lines:
            write_text(aligned / f"{name}_{line.name}.wdseg", _aligned(line))
    return root


def write_sentences(root: Path, dialogues: Sequence[WrittenDialogue] = DIALOGUES) -> None:
    """Cut each utterance's sound and motion out of the dialogues', into ``sentences``."""
    for dialogue in dialogues:
        whole = root / f"Session{dialogue.session}" / "dialog"
        alone = root / f"Session{dialogue.session}" / "sentences"
        with wave.open(str(whole / "wav" / f"{dialogue.name}.wav")) as wav:
            pcm = wav.readframes(wav.getnframes())
        samples = np.frombuffer(pcm, "<i2").reshape(-1, 2)
        for line in dialogue.lines:
            name = f"{dialogue.name}/{dialogue.name}_{line.name}"
            own = 0 if line.name.startswith("F") == dialogue.woman_left else 1
            part = samples[round(line.start_s * RATE_HZ) : round(line.end_s * RATE_HZ), own]
            write_wav_file(alone / "wav" / f"{name}.wav", part[:, None])
            for kind in ("rotated", "hand", "head"):
                rows = (whole / f"MOCAP_{kind}" / f"{dialogue.name}.txt").read_text().splitlines()
                times = [float(row.split()[1]) for row in rows[2:]]
                within = [line.start_s <= time < line.end_s for time in times]
                kept = [row for row, wanted in zip(rows[2:], within, strict=True) if wanted]
                write_text(alone / f"MOCAP_{kind}" / f"{name}.txt", "\n".join([*rows[:2], *kept]))


def _aligned(line: SpokenLine) -> str:
    """Return the words evenly spread over the utterance; the first, as if spoken another way."""
    rows = alignment(line).split("\n")
    rows[2] += "(2)"  # the second of its dictionary's ways
    return "\n".join(rows)


def mocap_lines(
    names: Sequence[str], width: int, frames: int, lost: Sequence[int] = (10, 11)
) -> Iterator[str]:
    """Yield the lines of a file: frame k's column c is k + c / 1000; ``lost`` frames are NaN."""
    yield "Frame# Time " + " ".join(names) + "\n"
    yield "  " + " ".join(["X Y Z"] * (width // 3) if width > 6 else ["deg"] * width) + "\n"
    for frame in range(1, frames + 1):
        yield mocap_line(frame, width, nan=frame in lost)


def mocap_line(frame: int, width: int, *, time_s: float | None = None, nan: bool = False) -> str:
    time_s = (frame - 1) / FRAME_RATE_HZ if time_s is None else time_s
    values = ["NaN" if nan else f"{frame + column / 1000:.5f}" for column in range(width)]
    return f"{frame} {time_s:.5f} {' '.join(values)}\n"


def _evaluation(dialogue: WrittenDialogue) -> str:
    lines = tuple(replace(line, annotations=_annotations(line)) for line in dialogue.lines)
    return evaluation(replace(dialogue, lines=lines))


def _annotations(line: SpokenLine) -> tuple[str, ...]:
    """E2, E3 and E4 agree by majority where there is an emotion; F1 is the actress herself."""
    votes = ("Anger", "Frustration; Sadness", "Neutral state")
    if line.emotion != "xxx":
        votes = (VOTES[line.emotion], VOTES[line.emotion], "Frustration")
    voted = (f"C-E{number}:\t{vote};\t(a; b)" for number, vote in enumerate(votes, 2))
    return (*voted, "C-F1:\tSurprise;\t()", "A-E3:\tval 3; act 2; dom  ;\t()")


def _write_wav(path: Path, dialogue: WrittenDialogue, generator: np.random.Generator) -> None:
    """Each speaker is a tone, 14 dB quieter on the other one's channel."""
    count = round(dialogue.duration_s * RATE_HZ)
    samples = generator.normal(0, 20, (count, 2))
    for line in dialogue.lines:
        start, end = round(line.start_s * RATE_HZ), round(line.end_s * RATE_HZ)
        woman = line.name.startswith("F")
        tone = 6000 * np.sin(2 * np.pi * (220 if woman else 120) * np.arange(end - start) / RATE_HZ)
        own = 0 if woman == dialogue.woman_left else 1
        samples[start:end, own] += tone
        samples[start:end, 1 - own] += 0.2 * tone
    write_wav_file(path, samples)
