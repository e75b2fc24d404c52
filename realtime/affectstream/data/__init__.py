"""Where the bundled data lie.

Knows: the folders inside the package.
Refuses to know: what is in the files, and who reads them.
"""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def demo_folder() -> Path:
    """Return the folder of the synthetic demo dialogue (``dialogue.json`` names its files)."""
    return _HERE / "demo"


def tiny_vosk_model() -> Path:
    """Return the folder of the tiny Vosk model; it knows espeak-ng voices, not human speech."""
    return _HERE / "vosk-tiny"
