"""Writes the bundled demo dialogue: ``python -m affectstream_tools.build.demo_dialogue.build``.

The same espeak-ng, seed and library versions give the same bytes.
"""

from __future__ import annotations

import json
import wave
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from affectstream_tools.build.demo_dialogue.audio import (
    SPOKEN_RATE_HZ,
    DialogueAudio,
    speak_dialogue,
)
from affectstream_tools.build.demo_dialogue.face import FRAME_RATE_HZ, csv_lines, face_motion
from affectstream_tools.build.demo_dialogue.script import SPEAKERS, TURNS

_README = """\
# The demo dialogue

Everything in this folder is **synthetic**: no person was recorded or filmed.

- `dialogue.wav`: two speakers, one channel each, 16 kHz, 16 bit; the voices are espeak-ng's.
- `anna.csv`, `ben.csv`: made-up face motion in the form of OpenFace's csv, 30 frames a second.
- `dialogue.json`: who says what when, with word times, and the emotion that each turn is meant to
  carry. Nobody judged these emotions: they are what the script intends, not annotations, and no
  recognition rate may be computed from them.

Built by `python -m affectstream_tools.build.demo_dialogue.build --out DIR`.
"""


def write_demo(folder: Path, seed: int = 7) -> None:
    """Write the dialogue's sound, faces and description into ``folder``.

    Raises:
        SynthesisError: espeak-ng is missing, or lacks a voice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    audio = speak_dialogue(TURNS, seed)
    with wave.open(str(folder / "dialogue.wav"), "wb") as wav:
        wav.setnchannels(len(SPEAKERS))
        wav.setsampwidth(2)
        wav.setframerate(SPOKEN_RATE_HZ)
        wav.writeframes(audio.samples.tobytes())
    for speaker in SPEAKERS:
        with (folder / f"{speaker}.csv").open("w", encoding="utf-8", newline="") as table:
            table.writelines(csv_lines(face_motion(audio, speaker, seed)))
    description = json.dumps(_description(audio, seed), indent=1)
    (folder / "dialogue.json").write_text(description + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_README, encoding="utf-8")


def _description(audio: DialogueAudio, seed: int) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    utterances = []
    for spoken in audio.turns:
        speaker = spoken.turn.speaker
        utterances.append(
            {
                "id": f"{speaker}-{counts[speaker]:04d}",
                "speaker": speaker,
                "start_s": round(spoken.start_s, 3),
                "end_s": round(spoken.end_s, 3),
                "text": spoken.turn.text,
                "intended_emotion": spoken.turn.emotion,
                "words": [
                    {"text": word.text, "start_s": word.start_s, "end_s": word.end_s}
                    for word in spoken.words
                ],
            }
        )
        counts[speaker] += 1
    return {
        "synthetic": True,
        "about": "espeak-ng voices and made-up face motion; no person was recorded",
        "seed": seed,
        "audio": "dialogue.wav",
        "sample_rate_hz": SPOKEN_RATE_HZ,
        "duration_s": round(len(audio.samples) / SPOKEN_RATE_HZ, 3),
        "speakers": [
            {
                "name": name,
                "channel": channel,
                "voice": voice,
                "mocap": f"{name}.csv",
                "mocap_rate_hz": FRAME_RATE_HZ,
            }
            for channel, (name, voice) in enumerate(SPEAKERS.items())
        ],
        "utterances": utterances,
    }


def _main(
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    seed: Annotated[int, typer.Option(help="Seed of the noise and of the faces.")] = 7,
) -> None:
    """Write the synthetic demo dialogue: sound, faces and description."""
    write_demo(out, seed)
    for path in sorted(out.iterdir()):
        typer.echo(f"{path.stat().st_size:9d} {path.name}")


if __name__ == "__main__":
    typer.run(_main)
