"""IEMOCAP in its own layout of folders.

Knows: the corpus's folders, which files belong to a dialogue, and what a partial copy lacks.
Refuses to know: what is in the files (``raw_texts``, ``raw_media``), and what is done with the
labels.

A copy has the folders ``Session1`` to ``Session5``. In each, ``dialog`` has ``EmoEvaluation``,
``transcriptions``, ``wav``, ``MOCAP_rotated``, ``MOCAP_hand`` and ``MOCAP_head``, with one file per
dialogue; ``sentences`` has one file per utterance: ``wav``, the three of motion, and
``ForcedAlignment``. An utterance's labels and times come from EmoEvaluation, its words from
transcriptions. In a dialogue named ``Ses01F_...`` the woman wore the markers. Some copies lack a
dialogue's sound or motion but have ``sentences``; then the utterances' own files are used.

The release itself lacks the alignment of ``Ses03F_impro07_M030`` and ``Ses03M_impro03_M001``, and
the motion of ``Ses05M_script01_1b``. Tripathi and Beigi's program used that of
``Ses05M_script01_1`` in its place. That is another take with other times, so it is not used here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from affectstream.corpus.dialogues import (
    Corpus,
    CorpusDialogue,
    CorpusError,
    CorpusUtterance,
    DialogueRecording,
    dialogue_order,
)
from affectstream.corpus.raw_texts import (
    Evaluation,
    read_alignment,
    read_evaluations,
    read_transcriptions,
    speaker_letter,
)
from affectstream.messages import Word
from affectstream.timebase import seconds_to_ns

_DIALOGUE = re.compile(r"Ses(\d\d)([FM])_(impro|script)\d\d\w*$")
_MOCAP = ("MOCAP_rotated", "MOCAP_hand", "MOCAP_head")
_FOLDERS = {"EmoEvaluation": ".txt", "transcriptions": ".txt", "wav": ".wav"} | dict.fromkeys(
    _MOCAP, ".txt"
)


def find_sessions(path: Path) -> dict[int, Path]:
    """Return session number -> folder of a raw copy; empty where ``path`` holds no copy."""
    root = path / "IEMOCAP_full_release" if (path / "IEMOCAP_full_release").is_dir() else path
    return {n: root / f"Session{n}" for n in range(1, 6) if (root / f"Session{n}").is_dir()}


def read_raw(path: Path, *, alignment: bool = False) -> Corpus:
    """Read a raw copy: labels, words, and the paths of recordings. No samples are read.

    What a partial copy lacks is said in the corpus's ``warnings``.

    Args:
        path: the folder that has ``Session1`` to ``Session5``, or the one above it.
        alignment: also read the words' times, from some 10,000 small files.

    Raises:
        CorpusError: there is no dialogue in it.
    """
    folders = find_sessions(path)
    if not folders:
        raise CorpusError(
            f"{path} holds no IEMOCAP corpus; name the folder that has Session1 to Session5, or "
            "a derived set's utterances.csv and egemaps47.npy"
        )
    root = next(iter(folders.values())).parent
    warnings = [
        f"{root / f'Session{n}'} is missing: its dialogues are left out"
        for n in range(1, 6)
        if n not in folders
    ]
    dialogues: list[CorpusDialogue] = []
    for number, folder in folders.items():
        dialogues += _read_session(number, folder, warnings, alignment)
    if not dialogues:
        raise CorpusError(
            f"{path} holds no readable dialogue ({warnings[-1]}); "
            "copy dialog/EmoEvaluation and dialog/transcriptions of each session"
        )
    return Corpus(path, "raw", tuple(dialogues), tuple(warnings))


def _read_session(
    number: int, session: Path, warnings: list[str], alignment: bool
) -> Iterator[CorpusDialogue]:
    folder, sentences = session / "dialog", session / "sentences"
    found = {name: _files(folder / name, suffix) for name, suffix in _FOLDERS.items()}
    names = sorted({name for paths in found.values() for name in paths})
    empty = {name for name, paths in found.items() if not paths}
    warnings += [f"{folder / name} is missing or empty" for name in _FOLDERS if name in empty]
    if alignment and not (sentences / "ForcedAlignment").is_dir():
        warnings.append(f"{sentences / 'ForcedAlignment'} is missing: words have no times")
        alignment = False
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
        aligned = sentences / "ForcedAlignment" / name if alignment else None
        utterances = _utterances(name, paths, aligned, warnings)
        if not utterances:
            warnings.append(f"{folder}: dialogue {name} has no utterances: it is left out")
            continue
        speaker = f"Ses{match.group(1)}{match.group(2)}"
        recording = _recording(name, paths, sentences, speaker, utterances, warnings)
        yield CorpusDialogue(name, number, tuple(utterances), recording)


def _files(folder: Path, suffix: str) -> dict[str, Path]:
    """Return name -> file, without the ``._`` files that macOS leaves in archives."""
    return {
        path.stem: path
        for path in sorted(folder.glob(f"*{suffix}"))
        if path.is_file() and not path.name.startswith(".")
    }


def _recording(
    name: str,
    paths: dict[str, Path],
    sentences: Path,
    mocap_speaker: str,
    utterances: list[CorpusUtterance],
    warnings: list[str],
) -> DialogueRecording:
    """Return the dialogue's files, or its utterances' own where the dialogue's are missing."""
    wav, mocap = paths.get("wav"), tuple(paths[kind] for kind in _MOCAP if kind in paths)
    ids = [utterance.id for utterance in utterances]
    clips: dict[str, Path] = {}
    if wav is None:
        cut = _files(sentences / "wav" / name, ".wav")
        clips = {utterance: cut[utterance] for utterance in ids if utterance in cut}
    motion: dict[str, tuple[Path, ...]] = {}
    if not mocap:
        kinds = [_files(sentences / kind / name, ".txt") for kind in _MOCAP]
        found = {u: tuple(kind[u] for kind in kinds if u in kind) for u in ids}
        motion = {utterance: files for utterance, files in found.items() if files}
    for what, single in (("sound", clips), ("motion", motion)):
        if single:
            warnings.append(
                f"{name}: {what} of {len(single)} of {len(ids)} utterances is in {sentences}: "
                "it stands in for the dialogue's"
            )
    return DialogueRecording(wav, mocap, mocap_speaker, clips, motion)


def _utterances(
    dialogue: str, paths: dict[str, Path], aligned: Path | None, warnings: list[str]
) -> list[CorpusUtterance]:
    evaluated = read_evaluations(dialogue, paths.get("EmoEvaluation"), warnings)
    said = read_transcriptions(dialogue, paths.get("transcriptions"), warnings)
    if not evaluated and said:
        warnings.append(f"{dialogue}: no labels; {len(said)} utterances are kept without any")
        evaluated = {name: Evaluation(start, end) for name, (start, end, _) in said.items()}
    elif said:
        _warn_of_unmatched(dialogue, set(evaluated), set(said), warnings)
    words = _words(dialogue, evaluated, aligned, warnings)
    utterances = [
        CorpusUtterance(
            id=name,
            dialogue=dialogue,
            speaker=f"{dialogue[:5]}{speaker_letter(name)}",
            start_ns=seconds_to_ns(evaluation.start_s),
            end_ns=seconds_to_ns(evaluation.end_s),
            emotion=evaluation.emotion,
            valence=evaluation.valence,
            activation=evaluation.activation,
            dominance=evaluation.dominance,
            text=said[name][2] if name in said else None,
            words=words.get(name, ()),
            votes=evaluation.votes,
        )
        for name, evaluation in evaluated.items()
    ]
    return sorted(utterances, key=dialogue_order)


def _words(
    dialogue: str, evaluated: dict[str, Evaluation], aligned: Path | None, warnings: list[str]
) -> dict[str, tuple[Word, ...]]:
    if aligned is None:
        return {}
    files = _files(aligned, ".wdseg")
    words = {
        name: read_alignment(
            files[name], seconds_to_ns(found.start_s), seconds_to_ns(found.end_s), warnings
        )
        for name, found in evaluated.items()
        if name in files
    }
    if missing := sorted(set(evaluated) - set(files)):
        warnings.append(
            f"{dialogue}: {len(missing)} utterances have no alignment ({missing[0]}, ...)"
        )
    return words


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
