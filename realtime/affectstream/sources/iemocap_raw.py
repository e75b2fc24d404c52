"""IEMOCAP in its own layout.

Knows: the corpus's folders, its evaluation and transcription files, and what a partial copy lacks.
Refuses to know: samples and frames (``iemocap_media``), and what is done with the labels.

A copy has ``Session1`` to ``Session5``, each with ``dialog/EmoEvaluation``, ``transcriptions``,
``wav``, ``MOCAP_rotated``, ``MOCAP_hand`` and ``MOCAP_head``, one file per dialogue in each. The
utterances' labels and times come from EmoEvaluation, the words from transcriptions. In a dialogue
named ``Ses01F_...`` the woman wore the markers.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from affectstream.sources.iemocap import (
    CorpusDialogue,
    CorpusError,
    CorpusUtterance,
    DialogueRecording,
    dialogue_order,
    read_derived,
)
from affectstream.timebase import seconds_to_ns

_NUMBER = r"([-+]?\d+(?:\.\d*)?)"
_EVALUATION = re.compile(
    rf"\[{_NUMBER} - {_NUMBER}\]\s+(\S+)\s+(\w+)\s+\[{_NUMBER}, {_NUMBER}, {_NUMBER}\]\s*$"
)
_TRANSCRIPTION = re.compile(rf"(Ses\d\d[FM]_\S+) \[{_NUMBER}-{_NUMBER}\]:(.*)$")
_DIALOGUE = re.compile(r"Ses(\d\d)([FM])_(impro|script)\d\d\w*$")
_UTTERANCE = re.compile(r"(Ses\d\d[FM]_\w+)_([FM])\w*\d\w*$")
_MOCAP = ("MOCAP_rotated", "MOCAP_hand", "MOCAP_head")
_FOLDERS = {"EmoEvaluation": ".txt", "transcriptions": ".txt", "wav": ".wav"} | dict.fromkeys(
    _MOCAP, ".txt"
)


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus that was opened.

    Attributes:
        kind: ``derived`` or ``raw``.
        warnings: what a raw copy lacks or what in it could not be read, one sentence each.
    """

    path: Path
    kind: str
    dialogues: tuple[CorpusDialogue, ...] = field(repr=False)
    warnings: tuple[str, ...] = ()


def open_corpus(path: Path) -> Corpus:
    """Open a derived set or a raw copy, whichever ``path`` holds.

    Raises:
        CorpusError: it is neither, or a derived set that cannot be read.
    """
    if any((path / name).is_file() for name in ("utterances.csv", "egemaps47.npy")):
        return Corpus(path, "derived", tuple(read_derived(path)))
    return read_raw(path)


def read_raw(path: Path) -> Corpus:
    """Read a raw copy: labels, words, and where the recordings are; no samples are read.

    Args:
        path: the folder of ``Session1`` to ``Session5``, or one that holds
            ``IEMOCAP_full_release``.

    Raises:
        CorpusError: there is no dialogue in it.
    """
    root = path / "IEMOCAP_full_release" if (path / "IEMOCAP_full_release").is_dir() else path
    folders = {n: root / f"Session{n}" for n in range(1, 6) if (root / f"Session{n}").is_dir()}
    if not folders:
        raise CorpusError(
            f"{path} holds no IEMOCAP corpus; name the folder that has Session1 to Session5, or "
            "a derived set's utterances.csv and egemaps47.npy"
        )
    warnings = [
        f"{root / f'Session{n}'} is missing: its dialogues are left out"
        for n in range(1, 6)
        if n not in folders
    ]
    dialogues: list[CorpusDialogue] = []
    for number, folder in folders.items():
        dialogues += _read_session(number, folder / "dialog", warnings)
    if not dialogues:
        raise CorpusError(
            f"{path} holds no readable dialogue ({warnings[-1]}); "
            "copy dialog/EmoEvaluation and dialog/transcriptions of each session"
        )
    return Corpus(path, "raw", tuple(dialogues), tuple(warnings))


def _read_session(number: int, folder: Path, warnings: list[str]) -> Iterator[CorpusDialogue]:
    found = {name: _files(folder / name, suffix) for name, suffix in _FOLDERS.items()}
    names = sorted({name for paths in found.values() for name in paths})
    empty = {name for name, paths in found.items() if not paths}
    warnings += [f"{folder / name} is missing or empty" for name in _FOLDERS if name in empty]
    for name in names:
        match = _DIALOGUE.match(name)
        if match is None:
            warnings.append(f"{folder}: {name!r} names no dialogue: its files are left out")
            continue
        paths = {kind: paths[name] for kind, paths in found.items() if name in paths}
        warnings += [
            f"{folder / kind / name}{suffix} is missing"
            for kind, suffix in _FOLDERS.items()
            if kind not in paths and kind not in empty
        ]
        utterances = _utterances(name, paths, warnings)
        if not utterances:
            warnings.append(f"{folder}: dialogue {name} has no utterances: it is left out")
            continue
        recording = DialogueRecording(
            wav=paths.get("wav"),
            mocap=tuple(paths[kind] for kind in _MOCAP if kind in paths),
            mocap_speaker=f"Ses{match.group(1)}{match.group(2)}",
        )
        yield CorpusDialogue(name, number, tuple(utterances), recording)


def _files(folder: Path, suffix: str) -> dict[str, Path]:
    """Return dialogue name -> file; ``._`` files are what macOS leaves in archives."""
    return {
        path.stem: path
        for path in sorted(folder.glob(f"*{suffix}"))
        if path.is_file() and not path.name.startswith(".")
    }


def _utterances(
    dialogue: str, paths: dict[str, Path], warnings: list[str]
) -> list[CorpusUtterance]:
    evaluated = _evaluations(dialogue, paths.get("EmoEvaluation"), warnings)
    said = _transcriptions(dialogue, paths.get("transcriptions"), warnings)
    if not evaluated and said:
        warnings.append(f"{dialogue}: no labels; {len(said)} utterances are kept without any")
        evaluated = {name: _Evaluation(start, end) for name, (start, end, _) in said.items()}
    elif said:
        _warn_of_unmatched(dialogue, set(evaluated), set(said), warnings)
    utterances = [
        CorpusUtterance(
            id=name,
            dialogue=dialogue,
            speaker=f"{dialogue[:5]}{_letter(name)}",
            start_ns=seconds_to_ns(evaluation.start_s),
            end_ns=seconds_to_ns(evaluation.end_s),
            emotion=evaluation.emotion,
            valence=evaluation.valence,
            activation=evaluation.activation,
            dominance=evaluation.dominance,
            text=said[name][2] if name in said else None,
        )
        for name, evaluation in evaluated.items()
    ]
    return sorted(utterances, key=dialogue_order)


def _warn_of_unmatched(
    dialogue: str, evaluated: set[str], said: set[str], warnings: list[str]
) -> None:
    if silent := sorted(evaluated - said):
        warnings.append(f"{dialogue}: {len(silent)} utterances have no words ({silent[0]}, ...)")
    if unlabelled := sorted(said - evaluated):
        # Breaths and the like (..._FXX0) are transcribed but were never evaluated.
        warnings.append(
            f"{dialogue}: {len(unlabelled)} transcribed stretches have no evaluation and are "
            f"left out ({unlabelled[0]}, ...)"
        )


def _letter(utterance: str) -> str:
    match = _UTTERANCE.match(utterance)
    assert match is not None  # checked when the line was read
    return match.group(2)


@dataclass(frozen=True, slots=True)
class _Evaluation:
    start_s: float
    end_s: float
    emotion: str = "xxx"
    valence: float = math.nan
    activation: float = math.nan
    dominance: float = math.nan


def _evaluations(dialogue: str, path: Path | None, warnings: list[str]) -> dict[str, _Evaluation]:
    evaluations: dict[str, _Evaluation] = {}
    for number, line in _lines(path, warnings):
        if not line.startswith("["):
            continue  # the single annotators' lines, and the heading
        match = _EVALUATION.match(line)
        if match is None:
            if "START" not in line.upper():
                warnings.append(f"{path}, line {number}: no evaluation: {line[:60]!r}")
            continue
        start, end, name, emotion, *scales = match.groups()
        problem = _problem(dialogue, name, float(start), float(end), name in evaluations)
        if problem:
            warnings.append(f"{path}, line {number}: {problem}: the utterance is left out")
            continue
        values = [min(5.0, max(1.0, float(scale))) for scale in scales]
        evaluations[name] = _Evaluation(float(start), float(end), emotion, *values)
    return evaluations


def _transcriptions(
    dialogue: str, path: Path | None, warnings: list[str]
) -> dict[str, tuple[float, float, str]]:
    said: dict[str, tuple[float, float, str]] = {}
    skipped: Counter[str] = Counter()
    for number, line in _lines(path, warnings):
        match = _TRANSCRIPTION.match(line)
        if match is None:
            skipped["without an utterance's id and times"] += bool(line.strip())
            continue
        name, start, end, text = match.groups()
        problem = _problem(dialogue, name, float(start), float(end), name in said)
        if problem:
            warnings.append(f"{path}, line {number}: {problem}: the words are left out")
            continue
        said[name] = (float(start), float(end), text.strip())
    warnings += [
        f"{path}: {count} lines {why} are left out" for why, count in skipped.items() if count
    ]
    return said


def _problem(dialogue: str, name: str, start_s: float, end_s: float, twice: bool) -> str | None:
    match = _UTTERANCE.match(name)
    if match is None or match.group(1) != dialogue:
        return f"{name!r} is no utterance of {dialogue}"
    if not 0 <= start_s < end_s:
        return f"{name} ends ({end_s} s) before it starts ({start_s} s)"
    return f"{name} is there twice" if twice else None


def _lines(path: Path | None, warnings: list[str]) -> Iterator[tuple[int, str]]:
    if path is None:
        return
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        warnings.append(f"{path} cannot be read ({error.strerror})")
        return
    yield from enumerate(text.splitlines(), 1)
