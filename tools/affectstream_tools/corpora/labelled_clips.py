"""Clips of emotional speech, and the emotion and the speaker that their names say.

Read are the names of RAVDESS, CREMA-D, EMO-DB, SAVEE, TESS and EMOVO, folders that are named after
emotions, and a table ``labels.csv``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from affectstream.sources.text_files import table_rows

CLIP_SUFFIXES = {".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff"}
OTHER_EMOTION = "other"
"""The label of an emotion that is none of the four classes."""

_EMOTION_WORDS = {
    "anger": ("anger", "angry", "ang", "ärger", "aerger", "wut", "rabbia", "colere", "ira"),
    "happiness": ("happiness", "happy", "hap", "joy", "joyful", "freude", "gioia", "joie"),
    "neutral": ("neutral", "neu", "neutrality", "neutralita", "neutre"),
    "sadness": ("sadness", "sad", "trauer", "tristezza", "tristesse"),
    OTHER_EMOTION: (
        *("fear", "fearful", "fea", "afraid", "disgust", "disgusted", "dis", "surprise"),
        *("surprised", "sur", "ps", "calm", "boredom", "bored", "frustration", "excited"),
    ),
}
_LABELS = {word: label for label, words in _EMOTION_WORDS.items() for word in words}
_RAVDESS = {"01": "neutral", "03": "happiness", "04": "sadness", "05": "anger"}
_EMO_DB = {"W": "anger", "F": "happiness", "N": "neutral", "T": "sadness"}
_SAVEE = {"a": "anger", "h": "happiness", "n": "neutral", "sa": "sadness"}
_EMOVO = {"rab": "anger", "gio": "happiness", "neu": "neutral", "tri": "sadness"}
_TESS = ("OAF", "YAF")


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """One recording.

    Attributes:
        label: one of the four classes, or ``other``.
        speaker: such as ``ravdess/01``.
    """

    path: Path
    label: str
    speaker: str


def find_clips(folder: Path) -> tuple[list[LabelledClip], int]:
    """Return the labelled clips under ``folder``, and how many files have no label.

    Raises:
        ValueError: ``labels.csv`` cannot be used, or nothing is labelled.
    """
    table = folder / "labels.csv"
    if table.is_file():
        return _listed(table), 0
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in CLIP_SUFFIXES)
    clips = [clip for path in files if (clip := read_name(path, folder)) is not None]
    if not clips:
        raise ValueError(
            f"{folder} holds no clip whose name, folder or labels.csv says an emotion; write "
            "labels.csv with the columns file,emotion,speaker"
        )
    return clips, len(files) - len(clips)


def read_name(path: Path, folder: Path) -> LabelledClip | None:
    """Return what the name of ``path`` (under ``folder``) says, None if it says nothing."""
    for reader in _READERS:
        found = reader(path, folder)
        if found is not None:
            return LabelledClip(path, *found)
    return None


def label_of(word: str) -> str | None:
    """Return the class that a word names: one of the four, ``other``, or None for no emotion."""
    return _LABELS.get(word.strip().lower())


def _listed(table: Path) -> list[LabelledClip]:
    rows = table_rows(table, ("file", "emotion"))
    missing = [row["file"] for row in rows if not (table.parent / row["file"]).is_file()]
    if missing or not rows:
        raise ValueError(
            f"{table} names {len(missing)} files that do not exist, such as {missing[0]}"
            if missing
            else f"{table} is empty"
        )
    return [
        LabelledClip(
            table.parent / row["file"],
            label_of(row["emotion"]) or OTHER_EMOTION,
            f"listed/{row.get('speaker') or 'unknown'}",
        )
        for row in rows
    ]


# What a name says: (label, speaker), or None if it is not of this kind.

_Reader = Callable[[Path, Path], tuple[str, str] | None]


def _ravdess(path: Path, folder: Path) -> tuple[str, str] | None:
    found = re.fullmatch(r"0[13]-(0[12])-(0[1-8])-\d\d-\d\d-\d\d-(\d\d)", path.stem)
    if found is None:
        return None
    channel, emotion, actor = found.groups()
    return _RAVDESS.get(
        emotion, OTHER_EMOTION
    ) if channel == "01" else OTHER_EMOTION, f"ravdess/{actor}"


def _crema_d(path: Path, folder: Path) -> tuple[str, str] | None:
    found = re.fullmatch(r"(\d{4})_[A-Z]{3}_([A-Z]{3})_[A-Z]{2}", path.stem)
    return found and (label_of(found[2]) or OTHER_EMOTION, f"crema-d/{found[1]}")


def _emo_db(path: Path, folder: Path) -> tuple[str, str] | None:
    found = re.fullmatch(r"(\d\d)[ab]\d\d([WLEAFTN])[a-z]?", path.stem)
    return found and (_EMO_DB.get(found[2], OTHER_EMOTION), f"emo-db/{found[1]}")


def _savee(path: Path, folder: Path) -> tuple[str, str] | None:
    who, _, name = path.stem.rpartition("_")
    who = who or path.parent.name
    found = re.fullmatch(r"(sa|su|[adfhn])\d\d", name)
    if found is None or who not in {"DC", "JE", "JK", "KL"}:
        return None
    return _SAVEE.get(found[1], OTHER_EMOTION), f"savee/{who}"


def _emovo(path: Path, folder: Path) -> tuple[str, str] | None:
    found = re.fullmatch(r"(dis|gio|neu|pau|rab|sor|tri)-([fm]\d)-\w+", path.stem)
    return found and (_EMOVO.get(found[1], OTHER_EMOTION), f"emovo/{found[2]}")


def _in_words(path: Path, folder: Path) -> tuple[str, str] | None:
    """Read names with one word for an emotion, such as TESS's; the first part is the speaker."""
    parts = re.split(r"[_\-. ]+", path.stem)
    labels = {label for part in parts if len(part) > 1 and (label := label_of(part))}
    if len(labels) != 1 or len(parts) < 2:
        return None
    corpus = "tess" if parts[0] in _TESS else "named"
    who = parts[0] if label_of(parts[0]) is None else "unknown"
    return labels.pop(), f"{corpus}/{who}"


def _in_folders(path: Path, folder: Path) -> tuple[str, str] | None:
    """Read folders named after emotions; the other folders' names, if any, are the speaker."""
    above = path.relative_to(folder).parent.parts or (folder.name,)
    labels = [label_of(part) for part in above]
    known = [label for label in labels if label is not None]
    if len(known) != 1:
        return None
    who = [part for part, label in zip(above, labels, strict=True) if label is None]
    return known[0], f"folder/{'.'.join(who) or 'unknown'}"


_READERS: Sequence[_Reader] = (_ravdess, _crema_d, _emo_db, _savee, _emovo, _in_folders, _in_words)
