"""The files of a dialogue in IEMOCAP's own layout, as text and bytes.

These are EmoEvaluation, transcriptions, ForcedAlignment, the three kinds of motion files and the
wav. ``affectstream.corpus.raw`` and ``raw_media`` read them back.
"""

from __future__ import annotations

import re
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

AUDIO_RATE_HZ = 16_000

FACE_MARKERS = (
    *("CH1", "CH2", "CH3", "FH1", "FH2", "FH3"),
    *(f"LC{n}" for n in range(1, 9)),
    *(f"RC{n}" for n in range(1, 9)),
    *("LLID", "RLID", "MH", "MNOSE", "LNSTRL", "TNOSE", "RNSTRL"),
    *(f"{side}BM{n}" for side in "LR" for n in range(4)),
    *(f"{side}BRO{n}" for side in "LR" for n in range(1, 5)),
    *(f"Mou{n}" for n in range(1, 9)),
    *("LHD", "RHD"),
)
HAND_MARKERS = ("LH1", "LH2", "LH3", "RH1", "RH2", "RH3")
HEAD_CHANNELS = ("pitch", "roll", "yaw", "tra_x", "tra_y", "tra_z")

MOTION = {"rotated": FACE_MARKERS, "hand": HAND_MARKERS, "head": HEAD_CHANNELS}
"""The kinds of motion files and their columns: three for each marker, one for each head channel."""

_ANNOTATIONS = ("C-E2:\tNeutral;\t()", "A-E3:\tval 3; act 2; dom  2;\t()")


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """One utterance.

    Attributes:
        name: such as ``F000``.
        emotion: the annotators' majority, such as ``neu``.
        scales: valence, activation and dominance.
        text: None where there is no transcription.
        annotations: the single annotators' lines.
    """

    name: str
    start_s: float
    end_s: float
    emotion: str
    scales: tuple[float, float, float]
    text: str | None
    annotations: tuple[str, ...] = _ANNOTATIONS


@dataclass(frozen=True, slots=True)
class WrittenDialogue:
    """One dialogue.

    Attributes:
        name: such as ``Ses01F_impro01``: the session, who wears the markers, the scenario.
        woman_left: whether she is on the wav's first channel.
    """

    name: str
    lines: tuple[SpokenLine, ...]
    woman_left: bool = True

    @property
    def session(self) -> int:
        """The session's number, from 1."""
        return int(self.name[3:5])

    @property
    def duration_s(self) -> float:
        """Length of the recordings: half a second more than the last utterance."""
        return max(line.end_s for line in self.lines) + 0.5

    def path(self, root: Path, kind: str, suffix: str = ".txt") -> Path:
        """Return where the file of a kind, such as ``MOCAP_head``, lies in the corpus's folder."""
        return root / f"Session{self.session}" / "dialog" / kind / f"{self.name}{suffix}"


def write_words(root: Path, dialogue: WrittenDialogue) -> None:
    """Write the labels, the words, and the words' times."""
    write_text(dialogue.path(root, "EmoEvaluation"), evaluation(dialogue))
    write_text(dialogue.path(root, "transcriptions"), transcription(dialogue))
    _write_alignment(root, dialogue)


def evaluation(dialogue: WrittenDialogue) -> str:
    """Return the file of labels: majority, means of the scales, and the annotators' own lines."""
    lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n", "\n"]
    for line in dialogue.lines:
        scales = ", ".join(f"{scale:.4f}" for scale in line.scales)
        lines.append(
            f"[{line.start_s:.4f} - {line.end_s:.4f}]\t{dialogue.name}_{line.name}\t"
            f"{line.emotion}\t[{scales}]\n"
        )
        lines += [f"{annotation}\n" for annotation in line.annotations]
        lines.append("\n")
    return "".join(lines)


def transcription(dialogue: WrittenDialogue) -> str:
    """Return the file of transcriptions."""
    return "".join(
        f"{dialogue.name}_{line.name} [{line.start_s:08.4f}-{line.end_s:08.4f}]: {line.text}\n"
        for line in dialogue.lines
        if line.text is not None
    )


def _write_alignment(root: Path, dialogue: WrittenDialogue) -> None:
    """Write the words' times, a file for each utterance that has words."""
    folder = root / f"Session{dialogue.session}" / "sentences" / "ForcedAlignment" / dialogue.name
    for line in dialogue.lines:
        if line.text is not None:
            write_text(folder / f"{dialogue.name}_{line.name}.wdseg", alignment(line))


def alignment(line: SpokenLine) -> str:
    """Return the words spread evenly over the utterance, as Sphinx writes them, in frames of 10 ms.

    What stands in brackets, such as ``[LAUGHTER]``, is no word, and is written ``++LAUGHTER++``.
    """
    said = re.findall(r"\[[A-Z]+\]|[A-Z']+", (line.text or "").upper())
    words = ["<s>", *(re.sub(r"[\[\]]", "++", word) for word in said), "</s>"]
    edges = np.linspace(0, (line.end_s - line.start_s) * 100, len(words) + 1).astype(int)
    rows = [
        f"\t{first:5d} {after - 1:5d} {-1000 * (after - first):10d} {word}"
        for word, first, after in zip(words, edges[:-1], edges[1:], strict=True)
    ]
    return "\n".join(["\t SFrm  EFrm    SegAScr Word", *rows, " Total score:   -99000", ""])


def write_wav_file(path: Path, samples: NDArray[np.float64]) -> None:
    """Write both channels, samples (n, 2) of 16 bits; what is too loud is clipped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(samples.shape[1])
        wav.setsampwidth(2)
        wav.setframerate(AUDIO_RATE_HZ)
        wav.writeframes(np.clip(samples, -32768, 32767).astype("<i2").tobytes())


def motion_header(names: Sequence[str]) -> str:
    """Return the two lines above the numbers: names and axes."""
    axes = ["deg"] * len(names) if "pitch" in names else ["X Y Z"] * len(names)
    return f"Frame# Time {' '.join(names)}\n  {' '.join(axes)}\n"


def write_motion(path: Path, names: Sequence[str], rate_hz: float, frames: NDArray[Any]) -> None:
    """Write frames (n, d), to a hundredth; those that the tracker lost are NaN.

    Frames are numbered one by one, and their times are those of ``rate_hz``. The corpus has 120
    frames a second; ``raw_media`` takes the times of slower ones as they are.
    """
    form = "%d %.5f" + " %.2f" * frames.shape[1]
    rows = [
        form % (number, (number - 1) / rate_hz, *row)
        for number, row in enumerate(frames.tolist(), 1)
    ]
    text = "\n".join(rows).replace("nan", "NaN")
    write_text(path, f"{motion_header(names)}{text}\n")


def write_text(path: Path, text: str) -> None:
    """Write a file, and its folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
