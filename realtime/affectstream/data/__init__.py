"""The bundled data: a synthetic demo dialogue, and a tiny speech recogniser's model.

Knows: in which folders they are.
Refuses to know: what is in the files, and who reads them.
"""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def demo_folder() -> Path:
    """Return the folder of the demo dialogue; ``dialogue.json`` in it names the other files."""
    return _HERE / "demo"


def tiny_vosk_model() -> Path:
    """Return the folder of the tiny Vosk model, which knows espeak-ng's voices only."""
    return _HERE / "vosk-tiny"
