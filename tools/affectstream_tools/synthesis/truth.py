"""How a synthetic corpus was drawn, as ``model.json`` beside the corpus says it.

The file holds the model, and every utterance's emotion and cues.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from affectstream.core.dialogue.model import CLASSES
from affectstream.errors import AffectstreamError
from affectstream_tools.synthesis.dialogue_model import CUES, MISSING, DialogueModel, Drawn
from affectstream_tools.synthesis.iemocap_files import write_text

_FILE = "model.json"
"""A corpus's folder with this file holds no recordings of people."""


@dataclass(frozen=True, slots=True)
class Truth:
    """How a corpus was drawn.

    Attributes:
        utterances: each dialogue's, in order.
        drawn: the emotions and cues of the dialogues, in the same order.
    """

    model: DialogueModel
    utterances: dict[str, tuple[str, ...]]
    drawn: Drawn

    def of(self, dialogues: Sequence[str]) -> Drawn:
        """The emotions and cues of some dialogues, such as those of a test fold.

        Raises:
            KeyError: the corpus has no such dialogue.
        """
        place = {name: row for row, name in enumerate(self.utterances)}
        rows = [place[name] for name in dialogues]
        return Drawn(self.drawn.emotions[rows], self.drawn.cues[rows])


def is_synthetic(folder: Path) -> bool:
    """Whether the corpus in a folder was drawn, so that no figure on it is one of IEMOCAP."""
    return (folder / _FILE).is_file()


def read_truth(folder: Path) -> Truth:
    """Return how the corpus in ``folder`` was drawn.

    Raises:
        AffectstreamError: its ``model.json`` is missing, or is none.
    """
    path = folder / _FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        rows = found["dialogues"]
        drawn = Drawn(
            np.array([[CLASSES.index(name) for name in row["emotions"]] for row in rows]),
            np.array([row["cues"] for row in rows], dtype=np.int64),
        )
        utterances = {row["dialogue"]: tuple(row["utterances"]) for row in rows}
        return Truth(DialogueModel.from_dict(found["model"]), utterances, drawn)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AffectstreamError(
            f"{path} does not say how the corpus was drawn ({error}); "
            "write it with affectstream-lab synthesise"
        ) from error


def write_truth(folder: Path, truth: Truth, settings: Mapping[str, Any]) -> None:
    """Write how a corpus was drawn, with the settings that it was written by."""
    rows = zip(truth.utterances.items(), truth.drawn.emotions, truth.drawn.cues, strict=True)
    described = {
        "synthetic": True,
        "about": "drawn by the model below and made up, not IEMOCAP; no person was recorded",
        "settings": dict(settings),
        "classes": CLASSES,
        "modalities": CUES,
        "missing_cue": MISSING,
        "model": truth.model.to_dict(),
        "dialogues": [
            {
                "dialogue": name,
                "utterances": utterances,
                "emotions": [CLASSES[emotion] for emotion in emotions],
                "cues": cues.tolist(),
            }
            for (name, utterances), emotions, cues in rows
        ],
    }
    write_text(folder / _FILE, json.dumps(described) + "\n")
