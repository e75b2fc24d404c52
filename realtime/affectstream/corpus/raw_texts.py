"""The text files of one dialogue of a raw IEMOCAP copy: labels, votes, words, and words' times.

Knows: the lines of EmoEvaluation, transcriptions and ForcedAlignment, and which are unusable.
Refuses to know: folders, and which files belong together (``raw``).

EmoEvaluation has, for each utterance, a line with its time, the majority's emotion and the mean
scales. Below it is a line per annotator: ``C-E2:`` has the emotions that annotator E2 chose,
``A-E2:`` the scales. ``E`` are the annotators, ``F`` and ``M`` the actors themselves. A file of
ForcedAlignment (``.wdseg``) has a line per word: first and last frame of 10 ms since the utterance
began, a score, and the word as Sphinx writes it. ``<sil>`` and ``++LAUGHTER++`` are not words, and
``THE(2)`` is the second pronunciation of THE. An unusable line is left out with a warning.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from affectstream.corpus.dialogues import Vote
from affectstream.errors import brief
from affectstream.messages import Word
from affectstream.sources.text_files import text_encoding
from affectstream.timebase import NS_PER_MS

_NUMBER = r"([-+]?\d+(?:\.\d*)?)"
_EVALUATION = re.compile(
    rf"\[{_NUMBER} - {_NUMBER}\]\s+(\S+)\s+(\w+)\s+\[{_NUMBER}, {_NUMBER}, {_NUMBER}\]\s*$"
)
_VOTES = re.compile(r"C-([EFM]\d+):([^(]*)")
_TRANSCRIPTION = re.compile(rf"(Ses\d\d[FM]_\S+) \[{_NUMBER}-{_NUMBER}\]:(.*)$")
_UTTERANCE = re.compile(r"(Ses\d\d[FM]_\w+)_([FM])\w*\d\w*$")
_ALIGNED = re.compile(r"\s*(\d{1,9})\s+(\d{1,9})\s+-?\d+\s+(\S{1,400})\s*$")
_VARIANT = re.compile(r"\(\d+\)$")
_ALIGNMENT_FRAME_NS = 10 * NS_PER_MS
_LONGEST_LINE = 20_000
_LONGEST_NAME = 120
_LONGEST_TEXT = 16_384  # what a ``transcript`` message can carry
_LONGEST_DIALOGUE_S = 86_400.0
_EMOTIONS = {
    "anger": "ang",
    "happiness": "hap",
    "excited": "exc",
    "excitement": "exc",
    "sadness": "sad",
    "neutral": "neu",
    "neutral state": "neu",
    "frustration": "fru",
    "surprise": "sur",
    "fear": "fea",
    "disgust": "dis",
    "other": "oth",
}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What EmoEvaluation says of one utterance; times since the start of the dialogue.

    An utterance that was not evaluated has the emotion ``xxx`` and NaN for the scales.
    """

    start_s: float
    end_s: float
    emotion: str = "xxx"
    valence: float = math.nan
    activation: float = math.nan
    dominance: float = math.nan
    votes: tuple[Vote, ...] = ()


def speaker_letter(utterance: str) -> str:
    """Return F or M, from the name of an utterance that one of the readers below returned."""
    match = _UTTERANCE.match(utterance)
    assert match is not None  # checked when the line was read
    return match.group(2)


def read_evaluations(
    dialogue: str, path: Path | None, warnings: list[str]
) -> dict[str, Evaluation]:
    """Return utterance -> evaluation; empty where ``path`` is None.

    Args:
        warnings: gets a sentence for each line that is left out.
    """
    evaluations: dict[str, Evaluation] = {}
    unknown: Counter[str] = Counter()
    name = None
    for number, line in _lines(path, warnings):
        if not line.startswith("["):
            if name is not None and (votes := tuple(_votes(line, unknown))):
                found = evaluations[name]
                evaluations[name] = replace(found, votes=found.votes + votes)
            continue
        name = None
        match = _EVALUATION.match(line)
        if match is None:
            if "START" not in line.upper():
                warnings.append(f"{path}, line {number}: no evaluation: {brief(line, 60)!r}")
            continue
        evaluation = _evaluation(match)
        problem = _problem(dialogue, match[3], evaluation.start_s, evaluation.end_s)
        if match[3] in evaluations:
            problem = f"{match[3]} is there twice"
        if problem:
            warnings.append(f"{path}, line {number}: {problem}: the utterance is left out")
            continue
        name = match[3]
        evaluations[name] = evaluation
    warnings += [
        f"{path}: {count} votes for {brief(what, 60)!r}, which is no emotion of IEMOCAP's, are "
        "left out"
        for what, count in unknown.items()
    ]
    return evaluations


def _evaluation(match: re.Match[str]) -> Evaluation:
    valence, activation, dominance = (min(5.0, max(1.0, float(match[n]))) for n in (5, 6, 7))
    return Evaluation(float(match[1]), float(match[2]), match[4], valence, activation, dominance)


def _votes(line: str, unknown: Counter[str]) -> Iterator[Vote]:
    match = _VOTES.match(line)
    if match is None:
        return
    for part in match.group(2).split(";"):
        word = part.strip()
        if word and word.lower() not in _EMOTIONS:
            unknown[word] += 1
        elif word:
            yield Vote(match.group(1), _EMOTIONS[word.lower()])


def read_transcriptions(
    dialogue: str, path: Path | None, warnings: list[str]
) -> dict[str, tuple[float, float, str]]:
    """Return utterance -> start and end (s) and text; empty where ``path`` is None.

    Args:
        warnings: gets a sentence for what is left out.
    """
    said: dict[str, tuple[float, float, str]] = {}
    skipped = 0
    for number, line in _lines(path, warnings):
        match = _TRANSCRIPTION.match(line)
        if match is None:
            skipped += bool(line.strip())
            continue
        name, start, end, text = match.groups()
        problem = _problem(dialogue, name, float(start), float(end))
        if name in said:
            problem = f"{name} is there twice"
        elif len(text) > _LONGEST_TEXT:
            problem = f"more than {_LONGEST_TEXT} characters"
        if problem:
            warnings.append(f"{path}, line {number}: {problem}: the words are left out")
            continue
        said[name] = (float(start), float(end), text.strip())
    if skipped:
        warnings.append(f"{path}: {skipped} lines without an utterance's id and times are left out")
    return said


def read_alignment(path: Path, start_ns: int, end_ns: int, warnings: list[str]) -> tuple[Word, ...]:
    """Return the words of one utterance, with their times since the start of the dialogue.

    The last frame may reach past the utterance's end; its word then ends with the utterance. A file
    whose frames run backwards or begin after the utterance's end belongs to another utterance: it
    is left out.

    Args:
        start_ns, end_ns: the utterance's, since the start of the dialogue.
        warnings: gets a sentence if the file is left out.
    """
    words: list[Word] = []
    before = 0
    for number, line in _lines(path, warnings):
        match = _ALIGNED.match(line)
        if match is None:
            continue  # the heading, or the total score
        first, last = int(match.group(1)), int(match.group(2))
        begins_ns = start_ns + first * _ALIGNMENT_FRAME_NS
        if first < before or last < first or begins_ns >= end_ns:
            warnings.append(f"{path}, line {number}: frames {first} to {last} cannot be: left out")
            return ()
        before = last
        word = _VARIANT.sub("", match.group(3))
        if not word.startswith(("<", "+")):
            over_ns = start_ns + (last + 1) * _ALIGNMENT_FRAME_NS
            words.append(Word(text=word, start_ns=begins_ns, end_ns=min(over_ns, end_ns)))
    return tuple(words)


def _problem(dialogue: str, name: str, start_s: float, end_s: float) -> str | None:
    # The pattern would backtrack over a long name for a very long time.
    match = _UTTERANCE.match(name) if len(name) <= _LONGEST_NAME else None
    if match is None or match.group(1) != dialogue:
        return f"{brief(name, 60)!r} is no utterance of {dialogue}"
    if end_s > _LONGEST_DIALOGUE_S:
        return f"{name} ends later than a day after the dialogue began ({end_s:.3g} s)"
    if not 0 <= start_s < end_s:
        return f"{name} ends ({end_s} s) before it starts ({start_s} s)"
    return None


def _lines(path: Path | None, warnings: list[str]) -> Iterator[tuple[int, str]]:
    """Yield the lines with their numbers, from 1; bytes that are not UTF-8 are replaced."""
    if path is None:
        return
    try:
        text = path.read_text(encoding=text_encoding(path), errors="replace")
    except OSError as error:
        warnings.append(f"{path} cannot be read ({error.strerror})")
        return
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > _LONGEST_LINE:
            warnings.append(f"{path}, line {number}: {len(line)} characters: it is left out")
            continue
        yield number, line
